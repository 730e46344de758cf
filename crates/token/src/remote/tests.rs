use super::fetch::BYTES_MAX;
use super::*;
use crate::{Jwk, JwkSet, NoKeys, PublicKey};
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

fn args(url: &str) -> JwksArgs {
    JwksArgs { jwks_url: Some(url.into()), ..JwksArgs::default() }
}

fn check(args: JwksArgs) -> Result<JwksConfig, String> {
    let mut problems = Problems::default();
    let config = args.check(&mut problems);
    problems.finish(config).map_err(|error| error.to_string())
}

/// A server that answers with this at `/`, and its URL.
async fn serving(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", get(async move || body));
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(axum::serve(listener, router).into_future());
    url
}

fn key(byte: u8) -> PublicKey {
    PublicKey::from_bytes(&[byte; 32]).unwrap()
}

fn published(keys: &[PublicKey]) -> String {
    serde_json::to_string(&JwkSet { keys: keys.iter().map(Jwk::publish).collect() }).unwrap()
}

#[test]
fn the_settings_are_checked() {
    assert_eq!(check(args("http://auth:4001/")).unwrap().refresh(), Duration::from_mins(1));
    let times = |refresh: &str, age: &str| {
        let (refresh, age) = (Some(refresh.to_owned()), Some(age.to_owned()));
        check(JwksArgs { jwks_refresh: refresh, jwks_keys_age_max: age, ..args("http://auth/") })
    };
    assert_eq!(times("2s", "3s").unwrap().refresh(), Duration::from_secs(2));
    assert!(times("6m", "1h").unwrap_err().contains("JWKS_REFRESH: must lie"));
    for (refresh, age) in [("1s", "1s"), ("1m", "31d"), ("1m", "0s"), ("2m", "2m"), ("2m", "90s")] {
        assert!(times(refresh, age).unwrap_err().contains("JWKS_KEYS_AGE_MAX: must"), "{age}");
    }
    for bad in ["auth:4001", "ftp://auth/", "file:///etc/passwd", "/jwks.json", "https://", ""] {
        assert!(check(args(bad)).unwrap_err().contains("JWKS_URL: must be"), "{bad}");
    }
    assert!(check(args("https://u:hunter2@auth/")).unwrap_err().contains("without a user"));
    assert!(check(JwksArgs::default()).unwrap_err().contains("JWKS_URL: is not set"));
}

#[test]
fn a_url_without_tls_lacks_it() {
    let said = check(args("http://127.0.0.1:4001/")).unwrap().exposure().unwrap();
    assert_eq!(said.to_string(), "the key set of access tokens is reached without TLS");
    let ca = rcgen::generate_simple_self_signed(["auth".to_owned()]).unwrap().cert.pem();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ca).unwrap();
    let with = |url| JwksArgs { jwks_ca_file: Some(file.path().into()), ..args(url) };
    assert_eq!(check(with("https://auth/")).unwrap().exposure(), None);
    assert_eq!(check(with("HTTPS://auth/")).unwrap().exposure(), None);
    let useless = check(with("http://auth/")).unwrap_err();
    assert!(useless.contains("JWKS_CA_FILE: is of no use"), "{useless}");
}

#[test]
fn a_file_without_a_certificate_is_a_problem() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let with = |path: &std::path::Path| {
        check(JwksArgs { jwks_ca_file: Some(path.into()), ..args("https://auth/") }).unwrap_err()
    };
    for (text, why) in [
        ("", "holds no certificate"),
        ("not PEM", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "JWKS_CA_FILE: "),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "JWKS_CA_FILE: "),
    ] {
        std::fs::write(file.path(), text).unwrap();
        assert!(with(file.path()).contains(why), "{text}: {}", with(file.path()));
    }
    assert!(with("/no/such/file".as_ref()).contains("JWKS_CA_FILE: /no/such/file: No such file"));
}

#[test]
fn thumbprints_are_read_or_refused() {
    let with = |text: &str| {
        check(JwksArgs { jwks_thumbprints: Some(text.to_owned()), ..args("http://auth/") })
    };
    assert!(with(&format!(" {} , {}", key(1).id(), key(2).id())).is_ok());
    let padded = format!("{}=", key(1).id());
    let hex = "ab".repeat(32);
    for odd in ["", ",", "abc", &padded, &hex, &format!("{},", key(1).id())] {
        let said = with(odd).unwrap_err();
        assert!(said.contains("JWKS_THUMBPRINTS: ") && said.contains("base64url"), "{odd}: {said}");
    }
}

#[tokio::test]
async fn keys_are_fetched_and_what_is_no_set_is_not_taken() {
    let set = published(&[key(7)]);
    let padding = " ".repeat(BYTES_MAX - set.len());
    for (body, good) in [
        (set.clone(), true),
        (format!("{set}{padding}"), true),
        (format!("{set}{padding} "), false),
        ("<html>".to_owned(), false),
        ("{}".to_owned(), false),
        ("{\"keys\":[]}".to_owned(), false),
    ] {
        let url = serving(body).await;
        let keys = PublicKeys::remote(&check(args(&url)).unwrap(), "test");
        let found = keys.find(&key(7).id()).await;
        assert_eq!(found, if good { Ok(Some(key(7))) } else { Err(NoKeys) });
    }
}

/// The thumbprint counts, and not the `kid` that is written beside the key.
#[tokio::test]
async fn a_key_that_is_not_pinned_is_not_used() {
    let mut forged = Jwk::publish(&key(9));
    forged.kid = key(7).id();
    let forged = serde_json::to_string(&JwkSet { keys: vec![forged] }).unwrap();
    for (body, pins, found) in [
        (published(&[key(7), key(8)]), vec![7], [Some(7), None]),
        (published(&[key(7), key(8)]), vec![8, 7], [Some(7), Some(8)]),
        (published(&[key(7), key(8)]), vec![8], [None, Some(8)]),
    ] {
        let pins = pins.into_iter().map(|byte| key(byte).id()).collect::<Vec<_>>().join(",");
        let url = serving(body).await;
        let args = JwksArgs { jwks_thumbprints: Some(pins), ..args(&url) };
        let keys = PublicKeys::remote(&check(args).unwrap(), "test");
        for (byte, found) in [7, 8].into_iter().zip(found) {
            assert_eq!(keys.find(&key(byte).id()).await, Ok(found.map(key)), "{byte}");
        }
    }
    let url = serving(forged).await;
    let args = JwksArgs { jwks_thumbprints: Some(key(7).id()), ..args(&url) };
    let keys = PublicKeys::remote(&check(args).unwrap(), "test");
    assert_eq!(keys.find(&key(7).id()).await, Err(NoKeys), "no key is left");
}
