//! Stop 1 of a registration: user, outbox row and the client's idempotency key
//! in one transaction.
//!
//! A crash before the commit leaves nothing; a crash after it leaves a row
//! that the relay will find, and a key that tells the client's repeat.

mod keys;
mod row;

use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use onboard_contract::{EventId, TraceParent, UserId};
use onboard_events::user_registered::AGGREGATE_USER;
use onboard_events::{ExtraConsumers, UserRegistered};
use onboard_fault::Step;
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::{
    Mongo, OPERATION_DEADLINE, Raw, Read, StoreError, is_duplicate_key, transact_at,
};
use onboard_outbox::{NewRow, Outbox};
use onboard_runtime::{clock, trace};
use tokio::time::error::Elapsed;
use tracing::Instrument;

use super::users::USERS;
pub(crate) use keys::{IDEMPOTENCY_KEYS, check as check_key};
pub use keys::{KeyHashes, KeyRecord, NewKey};
pub use row::RegistrationRow;

/// A user to be registered. The password is hashed by now.
#[derive(Debug, Clone)]
pub struct NewRegistration {
    /// The address as given.
    pub email: String,
    /// The address in the form that is unique.
    pub email_canonical: String,
    /// The form under which a released build keeps the address, where it is another.
    pub email_released: Option<String>,
    /// The password's hash as a PHC string.
    pub password_hash: String,
    /// The trace the registration belongs to.
    pub traceparent: TraceParent,
}

/// What was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// The user.
    pub user_id: UserId,
    /// The outbox event, which is the registration's id.
    pub event_id: EventId,
    /// When, in ms.
    pub created_at_ms: i64,
}

/// A registration came to a good end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// This one was committed.
    Now(Registered),
    /// Nothing was written: an earlier request had the same idempotency key.
    Before(KeyRecord),
}

/// A registration was not committed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Another user has the address.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// The store failed.
    #[error("the registration was not committed")]
    Store(#[source] StoreError),
}

impl RegisterError {
    /// A constant word for the trace.
    const fn word(&self) -> &'static str {
        match self {
            Self::EmailTaken => "email_taken",
            Self::Store(_) => "store",
        }
    }
}

/// Registrations in MongoDB.
#[derive(Debug, Clone)]
pub struct Registrations {
    mongo: Mongo,
    outbox: Outbox,
    /// The consumers beside the todo service that new events wait for.
    extra: ExtraConsumers,
}

impl Registrations {
    /// Beside their outbox. New events wait for the todo service.
    #[must_use]
    pub fn new(outbox: &Outbox) -> Self {
        let (mongo, extra) = (outbox.mongo().clone(), ExtraConsumers::default());
        Self { mongo, outbox: outbox.clone(), extra }
    }

    /// New events wait for these consumers, too.
    #[must_use]
    pub fn with_consumers(mut self, extra: ExtraConsumers) -> Self {
        self.extra = extra;
        self
    }

    /// Commits user, outbox row and key, or nothing. Answers within 5 s.
    ///
    /// # Errors
    /// See [`RegisterError`]. After a time-out the commit may have happened:
    /// then the key's record tells it at the next try, or the address is taken.
    pub async fn register(
        &self,
        new: NewRegistration,
        key: Option<&NewKey>,
    ) -> Result<Committed, RegisterError> {
        let registered = Registered {
            user_id: clock::random_id().into(),
            event_id: clock::ordered_id().into(),
            created_at_ms: clock::now_ms(),
        };
        let commit = async {
            match self.commit(&new, registered, key).await {
                Err(error) if is_duplicate_key(&error) && self.is_there(registered).await? => {
                    Ok(None)
                }
                done => done,
            }
        };
        let span = tracing::info_span!(
            "register.commit",
            otel.kind = "client",
            db.system.name = "mongodb",
            db.operation.name = "transaction",
            registration_id = %registered.event_id,
        );
        let commit = tokio::time::timeout(OPERATION_DEADLINE, commit).instrument(span.clone());
        let committed = Self::judge(registered, commit.await);
        if let Err(error) = &committed {
            trace::failed(&span, error.word());
        }
        committed
    }

    fn judge(
        registered: Registered,
        commit: Result<mongodb::error::Result<Option<KeyRecord>>, Elapsed>,
    ) -> Result<Committed, RegisterError> {
        match commit {
            Ok(Ok(None)) => Ok(Committed::Now(registered)),
            // The driver's own repeat may find what its first try has written.
            Ok(Ok(Some(found))) if found.registered == Some(registered) => {
                Ok(Committed::Now(registered))
            }
            Ok(Ok(Some(found))) => Ok(Committed::Before(found)),
            Ok(Err(error)) if is_duplicate_key(&error) || error.get_custom::<Taken>().is_some() => {
                Err(RegisterError::EmailTaken)
            }
            Ok(Err(error)) => Err(RegisterError::Store(StoreError::from_driver(WHAT, error))),
            Err(_) => Err(RegisterError::Store(StoreError::TimedOut { what: WHAT })),
        }
    }

    /// The driver repeats the whole transaction on
    /// `TransientTransactionError` and the commit on
    /// `UnknownTransactionCommitResult`; the ids are drawn before, so a
    /// repeat writes the same documents. When the first try had been committed
    /// after all, it finds its own and calls them duplicates.
    ///
    /// The key comes first: of two requests with one key, the later one meets
    /// the key and not the address. Returns the key's earlier record, if there
    /// is one; then nothing is written.
    async fn commit(
        &self,
        new: &NewRegistration,
        registered: Registered,
        key: Option<&NewKey>,
    ) -> mongodb::error::Result<Option<KeyRecord>> {
        let (user, row) = (user_document(new, registered), self.outbox_document(new, registered));
        let (this, key, released) = (self.clone(), key.cloned(), new.email_released.clone());
        transact_at(Step("register.commit"), self.mongo.client(), async move |session| {
            if let Some(key) = &key
                && let Some(earlier) = this.claim_key(session, key, registered).await?
            {
                return Ok(Some(earlier));
            }
            if let Some(released) = &released {
                this.refuse_taken(session, released).await?;
            }
            this.mongo.documents(USERS).insert_one(&user).session(&mut *session).await?;
            this.outbox.rows().insert_one(&row).session(&mut *session).await?;
            Ok(None)
        })
        .await
    }

    /// Within the transaction: fails when a released build has registered the address.
    async fn refuse_taken(
        &self,
        session: &mut ClientSession,
        released: &str,
    ) -> mongodb::error::Result<()> {
        let users = self.mongo.documents(USERS).clone_with_type::<Raw>();
        let find = users.find_one(doc! { "emailCanonical": released });
        match find.projection(doc! { "_id": 1 }).session(session).await? {
            Some(_) => Err(Error::custom(Taken)),
            None => Ok(()),
        }
    }

    /// Whether a duplicate key is this registration's own.
    async fn is_there(&self, registered: Registered) -> mongodb::error::Result<bool> {
        let own = doc! { "_id": id(registered.event_id.uuid()) };
        self.outbox.rows().find_one(own).read(OPERATION_DEADLINE).await.map(|row| row.is_some())
    }
}

/// The address is taken, under another form than its canonical one.
#[derive(Debug)]
struct Taken;

const WHAT: &str = "commit the registration";
/// The number of a user's first event. Whoever writes another one counts it on the user,
/// in the same transaction.
const FIRST: u32 = 1;

fn user_document(new: &NewRegistration, registered: Registered) -> Document {
    doc! {
        "_id": id(registered.user_id.uuid()),
        "email": &new.email,
        "emailCanonical": &new.email_canonical,
        "passwordHash": &new.password_hash,
        "createdAt": date(registered.created_at_ms),
        "aggregateVersion": i64::from(FIRST),
    }
}

impl Registrations {
    /// A row without names expects the todo service alone, also for workers of
    /// released builds.
    fn outbox_document(&self, new: &NewRegistration, registered: Registered) -> Document {
        let plain = self.extra.names().is_empty();
        let expects = if plain { Vec::new() } else { self.extra.expected() };
        let row = NewRow {
            event_type: UserRegistered::TYPE,
            event_id: registered.event_id,
            aggregate_type: AGGREGATE_USER,
            aggregate_id: registered.user_id.uuid(),
            payload: doc! { "userId": id(registered.user_id.uuid()), "email": &new.email },
            traceparent: Some(&new.traceparent),
            created_at_ms: registered.created_at_ms,
            aggregate_version: Some(u64::from(FIRST)),
            expects: &expects,
        };
        row.document()
    }
}
