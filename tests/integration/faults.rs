//! Server faults: whatever a server does, nothing acknowledged is lost, no
//! todo is made twice, and no row is SENT whose message is nowhere.
//!
//! How each test knows the last: with `REGISTRATION_OVERDUE=1h` no workflow
//! looks for itself and publishes again, so a row that was marked SENT without
//! its message in the queue would never be acknowledged.

mod broker;
mod commits;
mod connections;
mod pairs;
mod servers;
mod wake;
