//! The program under test: `onboard` itself, built with the tests, and with
//! its fail points on where the variable `FAILPOINTS` asks for them.

fn main() -> std::process::ExitCode {
    let _points = fail::FailScenario::setup();
    onboard::main()
}
