//! The client: write concern majority, and no call without a deadline.

use std::time::Duration;

use mongodb::action::StartTransaction;
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ReadConcern, WriteConcern};
use mongodb::{Client, ClientSession, Collection, Database};
use onboard_runtime::Check;
use secrecy::ExposeSecret;

use crate::registrations::KeyDocument;
use crate::{MongoConfig, StoreError};

/// How long one operation may take before it counts as unanswered.
pub(crate) const OPERATION_DEADLINE: Duration = Duration::from_secs(5);
/// How long the driver looks for a primary. An election takes 1 to 4 s, but a
/// request must be answered within 5 s: better a quick 503 than a late one.
const SERVER_SELECTION: Duration = Duration::from_secs(3);

/// The two databases of the system.
#[derive(Debug, Clone)]
pub struct Mongo {
    client: Client,
    auth: Database,
    todo: Database,
}

impl Mongo {
    /// Prepares a client; MongoDB itself may be away.
    ///
    /// # Errors
    /// The connection string is not usable.
    pub async fn new(config: &MongoConfig) -> Result<Self, StoreError> {
        let client = client(config).await?;
        let auth = client.database(&config.auth_database);
        let todo = client.database(&config.todo_database);
        Ok(Self { client, auth, todo })
    }

    /// Asks for the primary.
    ///
    /// # Errors
    /// There is none that answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let ping = self.auth.run_command(doc! { "ping": 1 });
        bounded("answer a ping", async { ping.await.map(drop) }).await
    }

    /// The readiness check.
    #[must_use]
    pub fn check(&self) -> Check {
        let mongo = self.clone();
        Check::new("mongo", move || {
            let mongo = mongo.clone();
            async move { mongo.ping().await.map_err(|_| "no primary answers".to_owned()) }
        })
    }

    /// The driver's client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The database of users and outbox.
    #[must_use]
    pub const fn auth(&self) -> &Database {
        &self.auth
    }

    /// The database of todos and inbox.
    #[must_use]
    pub const fn todo(&self) -> &Database {
        &self.todo
    }

    /// `users`.
    #[must_use]
    pub fn users(&self) -> Collection<Document> {
        self.auth.collection("users")
    }

    /// `outbox`.
    #[must_use]
    pub fn outbox(&self) -> Collection<Document> {
        self.auth.collection("outbox")
    }

    /// `idempotency_keys`.
    pub(crate) fn idempotency_keys(&self) -> Collection<KeyDocument> {
        self.auth.collection("idempotency_keys")
    }

    /// `sessions`.
    #[must_use]
    pub fn sessions(&self) -> Collection<Document> {
        self.auth.collection("sessions")
    }

    /// `refresh_tokens`.
    #[must_use]
    pub fn refresh_tokens(&self) -> Collection<Document> {
        self.auth.collection("refresh_tokens")
    }

    /// `signing_keys`.
    #[must_use]
    pub fn signing_keys(&self) -> Collection<Document> {
        self.auth.collection("signing_keys")
    }

    /// `role_changes`.
    #[must_use]
    pub fn role_changes(&self) -> Collection<Document> {
        self.auth.collection("role_changes")
    }

    /// `processed_events`.
    #[must_use]
    pub fn processed_events(&self) -> Collection<Document> {
        self.todo.collection("processed_events")
    }

    /// `todos`.
    #[must_use]
    pub fn todos(&self) -> Collection<Document> {
        self.todo.collection("todos")
    }
}

async fn client(config: &MongoConfig) -> Result<Client, StoreError> {
    let refused = |source| StoreError::Refused { what: "use the connection string", source };
    let mut options = ClientOptions::parse(config.uri.expose_secret()).await.map_err(refused)?;
    options.app_name.get_or_insert_with(|| "onboard".to_owned());
    options.write_concern = Some(WriteConcern::majority());
    options.read_concern = Some(ReadConcern::majority());
    options.server_selection_timeout.get_or_insert(SERVER_SELECTION);
    options.connect_timeout.get_or_insert(Duration::from_secs(2));
    Client::with_options(options).map_err(refused)
}

/// A transaction with the concerns set on itself: inside one, those of client
/// and collection count for nothing.
pub(crate) fn transaction(session: &mut ClientSession) -> StartTransaction<&mut ClientSession> {
    session
        .start_transaction()
        .read_concern(ReadConcern::snapshot())
        .write_concern(WriteConcern::majority())
}

/// Runs a driver call under the deadline of one operation.
pub(crate) async fn bounded<T>(
    what: &'static str,
    operation: impl Future<Output = mongodb::error::Result<T>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(OPERATION_DEADLINE, operation).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(StoreError::from_driver(what, source)),
        Err(_) => Err(StoreError::TimedOut { what }),
    }
}
