//! The names of the steps.
//!
//! A test drives the system through every one of them (`tests/integration/
//! kill_points.rs`), and another one fails when code has an effect on a server
//! outside a step (`tests/integration/house.rs`).

/// A step that is visible outside the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// auth commits user, outbox row and idempotency key.
    RegisterCommit,
    /// auth remembers, silently, that a key's request met a taken address.
    RefusalKeep,
    /// The relay claims a row by compare-and-set.
    RelayClaim,
    /// The relay starts the workflow.
    WorkflowStart,
    /// The relay notes the start on the row.
    RelayNote,
    /// The relay gives a row back with the reason.
    RelayRelease,
    /// The relay puts a row off that it cannot read.
    RelayPutOff,
    /// The relay starts a workflow anew that Temporal has lost, or that has
    /// completed in a time that was restored away.
    RelayRebuild,
    /// A relay renews its place among the relays, leaves it, or notes for them how many
    /// workflows are under way.
    RelayLead,
    /// The worker hands the message to the broker.
    PublishSend,
    /// The broker's confirm reaches the worker.
    PublishConfirm,
    /// The worker marks the row SENT.
    SentMark,
    /// A consumer commits inbox record and effect.
    InboxCommit,
    /// A consumer acknowledges: the todo service signals the workflow.
    AcknowledgeSignal,
    /// A consumer notes that on the inbox record.
    AcknowledgeNote,
    /// A consumer acks the delivery.
    DeliveryAck,
    /// A consumer gives the delivery back.
    DeliveryRequeue,
    /// The worker writes the terminal record on the row.
    TerminalRecord,
    /// The relay or a consumer notes how far back it removes.
    PurgeHorizon,
    /// The relay removes rows that are done and old.
    PurgeOutbox,
    /// A consumer removes inbox records that nothing can ask for.
    PurgeInbox,
    /// The todo service creates a todo that its user asked for.
    TodoCreate,
    /// The todo service changes a todo.
    TodoChange,
    /// The todo service removes a todo of the user's own.
    TodoRemove,
    /// The todo service commits the removal of a welcome todo, and the note.
    TodoRemoveCommit,
    /// `redrive` or `consumers` records who does what and why.
    RedriveRecord,
    /// `redrive` asks a running workflow to publish again; `consumers` tells it of
    /// a waiver.
    RedriveSignal,
    /// `redrive` starts a fresh run of a workflow that has ended without success;
    /// `consumers` starts one for a row that expects one more consumer.
    RedriveRestart,
    /// `redrive` makes a row that is put off due, or takes an acknowledgement off a row;
    /// `consumers` changes what a page of rows expects.
    RedriveRelease,
    /// `redrive` removes from an inbox what it says of an effect that is missing.
    RedriveForget,
    /// `redrive` puts a message back into its queue.
    RedrivePutBack,
    /// `redrive` removes a dead letter that is done with.
    RedriveSettle,
    /// auth commits a session and its first refresh token.
    LoginCommit,
    /// auth replaces a weaker hash after a login.
    LoginRehash,
    /// auth commits the use of a refresh token and its successor.
    RefreshCommit,
    /// auth revokes a session.
    SessionRevoke,
    /// `users` commits a role and the record of who gave or took it.
    RoleCommit,
    /// `setup` writes the first signing key.
    KeyFirst,
    /// `keys` commits a new signing key and the end of the others.
    KeyRotate,
    /// `keys` commits the removal of a signing key.
    KeyRemove,
}

/// Where at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The step has not been taken.
    Before,
    /// It has been taken, and the caller does not know yet.
    After,
}

impl Step {
    /// Every step, in the order of a registration's way.
    pub const ALL: [Self; 40] = [
        Self::RegisterCommit,
        Self::RefusalKeep,
        Self::RelayClaim,
        Self::WorkflowStart,
        Self::RelayNote,
        Self::RelayRelease,
        Self::RelayPutOff,
        Self::RelayRebuild,
        Self::RelayLead,
        Self::PublishSend,
        Self::PublishConfirm,
        Self::SentMark,
        Self::InboxCommit,
        Self::AcknowledgeSignal,
        Self::AcknowledgeNote,
        Self::DeliveryAck,
        Self::DeliveryRequeue,
        Self::TerminalRecord,
        Self::PurgeHorizon,
        Self::PurgeOutbox,
        Self::PurgeInbox,
        Self::TodoCreate,
        Self::TodoChange,
        Self::TodoRemove,
        Self::TodoRemoveCommit,
        Self::RedriveRecord,
        Self::RedriveSignal,
        Self::RedriveRestart,
        Self::RedriveRelease,
        Self::RedriveForget,
        Self::RedrivePutBack,
        Self::RedriveSettle,
        Self::LoginCommit,
        Self::LoginRehash,
        Self::RefreshCommit,
        Self::SessionRevoke,
        Self::RoleCommit,
        Self::KeyFirst,
        Self::KeyRotate,
        Self::KeyRemove,
    ];

    /// The name of its fail point on that side.
    #[must_use]
    pub fn point(self, side: Side) -> String {
        let side = match side {
            Side::Before => "before",
            Side::After => "after",
        };
        format!("{}.{side}", self.name())
    }

    /// `area.verb`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RegisterCommit => "register.commit",
            Self::RefusalKeep => "refusal.keep",
            Self::RelayClaim => "relay.claim",
            Self::WorkflowStart => "workflow.start",
            Self::RelayNote => "relay.note",
            Self::RelayRelease => "relay.release",
            Self::RelayPutOff => "relay.put_off",
            Self::RelayRebuild => "relay.rebuild",
            Self::RelayLead => "relay.lead",
            Self::PublishSend => "publish.send",
            Self::PublishConfirm => "publish.confirm",
            Self::SentMark => "sent.mark",
            Self::InboxCommit => "inbox.commit",
            Self::AcknowledgeSignal => "acknowledge.signal",
            Self::AcknowledgeNote => "acknowledge.note",
            Self::DeliveryAck => "delivery.ack",
            Self::DeliveryRequeue => "delivery.requeue",
            Self::TerminalRecord => "terminal.record",
            Self::PurgeHorizon => "purge.horizon",
            Self::PurgeOutbox => "purge.outbox",
            Self::PurgeInbox => "purge.inbox",
            Self::TodoCreate => "todo.create",
            Self::TodoChange => "todo.change",
            Self::TodoRemove => "todo.remove",
            Self::TodoRemoveCommit => "todo.remove_commit",
            Self::RedriveRecord => "redrive.record",
            Self::RedriveSignal => "redrive.signal",
            Self::RedriveRestart => "redrive.restart",
            Self::RedriveRelease => "redrive.release",
            Self::RedriveForget => "redrive.forget",
            Self::RedrivePutBack => "redrive.put_back",
            Self::RedriveSettle => "redrive.settle",
            Self::LoginCommit => "login.commit",
            Self::LoginRehash => "login.rehash",
            Self::RefreshCommit => "refresh.commit",
            Self::SessionRevoke => "session.revoke",
            Self::RoleCommit => "role.commit",
            Self::KeyFirst => "key.first",
            Self::KeyRotate => "key.rotate",
            Self::KeyRemove => "key.remove",
        }
    }
}
