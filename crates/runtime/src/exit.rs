//! The exit codes of every subcommand.

/// Done.
pub const DONE: u8 = 0;
/// The answer is no: a violation, not ready, not found.
pub const NO: u8 = 1;
/// Wrong usage.
pub const USAGE: u8 = 2;
/// Bad configuration (`EX_USAGE` of sysexits.h, as linkerd2-proxy does).
pub const CONFIG: u8 = 64;
/// A server cannot be reached (`EX_UNAVAILABLE` of sysexits.h).
pub const UNAVAILABLE: u8 = 69;
