//! Security events: who changed what of the accounts, and when.
//!
//! An event is written in the transaction of the change that it records, so that there is
//! neither one without the other; a failed login, which changes nothing, is a write of its
//! own. Nothing changes an event or removes one: the server removes it when it has expired.
//! That a user was registered is recorded by the user and the outbox row themselves.

mod kind;
mod read;

use mongodb::ClientSession;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};
use onboard_contract::{SessionId, UserId};
use onboard_fault::{Step, step};
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::setup::{Definition, Index, uuid};
use onboard_mongo::{Mongo, StoreError, bounded};
use onboard_runtime::clock;

pub use self::kind::{EventKind, UnknownKind};
pub(crate) use self::read::check;
pub use self::read::{EventsPage, EventsQuery, RecordedEvent};

pub(crate) const SECURITY_EVENTS: &str = "security_events";

/// Who acts, and how long that is kept.
#[derive(Debug, Clone)]
pub struct Witness {
    /// Who acts.
    pub by: By,
    /// How long the event is kept, in ms.
    pub kept_ms: i64,
}

/// Who acts.
#[derive(Debug, Clone)]
pub enum By {
    /// Somebody over HTTP, from this network: a keyed hash of it.
    Client {
        /// The hash.
        network: [u8; 16],
    },
    /// Somebody with a tool.
    Operator {
        /// Who they say they are.
        actor: String,
        /// The user of the operating system, and the machine.
        os_user: String,
    },
}

/// An event to be written.
#[derive(Debug, Clone)]
pub(crate) struct NewEvent(Document);

impl Witness {
    /// Something happens now.
    pub(crate) fn event(&self, kind: EventKind) -> NewEvent {
        let now_ms = clock::now_ms();
        let mut event = doc! {
            "_id": id(clock::ordered_id()),
            "kind": kind.as_str(),
            "at": date(now_ms),
            "expiresAt": date(now_ms.saturating_add(self.kept_ms)),
        };
        match &self.by {
            By::Client { network } => {
                let bytes = network.to_vec();
                event.insert("network", Binary { subtype: BinarySubtype::Generic, bytes });
            }
            By::Operator { actor, os_user } => {
                event.insert("actor", actor);
                event.insert("osUser", os_user);
            }
        }
        NewEvent(event)
    }
}

impl NewEvent {
    pub(crate) fn of_user(mut self, user: UserId) -> Self {
        self.0.insert("userId", id(user.uuid()));
        self
    }

    pub(crate) fn of_session(mut self, session: SessionId) -> Self {
        self.0.insert("sessionId", id(session.uuid()));
        self
    }

    pub(crate) fn of_role(mut self, role: &str) -> Self {
        self.0.insert("role", role);
        self
    }

    pub(crate) fn of_key(mut self, key: &str) -> Self {
        self.0.insert("kid", key);
        self
    }

    /// Writes it with what the transaction changes.
    pub(crate) async fn record(
        &self,
        mongo: &Mongo,
        session: &mut ClientSession,
    ) -> mongodb::error::Result<()> {
        let events = mongo.documents(SECURITY_EVENTS);
        events.insert_one(&self.0).session(session).await.map(drop)
    }
}

/// The security events in MongoDB.
#[derive(Debug, Clone)]
pub struct SecurityEvents {
    mongo: Mongo,
}

impl SecurityEvents {
    /// Over a client.
    #[must_use]
    pub fn new(mongo: &Mongo) -> Self {
        Self { mongo: mongo.clone() }
    }

    /// Records a failed login, of this user if the address is somebody's.
    ///
    /// # Errors
    /// The store failed; it may have been recorded.
    pub async fn login_failed(
        &self,
        user: Option<UserId>,
        witness: &Witness,
    ) -> Result<(), StoreError> {
        let event = witness.event(EventKind::LoginFailed);
        let NewEvent(event) = user.into_iter().fold(event, NewEvent::of_user);
        let events = self.mongo.documents(SECURITY_EVENTS);
        let insert = step(Step("login.failed"), async { events.insert_one(&event).await });
        bounded("record a failed login", insert).await.map(drop)
    }
}

/// The collection.
pub(crate) fn definition() -> Definition {
    let schema = doc! {
        "bsonType": "object",
        "required": ["_id", "kind", "at", "expiresAt"],
        "properties": {
            "_id": uuid(),
            "kind": { "bsonType": "string", "pattern": "^[a-z][a-z_]{0,63}$" },
            "at": { "bsonType": "date" },
            "expiresAt": { "bsonType": "date" },
            "userId": uuid(),
            "sessionId": uuid(),
            "role": { "bsonType": "string", "minLength": 1 },
            "kid": { "bsonType": "string", "minLength": 1 },
            "network": { "bsonType": "binData" },
            "actor": { "bsonType": "string", "minLength": 1 },
            "osUser": { "bsonType": "string", "minLength": 1 },
        },
    };
    let newest = |field: Option<&str>| {
        let mut keys: Document =
            field.map(|field| (field.to_owned(), 1.into())).into_iter().collect();
        keys.extend(doc! { "at": -1, "_id": -1 });
        Index::plain(keys)
    };
    let indexes = vec![
        newest(None),
        newest(Some("userId")),
        newest(Some("kind")),
        Index::expired(doc! { "expiresAt": 1 }),
    ];
    Definition { name: SECURITY_EVENTS.to_owned(), schema, indexes }
}
