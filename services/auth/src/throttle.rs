//! Slows down clients that try one account again and again.
//!
//! Nothing here asks whether the account exists, and nothing here locks one
//! out. A login from a network of the client's own is refused only for what
//! that network did; what others do makes it wait, and not even that where the
//! client brings a device token of the account (`device`), or its network has logged in to
//! the account at this process before; such a client is not refused for what its neighbours
//! do, either. A login that is refused or given up before its password was judged counts for
//! the client and not for the account. Accounts are known by
//! a keyed hash of their address: the addresses themselves are not kept.
//!
//! All of it is in this process' memory: when it dies, every count begins
//! anew (docs/adr/0023). Device tokens hold in every process.

mod crowd;
mod settings;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use onboard_http::limit::{Buckets, Level, NetworkBuckets, Rate, Recent, Standing};
use onboard_http::{Client, ClientNetwork, Problem};
use ring::{hmac, rand};
use tokio::time::{Instant, sleep};

use self::crowd::Crowd;
use crate::device::DeviceId;
pub use settings::ThrottleArgs;

/// Registrations of one address by one client network: generous, since many at once must all hear
/// that it is taken.
const REGISTRATIONS: Rate = Rate::new(100, Duration::from_secs(200));
/// Failed logins of one client network, or with one device token, to one account.
const FAILURES: Rate = Rate::new(20, Duration::from_mins(5));
/// Failed logins of all other networks to one account: none is refused for
/// them, but they come to wait.
const FAILURES_ABROAD: Rate = Rate::new(100, Duration::from_hours(1));
/// So many of those do not make anyone wait.
const ABROAD_FREE: u32 = 10;
/// The wait for each one above, and the longest.
const WAIT_EACH: Duration = Duration::from_millis(30);
const WAIT_MAX: Duration = Duration::from_millis(2500);
/// How long a network that has logged in is known.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);
/// How many are known, of all accounts together.
const KNOWN_MAX: usize = 65_536;

/// An account, whether it exists or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Account([u8; 16]);

type Visitor = (Account, ClientNetwork);

/// Who is counted by itself, and not with the networks around its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Familiar {
    /// Who brings a device token of the account.
    Device(DeviceId),
    /// A network that has logged in to the account.
    Network(ClientNetwork),
}

/// The limits that hold for an account.
#[derive(Debug)]
pub(crate) struct Throttle {
    key: hmac::Key,
    registrations: NetworkBuckets<Account>,
    failures: NetworkBuckets<Account>,
    failures_of_familiars: Buckets<(Account, Familiar)>,
    failures_abroad: Buckets<Account>,
    known: Mutex<Recent<Visitor>>,
    crowd: Crowd,
}

/// A login that may be tried. It counts as failed until it is known how it
/// went, so that many at once are not more than many in a row; dropped without
/// an outcome, since the client is gone or was refused, it has cost the client one of
/// its tries and the account nothing.
#[derive(Debug)]
#[must_use]
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    account: Account,
    network: ClientNetwork,
    /// Whose bucket it was taken from, instead of those of the networks.
    familiar: Option<Familiar>,
    /// Whether one was taken for the account.
    counted_abroad: bool,
    /// Whether what was taken from client and account stays taken.
    costs_client: bool,
    costs_account: bool,
}

impl Throttle {
    /// Nobody has tried anything yet.
    pub(crate) fn new() -> Self {
        // Without a key of its own the hash would still not be the address.
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new());
        Self {
            key: key.unwrap_or_else(|_| hmac::Key::new(hmac::HMAC_SHA256, b"no random numbers")),
            registrations: NetworkBuckets::new(REGISTRATIONS),
            failures: NetworkBuckets::new(FAILURES),
            failures_of_familiars: Buckets::new(FAILURES),
            failures_abroad: Buckets::new(FAILURES_ABROAD),
            known: Mutex::new(Recent::new(KNOWN_MAX)),
            crowd: Crowd::default(),
        }
    }

    /// Lets a registration of this address by this client pass. What other networks send
    /// keeps nobody from registering an address.
    ///
    /// # Errors
    /// There were too many: 429.
    pub(crate) fn admit_registration(
        &self,
        canonical: &str,
        client: Client,
    ) -> Result<(), Problem> {
        let (account, now) = (self.account(canonical), Instant::now());
        let taken = self.registrations.take(&account, client.network(), now);
        let standing = |level| Standing::new("register-account", REGISTRATIONS, level);
        taken.map(drop).map_err(|level| Problem::rate_limited(standing(level)))
    }

    /// Lets a login to this address pass, after a wait if others failed at it and the client
    /// has no device token of the account. To be asked before it is told, or hashed,
    /// whether a password is right.
    ///
    /// # Errors
    /// This client failed too often, or too many wait already: 429.
    pub(crate) async fn admit_login(
        &self,
        canonical: &str,
        client: Client,
        device: Option<DeviceId>,
    ) -> Result<Attempt<'_>, Problem> {
        let (account, network, now) = (self.account(canonical), client.network(), Instant::now());
        // Who has used up what the device may have is a client like any other: a stolen token
        // must not keep its owner out.
        let of = |familiar| self.failures_of_familiars.take(&(account, familiar), now);
        let device = device.map(Familiar::Device).filter(|device| of(*device).is_ok());
        let is_known = device.is_none() && self.is_known(&(account, network), now);
        let known = is_known.then_some(Familiar::Network(network));
        let taken = match (device, known) {
            (Some(_), _) => Ok(()),
            (None, Some(known)) => of(known).map(drop),
            (None, None) => self.failures.take(&account, network, now).map(drop),
        };
        let standing = |level| Standing::new("login-account", FAILURES, level);
        taken.map_err(|level| Problem::rate_limited(standing(level)))?;
        let mut attempt = Attempt {
            throttle: self,
            account,
            network,
            familiar: device.or(known),
            counted_abroad: false,
            costs_client: true,
            costs_account: false,
        };
        if attempt.familiar.is_none() {
            let level = self.failures_abroad.take(&account, now);
            attempt.counted_abroad = level.is_ok();
            let (Ok(level) | Err(level)) = level;
            self.wait_with_others(account, level).await?;
        }
        Ok(attempt)
    }

    /// Waits with the others that try this account from networks it does not
    /// know; no password is hashed meanwhile.
    async fn wait_with_others(&self, account: Account, level: Level) -> Result<(), Problem> {
        let failed = FAILURES_ABROAD.quota - level.remaining;
        let wait = WAIT_EACH.saturating_mul(failed.saturating_sub(ABROAD_FREE)).min(WAIT_MAX);
        if wait.is_zero() {
            return Ok(());
        }
        let Some(_place) = self.crowd.join(account) else {
            let full = Level { remaining: 0, next_in: wait, full_in: level.full_in };
            let standing = Standing::new("login-account-waiting", FAILURES_ABROAD, full);
            return Err(Problem::rate_limited(standing));
        };
        sleep(wait).await;
        Ok(())
    }

    fn account(&self, canonical: &str) -> Account {
        let tag = hmac::sign(&self.key, canonical.as_bytes());
        let mut account = [0; 16];
        account.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        Account(account)
    }

    fn is_known(&self, visitor: &Visitor, now: Instant) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.find(visitor).is_some_and(|at| now.duration_since(at) < KNOWN_FOR)
    }
}

impl Attempt<'_> {
    /// The password was right: the network is known from now on, and what it, or the
    /// device, failed before is forgotten.
    pub(crate) fn succeeded(mut self) {
        self.costs_client = false;
        match self.familiar {
            Some(one) => self.throttle.failures_of_familiars.refill(&(self.account, one)),
            None => self.throttle.failures.refill(&self.account, self.network),
        }
        let known = self.throttle.known.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        known.insert((self.account, self.network), Instant::now());
    }

    /// Address and password do not belong together.
    pub(crate) fn failed(mut self) {
        self.costs_account = true;
    }

    /// It was no guess, or nobody could look: the client did nothing wrong.
    pub(crate) fn costs_nothing(mut self) {
        self.costs_client = false;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let (throttle, now) = (self.throttle, Instant::now());
        if !self.costs_client {
            match self.familiar {
                Some(one) => throttle.failures_of_familiars.put_back(&(self.account, one), now),
                None => throttle.failures.put_back(&self.account, self.network, now),
            }
        }
        if self.counted_abroad && !self.costs_account {
            throttle.failures_abroad.put_back(&self.account, now);
        }
    }
}

#[cfg(test)]
mod tests;
