//! The databases of the services, which operators' tools may all read.
//!
//! Each service reads and writes its own; only the tools and their tests look at both.
//! A process that dies here has changed nothing but what setup repeats.

use mongodb::bson::{Document, doc};
use mongodb::{Collection, Database};
use onboard_mongo::scan::{Kind, Scanned, scan};
use onboard_mongo::setup::{
    Definition, Index, SetupError, Spoiled, lacking, prepare_collections, prepare_replica_sets,
    rebuild_spoiled, spoiled, uuid,
};
use onboard_mongo::{Mongo, MongoArgs, MongoConfig, StoreError, refuse_in_production};
use onboard_outbox::{Outbox, OutboxArgs, OutboxConfig};
use onboard_runtime::{Exposure, Problems};
use onboard_todo::TodoDatabaseArgs;

use crate::redrive::REDRIVES;

/// Settings of a process that uses the databases of all services.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DatabasesArgs {
    /// What they share.
    #[command(flatten)]
    pub mongo: MongoArgs,
    /// The outbox, in the database of users.
    #[command(flatten)]
    pub outbox: OutboxArgs,
    /// The database of todos and inbox.
    #[command(flatten)]
    pub todo: TodoDatabaseArgs,
}

/// Checked settings of such a process.
#[derive(Debug, Clone)]
pub struct DatabasesConfig {
    /// The outbox, in the database of users.
    pub outbox: OutboxConfig,
    /// The database of todos and inbox.
    pub todo: MongoConfig,
}

impl DatabasesArgs {
    /// Those of databases on one server.
    #[must_use]
    pub fn at(mongodb_uri: String) -> Self {
        let mongo = MongoArgs { mongodb_uri: Some(mongodb_uri), ..MongoArgs::default() };
        Self { mongo, ..Self::default() }
    }

    /// Checks the settings.
    pub fn check(self, problems: &mut Problems) -> Option<DatabasesConfig> {
        let collection = self.outbox.collection(problems);
        let databases = [self.outbox.database(), self.todo.settings()];
        let [mongo, todo] = self.mongo.check(databases, problems)?;
        Some(DatabasesConfig { outbox: OutboxConfig { mongo, collection }, todo })
    }

    /// Whether any connection string is given.
    #[must_use]
    pub fn names_a_server(&self) -> bool {
        self.mongo.names_a_server()
            || self.outbox.clone().database().names_a_server()
            || self.todo.clone().settings().names_a_server()
    }
}

impl DatabasesConfig {
    /// Says what may not be used in production.
    pub fn refuse_in_production(&self, problems: &mut Problems) {
        refuse_in_production(&[&self.outbox.mongo, &self.todo], problems);
    }

    /// What the connections lack, if anything.
    #[must_use]
    pub fn exposures(&self) -> [Option<Exposure>; 2] {
        [self.outbox.mongo.exposure(), self.todo.exposure()]
    }

    /// Prepares everything: the replica sets, then the collections that each service
    /// defines and those of the tools. Safe to repeat.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub async fn prepare(&self) -> Result<(), SetupError> {
        prepare_replica_sets(&[&self.outbox.mongo, &self.todo]).await?;
        let databases = Databases::new(self).await.map_err(SetupError::Store)?;
        for (database, wanted) in databases.wanted() {
            prepare_collections(database, &wanted).await?;
        }
        Ok(())
    }
}

/// The databases of the system.
#[derive(Debug, Clone)]
pub struct Databases {
    outbox: Outbox,
    todo: Mongo,
}

impl Databases {
    /// Prepares the clients; MongoDB itself may be away.
    ///
    /// # Errors
    /// A connection string is not usable.
    pub async fn new(config: &DatabasesConfig) -> Result<Self, StoreError> {
        let outbox = Outbox::connect(&config.outbox).await?;
        let todo = outbox.mongo().beside(&config.outbox.mongo, &config.todo).await?;
        Ok(Self { outbox, todo })
    }

    /// Asks for the primary of each.
    ///
    /// # Errors
    /// There is none that answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.of_auth().ping().await?;
        self.todo.ping().await
    }

    /// The database of users and outbox.
    #[must_use]
    pub const fn of_auth(&self) -> &Mongo {
        self.outbox.mongo()
    }

    /// The database of todos and inbox.
    #[must_use]
    pub const fn of_todo(&self) -> &Mongo {
        &self.todo
    }

    /// The database of users and outbox, as the driver has it.
    #[must_use]
    pub const fn auth(&self) -> &Database {
        self.of_auth().database()
    }

    /// The database of todos and inbox, as the driver has it.
    #[must_use]
    pub const fn todo(&self) -> &Database {
        self.todo.database()
    }

    /// The outbox with its operations.
    #[must_use]
    pub const fn deliveries(&self) -> &Outbox {
        &self.outbox
    }

    /// The rows of the outbox.
    #[must_use]
    pub fn outbox(&self) -> Collection<Document> {
        self.outbox.rows()
    }

    /// `users`.
    #[must_use]
    pub fn users(&self) -> Collection<Document> {
        self.of_auth().documents(onboard_auth::store::USERS.collection)
    }

    /// `processed_events`.
    #[must_use]
    pub fn processed_events(&self) -> Collection<Document> {
        self.todo.documents(onboard_todo::INBOX_NAMES.collection)
    }

    /// `todos`.
    #[must_use]
    pub fn todos(&self) -> Collection<Document> {
        self.todo.documents(onboard_todo::todos::KIND.collection)
    }

    /// Looks at the documents of a collection, at about `most` of them.
    ///
    /// # Errors
    /// The store failed.
    pub async fn scan(&self, kind: Kind, most: usize) -> Result<Scanned, StoreError> {
        let of_todo = kind.collection == onboard_todo::todos::KIND.collection;
        scan(if of_todo { &self.todo } else { self.of_auth() }, kind, most).await
    }

    /// What [`DatabasesConfig::prepare`] would make or change, in words.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub async fn lacking(&self) -> Result<Vec<String>, SetupError> {
        let mut all = Vec::new();
        for (database, wanted) in self.wanted() {
            all.extend(lacking(database, &wanted).await?);
        }
        Ok(all)
    }

    /// The indexes that hold a list, or have held one, where none belongs.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub async fn spoiled(&self) -> Result<Vec<Spoiled>, SetupError> {
        let mut all = Vec::new();
        for (database, wanted) in self.wanted() {
            all.extend(spoiled(database, &wanted).await?);
        }
        Ok(all)
    }

    /// Builds those of these indexes anew in which nobody has a list any more; returns all
    /// of them, as they were.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub async fn rebuild_spoiled(&self) -> Result<Vec<Spoiled>, SetupError> {
        let mut all = Vec::new();
        for (database, wanted) in self.wanted() {
            all.extend(rebuild_spoiled(database, &wanted).await?);
        }
        Ok(all)
    }

    /// The collections of each database.
    fn wanted(&self) -> [(&Database, Vec<Definition>); 2] {
        let mut of_auth = onboard_auth::store::collections(self.outbox.name());
        of_auth.push(redrives());
        [(self.auth(), of_auth), (self.todo(), onboard_todo::collections().into())]
    }
}

/// The records of what operators did.
fn redrives() -> Definition {
    let schema = doc! {
        "bsonType": "object",
        "required": ["_id", "runId", "act", "actor", "reason", "at"],
        "properties": {
            "_id": uuid(),
            "runId": uuid(),
            "eventId": { "bsonType": ["binData", "null"] },
            "act": { "bsonType": "string", "minLength": 1 },
            "actor": { "bsonType": "string", "minLength": 1 },
            "reason": { "bsonType": "string", "minLength": 1 },
            "at": { "bsonType": "date" },
            "doneAt": { "bsonType": ["date", "null"] },
        },
    };
    let indexes = vec![Index::plain(doc! { "eventId": 1 })];
    Definition { name: REDRIVES.to_owned(), schema, indexes }
}
