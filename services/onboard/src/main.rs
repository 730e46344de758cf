//! The one binary. Everything it does is in the library, so that the tests
//! build exactly the same program.

fn main() -> std::process::ExitCode {
    onboard::main()
}
