//! The metrics that this crate records, as data. Nothing survives the process.

use onboard_runtime::Metric;

/// The metrics of a process that publishes events.
#[rustfmt::skip]
pub const PUBLISHES: &[Metric] = &[
    Metric::seconds("broker_publish_seconds", &[],
        "From the publish of an event to its confirm, or to the failure."),
    Metric::counter("broker_publishes_total",
        &[("outcome", &["confirmed", "returned", "nacked", "timed_out", "away"])],
        "Publishes by outcome: returned is no queue, nacked a full one, away that there was no connection."),
];

/// The metrics of a process that has a [`crate::Publisher`], for dead letters too.
#[rustfmt::skip]
pub const CONNECTION: &[Metric] = &[
    Metric::gauge("broker_blocked", "0 or 1", &[],
        "1 while an alarm of RabbitMQ blocks publishing (connection.blocked)."),
];
