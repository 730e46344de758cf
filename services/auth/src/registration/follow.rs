//! Registrations that are followed: one task asks MongoDB for all rows that somebody
//! follows, together, and tells each follower what has changed.
//!
//! A row is asked for soon after it has changed, and less and less often while it stands
//! still; so the queries depend on time and not on the number of followers. A query that
//! fails is repeated: followers wait out an election of MongoDB. Each follower has a place,
//! and there is a bounded number of places.
//!
//! The process keeps nothing: when it dies, clients open another stream. When the server
//! closes the task ends, and every stream with it.

use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use onboard_contract::{EventId, Stage};
use onboard_http::{Client, Kind, Networks, Place, Places, Problem};
use onboard_runtime::{Availability, Shutdown, clock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::View;
use crate::store::{RegistrationRow, Registrations};

/// The first pause before a row is asked for again, and the least time between two
/// queries.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Streams of one client network: behind a proxy all clients share its connections, and
/// one of them must not take all places. The networks around it have a multiple.
const OF_ONE_CLIENT: u32 = 32;

/// Where followers join.
#[derive(Debug, Clone)]
pub(crate) struct Followers {
    places: Arc<Semaphore>,
    of_clients: Places,
    exempt: Networks,
    joining: mpsc::Sender<Followed>,
}

/// The task that looks for what followers wait for.
#[derive(Debug)]
pub(crate) struct Looks {
    registrations: Registrations,
    overdue_ms: i64,
    joining: mpsc::Receiver<Followed>,
    followed: Vec<Followed>,
    store: Availability,
}

/// Room for so many followers, and the task that serves them. Clients in `exempt` networks
/// may have all of it.
pub(crate) fn followers(
    registrations: Registrations,
    overdue_ms: i64,
    places: usize,
    exempt: Networks,
) -> (Followers, Looks) {
    let (joining, joined) = mpsc::channel(places.max(1));
    let store = Availability::new("mongo (followed registrations)");
    let looks = Looks { registrations, overdue_ms, joining: joined, followed: Vec::new(), store };
    let (places, of_clients) = (Arc::new(Semaphore::new(places)), Places::default());
    (Followers { places, of_clients, exempt, joining }, looks)
}

/// How far a registration is, as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) stage: Stage,
    /// The registration as `GET /api/v1/registrations/<id>` answers it.
    pub(crate) json: String,
}

impl Seen {
    pub(crate) fn of(id: EventId, row: RegistrationRow, overdue_ms: i64) -> Self {
        let view = View::new(id, row, clock::now_ms(), overdue_ms);
        // Made of strings: it can always be written.
        Self { stage: view.stage, json: serde_json::to_string(&view).unwrap_or_default() }
    }

    fn is_last(&self) -> bool {
        self.stage == Stage::Acknowledged
    }
}

/// A row with one follower.
#[derive(Debug)]
struct Followed {
    id: EventId,
    seen: watch::Sender<Seen>,
    pause: Duration,
    due: Instant,
}

impl Followed {
    fn new(id: EventId, seen: watch::Sender<Seen>) -> Self {
        Self { id, seen, pause: PAUSE_FIRST, due: Instant::now() + PAUSE_FIRST }
    }

    /// Says when to look again: soon after a change, else after twice the last pause.
    fn looked_at(&mut self, changed: bool) {
        self.pause = if changed { PAUSE_FIRST } else { (self.pause * 2).min(PAUSE_MAX) };
        self.due = Instant::now() + self.pause;
    }

    /// Tells the follower what is new; false when nothing more will come.
    fn tell(&mut self, seen: Seen) -> bool {
        let last = seen.is_last();
        let changed = self.seen.send_if_modified(|before| {
            let changed = *before != seen;
            *before = seen;
            changed
        });
        self.looked_at(changed);
        !last
    }
}

impl Followers {
    /// What has been seen, then each change of it; the stream ends with the registration.
    pub(crate) async fn follow(
        &self,
        id: EventId,
        seen: Seen,
        client: Client,
    ) -> Result<impl Stream<Item = Seen> + use<>, Problem> {
        let exempt = client.is_in(&self.exempt);
        let of_client = (!exempt).then(|| self.of_clients.take(client.network(), OF_ONE_CLIENT));
        let of_client = of_client.map(|place| place.ok_or(Problem::new(Kind::Overloaded)));
        let of_client = of_client.transpose()?;
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| Problem::new(Kind::Overloaded))?;
        let last = seen.is_last();
        let (sender, changes) = watch::channel(seen);
        if !last {
            // There is nobody to join once the server closes.
            let joined = self.joining.send(Followed::new(id, sender)).await;
            joined.map_err(|_| Problem::new(Kind::Unavailable))?;
        }
        Ok(unfold(Follower { changes, first: true, _places: (place, of_client) }, Follower::next))
    }
}

/// A client's end.
struct Follower {
    changes: watch::Receiver<Seen>,
    first: bool,
    _places: (OwnedSemaphorePermit, Option<Place>),
}

impl Follower {
    async fn next(mut self) -> Option<(Seen, Self)> {
        if !std::mem::take(&mut self.first) {
            self.changes.changed().await.ok()?;
        }
        let seen = self.changes.borrow_and_update().clone();
        Some((seen, self))
    }
}

impl Looks {
    /// Serves followers until the server closes.
    pub(crate) async fn run(mut self, closing: Shutdown) {
        let mut earliest = Instant::now();
        loop {
            let followed = u32::try_from(self.followed.len()).unwrap_or(u32::MAX);
            metrics::gauge!("registration_followers").set(f64::from(followed));
            let due = self.followed.iter().map(|one| one.due).min();
            let look = async {
                match due {
                    Some(due) => sleep_until(due.max(earliest)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = closing.begun() => return,
                joined = self.joining.recv() => match joined {
                    Some(followed) => self.followed.push(followed),
                    None => return,
                },
                () = look => {
                    if closing.or(self.look()).await.is_none() {
                        return;
                    }
                    earliest = Instant::now() + PAUSE_FIRST;
                }
            }
        }
    }

    /// Asks for all rows that are due.
    async fn look(&mut self) {
        self.followed.retain(|one| !one.seen.is_closed());
        let now = Instant::now();
        let due = self.followed.iter().filter(|one| one.due <= now);
        let ids: Vec<EventId> = due.map(|one| one.id).collect();
        if ids.is_empty() {
            return;
        }
        let found = self.store.report(self.registrations.find_all(&ids).await);
        let overdue_ms = self.overdue_ms;
        self.followed.retain_mut(|one| {
            if one.due > now {
                return true;
            }
            let Ok(rows) = &found else {
                one.looked_at(false);
                return true;
            };
            // One that is not there has been removed: there is nothing more to say.
            let row = rows.get(&one.id).cloned();
            row.is_some_and(|row| one.tell(Seen::of(one.id, row, overdue_ms)))
        });
    }
}
