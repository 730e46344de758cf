//! The program under test: `onboard` itself, built with the tests.

fn main() -> std::process::ExitCode {
    onboard::main()
}
