//! The names of the engine that two processes, a test or an operator must agree on. Those
//! of an event, and of its consumers, stand in `events`.

/// The topic exchange, and the queue, of acknowledgements over the broker.
pub const ACKNOWLEDGEMENTS: &str = "acknowledgements";
/// The exchange that dead letters of the acknowledgements go through.
pub const ACKNOWLEDGEMENTS_DLX: &str = "acknowledgements.dlx";
/// The queue that dead letters of the acknowledgements wait in.
pub const ACKNOWLEDGEMENTS_DLQ: &str = "acknowledgements.dlq";

/// The workflow's type of any event that has no workflow of its own.
pub const WORKFLOW_EVENT_DELIVERY: &str = "EventDelivery";
/// The signal by which a consumer acknowledges.
pub const SIGNAL_CONSUMER_ACKNOWLEDGED: &str = "acknowledged";
/// The signal by which an operator waives a consumer.
pub const SIGNAL_WAIVED: &str = "waived";
/// The signal by which an operator asks for another publish.
pub const SIGNAL_REPUBLISH: &str = "republish";
/// The query that answers how far a registration is.
pub const QUERY_PROGRESS: &str = "progress";

/// The activity that publishes the event to its exchange, and says whether the
/// broker took it.
pub const ACTIVITY_PUBLISH_EVENT: &str = "publish_event";
/// The activity that publishes a copy straight to a consumer's queue.
pub const ACTIVITY_PUBLISH_COPY: &str = "publish_copy";
/// The activity that marks the outbox row SENT.
pub const ACTIVITY_MARK_SENT: &str = "mark_outbox_sent";
/// The activity by which a consumer answers, on a task queue of its own, whether it has
/// processed an event.
pub const ACTIVITY_FIND_ACKNOWLEDGEMENT: &str = "find_acknowledgement";
/// The activity by which the owner of an outbox answers which events have a row. Asked
/// by consumers, outside of any workflow.
pub const ACTIVITY_FIND_ROWS: &str = "find_rows";
/// The activity that writes the terminal record on the outbox row.
pub const ACTIVITY_RECORD: &str = "record_acknowledgement";

/// Search attribute (Keyword): the stage of the registration.
pub const ATTRIBUTE_STAGE: &str = "RegistrationStage";

/// Failure type: the outbox row of the workflow does not exist.
pub const FAILURE_ROW_MISSING: &str = "OutboxRowMissing";
/// Failure type: the outbox row of the workflow cannot be read.
pub const FAILURE_ROW_CORRUPT: &str = "OutboxRowCorrupt";
