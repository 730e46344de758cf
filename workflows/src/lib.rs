//! The deterministic part of a delivery: which activity when, and what is
//! awaited. No clock, no randomness, no I/O; a crash of the worker is replayed
//! from the history.
//!
//! The crate's tree has no I/O crate in it (a test sees to that), so workflow
//! code cannot reach for one.

pub mod activities;
mod delivery;
mod event;
mod registration;
mod signal;

pub use event::EventDelivery;
pub use registration::UserRegistration;
