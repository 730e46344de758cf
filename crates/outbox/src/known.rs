//! The consumers beside those of this program: the setting that adds them, and
//! the collection `consumers` in which `onboard setup` notes them for the tools.
//!
//! Each note is one update that may be repeated: a process that dies here has
//! noted some of the consumers.

use mongodb::Collection;
use mongodb::bson::{Document, doc};
use onboard_contract::ConsumerName;
use onboard_events::ExtraConsumers;
use onboard_fault::{Step, step};
use onboard_mongo::bson_time::date;
use onboard_mongo::{Mongo, StoreError, ask, bounded, field};
use onboard_runtime::{Problems, clock};

/// The collection of the notes.
pub(crate) const CONSUMERS: &str = "consumers";

/// Consumers beside those of this program.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Consumers")]
pub struct ExtraConsumersArgs {
    /// Consumers of other programs, such as `crm:USER_REGISTERED`, separated by
    /// commas, at most 16. New registrations wait for the acknowledgement of
    /// each; `onboard setup` declares their queues. Set it alike everywhere.
    /// Default: none.
    #[arg(long, env = "EXTRA_CONSUMERS")]
    pub extra_consumers: Option<String>,
}

impl ExtraConsumersArgs {
    /// Checks the setting.
    pub fn check(&self, problems: &mut Problems) -> ExtraConsumers {
        let text = self.extra_consumers.as_deref();
        problems.parse_or("EXTRA_CONSUMERS", text, ExtraConsumers::default())
    }
}

/// The consumers that setup has noted.
#[derive(Debug, Clone)]
pub struct Consumers {
    mongo: Mongo,
}

/// A consumer that setup has noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownConsumer {
    /// Its name.
    pub name: ConsumerName,
    /// Since when no new event waits for it, in Unix ms.
    pub retired_at_ms: Option<i64>,
}

impl Consumers {
    /// Over a client.
    #[must_use]
    pub fn new(mongo: &Mongo) -> Self {
        Self { mongo: mongo.clone() }
    }

    /// Notes the consumers of the setting. One that was retired is back.
    ///
    /// # Errors
    /// The store failed; some of them may be noted.
    pub async fn note(&self, extra: &ExtraConsumers) -> Result<(), StoreError> {
        for name in extra.names() {
            let consumers = self.collection();
            let update = doc! {
                "$setOnInsert": { "declaredAt": date(clock::now_ms()) },
                "$set": { "eventType": onboard_events::RELEASED.name },
                "$unset": { "retiredAt": "" },
            };
            let update = consumers.update_one(doc! { "_id": name.as_str() }, update).upsert(true);
            bounded("note the consumer", async { update.await }).await?;
        }
        Ok(())
    }

    /// Notes that no new event waits for the consumer. The first time stands.
    ///
    /// # Errors
    /// The store failed.
    pub async fn note_retired(&self, name: &ConsumerName) -> Result<(), StoreError> {
        let consumers = self.collection();
        let update = doc! { "$set": { "retiredAt": date(clock::now_ms()) } };
        let unretired = doc! { "_id": name.as_str(), "retiredAt": null };
        let update = consumers.update_one(unretired, update);
        let update = step(Step("redrive.record"), async { update.await });
        bounded("note that the consumer is retired", update).await.map(drop)
    }

    /// Whether the consumer was noted, also when it is retired since.
    ///
    /// # Errors
    /// The store failed.
    pub async fn is_known(&self, name: &ConsumerName) -> Result<bool, StoreError> {
        let consumers = self.collection();
        let find = consumers.find_one(doc! { "_id": name.as_str() });
        let found = ask("look for the consumer", find).await?;
        Ok(found.is_some())
    }

    /// Those that were noted, by name. A note that cannot be read is left out.
    ///
    /// # Errors
    /// The store failed.
    pub async fn known(&self) -> Result<Vec<KnownConsumer>, StoreError> {
        let consumers = self.collection();
        let find = consumers.find(doc! {}).sort(doc! { "_id": 1 });
        let notes: Vec<Document> = ask("list the consumers", find).await?;
        Ok(notes.iter().filter_map(KnownConsumer::read).collect())
    }

    fn collection(&self) -> Collection<Document> {
        self.mongo.documents(CONSUMERS)
    }
}

impl KnownConsumer {
    fn read(note: &Document) -> Option<Self> {
        let name = field::text(note, "_id").known()?.parse().ok()?;
        Some(Self { name, retired_at_ms: field::time(note, "retiredAt").known() })
    }
}
