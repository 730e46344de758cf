//! Security events as an operator reads them: the newest first, each on its own.

use mongodb::bson::{Document, doc};
use onboard_contract::{SessionId, UserId};
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::field::{self, BYTES, DATE, TEXT, UUID};
use onboard_mongo::{Malformed, Raw, StoreError, Unreadable, ask};

use super::{EventKind, SECURITY_EVENTS, SecurityEvents};

/// Which events.
#[derive(Debug, Clone, Copy)]
pub struct EventsQuery {
    /// Only those of this user.
    pub user: Option<UserId>,
    /// Only those of this kind.
    pub kind: Option<EventKind>,
    /// Only those since this time, in ms.
    pub since_ms: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// Some events.
#[derive(Debug, Clone)]
pub struct EventsPage {
    /// The events, the newest first.
    pub events: Vec<RecordedEvent>,
    /// Documents that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// Whether there are older ones.
    pub more: bool,
}

/// An event as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its id.
    pub id: String,
    /// When, in ms.
    pub at_ms: i64,
    /// What, by name; another version of the program may know more kinds.
    pub kind: String,
    /// Whose account.
    pub user_id: Option<UserId>,
    /// Which session.
    pub session_id: Option<SessionId>,
    /// Which role.
    pub role: Option<String>,
    /// Which signing key.
    pub kid: Option<String>,
    /// The keyed hash of the client's network.
    pub network: Option<Vec<u8>>,
    /// Who the operator says to be.
    pub actor: Option<String>,
    /// The user of the operating system.
    pub os_user: Option<String>,
}

impl SecurityEvents {
    /// The newest events.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self, query: EventsQuery) -> Result<EventsPage, StoreError> {
        let events = self.mongo.documents(SECURITY_EVENTS).clone_with_type::<Raw>();
        let asked = i64::from(query.limit).saturating_add(1);
        let newest = doc! { "at": -1, "_id": -1 };
        let find = events.find(query.filter()).sort(newest).limit(asked);
        let mut found: Vec<Raw> = ask("list the security events", find).await?;
        let wanted = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = found.len() > wanted;
        found.truncate(wanted);
        let mut page = EventsPage { events: Vec::new(), unreadable: Vec::new(), more };
        for Raw(document) in &found {
            match RecordedEvent::read(document) {
                Ok(event) => page.events.push(event),
                Err(why) => {
                    page.unreadable.push(Unreadable::new(SECURITY_EVENTS, document, why));
                }
            }
        }
        Ok(page)
    }
}

impl EventsQuery {
    fn filter(&self) -> Document {
        let mut filter = Document::new();
        if let Some(user) = self.user {
            filter.insert("userId", id(user.uuid()));
        }
        if let Some(kind) = self.kind {
            filter.insert("kind", kind.as_str());
        }
        if let Some(since_ms) = self.since_ms {
            filter.insert("at", doc! { "$gte": date(since_ms) });
        }
        filter
    }
}

impl RecordedEvent {
    fn read(event: &Document) -> Result<Self, Malformed> {
        let uuid = |name: &'static str| field::id(event, name).optional(name, UUID);
        let text = |name: &'static str| {
            field::text(event, name).optional(name, TEXT).map(|text| text.map(str::to_owned))
        };
        Ok(Self {
            id: field::id(event, "_id").required("_id", UUID)?.to_string(),
            at_ms: field::time(event, "at").required("at", DATE)?,
            kind: field::text(event, "kind").required("kind", TEXT)?.to_owned(),
            user_id: uuid("userId")?.map(UserId::from),
            session_id: uuid("sessionId")?.map(SessionId::from),
            role: text("role")?,
            kid: text("kid")?,
            network: field::bytes(event, "network").optional("network", BYTES)?.map(<[u8]>::to_vec),
            actor: text("actor")?,
            os_user: text("osUser")?,
        })
    }
}

/// What is wrong with an event, if anything is.
pub(crate) fn check(event: &Document) -> Result<(), Malformed> {
    RecordedEvent::read(event).map(drop)
}
