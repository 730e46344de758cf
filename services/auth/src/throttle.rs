//! Slows down clients that try one account again and again.
//!
//! Nothing here asks whether the account exists, and nothing here locks one
//! out. A login from a network of the client's own is refused only for what
//! that network did; what others do makes it wait, and not even that where the
//! network has logged in to the account before. Accounts are known by a keyed
//! hash of their address: the addresses themselves are not kept.
//!
//! All of it is in this process' memory: when it dies, every count begins
//! anew (docs/adr/0023).

mod crowd;
mod settings;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use onboard_http::limit::{Buckets, Level, Rate, Recent, Standing};
use onboard_http::{Client, ClientNetwork, Problem};
use ring::{hmac, rand};
use tokio::time::{Instant, sleep};

use self::crowd::Crowd;
pub use settings::ThrottleArgs;

/// Registrations of one address: generous, since many at once must all hear
/// that it is taken.
const REGISTRATIONS: Rate = Rate::new(100, Duration::from_secs(200));
/// Failed logins of one client network to one account.
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

/// The limits that hold for an account.
#[derive(Debug)]
pub(crate) struct Throttle {
    key: hmac::Key,
    registrations: Buckets<Account>,
    failures: Buckets<Visitor>,
    failures_abroad: Buckets<Account>,
    known: Mutex<Recent<Visitor>>,
    crowd: Crowd,
}

/// A login that may be tried. It counts as failed until it is known how it
/// went, so that many at once are not more than many in a row; dropped without
/// an outcome, it does not count.
#[derive(Debug)]
#[must_use]
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    visitor: Visitor,
    counted_abroad: bool,
    has_failed: bool,
}

impl Throttle {
    /// Nobody has tried anything yet.
    pub(crate) fn new() -> Self {
        // Without a key of its own the hash would still not be the address.
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new());
        Self {
            key: key.unwrap_or_else(|_| hmac::Key::new(hmac::HMAC_SHA256, b"no random numbers")),
            registrations: Buckets::new(REGISTRATIONS),
            failures: Buckets::new(FAILURES),
            failures_abroad: Buckets::new(FAILURES_ABROAD),
            known: Mutex::new(Recent::new(KNOWN_MAX)),
            crowd: Crowd::default(),
        }
    }

    /// Lets a registration of this address pass.
    ///
    /// # Errors
    /// There were too many: 429.
    pub(crate) fn admit_registration(&self, canonical: &str) -> Result<(), Problem> {
        let taken = self.registrations.take(&self.account(canonical), Instant::now());
        let standing = |level| Standing::new("register-account", REGISTRATIONS, level);
        taken.map(drop).map_err(|level| Problem::rate_limited(standing(level)))
    }

    /// Lets a login to this address pass, after a wait if others failed at it.
    /// To be asked before it is told, or hashed, whether a password is right.
    ///
    /// # Errors
    /// This client failed too often, or too many wait already: 429.
    pub(crate) async fn admit_login(
        &self,
        canonical: &str,
        client: Client,
    ) -> Result<Attempt<'_>, Problem> {
        let visitor = (self.account(canonical), client.network());
        let now = Instant::now();
        let standing = |level| Standing::new("login-account", FAILURES, level);
        let taken = self.failures.take(&visitor, now);
        taken.map_err(|level| Problem::rate_limited(standing(level)))?;
        let mut attempt =
            Attempt { throttle: self, visitor, counted_abroad: false, has_failed: false };
        if !self.is_known(&visitor, now) {
            let (account, _) = visitor;
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
    /// The password was right: the network is known from now on, and what it
    /// failed before is forgotten.
    pub(crate) fn succeeded(self) {
        self.throttle.failures.refill(&self.visitor);
        let known = self.throttle.known.lock();
        known.unwrap_or_else(PoisonError::into_inner).insert(self.visitor, Instant::now());
    }

    /// Address and password do not belong together.
    pub(crate) fn failed(mut self) {
        self.has_failed = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.has_failed {
            return;
        }
        let now = Instant::now();
        self.throttle.failures.put_back(&self.visitor, now);
        if self.counted_abroad {
            self.throttle.failures_abroad.put_back(&self.visitor.0, now);
        }
    }
}

#[cfg(test)]
mod tests;
