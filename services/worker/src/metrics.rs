//! The metrics of the worker, as data: shared crates record all of them. Nothing
//! survives the process; counters begin at zero again.

use onboard_runtime::Metric;

/// Every metric of this service: its own, and those that shared crates record in it.
pub const CATALOGUE: &[&[Metric]] = &[
    METRICS,
    onboard_broker::metrics::PUBLISHES,
    onboard_broker::metrics::CONNECTION,
    onboard_activities::METRICS,
    onboard_temporal::METRICS,
];

/// The metrics that this service records itself.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    Metric::counter("worker_acknowledgements_total",
        &[("outcome", &["signalled", "no_run", "duplicate", "dead_letter", "stopped"])],
        "Acknowledgements over the broker, by what became of them."),
    Metric::gauge("queue_messages", "messages", &[("queue", &[])],
        "Messages ready in the queue and among the dead letters; NaN while RabbitMQ does not answer."),
    Metric::gauge("queue_consumers", "consumers", &[("queue", &[])],
        "Consumers of the queue; NaN while RabbitMQ does not answer."),
];
