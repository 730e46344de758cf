use super::*;
use crate::{Jwk, NoKeys, PublicKey};
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

fn config(url: &str, refresh: Option<&str>) -> Result<JwksConfig, String> {
    let args = JwksArgs { jwks_url: Some(url.into()), jwks_refresh: refresh.map(str::to_owned) };
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

#[test]
fn the_settings_are_checked() {
    assert_eq!(config("http://auth:4001/", None).unwrap().refresh(), Duration::from_mins(1));
    assert_eq!(config("http://auth/", Some("2s")).unwrap().refresh(), Duration::from_secs(2));
    assert!(config("http://auth/", Some("6m")).unwrap_err().contains("JWKS_REFRESH"));
    for bad in ["auth:4001", "https://auth/", "file:///etc/passwd", ""] {
        assert!(config(bad, None).unwrap_err().contains("JWKS_URL: must be"), "{bad}");
    }
    let mut problems = Problems::default();
    let config = JwksArgs::default().check(&mut problems);
    let text = problems.finish(config).unwrap_err().to_string();
    assert!(text.contains("JWKS_URL: is not set"), "{text}");
}

#[tokio::test]
async fn keys_are_fetched_and_what_is_no_set_is_not_taken() {
    let key = PublicKey::from_bytes(&[7; 32]).unwrap();
    let set = serde_json::to_string(&JwkSet { keys: vec![Jwk::publish(&key)] }).unwrap();
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
        let keys = PublicKeys::remote(&config(&url, None).unwrap(), "test").unwrap();
        let found = keys.find(&key.id()).await;
        assert_eq!(found, if good { Ok(Some(key)) } else { Err(NoKeys) });
    }
}
