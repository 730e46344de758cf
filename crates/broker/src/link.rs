//! A supervised connection: kept open until the shutdown, whatever happens.

use std::sync::Arc;
use std::time::Duration;

use lapin::Connection;
use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Backoff, Check, Plain as _, Shutdown};
use tokio::sync::{Notify, watch};

use crate::connection::{Dialer, alarm, close, died, probe};

/// The wait after the first failure.
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_millis(250);
/// The longest wait between two tries.
pub(crate) const BACKOFF_CAP: Duration = Duration::from_secs(5);
/// Why a connection that still answers is given up.
const UNCONFIRMED: &str = "several publishes in a row were not confirmed in time";
/// How often a blocked connection is looked at while a caller waits.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a connection is right now.
#[derive(Debug, Clone)]
pub(crate) enum LinkState {
    /// There is none, and why.
    Down(String),
    /// It is open.
    Up(Arc<Connection>),
}

/// The other processes' view on a supervised connection.
#[derive(Debug, Clone)]
pub(crate) struct Link(watch::Receiver<LinkState>);

impl Link {
    /// A link and the sender that moves it.
    pub(crate) fn new() -> (watch::Sender<LinkState>, Self) {
        let (state, link) = watch::channel(LinkState::Down("not connected yet".to_owned()));
        (state, Self(link))
    }

    /// The connection, as soon as it is open and takes messages; or, after
    /// `patience`, why it does not.
    pub(crate) async fn ready(&self, patience: Duration) -> Result<Arc<Connection>, String> {
        let mut link = self.0.clone();
        let open = async {
            loop {
                match self.open() {
                    Ok(connection) => return connection,
                    Err(_) => drop(tokio::time::timeout(LOOK_EVERY, link.changed()).await),
                }
            }
        };
        match tokio::time::timeout(patience, open).await {
            Ok(connection) => Ok(connection),
            Err(_) => self.open(),
        }
    }

    /// Whether there is a connection that takes messages now.
    pub(crate) fn is_open(&self) -> bool {
        self.open().is_ok()
    }

    fn open(&self) -> Result<Arc<Connection>, String> {
        match &*self.0.borrow() {
            LinkState::Up(connection) if connection.status().blocked() => {
                Err("blocked by an alarm".to_owned())
            }
            LinkState::Up(connection) if connection.status().connected() => {
                Ok(Arc::clone(connection))
            }
            LinkState::Up(_) => Err("the connection was lost".to_owned()),
            LinkState::Down(cause) => Err(cause.clone()),
        }
    }

    /// Whether RabbitMQ answers on it now.
    pub(crate) fn check(&self) -> Check {
        let link = self.clone();
        Check::new("rabbitmq", move || {
            let state = link.open();
            async move { probe(&*state?).await }
        })
    }

    /// Closes the connection, if there is one.
    pub(crate) async fn close(&self) {
        let state = self.0.borrow().clone();
        if let LinkState::Up(connection) = state {
            close(&connection).await;
        }
    }
}

/// Keeps the link up until the shutdown, with a new connection whenever `renew` asks
/// for one. Then it leaves the connection as it is: work that is being finished still
/// needs it.
pub(crate) async fn supervise(
    mut dialer: Dialer,
    state: watch::Sender<LinkState>,
    renew: Arc<Notify>,
    shutdown: Shutdown,
) {
    let availability = Availability::new("rabbitmq (publishing)");
    let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_CAP);
    while !shutdown.has_begun() {
        let Some(opened) = shutdown.or(dialer.open()).await else { return };
        let cause = match opened {
            Ok(connection) => {
                let connection = Arc::new(connection);
                state.send_replace(LinkState::Up(Arc::clone(&connection)));
                alarm(false);
                availability.up();
                backoff.succeeded();
                let ended = async {
                    tokio::select! {
                        cause = died(&connection, &availability) => cause,
                        () = renew.notified() => UNCONFIRMED.to_owned(),
                    }
                };
                let Some(cause) = shutdown.or(ended).await else { return };
                state.send_replace(LinkState::Down(cause.clone()));
                // Away is not blocked, and has an alarm of its own.
                alarm(false);
                // It may be open still, after an error on a channel, and idle
                // channels would keep it so while nobody watches it.
                if connection.status().connected() {
                    close(&connection).await;
                }
                cause
            }
            Err(error) => {
                availability.down(&chain(&error));
                error.words()
            }
        };
        availability.down(&cause);
        state.send_replace(LinkState::Down(cause));
        shutdown.sleep(backoff.failed()).await;
    }
}
