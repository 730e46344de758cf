//! Every way in which a token can be forged, bent or out of date. The envelope
//! is built by hand here, so that the signer's habits do not hide anything.

use super::*;
use crate::{KeyRing, Role, Signer, SigningKey, Subject, TokenArgs};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use onboard_runtime::Problems;
use proptest::prelude::*;
use ring::hmac;
use serde_json::{Value, json};
use std::time::Duration;

const NOW_S: i64 = 1_800_000_000;
const USER: &str = "9b2f0c3e-51a4-4a53-9b64-0f5f2a6d7e8f";

struct Bench {
    key: SigningKey,
    other: SigningKey,
    verifier: Verifier,
}

fn key() -> SigningKey {
    SigningKey::read(&SigningKey::generate().unwrap()).unwrap()
}

impl Bench {
    async fn new() -> Self {
        let (key, other) = (key(), key());
        let public = *key.public();
        let keys = PublicKeys::new("test", move || async move { Ok(KeyRing::from_iter([public])) });
        assert!(keys.refresh().await);
        let config = TokenArgs::default().check("onboard-auth", &mut Problems::default());
        Self { key, other, verifier: Verifier::new(config, keys) }
    }

    fn header(&self) -> Value {
        json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": self.key.id() })
    }

    fn forge(&self, header: &Value, claims: &Value) -> String {
        signed_by(&self.key, header, claims)
    }

    async fn fault(&self, token: &str) -> Option<Fault> {
        match self.verifier.verify_at(token, NOW_S * 1000).await {
            Ok(_) => None,
            Err(VerifyError::Refused(fault)) => Some(fault),
            Err(error @ VerifyError::NoKeys(_)) => panic!("{error}"),
        }
    }

    async fn with_header(&self, change: Value) -> Option<Fault> {
        self.fault(&self.forge(&merge(self.header(), &change), &claims())).await
    }

    async fn with_claims(&self, change: Value) -> Option<Fault> {
        self.fault(&self.forge(&self.header(), &merge(claims(), &change))).await
    }
}

fn claims() -> Value {
    json!({
        "iss": "onboard-auth", "aud": "onboard", "sub": USER, "client_id": "first-party",
        "jti": "5e3c8f0a-0d7c-4d0c-9a4c-0a4f0f4c9f10", "iat": NOW_S, "exp": NOW_S + 900,
        "roles": ["user"],
    })
}

/// With these members; a null one is taken away.
fn merge(mut base: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().unwrap() {
        let base = base.as_object_mut().unwrap();
        match value {
            Value::Null => base.remove(name),
            value => base.insert(name.clone(), value.clone()),
        };
    }
    base
}

fn signed_by(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let signed = unsigned(header, claims);
    format!("{signed}.{}", B64.encode(key.sign(signed.as_bytes())))
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()))
}

#[tokio::test]
async fn what_the_signer_makes_is_accepted_and_says_who() {
    let bench = Bench::new().await;
    let config = TokenArgs::default().check("onboard-auth", &mut Problems::default());
    let subject = Subject {
        user: USER.parse().unwrap(),
        roles: vec![Role::User, Role::Admin],
        session: clock::random_id().into(),
    };
    let signer = Signer::new(config, Duration::from_mins(15));
    let issued = signer.sign(&bench.key, &subject, NOW_S * 1000 + 999);
    assert_eq!(issued.expires_in_s, 900);
    assert!(issued.token.len() < 800, "{}", issued.token.len());
    let identity = bench.verifier.verify_at(&issued.token, NOW_S * 1000).await.unwrap();
    let expected = Identity {
        user: subject.user,
        roles: subject.roles,
        session: Some(subject.session),
        expires_at_ms: (NOW_S + 900) * 1000,
    };
    assert_eq!(identity, expected);
    assert!(identity.has(Role::Admin));
    let claims = issued.token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&B64.decode(claims).unwrap()).unwrap();
    for required in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        assert!(!claims[required].is_null(), "RFC 9068 wants {required}");
    }
    assert_eq!(bench.with_claims(json!({})).await, None, "the bench's own token is good");
}

#[tokio::test]
async fn the_algorithm_belongs_to_the_key() {
    let bench = Bench::new().await;
    for alg in ["none", "None", "NONE", "", "HS256", "HS512", "RS256", "ES256", "eddsa", "Ed448"] {
        let header = merge(bench.header(), &json!({ "alg": alg }));
        assert_eq!(bench.fault(&bench.forge(&header, &claims())).await, Some(Fault::Algorithm));
        let none = format!("{}.", unsigned(&header, &claims()));
        assert_eq!(bench.fault(&none).await, Some(Fault::Algorithm), "{alg}");
    }
    assert_eq!(bench.with_header(json!({ "alg": null })).await, Some(Fault::Malformed));
    assert_eq!(bench.with_header(json!({ "alg": ["EdDSA"] })).await, Some(Fault::Malformed));
    // The public key as an HMAC secret.
    let header = merge(bench.header(), &json!({ "alg": "HS256" }));
    let signed = unsigned(&header, &claims());
    let secret = hmac::Key::new(hmac::HMAC_SHA256, bench.key.public().as_bytes());
    let forged = format!("{signed}.{}", B64.encode(hmac::sign(&secret, signed.as_bytes())));
    assert_eq!(bench.fault(&forged).await, Some(Fault::Algorithm));
    // The same, with a header that says EdDSA.
    let signed = unsigned(&bench.header(), &claims());
    let forged = format!("{signed}.{}", B64.encode(hmac::sign(&secret, signed.as_bytes())));
    assert_eq!(bench.fault(&forged).await, Some(Fault::Signature));
}

#[tokio::test]
async fn only_access_tokens_without_demands_pass() {
    let bench = Bench::new().await;
    for typ in ["AT+JWT", "application/at+jwt"] {
        assert_eq!(bench.with_header(json!({ "typ": typ })).await, None, "{typ}");
    }
    for typ in ["JWT", "", "at+jwt2", "text/at+jwt", "id+jwt", "logout+jwt"] {
        assert_eq!(bench.with_header(json!({ "typ": typ })).await, Some(Fault::Type), "{typ}");
    }
    assert_eq!(bench.with_header(json!({ "typ": null })).await, Some(Fault::Malformed));
    for crit in [json!([]), json!(["b64"]), json!(["exp"]), json!("x"), json!(false)] {
        assert_eq!(bench.with_header(json!({ "crit": crit })).await, Some(Fault::Critical));
    }
    let null = bench.header().to_string().replacen('{', "{\"crit\":null,", 1);
    let signed = format!("{}.{}", B64.encode(null), B64.encode(claims().to_string()));
    let token = format!("{signed}.{}", B64.encode(bench.key.sign(signed.as_bytes())));
    assert_eq!(bench.fault(&token).await, Some(Fault::Critical));
}

#[tokio::test]
async fn keys_come_from_one_place_only() {
    let bench = Bench::new().await;
    let own = crate::Jwk::publish(bench.other.public());
    let carried = json!({
        "jwk": own, "jku": "http://127.0.0.1:1/jwks", "x5u": "http://127.0.0.1:1/cert",
        "x5c": ["AAAA"],
    });
    assert_eq!(bench.with_header(carried.clone()).await, None, "they are not looked at");
    let forged = signed_by(&bench.other, &merge(bench.header(), &carried), &claims());
    assert_eq!(bench.fault(&forged).await, Some(Fault::Signature));
    let header = merge(merge(bench.header(), &carried), &json!({ "kid": bench.other.id() }));
    let forged = signed_by(&bench.other, &header, &claims());
    assert_eq!(bench.fault(&forged).await, Some(Fault::UnknownKey));
    assert_eq!(bench.with_header(json!({ "kid": null })).await, Some(Fault::Malformed));
    for kid in ["", "../../dev/null", "' OR 1=1 --", "{\"$ne\":null}"] {
        let header = merge(bench.header(), &json!({ "kid": kid }));
        let token = bench.forge(&header, &claims());
        assert_eq!(bench.fault(&token).await, Some(Fault::UnknownKey), "{kid}");
    }
}

#[tokio::test]
async fn whatever_is_altered_the_signature_fails() {
    let bench = Bench::new().await;
    let good = bench.forge(&bench.header(), &claims());
    let [header, payload, signature] = parts(&good);
    let other_claims = B64.encode(merge(claims(), &json!({ "roles": ["admin"] })).to_string());
    let other_header = B64.encode(merge(bench.header(), &json!({ "x": 1 })).to_string());
    for altered in [
        format!("{header}.{other_claims}.{signature}"),
        format!("{other_header}.{payload}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}.{}", B64.encode([0; 64])),
        format!("{header}.{payload}.{}", B64.encode([0; 63])),
        format!("{header}.{payload}.{signature}AAAA"),
    ] {
        assert_eq!(bench.fault(&altered).await, Some(Fault::Signature), "{altered}");
    }
}

#[tokio::test]
async fn a_token_has_exactly_one_spelling() {
    let bench = Bench::new().await;
    let good = bench.forge(&bench.header(), &claims());
    let [header, payload, signature] = parts(&good);
    let spare = format!("{}B", &signature[..signature.len() - 1]);
    assert_ne!(spare, signature);
    for bent in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        header.clone(),
        format!("{header}.{payload}"),
        format!("{good}.{signature}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{header}..{signature}"),
        format!("{header}.{payload}..{signature}"),
        format!("{good}="),
        format!("{good}=="),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}\n"),
        good.replace('.', "%2E"),
        spare,
        format!("{{\"payload\":\"{payload}\",\"signatures\":[]}}"),
    ] {
        let fault = bench.fault(&bent).await;
        assert!(matches!(fault, Some(Fault::Malformed | Fault::Signature)), "{bent}: {fault:?}");
    }
    let spare_bits = format!("{header}.{payload}.{}", with_spare_bits(&signature));
    assert_eq!(bench.fault(&spare_bits).await, Some(Fault::Malformed));
    let long = merge(claims(), &json!({ "pad": "x".repeat(2048) }));
    assert_eq!(bench.fault(&bench.forge(&bench.header(), &long)).await, Some(Fault::TooLong));
}

/// The last character of 64 bytes carries two bits; the same two with others.
fn with_spare_bits(signature: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = signature.split_at(signature.len() - 1);
    let index = ALPHABET.find(last).unwrap();
    format!("{start}{}", &ALPHABET[index + 1..=index + 1])
}

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

#[tokio::test]
async fn every_claim_is_required_and_checked() {
    let bench = Bench::new().await;
    for claim in ["iss", "aud", "sub", "jti", "iat", "exp"] {
        assert_eq!(bench.with_claims(json!({ claim: null })).await, Some(Fault::Claims), "{claim}");
        let odd = bench.with_claims(json!({ claim: { "$ne": "" } })).await;
        assert_eq!(odd, Some(Fault::Claims), "{claim}");
    }
    let table = [
        (json!({ "iss": "somebody" }), Some(Fault::Issuer)),
        (json!({ "iss": "onboard-auth " }), Some(Fault::Issuer)),
        (json!({ "aud": "somebody" }), Some(Fault::Audience)),
        (json!({ "aud": [] }), Some(Fault::Audience)),
        (json!({ "aud": ["somebody", "onboard"] }), None),
        (json!({ "sub": "admin" }), Some(Fault::Claims)),
        (json!({ "exp": "2999-01-01" }), Some(Fault::Claims)),
        (json!({ "exp": 1.8e9 + 0.5 }), Some(Fault::Claims)),
        (json!({ "roles": "admin" }), Some(Fault::Claims)),
        (json!({ "roles": null }), None),
    ];
    for (change, expected) in table {
        assert_eq!(bench.with_claims(change.clone()).await, expected, "{change}");
    }
    let unknown = bench.forge(&bench.header(), &merge(claims(), &json!({ "roles": ["root"] })));
    let identity = bench.verifier.verify_at(&unknown, NOW_S * 1000).await.unwrap();
    assert_eq!(identity.roles, Vec::<Role>::new(), "an unknown role gives no rights");
    let twice = claims().to_string().replacen('{', "{\"sub\":\"x\",", 1);
    let signed = format!("{}.{}", B64.encode(bench.header().to_string()), B64.encode(twice));
    let token = format!("{signed}.{}", B64.encode(bench.key.sign(signed.as_bytes())));
    assert_eq!(bench.fault(&token).await, Some(Fault::Claims), "a claim stands once");
}

#[tokio::test]
async fn a_token_lives_from_iat_to_exp_with_thirty_seconds_of_leeway() {
    let bench = Bench::new().await;
    let table = [
        (-900, 0, None, None),
        (-929, -29, None, None),
        (-930, -30, None, Some(Fault::Expired)),
        (30, 900, None, None),
        (31, 900, None, Some(Fault::NotYet)),
        (0, 900, Some(30), None),
        (0, 900, Some(31), Some(Fault::NotYet)),
        (31, 900, Some(0), Some(Fault::NotYet)),
        (0, 901, None, Some(Fault::Lifetime)),
        (-100, 801, None, Some(Fault::Lifetime)),
        (0, i64::MAX - NOW_S, None, Some(Fault::Lifetime)),
        (i64::MIN + NOW_S, 900, None, Some(Fault::Lifetime)),
    ];
    for (iat, exp, nbf, expected) in table {
        let mut change = json!({ "iat": NOW_S.wrapping_add(iat), "exp": NOW_S.wrapping_add(exp) });
        if let Some(nbf) = nbf {
            change["nbf"] = (NOW_S + nbf).into();
        }
        assert_eq!(bench.with_claims(change).await, expected, "{iat} {exp} {nbf:?}");
    }
}

proptest! {
    #[test]
    fn no_text_crashes_the_verifier(text in "\\PC{0,60}(\\.\\PC{0,60}){0,4}") {
        prop_assert!(Envelope::open(&text).is_err());
    }
}
