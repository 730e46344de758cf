//! Which requests are the same.

use axum::http::{HeaderMap, HeaderValue};
use onboard_runtime::{Problems, SecretArgs};

use crate::store::KeyRecord;

use super::*;

fn keys(secret: &str) -> IdempotencyKeys {
    keys_after(secret, None)
}

fn keys_after(secret: &str, previous: Option<&str>) -> IdempotencyKeys {
    let args = SecretArgs {
        auth_secret: Some(secret.repeat(32)),
        auth_secret_previous: previous.map(|secret| secret.repeat(32)),
        ..SecretArgs::default()
    };
    IdempotencyKeys::new(&args.check(&mut Problems::default()).unwrap(), Duration::from_hours(1))
}

fn begin(
    keys: &IdempotencyKeys,
    key: &str,
    email: &str,
    password: &str,
) -> Result<Attempt, Problem> {
    let headers = HeaderMap::from_iter([(
        header::NAME.parse().unwrap(),
        HeaderValue::from_str(key).unwrap(),
    )]);
    let key = IdempotencyKey::read(&headers).unwrap().unwrap();
    let email = Email::parse(email.into()).unwrap();
    keys.begin(&key, &email, &Password::attempt(password.into()))
}

#[test]
fn one_request_has_one_fingerprint_and_any_other_has_another() {
    let keys = keys("a");
    let new = |email, password| begin(&keys, "k", email, password).unwrap().new.hashes.fingerprint;
    let first = new("ada@example.com", "secret12");
    assert_eq!(new("ada@example.com", "secret12"), first);
    for (email, password) in [
        ("Ada@example.com", "secret12"),
        ("ada@example.com", "secret13"),
        ("ada@example.co", "msecret12"),
        ("eve@example.com", "secret12"),
    ] {
        assert_ne!(new(email, password), first, "{email} {password}");
    }
}

#[test]
fn hashes_are_keyed_by_the_secret_and_each_by_its_own_key() {
    let one = begin(&keys("a"), "k", "ada@example.com", "secret12").unwrap().new;
    let two = begin(&keys("b"), "k", "ada@example.com", "secret12").unwrap().new;
    assert_ne!(one.hashes.id, two.hashes.id);
    assert_ne!(one.hashes.fingerprint, two.hashes.fingerprint);
    let plain = ring::digest::digest(&ring::digest::SHA256, b"k");
    assert_ne!(one.hashes.id, plain.as_ref());
    assert_eq!(one.lifetime, Duration::from_hours(1));
}

#[test]
fn a_key_in_flight_is_refused_until_its_request_has_ended() {
    let keys = keys("a");
    let first = begin(&keys, "k", "ada@example.com", "secret12").unwrap();
    for password in ["secret12", "another1"] {
        let second = begin(&keys, "\"k\"", "ada@example.com", password).unwrap_err();
        assert_eq!(second.kind(), Kind::IdempotencyKeyInFlight);
    }
    assert!(begin(&keys, "K", "ada@example.com", "secret12").is_ok(), "another key");
    drop(first);
    assert!(begin(&keys, "k", "ada@example.com", "secret12").is_ok());
}

#[test]
fn only_the_same_fingerprint_is_a_repeat() {
    let keys = keys("a");
    let attempt = begin(&keys, "k", "ada@example.com", "secret12").unwrap();
    let record =
        |fingerprint: &[u8]| KeyRecord { fingerprint: fingerprint.to_vec(), registered: None };
    let same = attempt.new.hashes.fingerprint;
    assert!(attempt.is_repeat_of(&record(&same)));
    for bit in 0..256 {
        let mut other = same;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!attempt.is_repeat_of(&record(&other)), "bit {bit}");
    }
    assert!(!attempt.is_repeat_of(&record(&[])));
    assert!(!attempt.is_repeat_of(&record(&same[..31])));
    assert!(!attempt.is_repeat_of(&record(&[&same[..], &[0]].concat())));
}

#[test]
fn a_request_of_before_the_secret_was_changed_is_recognised() {
    let old = begin(&keys("a"), "k", "ada@example.com", "secret12").unwrap().new;
    let record = KeyRecord { fingerprint: old.hashes.fingerprint.to_vec(), registered: None };
    let both = keys_after("b", Some("a"));
    let repeat = begin(&both, "k", "ada@example.com", "secret12").unwrap();
    assert_ne!(repeat.new.hashes.id, old.hashes.id, "new records are of the new secret");
    assert!(repeat.new.all().any(|hashes| hashes.id == old.hashes.id));
    assert!(repeat.is_repeat_of(&record));
    drop(repeat);
    assert!(!begin(&both, "k", "ada@example.com", "secret13").unwrap().is_repeat_of(&record));
    let alone = keys("b");
    assert!(!begin(&alone, "k", "ada@example.com", "secret12").unwrap().is_repeat_of(&record));
}
