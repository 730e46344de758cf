//! The servers as an operator reaches them.

use std::time::Duration;

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::{Collection, bson};
use onboard_broker::BrokerConfig;
use onboard_contract::EventId;
use onboard_events::TodoId;
use onboard_inbox::{INBOX, InboxRecord};
use onboard_mongo::raw_document;
use onboard_mongo::retention::removed_before;
use onboard_outbox::{OUTBOX, WORKFLOWS};
use onboard_runtime::clock::{self, millis};
use onboard_runtime::plain::told;
use onboard_temporal::{Temporal, TemporalConfig, TemporalError};
use onboard_todo::INBOX_NAMES;
use uuid::Uuid;

use crate::case::Removed;
use crate::error::{ask, bounded};
use crate::{Databases, DatabasesConfig, OperatorError};

/// Reads and acts with the rights of the settings it was given.
#[derive(Debug)]
pub struct Operator {
    pub(crate) mongo: Databases,
    pub(crate) broker: BrokerConfig,
    temporal: Result<Temporal, TemporalError>,
    pub(crate) overdue: Duration,
    pub(crate) retention: Duration,
}

impl Operator {
    /// Connects. MongoDB must answer; Temporal and RabbitMQ are asked when
    /// they are needed. An acknowledgement counts as overdue after `overdue`.
    ///
    /// # Errors
    /// MongoDB does not answer.
    pub async fn connect(
        mongo: &DatabasesConfig,
        broker: &BrokerConfig,
        temporal: &TemporalConfig,
        overdue: Duration,
    ) -> Result<Self, OperatorError> {
        let mongo = Databases::new(mongo).await.map_err(OperatorError::Store)?;
        mongo.ping().await.map_err(OperatorError::Store)?;
        Ok(Self {
            mongo,
            broker: broker.clone(),
            retention: temporal.retention(),
            temporal: Temporal::connect(temporal).await,
            overdue,
        })
    }

    /// Temporal, or why there is none.
    pub(crate) fn temporal(&self) -> Result<&Temporal, &TemporalError> {
        self.temporal.as_ref()
    }

    /// Temporal, where nothing can be done without it.
    pub(crate) fn needed_temporal(&self) -> Result<&Temporal, OperatorError> {
        self.temporal().map_err(|error| OperatorError::NoTemporal(told(error)))
    }

    pub(crate) fn overdue_ms(&self) -> i64 {
        millis(self.overdue)
    }

    /// The outbox row of an event, as far as it can be read.
    pub(crate) async fn find_document(
        &self,
        event: EventId,
    ) -> Result<Option<Document>, OperatorError> {
        let outbox: Collection<RawDocumentBuf> = self.mongo.outbox().clone_with_type();
        let find = outbox.find_one(doc! { "_id": id(event.uuid()) });
        let found = ask("look up the outbox row", find).await?;
        Ok(found.map(|row| raw_document::readable(&row)))
    }

    /// What need not be there any more. Temporal forgets what has ended, and
    /// its database may have been lost.
    pub(crate) async fn removed(&self) -> Result<Removed, OperatorError> {
        const WHAT: &str = "tell what has been removed";
        let rows = bounded(WHAT, removed_before(self.mongo.auth(), OUTBOX)).await?;
        let lost = bounded(WHAT, removed_before(self.mongo.auth(), WORKFLOWS)).await?;
        let inbox = bounded(WHAT, removed_before(self.mongo.todo(), INBOX)).await?;
        let kept_since = clock::now_ms() - millis(self.retention);
        Ok(Removed {
            rows_before_ms: rows.unwrap_or(i64::MIN),
            inbox_before_ms: inbox.unwrap_or(i64::MIN),
            workflows_before_ms: lost.map_or(kept_since, |lost| lost.max(kept_since)),
        })
    }

    /// The todo of this id, whosever it is.
    pub(crate) async fn find_todo(&self, todo: TodoId) -> Result<Option<Document>, OperatorError> {
        let todos = self.mongo.todos();
        ask("load the welcome todo", todos.find_one(doc! { "_id": id(todo.uuid()) })).await
    }

    /// The inbox record of an event.
    pub(crate) async fn find_inbox(
        &self,
        event: EventId,
    ) -> Result<Option<InboxRecord>, OperatorError> {
        let inbox: Collection<RawDocumentBuf> = self.mongo.processed_events().clone_with_type();
        let find = inbox.find_one(doc! { "eventId": id(event.uuid()) });
        let found = ask("look into the inbox", find).await?;
        Ok(found.map(|record| INBOX_NAMES.read(&raw_document::readable(&record))))
    }
}

/// An id as it is stored.
pub(crate) fn id(uuid: Uuid) -> Bson {
    bson::Uuid::from_bytes(uuid.into_bytes()).into()
}
