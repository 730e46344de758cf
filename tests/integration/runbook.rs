//! The runbook is true: each entry's fault is made on a running `onboard up`,
//! its alert is seen to fire in a real Prometheus with our rules, its commands
//! are run as they stand in the document, and the alert is seen to end.
//!
//! Several entries share a stack, one after the other. What an operator's own
//! commands cannot break, the test breaks. `house::alerts` proves that no
//! entry and no alert is left out.

mod accounts;
mod hashing;
mod launching;
mod messages;
mod queue;
mod replay;
mod servers;
mod stream;
mod waiting;
mod watched;

use watched::Watched;
