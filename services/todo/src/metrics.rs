//! The metrics of the todo service, as data: a rate may be asked of each counter
//! from the start on. Nothing survives the process; counters begin at zero again.

use onboard_runtime::Metric;
use onboard_runtime::metric::Buckets;

/// Every metric of this service: its own, and those that shared crates record in it.
pub const CATALOGUE: &[&[Metric]] = &[
    METRICS,
    onboard_broker::metrics::CONNECTION,
    onboard_token::METRICS,
    onboard_token::remote::METRICS,
];

/// The metrics that this service records itself.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    Metric::seconds("todo_message_seconds", &[],
        "Time of one message from delivery to verdict, waits for MongoDB included."),
    Metric::counter("todo_messages_total", &[("verdict", &["ack", "retry", "dead_letter"])],
        "Messages by verdict."),
    Metric::counter("todo_welcome_tasks_created_total", &[], "Welcome todos committed."),
    Metric::counter("todo_duplicates_total", &[],
        "Messages whose welcome todo was there already."),
    Metric::counter("todo_conflicts_total", &[],
        "Messages with the event id of another user's event, applied for their own user."),
    Metric::seconds("registration_to_task_seconds", &[],
        "From the commit of a registration to the commit of its welcome todo.").in_buckets(Buckets::Long),
    Metric::counter("todo_inbox_groups_total", &[("outcome", &["committed", "apart", "failed"])],
        "Transactions many messages shared, by outcome."),
    Metric::counter("todo_inbox_alone_total", &[], "Transactions of a single message."),
    Metric::counter("todo_acknowledgements_total",
        &[("outcome", &["noted", "away", "busy", "refused", "left"])],
        "Acknowledgements by what became of them; `busy` and `left` are left to the sweep."),
];
