//! Kill points: every step that somebody outside the process can see has a name
//! and is wrapped in [`step`], so that a test can end the process right
//! before it or right after it, make it slow, or keep its answer from the
//! caller.
//!
//! This crate acts at no point itself: a program that wants to installs a
//! [`Hook`], and only the tests' program does
//! (`tests/src/onboard_under_test/points.rs`). Anywhere else [`step`] is the
//! step itself.

mod point;

pub use point::{Act, Hook, Side, Step, after, before, install, step};
