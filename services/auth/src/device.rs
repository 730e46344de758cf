//! The device token: what a client has that has logged in to an account before.
//!
//! It is a cookie that a login sets. It says until when it holds and which device it was
//! given to (a random number); the user's id is in its HMAC alone, so nothing in it is
//! personal data, and for another user it is no token, whoever has the address by then.
//! The HMAC's key comes from `AUTH_SECRET`: the token holds in every process and after a
//! restart. It opens nothing: whoever has it may try passwords of that one account without
//! waiting for what others failed, and has its own bucket for that (`throttle`). Each login
//! gives a new one.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onboard_contract::UserId;
use onboard_runtime::Secret;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretSlice};

/// The name of the cookie.
pub(crate) const COOKIE: &str = "onboard_device";
/// How long a token holds.
const LIFETIME: Duration = Duration::from_hours(90 * 24);
/// Cookies of the name that are looked at.
const COOKIES_MAX: usize = 4;
const VERSION: u8 = 1;
const ID_BYTES: usize = 16;
/// The version, the end in Unix seconds, and the id; the HMAC follows.
const HEAD_BYTES: usize = 1 + 8 + ID_BYTES;

/// A device that an account has been used from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DeviceId([u8; ID_BYTES]);

/// Makes and checks device tokens.
#[derive(Debug)]
pub(crate) struct Devices {
    /// That of `AUTH_SECRET` signs; those of `AUTH_SECRET_PREVIOUS` check, too.
    keys: Vec<hmac::Key>,
    /// Whether browsers are told to send the cookie over TLS alone.
    secure: bool,
}

/// The keys of device tokens.
fn keys(secret: &Secret) -> Vec<hmac::Key> {
    let key = |key: &SecretSlice<u8>| hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret());
    secret.derive("device tokens").all().map(key).collect()
}

impl Devices {
    pub(crate) fn new(secret: &Secret, secure: bool) -> Self {
        Self { keys: keys(secret), secure }
    }

    /// Whether the request has a cookie of the name, good or not.
    pub(crate) fn are_sent(headers: &HeaderMap) -> bool {
        sent(headers).next().is_some()
    }

    /// The device that sends this request, if its token is of this user and still holds.
    pub(crate) fn find(&self, headers: &HeaderMap, user: UserId, now_ms: i64) -> Option<DeviceId> {
        sent(headers).find_map(|token| self.check(token, user, now_ms))
    }

    /// The `Set-Cookie` that makes the client a device of this user. Without random
    /// numbers there is none, and the login stands.
    pub(crate) fn cookie(&self, user: UserId, now_ms: i64) -> Option<HeaderValue> {
        let mut id = [0; ID_BYTES];
        SystemRandom::new().fill(&mut id).ok()?;
        let token = self.token(DeviceId(id), user, now_ms)?;
        let (age_s, secure) = (LIFETIME.as_secs(), if self.secure { "; Secure" } else { "" });
        let cookie = format!(
            "{COOKIE}={token}; Path=/api/v1/auth; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}"
        );
        HeaderValue::try_from(cookie).ok()
    }

    fn token(&self, device: DeviceId, user: UserId, now_ms: i64) -> Option<String> {
        let until_s = seconds(now_ms).saturating_add(LIFETIME.as_secs());
        let head = [&[VERSION][..], &until_s.to_be_bytes(), &device.0].concat();
        let tag = hmac::sign(self.keys.first()?, &signed(&head, user));
        Some(URL_SAFE_NO_PAD.encode([&head[..], tag.as_ref()].concat()))
    }

    fn check(&self, token: &str, user: UserId, now_ms: i64) -> Option<DeviceId> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (head, tag) = bytes.split_at_checked(HEAD_BYTES)?;
        let (version, rest) = head.split_first()?;
        let (until_s, id) = rest.split_first_chunk()?;
        let holds = seconds(now_ms) < u64::from_be_bytes(*until_s);
        let signed = signed(head, user);
        let ours = self.keys.iter().any(|key| hmac::verify(key, &signed, tag).is_ok());
        (*version == VERSION && holds && ours).then_some(DeviceId(id.try_into().ok()?))
    }
}

/// The tokens of a request, the first few.
fn sent(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|it| it.split_once('='));
    let tokens = pairs.filter(|(name, _)| name.trim() == COOKIE).take(COOKIES_MAX);
    tokens.map(|(_, token)| token.trim())
}

/// What the HMAC is of. Both parts have one length, so no two run together.
fn signed(head: &[u8], user: UserId) -> Vec<u8> {
    [head, user.uuid().as_bytes()].concat()
}

fn seconds(ms: i64) -> u64 {
    u64::try_from(ms / 1_000).unwrap_or_default()
}

#[cfg(test)]
impl DeviceId {
    pub(crate) const fn numbered(n: u8) -> Self {
        Self([n; ID_BYTES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_runtime::{Problems, SecretArgs};

    fn user(n: u8) -> UserId {
        format!("{n:032x}").parse().unwrap()
    }

    fn ada() -> UserId {
        user(7)
    }

    const NOW_MS: i64 = 1_767_323_050_000;
    const DAY_MS: i64 = 24 * 3_600_000;

    fn devices(secret: &str, secure: bool) -> Devices {
        let args = SecretArgs { auth_secret: Some(secret.repeat(32)), ..SecretArgs::default() };
        Devices::new(&args.check(&mut Problems::default()).unwrap(), secure)
    }

    /// The cookie of a login as a client sends it back.
    fn sent_back(cookie: &HeaderValue) -> HeaderMap {
        let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
        cookies(&[&format!("theme=dark; {pair};lang=en")])
    }

    fn cookies(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (header::COOKIE, line.parse().unwrap())).collect()
    }

    #[test]
    fn a_token_is_of_its_account_and_of_the_secret_and_ends() {
        let (ours, restarted) = (devices("a", true), devices("a", true));
        let sent = sent_back(&ours.cookie(ada(), NOW_MS).unwrap());
        let found = restarted.find(&sent, ada(), NOW_MS + 90 * DAY_MS - 1_000);
        assert!(found.is_some(), "in another process, until its end");
        assert!(ours.find(&sent, ada(), NOW_MS + 90 * DAY_MS).is_none(), "it has ended");
        assert!(ours.find(&sent, user(8), NOW_MS).is_none(), "another user");
        assert!(devices("b", true).find(&sent, ada(), NOW_MS).is_none(), "another secret");
        let again = sent_back(&ours.cookie(ada(), NOW_MS).unwrap());
        assert_ne!(ours.find(&again, ada(), NOW_MS), found, "each login is given its own");
        assert!(ours.find(&HeaderMap::new(), ada(), NOW_MS).is_none());
        assert!(Devices::are_sent(&sent) && !Devices::are_sent(&HeaderMap::new()));
        assert!(!Devices::are_sent(&cookies(&["theme=onboard_device"])));
    }

    #[test]
    fn a_token_that_was_touched_is_none() {
        let ours = devices("a", true);
        let token = ours.token(DeviceId::numbered(7), ada(), NOW_MS).unwrap();
        assert_eq!(ours.check(&token, ada(), NOW_MS), Some(DeviceId::numbered(7)));
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for index in 0..bytes.len() {
            let mut touched = bytes.clone();
            touched[index] ^= 1;
            let touched = URL_SAFE_NO_PAD.encode(touched);
            assert!(ours.check(&touched, ada(), NOW_MS).is_none(), "{index}");
        }
        let longer = URL_SAFE_NO_PAD.encode([&bytes[..], &[0]].concat());
        for other in ["", "x", &token[..40], &longer, &format!("{token}="), "e30"] {
            assert!(ours.check(other, ada(), NOW_MS).is_none(), "{other}");
        }
        let after_junk = cookies(&["onboard_device=junk", &format!("{COOKIE}={token}")]);
        assert!(ours.find(&after_junk, ada(), NOW_MS).is_some(), "junk of the name hides none");
    }

    #[test]
    fn the_cookie_is_for_logins_alone_and_no_script_reads_it() {
        let cookie = devices("a", true).cookie(ada(), NOW_MS).unwrap();
        let cookie = cookie.to_str().unwrap();
        let attributes: Vec<&str> = cookie.split("; ").skip(1).collect();
        let wanted =
            ["Path=/api/v1/auth", "Max-Age=7776000", "HttpOnly", "SameSite=Strict", "Secure"];
        assert_eq!(attributes, wanted);
        let local = devices("a", false).cookie(ada(), NOW_MS).unwrap();
        assert!(!local.to_str().unwrap().contains("Secure"));
    }
}
