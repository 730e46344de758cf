//! The metrics of the relay, as data: a rate may be asked of each counter from
//! the start on. Nothing survives the process; counters begin at zero again.

use onboard_runtime::Metric;
use onboard_runtime::metric::Buckets;

/// Every metric of this service.
pub const CATALOGUE: &[&[Metric]] = &[METRICS];

/// The metrics that this service records itself.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    Metric::gauge("registrations_in_stage", "registrations", &[("stage", &[])],
        "Unfinished registrations by stage (PENDING, STARTED, SENT, STALLED); stops at 10,000; NaN while MongoDB does not answer."),
    Metric::gauge("registrations_oldest_age_seconds", "seconds", &[("stage", &[])],
        "How long the oldest registration has been in its stage, quarantined PENDING rows apart; 0 when there is none, NaN while MongoDB does not answer."),
    Metric::gauge("registrations_quarantined", "registrations", &[],
        "Rows the relay has set aside because they cannot be started; NaN while MongoDB does not answer."),
    Metric::gauge("consumer_awaited", "rows", &[("consumer", &[])],
        "Unfinished rows that await the consumer, of the oldest 10,000 in each status; stops at 10,000; NaN for a consumer that is retired, and while MongoDB does not answer."),
    Metric::gauge("consumer_awaited_oldest_age_seconds", "seconds", &[("consumer", &[])],
        "Age of the oldest row that awaits the consumer, from its commit on, quarantined rows apart; 0 when there is none, NaN for a consumer that is retired, and while MongoDB does not answer."),
    Metric::seconds("relay_start_lag_seconds", &[],
        "From the commit of a registration to the start of its workflow.").in_buckets(Buckets::Long),
    Metric::counter("relay_starts_total",
        &[("outcome", &["started", "already", "unavailable", "refused"])],
        "Tries to start a workflow: started, there already, Temporal unavailable, refused."),
    Metric::counter("relay_rows_claimed_total", &[("found", &["handed_over", "swept"])],
        "Rows taken to be started: `handed_over` by the change stream, without a write, or `swept`, with a claim."),
    Metric::counter("relay_claims_lost_total", &[],
        "Swept rows that another relay had claimed first."),
    Metric::counter("relay_hand_over_full_total", &[],
        "Rows left to the sweep because too many waited to be started."),
    Metric::gauge("relay_members", "relays", &[],
        "Relays that share the new rows, this one among them, as far as it knows."),
    Metric::gauge("relay_room_full", "0 or 1", &[],
        "1 while no more workflows are started because RELAY_UNSENT_MAX are under way."),
    Metric::counter("relay_rebuild_asked_total", &[],
        "Times Temporal was asked whether it still has an overdue registration's workflow."),
    Metric::counter("relay_rebuilt_total",
        &[("cause", &["lost", "forgotten", "terminated", "cancelled", "timed_out"])],
        "Workflows started again: `lost` by Temporal, completed and `forgotten` by a restored row, or ended by somebody."),
    Metric::gauge("relay_clock_ahead_seconds", "seconds", &[],
        "How far the clock of this process is ahead of MongoDB's, below 0 when it is behind; beyond a minute no old row is removed; NaN while MongoDB does not answer."),
    Metric::gauge("task_queue_pollers", "pollers", &[("kind", &[])],
        "Processes that asked the task queue for work in the last 70 s, by workflow and activity; NaN while Temporal does not answer."),
    Metric::gauge("workflows_unknown", "workflows", &[("why", &["type", "no_row"])],
        "Workflows on the task queue that have not ended and that nobody owns: of a type of no event, or without an outbox row; NaN while Temporal does not answer."),
    Metric::gauge("workflows_task_failing", "workflows", &[],
        "Workflows on the task queue whose workflow task fails again and again; NaN while Temporal does not answer, and with a server before 1.30."),
    Metric::gauge("workflows_failed", "workflows", &[],
        "Workflows of events closed as failed that Temporal still keeps; NaN while it does not answer."),
    Metric::counter("relay_change_stream_lost_total", &[("cause", &["history", "other"])],
        "Times the open change stream broke: `history` when the oplog no longer reached back."),
];
