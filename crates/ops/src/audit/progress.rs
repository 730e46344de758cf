//! How far an audit is, for whoever watches.

/// A pass over everything of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Every user has a row and a welcome todo.
    Users,
    /// Every idempotency key has its user and row.
    Keys,
    /// Every document of an account can be read.
    Documents,
    /// Every row has a user, a workflow and an inbox record.
    Outbox,
    /// Every inbox record has a row.
    Inbox,
    /// Every todo has a user and an origin.
    Todos,
    /// Every workflow has a row.
    Workflows,
    /// The sampled histories are whole.
    Histories,
    /// Queue and dead letters.
    Queues,
}

impl Pass {
    /// What is read, in one or two words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Keys => "idempotency keys",
            Self::Documents => "documents of accounts",
            Self::Outbox => "outbox rows",
            Self::Inbox => "inbox records",
            Self::Todos => "todos",
            Self::Workflows => "workflows",
            Self::Histories => "histories",
            Self::Queues => "queues",
        }
    }
}

/// A page has been read.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The pass under way.
    pub pass: Pass,
    /// How many it has read.
    pub done: u64,
    /// About how many there are.
    pub total: u64,
}
