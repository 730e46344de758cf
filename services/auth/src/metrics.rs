//! The metrics of the auth service, as data: a rate may be asked of each counter
//! from the start on. Nothing survives the process; counters begin at zero again.

use onboard_runtime::Metric;
use onboard_runtime::metric::Buckets;

/// Every metric of this service: its own, and those that shared crates record in it.
pub const CATALOGUE: &[&[Metric]] =
    &[METRICS, onboard_http::metrics::RATE_LIMITS, onboard_token::METRICS];

/// The metrics that this service records itself.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    Metric::counter("registrations_total", &[("outcome", &[])],
        "Answered registrations, by what became of them: `created`, or the problem's name."),
    Metric::gauge("registration_followers", "streams", &[],
        "Open streams of registrations that are not at their end."),
    Metric::counter("logins_total", &[("outcome", &[])],
        "Answered logins, by what became of them."),
    Metric::counter("token_refreshes_total", &[("outcome", &["success", "reused", "invalid-token"])],
        "Answered token refreshes; `reused` is a refresh token shown a second time."),
    Metric::seconds("password_hash_seconds", &[("operation", &["hash", "verify"])],
        "Time of one argon2 computation, without the wait for its turn.").in_buckets(Buckets::Short),
    Metric::counter("security_events_left_out_total", &[("why", &["network", "process"])],
        "Failed logins that were logged and not recorded, because too many were: of the client's `network`, or of all at this `process`."),
    Metric::gauge("hash_threads", "threads", &[], "Threads that hash (`HASH_THREADS`)."),
    Metric::gauge("hash_busy", "threads", &[], "Threads that hash right now."),
    Metric::gauge("hash_queue_length", "requests", &[], "Passwords that wait for a thread."),
    Metric::gauge("hash_queue_limit", "requests", &[], "How many may wait (`HASH_QUEUE`)."),
    Metric::counter("hash_refused_total", &[], "Passwords refused because too many waited."),
];
