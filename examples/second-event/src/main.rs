//! The program of the engine with one more event type: `second-event setup`,
//! `second-event relay` and `second-event worker` serve the outbox of orders.

use onboard_contract::EventType;

fn main() -> std::process::ExitCode {
    EventType::install(second_event::EVENTS);
    onboard::main()
}
