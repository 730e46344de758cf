//! The program under test: `onboard` itself, built with the tests, and with
//! its fail points on where the variable `FAILPOINTS` asks for them, and with a clock
//! that is wrong by `CLOCK_AHEAD_MS`. It can run
//! several services in one process, too, and the consumer of
//! `examples/second-consumer`.

#[path = "onboard_under_test/points.rs"]
mod points;
#[path = "onboard_under_test/together.rs"]
mod together;

use std::process::ExitCode;

fn main() -> ExitCode {
    let _points = points::install();
    let ahead_ms = std::env::var_os("CLOCK_AHEAD_MS");
    if let Some(ms) = ahead_ms.and_then(|ms| ms.to_str()?.parse().ok()) {
        onboard_runtime::clock::set_ahead(ms);
    }
    // As `examples/second-event` does, for the tests that ask for it.
    if std::env::var_os("SECOND_EVENT").is_some() {
        onboard_events::install(second_event::EVENTS);
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [first] if first == "second-consumer" => {
            second_consumer::main().map_or_else(fails, |()| ExitCode::SUCCESS)
        }
        [first, services @ ..] if first == "together" => {
            together::run(services).unwrap_or_else(fails)
        }
        _ => onboard::main(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it ends here")]
fn fails(error: anyhow::Error) -> ExitCode {
    tracing::error!("{error:#}");
    ExitCode::FAILURE
}
