//! The program of the engine with one more event type: `second-event setup`,
//! `second-event relay` and `second-event worker` serve the outbox of orders.

fn main() -> std::process::ExitCode {
    onboard_events::install(second_event::EVENTS);
    onboard::main()
}
