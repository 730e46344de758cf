//! The client: write concern majority, and no call without a deadline.
//!
//! A read carries its deadline to the server (`maxTimeMS`, `read`), and so does a commit.
//! A write of single documents carries none, since the driver has no option for it: it
//! waits for no more than the transaction of another, and may be repeated. A
//! transaction that nobody waits for any more is ended on the server (`abandoned`).

mod abandoned;
mod read;

use std::sync::Arc;
use std::time::Duration;

use mongodb::action::StartTransaction;
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ReadConcern, WriteConcern};
use mongodb::{Client, ClientSession, Collection, Database};
use onboard_fault::{self as fault, Step};
use onboard_runtime::Check;
use secrecy::ExposeSecret;

use self::abandoned::Abandoned;
pub use self::read::{Read, ask, walk};
use crate::raw::Noted;
use crate::{MongoConfig, ServerClock, StoreError};

/// How long one operation may take before it counts as unanswered.
pub const OPERATION_DEADLINE: Duration = Duration::from_secs(5);
/// How long the driver looks for a primary. An election takes 1 to 4 s, but a
/// request must be answered within 5 s: better a quick 503 than a late one.
const SERVER_SELECTION: Duration = Duration::from_secs(3);

/// How many connections a process has to a server at most. A connection costs the
/// server about 1 MB.
const CONNECTIONS_MAX: u32 = 64;

/// A database of a server, and what its users share in a process.
#[derive(Debug, Clone)]
pub struct Mongo {
    database: Database,
    /// The documents that were named in the log because they cannot be read.
    noted: Noted,
    /// The clock of the server.
    clock: Arc<ServerClock>,
}

impl Mongo {
    /// Prepares a client; MongoDB itself may be away.
    ///
    /// # Errors
    /// The connection string is not usable.
    pub async fn new(config: &MongoConfig) -> Result<Self, StoreError> {
        let client = client(config.uri.expose_secret()).await?;
        Ok(Self::of(client.database(&config.database)))
    }

    /// Another database, by the same client when the connection string is the same.
    ///
    /// # Errors
    /// The connection string is not usable.
    pub async fn beside(&self, own: &MongoConfig, other: &MongoConfig) -> Result<Self, StoreError> {
        if own.uri.expose_secret() == other.uri.expose_secret() {
            return Ok(Self::of(self.client().database(&other.database)));
        }
        Self::new(other).await
    }

    /// Over a database of a client.
    #[must_use]
    pub fn of(database: Database) -> Self {
        Self { database, noted: Noted::default(), clock: Arc::default() }
    }

    /// Asks for the primary.
    ///
    /// # Errors
    /// There is none that answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let ping = self.database.run_command(doc! { "ping": 1 });
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

    /// What reads documents that anybody may have written.
    #[must_use]
    pub const fn noted(&self) -> &Noted {
        &self.noted
    }

    /// The database.
    #[must_use]
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// Its client.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.database.client()
    }

    /// A collection of the database.
    #[must_use]
    pub fn documents(&self, collection: &str) -> Collection<Document> {
        self.database.collection(collection)
    }

    /// The time of the server, in ms since the Unix epoch.
    ///
    /// # Errors
    /// The server did not answer.
    pub async fn server_ms(&self) -> Result<i64, StoreError> {
        self.clock.now_ms(&self.database).await
    }

    /// The same for a removal.
    ///
    /// # Errors
    /// The server did not answer, or its clock is another than that of this process.
    pub async fn server_ms_for_removal(&self) -> Result<i64, StoreError> {
        self.clock.now_ms_for_removal(&self.database).await
    }
}

/// Prepares a client with the concerns of this system; MongoDB itself may be away.
///
/// # Errors
/// The connection string is not usable.
pub async fn client(uri: &str) -> Result<Client, StoreError> {
    let refused = |source| StoreError::Refused { what: "use the connection string", source };
    let mut options = ClientOptions::parse(uri).await.map_err(refused)?;
    options.app_name.get_or_insert_with(|| "onboard".to_owned());
    options.write_concern = Some(WriteConcern::majority());
    options.read_concern = Some(ReadConcern::majority());
    options.server_selection_timeout.get_or_insert(SERVER_SELECTION);
    options.connect_timeout.get_or_insert(Duration::from_secs(2));
    options.max_pool_size.get_or_insert(CONNECTIONS_MAX);
    Client::with_options(options).map_err(refused)
}

/// A transaction with the concerns set on itself: inside one, those of client
/// and collection count for nothing.
pub fn transaction(session: &mut ClientSession) -> StartTransaction<&mut ClientSession> {
    session
        .start_transaction()
        .read_concern(ReadConcern::snapshot())
        .write_concern(WriteConcern::majority())
        .max_commit_time(OPERATION_DEADLINE)
}

/// Takes a step that is a transaction: what is before it and after it is before and after
/// the commit.
///
/// # Errors
/// The driver's.
pub async fn transact_at<R, F>(
    step: Step,
    client: &Client,
    mut body: F,
) -> mongodb::error::Result<R>
where
    F: for<'a> AsyncFnMut(&'a mut ClientSession) -> mongodb::error::Result<R>,
{
    let done = transact(client, async move |session| {
        let done = body(session).await?;
        fault::before(step).await;
        Ok(done)
    });
    let done = done.await?;
    fault::after(step).await;
    Ok(done)
}

/// Runs a transaction in a session of its own. When this future is dropped, the server
/// is told to end the transaction.
///
/// # Errors
/// The driver's.
pub async fn transact<R, F>(client: &Client, body: F) -> mongodb::error::Result<R>
where
    F: for<'a> AsyncFnMut(&'a mut ClientSession) -> mongodb::error::Result<R>,
{
    in_session(client, async |session| transaction(session).and_run2(body).await).await
}

/// Works in a session of its own. When this future is dropped, the server is told to end
/// the session's transaction.
///
/// # Errors
/// The driver's, or those of the work.
pub async fn in_session<R>(
    client: &Client,
    work: impl AsyncFnOnce(&mut ClientSession) -> mongodb::error::Result<R>,
) -> mongodb::error::Result<R> {
    let mut abandoned = Abandoned::default();
    let session = abandoned.hold(client.start_session().await?);
    // Boxed, or the futures of all callers would hold it twice.
    let done = Box::pin(work(session)).await;
    abandoned.settle();
    done
}

/// Runs a driver call under the deadline of one operation.
///
/// # Errors
/// The call failed, or took too long.
pub async fn bounded<T>(
    what: &'static str,
    operation: impl Future<Output = mongodb::error::Result<T>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(OPERATION_DEADLINE, operation).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(StoreError::from_driver(what, source)),
        Err(_) => Err(StoreError::TimedOut { what }),
    }
}
