//! The relays of one outbox, and which of them does what one relay is to do for all.
//!
//! One document per outbox (`relays` in the outbox's database) holds when each relay
//! was last there, who leads, and until when: all by the server's clock. Each relay
//! renews its place with one update, which also takes the lead when nobody has it. A
//! leader that dies loses the lead when its lease runs out. Two relays may both believe
//! that they lead for a moment, when the lead changes hands while a call is on its way:
//! what a leader does may be done twice.
//!
//! The relays that are there share the new rows by their ids ([`RelayId::weight`]).

use std::time::Duration;

use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ReturnDocument;
use onboard_contract::EventId;
use onboard_fault::{Step, step};
use onboard_mongo::{OPERATION_DEADLINE, StoreError, ask, bounded, field, is_duplicate_key};
use onboard_runtime::clock;
use tokio::time::Instant;
use uuid::Uuid;

use crate::Outbox;

/// How long a relay leads without renewing it, and counts as there.
pub const LEAD: Duration = Duration::from_secs(6);
/// How often a relay renews its place.
pub const RENEWED_EVERY: Duration = Duration::from_secs(2);

/// Which relay: one process, from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelayId(Uuid);

impl RelayId {
    /// A new relay.
    #[must_use]
    pub fn random() -> Self {
        Self(clock::random_id())
    }

    /// How much the relay has to do with an event: of several relays, the row is that of
    /// the one with the greatest weight (rendezvous hashing). Every process and every
    /// build computes the same.
    #[must_use]
    pub fn weight(self, event: EventId) -> u128 {
        Uuid::new_v5(&self.0, event.uuid().as_bytes()).as_u128()
    }
}

impl std::fmt::Display for RelayId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A relay among those of its outbox.
#[derive(Debug, Clone)]
pub struct Relays {
    outbox: Outbox,
    /// This relay.
    id: RelayId,
}

/// What a relay has found when it renewed its place.
#[derive(Debug, Clone)]
pub struct Place {
    /// Until when this relay leads; `None` when another one does.
    pub leads_until: Option<Instant>,
    /// How many relays are there, this one among them.
    pub relays: u64,
    /// When each relay was last there, in ms of the server's clock.
    pub seen: Vec<(RelayId, i64)>,
}

/// How many workflows are started and not SENT, as the leader has counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// How many.
    pub unsent: u64,
    /// How long ago they were counted.
    pub age: Duration,
}

impl Relays {
    /// A new relay of the outbox.
    #[must_use]
    pub fn join(outbox: &Outbox) -> Self {
        Self { outbox: outbox.clone(), id: RelayId::random() }
    }

    /// This relay.
    #[must_use]
    pub const fn id(&self) -> RelayId {
        self.id
    }

    /// Renews the place of this relay, and takes the lead when nobody has it.
    ///
    /// # Errors
    /// The store failed: then the relay leads until its lease runs out.
    pub async fn renew(&self) -> Result<Place, StoreError> {
        let asked = Instant::now();
        let relays = self.collection();
        let renew = async {
            let update = || {
                relays
                    .find_one_and_update(self.filter(), self.renewed())
                    .upsert(true)
                    .return_document(ReturnDocument::After)
                    .max_time(OPERATION_DEADLINE)
            };
            match step(Step("relay.lead"), async { update().await }).await {
                // Another relay has made the document in the same moment.
                Err(error) if is_duplicate_key(&error) => {
                    step(Step("relay.lead"), async { update().await }).await
                }
                renewed => renewed,
            }
        };
        let found = bounded("renew the place of the relay", renew).await?.unwrap_or_default();
        let leads = field::text(&found, "leader").known() == Some(self.id.to_string().as_str());
        let there = field::document(&found, "seen").known();
        let relays = there.map_or(1, Document::len);
        Ok(Place {
            // Counted from before the question: the server's lease ends no earlier.
            leads_until: leads.then(|| asked + LEAD),
            relays: u64::try_from(relays).unwrap_or(1).max(1),
            seen: there.map(seen).unwrap_or_default(),
        })
    }

    /// Gives up the place of this relay, so that another one leads at once.
    ///
    /// # Errors
    /// The store failed: then the lease runs out.
    pub async fn leave(&self) -> Result<(), StoreError> {
        let relays = self.collection();
        let own = doc! { "$eq": ["$leader", self.id.to_string()] };
        let left = vec![
            doc! { "$set": { "leader": { "$cond": [own, Bson::Null, "$leader"] } } },
            doc! { "$unset": format!("seen.{}", self.id) },
        ];
        let update = relays.update_one(self.filter(), left);
        let update = step(Step("relay.lead"), async { update.await });
        bounded("give up the place of the relay", update).await.map(drop)
    }

    /// Notes how many workflows are started and not SENT, for the other relays.
    ///
    /// # Errors
    /// The store failed.
    pub async fn note_unsent(&self, unsent: u64) -> Result<(), StoreError> {
        let relays = self.collection();
        let unsent = i64::try_from(unsent).unwrap_or(i64::MAX);
        let noted = vec![doc! { "$set": { "unsent": unsent, "countedAt": "$$NOW" } }];
        let update = relays.update_one(self.filter(), noted);
        let update = step(Step("relay.lead"), async { update.await });
        bounded("note how many workflows are under way", update).await.map(drop)
    }

    /// What the leader has noted last.
    ///
    /// # Errors
    /// The store failed.
    pub async fn counted(&self) -> Result<Option<Counted>, StoreError> {
        let relays = self.collection();
        let find = relays.find_one(self.filter());
        let found = ask("read how many workflows are under way", find).await?;
        let now_ms = self.outbox.server_ms().await?;
        let Some(found) = found else { return Ok(None) };
        let unsent = field::number(&found, "unsent").known().and_then(|of| u64::try_from(of).ok());
        let at_ms = field::time(&found, "countedAt").known();
        Ok(unsent.zip(at_ms).map(|(unsent, at_ms)| {
            let age_ms = u64::try_from(now_ms.saturating_sub(at_ms)).unwrap_or_default();
            Counted { unsent, age: Duration::from_millis(age_ms) }
        }))
    }

    fn collection(&self) -> Collection<Document> {
        self.outbox.mongo().documents("relays")
    }

    /// The document of this outbox.
    fn filter(&self) -> Document {
        doc! { "_id": self.outbox.name() }
    }

    /// The document with this relay renewed. A time that is none, or that no relay can
    /// have written, counts as past.
    fn renewed(&self) -> Vec<Document> {
        let id = self.id.to_string();
        let lead_ms = clock::millis(LEAD);
        let from_now = |ms: i64| doc! { "$add": ["$$NOW", ms] };
        let is_date = |value: &str| doc! { "$eq": [{ "$type": value }, "date"] };
        let lies_in = |value: &str, from: Document, to: Document| {
            doc! { "$and": [
                is_date(value), { "$gte": [value, from] }, { "$lte": [value, to] },
            ] }
        };
        let taken = lies_in("$leadsUntil", from_now(0), from_now(2 * lead_ms));
        let another = doc! { "$and": [
            { "$eq": [{ "$type": "$leader" }, "string"] }, { "$ne": ["$leader", &id] }, taken,
        ] };
        let seen = doc! { "$cond": [{ "$eq": [{ "$type": "$seen" }, "object"] }, "$seen", {}] };
        let with_own = doc! { "$mergeObjects": [seen, { &id: "$$NOW" }] };
        let there = lies_in("$$this.v", from_now(-lead_ms), from_now(lead_ms));
        vec![
            doc! { "$set": { "another": another } },
            doc! { "$set": {
                "leader": { "$cond": ["$another", "$leader", &id] },
                "leadsUntil": { "$cond": ["$another", "$leadsUntil", from_now(lead_ms)] },
                "seen": { "$arrayToObject": { "$filter": {
                    "input": { "$objectToArray": with_own }, "cond": there,
                } } },
            } },
            doc! { "$unset": "another" },
        ]
    }
}

/// The relays of the document. A name that is no relay's takes no share.
fn seen(there: &Document) -> Vec<(RelayId, i64)> {
    let known = |(name, at): (&String, &Bson)| {
        let id = Uuid::try_parse(name).ok()?;
        let at_ms = at.as_datetime()?.timestamp_millis();
        Some((RelayId(id), at_ms))
    };
    there.iter().filter_map(known).collect()
}
