//! How many files and sockets this process may have open.
//!
//! A process that has none left can accept no connection, not even of a probe.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Those that are no connections of clients: servers, logs, probes.
const OTHERS: u64 = 512;

/// Raises the limit to what the process may ask for: many systems begin with 1,024.
pub fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // The lower limit holds on.
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok();
    }
}

/// How many connections of clients the limit leaves room for; none: any number.
#[must_use]
pub fn connections_max() -> Option<u64> {
    getrlimit(Resource::Nofile).current.map(|limit| limit.saturating_sub(OTHERS))
}
