//! Registrations written straight into MongoDB, by the transaction that auth
//! uses: a backlog that costs no hashing.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use onboard_auth::store::{Committed, NewRegistration, Registered, Registrations};
use onboard_chaos::Live;
use onboard_contract::TraceParent;
use onboard_events::TodoId;
use onboard_ops::Databases;
use onboard_runtime::clock;

use crate::progress::Progress;

/// Transactions at the same time.
const IN_FLIGHT: usize = 32;
/// Nobody logs in with it.
const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$YmVuY2g$YmVuY2g";

/// Registers `count` people whom nobody has heard of.
///
/// # Errors
/// MongoDB refuses one.
pub(crate) async fn fill(
    mongo: &Databases,
    count: u64,
    live: &Live,
) -> anyhow::Result<Vec<Registered>> {
    let progress = Progress::new("registering", count);
    let registrations = Registrations::new(mongo.deliveries());
    let work = stream::iter(0..count)
        .map(async |_| {
            let registered = register(&registrations).await;
            progress.one();
            registered
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect();
    live.during(work, || progress.line()).await
}

async fn register(registrations: &Registrations) -> anyhow::Result<Registered> {
    let email = format!("bench-{}@example.com", clock::random_id().simple());
    let new = NewRegistration {
        email_canonical: email.clone(),
        email_released: None,
        email,
        password_hash: HASH.to_owned(),
        traceparent: TraceParent::from_random(clock::random_id().as_u128(), 1),
    };
    match registrations.register(new, None).await? {
        Committed::Now(registered) => Ok(registered),
        Committed::Before(_) => anyhow::bail!("a registration without a key was taken for another"),
    }
}

/// The welcome todos these people are owed.
pub(crate) fn welcomes(registered: &[Registered]) -> impl Iterator<Item = TodoId> {
    registered.iter().map(|one| TodoId::welcome(one.user_id))
}
