//! Attacks on access tokens, over HTTP. `crates/token` has the finer table;
//! here is shown that the services ask it. The tests sign with auth's own key,
//! which they open with the secret: what is refused is refused for what it
//! says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use mongodb::bson::{Document, doc};
use reqwest::Response;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use ring::{hkdf, hmac};
use serde_json::{Value, json};

use crate::harness::{App, Options, Tokens, claims, eventually, header};

/// Where a token is asked for: the service and a path.
const TARGETS: [(&str, &str); 2] = [("auth", "/api/v1/users/me"), ("todo", "/api/v1/todos")];

struct Bench {
    app: App,
    key: Ed25519KeyPair,
    tokens: Tokens,
}

impl Bench {
    async fn start() -> Self {
        let services: Vec<&str> = TARGETS.iter().map(|(service, _)| *service).collect();
        let app = App::start_with(Options::only(&services)).await;
        let account = app.account().await;
        let tokens = app.log_in(&account).await;
        let key = own_key(&app).await;
        let bench = Self { app, key, tokens };
        // The todo service may have asked for the keys before auth had any.
        eventually("every service has the keys", async || {
            let good = format!("Bearer {}", bench.tokens.access);
            let statuses = bench.statuses(&[&good]).await;
            if statuses == [200; TARGETS.len()] { Ok(()) } else { Err(statuses) }
        })
        .await;
        bench
    }

    fn header(&self) -> Value {
        header(&self.tokens.access)
    }

    fn claims(&self) -> Value {
        claims(&self.tokens.access)
    }

    /// Signed by auth's own key.
    fn forge(&self, header: &Value, claims: &Value) -> String {
        signed_by(&self.key, header, claims)
    }

    async fn statuses(&self, authorization: &[&str]) -> Vec<u16> {
        let mut statuses = Vec::new();
        for (service, path) in TARGETS {
            let answer = self.send(service, path, authorization).await;
            statuses.push(answer.status().as_u16());
        }
        statuses
    }

    async fn send(&self, service: &str, path: &str, authorization: &[&str]) -> Response {
        let mut request = self.app.http.get(format!("{}{path}", self.app.url(service)));
        for value in authorization {
            request = request.header("authorization", *value);
        }
        request.send().await.unwrap()
    }

    async fn accepted(&self, token: &str) {
        let statuses = self.statuses(&[&format!("Bearer {token}")]).await;
        assert_eq!(statuses, [200; TARGETS.len()]);
    }

    async fn refused(&self, what: &str, token: &str) {
        let header = format!("Bearer {token}");
        for (service, path) in TARGETS {
            let answer = self.send(service, path, &[&header]).await;
            assert_eq!(answer.status(), 401, "{what} at {service}");
            let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
            assert_eq!(challenge, r#"Bearer realm="onboard", error="invalid_token""#);
            let problem: Value = answer.json().await.unwrap();
            assert_eq!(problem["type"], "/problems/invalid-token", "{what}");
        }
    }
}

/// The private half of the key that signs, opened as auth opens it.
async fn own_key(app: &App) -> Ed25519KeyPair {
    let secret = std::fs::read_to_string(app.setting("AUTH_SECRET_FILE")).unwrap();
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"onboard");
    let extracted = salt.extract(secret.trim_end().as_bytes());
    let mut wrapping = [0; 32];
    let okm = extracted.expand(&[b"signing keys"], hkdf::HKDF_SHA256).unwrap();
    okm.fill(&mut wrapping).unwrap();
    let keys = app.auth_database().await.collection::<Document>("signing_keys");
    let row = keys.find_one(doc! {}).await.unwrap().unwrap();
    let wrapped = row.get_binary_generic("wrappedKey").unwrap();
    let (nonce, sealed) = wrapped.split_at(12);
    let mut sealed = sealed.to_vec();
    let unwrap = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &wrapping).unwrap());
    let aad = Aad::from(row.get_str("_id").unwrap().as_bytes());
    let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
    Ed25519KeyPair::from_pkcs8(unwrap.open_in_place(nonce, aad, &mut sealed).unwrap()).unwrap()
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()))
}

fn signed_by(key: &Ed25519KeyPair, header: &Value, claims: &Value) -> String {
    let signed = unsigned(header, claims);
    format!("{signed}.{}", B64.encode(key.sign(signed.as_bytes())))
}

/// With these members; a null one is taken away.
fn with(mut base: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().unwrap() {
        let members = base.as_object_mut().unwrap();
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    base
}

#[tokio::test]
async fn no_algorithm_but_the_keys_own_is_taken() {
    let bench = Bench::start().await;
    let (header, claims) = (bench.header(), bench.claims());
    bench.accepted(&bench.forge(&header, &claims)).await;
    for alg in ["none", "None", "nOnE", "HS256", "HS512", "RS256", "ES256", "ES256K", "PS256"] {
        let header = with(header.clone(), &json!({ "alg": alg }));
        bench.refused(alg, &bench.forge(&header, &claims)).await;
        bench.refused(alg, &format!("{}.", unsigned(&header, &claims))).await;
        bench.refused(alg, &unsigned(&header, &claims)).await;
    }
    let x = bench.app.jwks().await["keys"][0]["x"].as_str().unwrap().to_owned();
    let jwk = bench.app.jwks().await["keys"][0].to_string();
    for secret in [B64.decode(&x).unwrap(), x.into_bytes(), jwk.into_bytes()] {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        for alg in ["HS256", "EdDSA"] {
            let signed = unsigned(&with(header.clone(), &json!({ "alg": alg })), &claims);
            let tag = hmac::sign(&secret, signed.as_bytes());
            bench.refused("public key as secret", &format!("{signed}.{}", B64.encode(tag))).await;
        }
    }
    bench.app.remove().await;
}

#[tokio::test]
async fn no_key_but_the_published_ones_is_taken() {
    let bench = Bench::start().await;
    let (header, claims) = (bench.header(), bench.claims());
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let other = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    bench.refused("another key", &signed_by(&other, &header, &claims)).await;
    for kid in [
        json!("unknown"),
        json!(""),
        json!("../../etc/passwd"),
        json!({ "$ne": null }),
        Value::Null,
    ] {
        let header = with(header.clone(), &json!({ "kid": kid }));
        bench.refused("another kid", &bench.forge(&header, &claims)).await;
    }
    // A server that would publish the other key, were it asked.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "mine", "alg": "EdDSA", "use": "sig",
        "x": B64.encode(other.public_key().as_ref()),
    });
    for kid in ["mine", header["kid"].as_str().unwrap()] {
        let carried = json!({
            "kid": kid, "jwk": jwk, "jku": url, "x5u": url, "x5c": [B64.encode(pkcs8.as_ref())],
        });
        let header = with(header.clone(), &carried);
        bench.refused("a key that the token brings", &signed_by(&other, &header, &claims)).await;
    }
    let asked = tokio::time::timeout(std::time::Duration::from_millis(200), listener.accept());
    assert!(asked.await.is_err(), "nobody fetches what a token names");
    bench.app.remove().await;
}

#[tokio::test]
async fn every_claim_counts_even_when_our_own_key_signed() {
    let bench = Bench::start().await;
    let (header, claims) = (bench.header(), bench.claims());
    let now = claims["iat"].as_i64().unwrap();
    for (what, change) in [
        ("issuer", json!({ "iss": "https://somebody.example" })),
        ("audience", json!({ "aud": "something-else" })),
        ("audiences", json!({ "aud": ["something-else"] })),
        ("no issuer", json!({ "iss": null })),
        ("no audience", json!({ "aud": null })),
        ("no subject", json!({ "sub": null })),
        ("no id", json!({ "jti": null })),
        ("no issue", json!({ "iat": null })),
        ("no end", json!({ "exp": null })),
        ("subject", json!({ "sub": { "$ne": null } })),
        ("expired", json!({ "iat": now - 900, "exp": now - 60 })),
        ("issued in the future", json!({ "iat": now + 600, "exp": now + 900 })),
        ("not before the future", json!({ "nbf": now + 600 })),
        ("too long a life", json!({ "exp": now + 3600 })),
        ("for ever", json!({ "exp": 9_999_999_999_i64 })),
    ] {
        bench.refused(what, &bench.forge(&header, &with(claims.clone(), &change))).await;
    }
    for (what, change) in [
        ("typ JWT", json!({ "typ": "JWT" })),
        ("no typ", json!({ "typ": null })),
        ("crit", json!({ "crit": ["exp"] })),
        ("b64", json!({ "crit": ["b64"], "b64": false })),
    ] {
        bench.refused(what, &bench.forge(&with(header.clone(), &change), &claims)).await;
    }
    bench.app.remove().await;
}

#[tokio::test]
async fn what_is_altered_or_bent_is_refused() {
    let bench = Bench::start().await;
    let good = bench.tokens.access.clone();
    let [head, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let admin = B64.encode(with(bench.claims(), &json!({ "roles": ["admin"] })).to_string());
    let other = B64.encode(with(bench.header(), &json!({ "x": 1 })).to_string());
    let long = "A".repeat(4096);
    for bent in [
        format!("{head}.{admin}.{signature}"),
        format!("{other}.{payload}.{signature}"),
        format!("{head}.{payload}.{}", B64.encode([0; 64])),
        format!("{head}.{payload}"),
        format!("{head}.{payload}."),
        format!("{good}.{signature}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}="),
        format!("{good}{long}"),
        long.clone(),
        "..".to_owned(),
        "null".to_owned(),
        "undefined".to_owned(),
        bench.tokens.refresh.clone(),
    ] {
        bench.refused(&bent, &bent).await;
    }
    bench.accepted(&good).await;
    bench.app.remove().await;
}

#[tokio::test]
async fn a_token_counts_in_one_authorization_header_only() {
    let bench = Bench::start().await;
    let good = format!("Bearer {}", bench.tokens.access);
    let refused = [401; TARGETS.len()];
    assert_eq!(bench.statuses(&[&good]).await, [200; TARGETS.len()]);
    for headers in [
        &[][..],
        &[good.as_str(), &good],
        &[&good, "Bearer x"],
        &["Bearer x", &good],
        &["Basic YTpi", &good],
        &[&format!("{good}, {good}")],
        &[&format!("Token {}", bench.tokens.access)],
        &[&bench.tokens.access],
    ] {
        assert_eq!(bench.statuses(headers).await, refused, "{headers:?}");
    }
    for (service, path) in TARGETS {
        let query = format!("{path}?access_token={}", bench.tokens.access);
        let answer = bench.send(service, &query, &[]).await;
        assert_eq!(answer.status(), 401, "{service}");
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
        assert_eq!(challenge, r#"Bearer realm="onboard""#, "no error where no token was sent");
        let url = format!("{}{path}", bench.app.url(service));
        let cookie = format!("access_token={0}; Authorization={0}", bench.tokens.access);
        let answer = bench.app.http.get(url).header("cookie", cookie).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{service}");
    }
    bench.app.remove().await;
}

#[tokio::test]
async fn only_public_members_are_published_and_caches_are_told_how_long() {
    let bench = Bench::start().await;
    let url = format!("{}/.well-known/jwks.json", bench.app.url("auth"));
    let answer = bench.app.http.get(url).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "public, max-age=300");
    let set: Value = answer.json().await.unwrap();
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    let mut members: Vec<&String> = keys[0].as_object().unwrap().keys().collect();
    members.sort_unstable();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
    let x = B64.decode(keys[0]["x"].as_str().unwrap()).unwrap();
    assert_eq!(x, bench.key.public_key().as_ref());
    bench.app.remove().await;
}
