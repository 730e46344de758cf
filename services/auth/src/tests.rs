//! The service as it starts while MongoDB is down. The workspace's
//! `tests/` use a real database.

use onboard_mongo::MongoArgs;
use onboard_runtime::{EnvironmentArgs, Problems, SecretArgs};
use reqwest::header::{ALLOW, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::hash::HashArgs;

struct Running {
    url: String,
    shutdown: Shutdown,
    end: JoinHandle<Result<Drain, RunError>>,
    client: reqwest::Client,
}

impl Running {
    async fn start() -> Self {
        let args = AuthArgs {
            http_address: Some("127.0.0.1:0".into()),
            environment: EnvironmentArgs::local(),
            hash: HashArgs {
                argon2_memory_kib: Some("64".into()),
                insecure_hashing: Some("yes".into()),
                ..HashArgs::default()
            },
            secret: SecretArgs {
                auth_secret: Some("only for this test".repeat(2)),
                ..SecretArgs::default()
            },
            mongo: MongoArgs {
                mongodb_uri: Some("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100".into()),
                ..MongoArgs::default()
            },
            ..AuthArgs::default()
        };
        let mut problems = Problems::default();
        let config = args.check(&mut problems);
        onboard_http::metrics::begin("auth", metrics::CATALOGUE);
        let service = Listening::bind(problems.finish(config).unwrap()).await.unwrap();
        let url = format!("http://{}", service.local_addr());
        let shutdown = Shutdown::new();
        #[expect(clippy::disallowed_methods, reason = "the test awaits it")]
        let end = tokio::spawn(service.serve(shutdown.clone()));
        Self { url, shutdown, end, client: reqwest::Client::new() }
    }

    async fn register(&self, body: &Value) -> Response {
        let url = format!("{}/api/v1/auth/register", self.url);
        self.client.post(url).json(body).send().await.unwrap()
    }

    async fn read(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    async fn stop(self) {
        self.shutdown.begin();
        assert_eq!(self.end.await.unwrap().unwrap(), Drain::Graceful);
    }
}

/// The status and the `(pointer, detail)` of each error.
async fn errors(response: Response) -> (StatusCode, Vec<(String, String)>) {
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    let text = |error: &Value, key: &str| error[key].as_str().unwrap().to_owned();
    let errors = body["errors"].as_array().cloned().unwrap_or_default();
    (status, errors.iter().map(|e| (text(e, "pointer"), text(e, "detail"))).collect())
}

#[tokio::test]
async fn without_mongodb_the_service_lives_and_says_what_is_missing() {
    let auth = Running::start().await;
    assert_eq!(auth.read("/healthz").await.status(), StatusCode::OK);
    let ready = auth.read("/readyz").await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let ready: Value = ready.json().await.unwrap();
    assert_eq!(ready["status"], "unavailable");
    assert!(ready["checks"]["mongo"].is_string(), "{ready}");

    let body = json!({"email": "ada@example.com", "password": "correct horse"});
    let refused = auth.register(&body).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[RETRY_AFTER], "5");
    let text = refused.text().await.unwrap();
    assert!(!text.contains("27017") && !text.contains("127.0.0.1"), "{text}");

    let id = "/api/v1/registrations/0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d";
    assert_eq!(auth.read(id).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    auth.stop().await;
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let auth = Running::start().await;
    let email = "must be an e-mail address such as name@example.com";
    let short = "must have at least 8 characters";
    let table = [
        (json!({}), vec![("#/email", "is missing"), ("#/password", "is missing")]),
        (
            json!({"email": null, "password": 12_345_678}),
            vec![("#/email", "must not be null"), ("#/password", "must be a string")],
        ),
        (
            json!({"email": "ada", "password": "short", "unknown": 1}),
            vec![("#/email", email), ("#/password", short)],
        ),
        (
            json!({"email": "ada@lovelace.example", "password": "ADA@lovelace.example"}),
            vec![("#/password", "must not be the e-mail address or a part of it")],
        ),
        (json!([]), vec![("#", "must be a JSON object")]),
    ];
    for (body, expected) in table {
        let (status, found) = errors(auth.register(&body).await).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let found: Vec<_> = found.iter().map(|(p, d)| (p.as_str(), d.as_str())).collect();
        assert_eq!(found, expected, "{body}");
    }
    let metrics = auth.read("/metrics").await.text().await.unwrap();
    assert!(metrics.contains(r#"registrations_total{outcome="validation-failed"}"#), "{metrics}");
    auth.stop().await;
}

#[tokio::test]
async fn a_malformed_id_is_unknown_and_a_wrong_method_is_refused() {
    let auth = Running::start().await;
    assert_eq!(auth.read("/api/v1/registrations/42").await.status(), StatusCode::NOT_FOUND);
    let refused = auth.read("/api/v1/auth/register").await;
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.headers()[ALLOW], "POST");
    auth.stop().await;
}
