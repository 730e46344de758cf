//! Registering as a client does that sends keys and repeats itself.

use futures::StreamExt;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use reqwest::Response;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::App;

/// What a client got.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Heard {
    /// An answer, read to its end. No body is null.
    pub(crate) async fn of(answer: Response) -> reqwest::Result<Self> {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await?;
        let body =
            if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Ok(Self { status, headers, body })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The slug of the problem it is.
    pub(crate) fn problem(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default().trim_start_matches("/problems/")
    }
}

impl App {
    /// Registers fresh addresses, sixteen at a time.
    pub(crate) async fn register_many(&self, people: usize) {
        futures::stream::iter(0..people)
            .for_each_concurrent(16, async |_| {
                self.register().await;
            })
            .await;
    }

    /// Registers with the value of an `Idempotency-Key` header; `Err` when no
    /// answer came.
    pub(crate) async fn register_with(
        &self,
        service: &str,
        key: Option<&str>,
        email: &str,
        password: &str,
    ) -> Result<Heard, String> {
        let url = format!("{}/api/v1/auth/register", self.url(service));
        let body = json!({ "email": email, "password": password });
        let mut request = self.http.post(url).json(&body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await.map_err(|error| error.to_string())?;
        Heard::of(answer).await.map_err(|error| error.to_string())
    }

    /// The same at the one auth service, which answers.
    pub(crate) async fn keyed(&self, key: &str, email: &str, password: &str) -> Heard {
        self.register_with("auth", Some(key), email, password).await.unwrap()
    }

    /// The records of idempotency keys.
    pub(crate) async fn keys(&self) -> Collection<Document> {
        self.auth_database().await.collection("idempotency_keys")
    }

    /// How many users, outbox rows and idempotency keys there are.
    pub(crate) async fn counts(&self) -> (u64, u64, u64) {
        let users = self.users().await.count_documents(doc! {}).await.unwrap();
        let rows = self.outbox().await.count_documents(doc! {}).await.unwrap();
        let keys = self.keys().await.count_documents(doc! {}).await.unwrap();
        (users, rows, keys)
    }
}
