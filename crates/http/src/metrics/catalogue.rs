//! Every metric of every process, once: what is described on `/metrics`, what
//! begins at zero, and what `docs/metrics.md` says.
//!
//! A metric that is not here has no help text, and fails the test that reads the
//! sources for metrics. Label values come from enums and route templates alone.

use super::Process;

const ALL: &[Process] = &Process::ALL;
const RELAY: &[Process] = &[Process::Relay];
const WORKER: &[Process] = &[Process::Worker];
const TODO: &[Process] = &[Process::Todo];
const AUTH: &[Process] = &[Process::Auth];

/// A metric of ours.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name; the unit last.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// What it is counted in.
    pub unit: &'static str,
    /// Who has it.
    pub processes: &'static [Process],
    /// Its labels, with their values where a counter begins at zero for each.
    pub labels: &'static [Label],
    /// One sentence.
    pub meaning: &'static str,
}

/// A label's name and the values known beforehand.
pub type Label = (&'static str, &'static [&'static str]);

/// What a metric does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows. Begins at zero, unless a label's values are not listed.
    Counter,
    /// It is what it is now. There from the first time it is known.
    Gauge,
    /// How many took how long. There from the beginning without labels.
    Histogram,
}

impl Kind {
    /// Prometheus' word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

const fn counter(
    name: &'static str,
    processes: &'static [Process],
    labels: &'static [Label],
    meaning: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Counter, unit: "", processes, labels, meaning }
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    processes: &'static [Process],
    labels: &'static [Label],
    meaning: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, processes, labels, meaning }
}

const fn seconds(
    name: &'static str,
    processes: &'static [Process],
    labels: &'static [Label],
    meaning: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Histogram, unit: "seconds", processes, labels, meaning }
}

/// All of them, in the order of a registration's way.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    // auth
    counter("registrations_total", AUTH, &[("outcome", &[])],
        "Answered registrations, by what became of them: `created`, or the problem's name."),
    counter("logins_total", AUTH, &[("outcome", &[])],
        "Answered logins, by what became of them."),
    counter("token_refreshes_total", AUTH, &[("outcome", &["success", "reused", "invalid-token"])],
        "Answered token refreshes; `reused` is a refresh token shown a second time."),
    counter("rate_limited_total", AUTH, &[("policy", &[])],
        "Requests refused by a rate limit, by policy."),
    seconds("password_hash_seconds", AUTH, &[("operation", &["hash", "verify"])],
        "Time of one argon2 computation, without the wait for its turn."),
    gauge("hash_threads", "threads", AUTH, &[], "Threads that hash (`HASH_THREADS`)."),
    gauge("hash_busy", "threads", AUTH, &[], "Threads that hash right now."),
    gauge("hash_queue_length", "requests", AUTH, &[], "Passwords that wait for a thread."),
    gauge("hash_queue_limit", "requests", AUTH, &[], "How many may wait (`HASH_QUEUE`)."),
    counter("hash_refused_total", AUTH, &[], "Passwords refused because too many waited."),
    // relay
    gauge("registrations_in_stage", "registrations", RELAY, &[("stage", &[])],
        "Unfinished registrations by stage (PENDING, STARTED, SENT, STALLED); stops at 10,000; NaN while MongoDB does not answer."),
    gauge("registrations_oldest_age_seconds", "seconds", RELAY, &[("stage", &[])],
        "How long the oldest registration has been in its stage, quarantined PENDING rows apart; 0 when there is none, NaN while MongoDB does not answer."),
    gauge("registrations_quarantined", "registrations", RELAY, &[],
        "Rows the relay has set aside because they cannot be started; NaN while MongoDB does not answer."),
    seconds("relay_start_lag_seconds", RELAY, &[],
        "From the commit of a registration to the start of its workflow."),
    counter("relay_starts_total", RELAY,
        &[("outcome", &["started", "already", "unavailable", "refused"])],
        "Tries to start a workflow: started, there already, Temporal away, refused."),
    counter("relay_rows_claimed_total", RELAY, &[("found", &["handed_over", "swept"])],
        "Rows claimed, by whether the change stream told of them or the sweep found them."),
    counter("relay_claims_lost_total", RELAY, &[],
        "Rows another relay had claimed first."),
    counter("relay_hand_over_full_total", RELAY, &[],
        "Rows left to the sweep because too many waited to be claimed."),
    counter("relay_change_stream_lost_total", RELAY, &[("cause", &["history", "other"])],
        "Times the open change stream broke: `history` when the oplog no longer reached back."),
    gauge("relay_room_full", "0 or 1", RELAY, &[],
        "1 while no more workflows are started because RELAY_UNSENT_MAX are under way."),
    counter("relay_rebuild_asked_total", RELAY, &[],
        "Times Temporal was asked whether it still has an overdue registration's workflow."),
    counter("relay_rebuilt_total", RELAY, &[("cause", &["lost", "forgotten"])],
        "Workflows started again: `lost` by Temporal, or completed and `forgotten` by a restored row."),
    gauge("task_queue_pollers", "pollers", RELAY, &[("kind", &[])],
        "Processes that asked the task queue for work in the last 70 s, by workflow and activity; NaN while Temporal does not answer."),
    gauge("workflows_failed", "workflows", RELAY, &[],
        "Registration workflows closed as failed that Temporal still keeps; NaN while it does not answer."),
    // worker
    seconds("broker_publish_seconds", WORKER, &[],
        "From the publish of an event to its confirm, or to the failure."),
    counter("broker_publishes_total", WORKER,
        &[("outcome", &["confirmed", "returned", "nacked", "timed_out", "away"])],
        "Publishes by outcome: returned is no queue, nacked a full one, away no connection."),
    gauge("broker_blocked", "0 or 1", &[Process::Worker, Process::Todo], &[],
        "1 while an alarm of RabbitMQ blocks publishing (connection.blocked)."),
    seconds("activity_seconds", WORKER, &[("activity", &[]), ("outcome", &[])],
        "Time of one try of an activity, by outcome: ok, retry, permanent."),
    // todo
    seconds("todo_message_seconds", TODO, &[],
        "Time of one message from delivery to verdict, waits for MongoDB included."),
    counter("todo_messages_total", TODO, &[("verdict", &["ack", "retry", "dead_letter"])],
        "Messages by verdict."),
    counter("todo_welcome_tasks_created_total", TODO, &[], "Welcome todos committed."),
    counter("todo_duplicates_total", TODO, &[],
        "Messages whose welcome todo was there already."),
    seconds("registration_to_task_seconds", TODO, &[],
        "From the commit of a registration to the commit of its welcome todo."),
    counter("todo_inbox_groups_total", TODO, &[("outcome", &["committed", "apart", "failed"])],
        "Transactions many messages shared, by outcome."),
    counter("todo_inbox_alone_total", TODO, &[], "Transactions of a single message."),
    counter("todo_acknowledgements_total", TODO,
        &[("outcome", &["noted", "away", "busy", "refused", "left"])],
        "Acknowledgements by what became of them; `busy` and `left` are left to the sweep."),
    gauge("queue_messages", "messages", TODO, &[("queue", &[])],
        "Messages ready in the queue and among the dead letters; NaN while RabbitMQ does not answer."),
    gauge("queue_consumers", "consumers", TODO, &[("queue", &[])],
        "Consumers of the queue; NaN while RabbitMQ does not answer."),
    // HTTP
    counter("http_requests_total", ALL, &[("method", &[]), ("path", &[]), ("status", &[])],
        "Answered requests by method, route and status; what matches no route is `unmatched`."),
    seconds("http_request_seconds", ALL, &[("method", &[]), ("path", &[])],
        "Time to an answer's head, by method and route."),
    counter("connections_refused_total", ALL, &[],
        "Connections closed at once because one client had too many."),
    counter("tokens_refused_total", &[Process::Auth, Process::Todo], &[("fault", &[])],
        "Access tokens refused, by what is wrong with them."),
    // every process
    gauge("dependency_up", "0 or 1", ALL, &[("dependency", &[])],
        "1 while the server answers this process (mongo, rabbitmq, temporal; keys: the signing keys can be used)."),
    gauge("onboard_build_info", "1", ALL, &[("version", &[]), ("service", &[])],
        "Always 1; the labels say which build this is."),
];
