//! Kill points: every step that somebody outside the process can see is named
//! here and wrapped in [`step`], so that a test can end the process right
//! before it or right after it, make it slow, or keep its answer from the
//! caller.
//!
//! The points exist only where the crate `fail` has its feature `failpoints`,
//! and only the package of the integration tests asks for that. Anywhere else
//! [`step`] is the step itself, and the release binary refuses to be built with
//! points in it (`services/onboard/src/main.rs`).

mod point;
mod step;

pub use point::{after, before, step};
pub use step::{Side, Step};
