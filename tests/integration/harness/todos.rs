//! Users of the todos API, with tokens that the test itself signs: the todo
//! service takes its keys from an issuer that stands in for auth.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onboard_contract::{EventId, UserId};
use onboard_events::TodoId;
use onboard_events::names::TOKEN_ISSUER;
use onboard_runtime::{Problems, clock};
use onboard_token::{Jwk, JwkSet, Role, Signer, SigningKey, Subject, TokenArgs};
use reqwest::header::{ETAG, HeaderMap};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use super::eventually::eventually;
use super::{App, Options};

/// Signs tokens and publishes the keys, while it is up.
#[derive(Clone)]
pub(crate) struct Issuer {
    told: Told,
    url: String,
    _serving: Arc<JoinSet<()>>,
}

/// What its server is told.
#[derive(Clone)]
struct Told {
    keys: Arc<Mutex<Vec<Arc<SigningKey>>>>,
    up: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    /// Where whoever asks is sent to instead.
    elsewhere: Option<String>,
}

impl Issuer {
    /// One that is up, with one key.
    pub(crate) async fn start() -> Self {
        Self::start_as(None, None).await
    }

    /// The same over TLS.
    pub(crate) async fn secure(tls: TlsAcceptor) -> Self {
        Self::start_as(Some(tls), None).await
    }

    /// One that sends whoever asks to this URL.
    pub(crate) async fn redirecting(tls: Option<TlsAcceptor>, to: &str) -> Self {
        Self::start_as(tls, Some(to.to_owned())).await
    }

    async fn start_as(tls: Option<TlsAcceptor>, elsewhere: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let at = listener.local_addr().unwrap();
        let url = format!("{scheme}://{at}/.well-known/jwks.json");
        let keys = Arc::new(Mutex::new(vec![fresh_key()]));
        let (up, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let told = Told { keys, up, asked, elsewhere };
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, tls, told.clone()));
        Self { told, url, _serving: Arc::new(serving) }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whether it answers from now on.
    pub(crate) fn switch(&self, up: bool) {
        self.told.up.store(up, Ordering::SeqCst);
    }

    /// How often it was asked for its keys.
    pub(crate) fn asked(&self) -> usize {
        self.told.asked.load(Ordering::SeqCst)
    }

    /// A new key signs; the old ones stay published.
    pub(crate) fn rotate(&self) {
        self.told.keys.lock().unwrap().push(fresh_key());
    }

    /// The key that signs.
    pub(crate) fn key(&self) -> Arc<SigningKey> {
        self.told.keys.lock().unwrap().last().unwrap().clone()
    }

    /// A token for a user.
    pub(crate) fn token(&self, user: UserId) -> String {
        let key = self.key();
        let subject = Subject { user, roles: vec![Role::User], session: clock::random_id().into() };
        let config = TokenArgs::default().check(TOKEN_ISSUER, &mut Problems::default());
        Signer::new(config, Duration::from_mins(15)).sign(&key, &subject, clock::now_ms()).token
    }
}

fn fresh_key() -> Arc<SigningKey> {
    Arc::new(SigningKey::read(&SigningKey::generate().unwrap()).unwrap())
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, told: Told) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        told.asked.fetch_add(1, Ordering::SeqCst);
        if !told.up.load(Ordering::SeqCst) {
            continue;
        }
        match &tls {
            None => answer(stream, &told).await.ok(),
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => answer(stream, &told).await.ok(),
                Err(_) => None,
            },
        };
    }
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    told: &Told,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let keys = told.keys.lock().unwrap().iter().map(|key| Jwk::publish(key.public())).collect();
    let body = serde_json::to_string(&JwkSet { keys }).unwrap();
    let status = match &told.elsewhere {
        None => "200 OK".to_owned(),
        Some(url) => format!("302 Found\r\nlocation: {url}"),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    stream.shutdown().await
}

/// A todo service and an issuer, without the other services.
pub(crate) struct Desk {
    pub(crate) app: App,
    pub(crate) issuer: Issuer,
}

impl Desk {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::only(&["todo"])).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let issuer = Issuer::start().await;
        let options = options.with_for("todo", "JWKS_URL", issuer.url());
        Self { app: App::start_with(options).await, issuer }
    }

    /// Somebody with a token.
    pub(crate) fn somebody(&self) -> Person {
        self.app.person(&self.issuer, clock::random_id().into())
    }

    /// Somebody who has a welcome todo by now, and the event it came with.
    pub(crate) async fn welcomed(&self) -> (Person, EventId) {
        let person = self.somebody();
        let event = EventId::from(Uuid::now_v7());
        self.app.publish_registered(event, person.id).await;
        eventually("the welcome todo is there", async || {
            let found = person.read(person.welcome()).await;
            if found.status == StatusCode::OK { Ok(()) } else { Err(found) }
        })
        .await;
        (person, event)
    }
}

impl App {
    /// A user of the todos API with a token of the issuer's.
    pub(crate) fn person(&self, issuer: &Issuer, id: UserId) -> Person {
        self.holder(&issuer.token(id), id)
    }

    /// A user of the todos API with this token.
    pub(crate) fn holder(&self, token: &str, id: UserId) -> Person {
        Person { http: self.http.clone(), url: self.url("todo"), token: token.to_owned(), id }
    }

    /// Publishes the event of a registration by hand.
    pub(crate) async fn publish_registered(&self, event: EventId, user: UserId) {
        let body = json!({ "eventId": event, "eventType": "USER_REGISTERED", "schemaVersion": 1,
            "payload": { "userId": user, "email": "by.hand@example.com" } });
        assert!(self.publish_by_hand(&body.to_string()).await);
    }

    /// Waits until the todo service has acked so many messages.
    pub(crate) async fn acked(&self, messages: u64) {
        eventually("the messages are acked", async || {
            let acked = self.counter("todo", "todo_messages_total", "verdict=\"ack\"").await;
            if acked == messages { Ok(()) } else { Err(acked) }
        })
        .await;
    }
}

/// A user of the todos API.
#[derive(Clone)]
pub(crate) struct Person {
    http: reqwest::Client,
    url: String,
    pub(crate) token: String,
    pub(crate) id: UserId,
}

/// What the API answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Reply {
    pub(crate) fn etag(&self) -> String {
        self.headers[ETAG].to_str().unwrap().to_owned()
    }

    /// The id of the todo it holds.
    pub(crate) fn id(&self) -> String {
        self.json["id"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }

    /// The `(place, detail)` of each error.
    pub(crate) fn errors(&self) -> Vec<(String, String)> {
        let errors = self.json["errors"].as_array().unwrap_or_else(|| panic!("{self:?}"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        errors
            .iter()
            .map(|error| {
                let place = error.get("pointer").or_else(|| error.get("parameter"));
                (text(place.unwrap()), text(&error["detail"]))
            })
            .collect()
    }
}

impl Person {
    pub(crate) fn welcome(&self) -> TodoId {
        TodoId::welcome(self.id)
    }

    /// A request with the token, to a path below `/api/v1/todos`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/api/v1/todos{path}", self.url);
        self.http.request(method, url).bearer_auth(&self.token)
    }

    pub(crate) async fn list(&self, query: &str) -> Reply {
        reply(self.request(Method::GET, query)).await
    }

    pub(crate) async fn create(&self, body: &Value) -> Reply {
        reply(self.request(Method::POST, "").json(body)).await
    }

    /// Creates a todo with this title.
    pub(crate) async fn add(&self, title: &str) -> Reply {
        let created = self.create(&json!({ "title": title })).await;
        assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
        created
    }

    pub(crate) async fn read(&self, id: impl std::fmt::Display) -> Reply {
        reply(self.request(Method::GET, &format!("/{id}"))).await
    }

    pub(crate) async fn change(&self, id: impl std::fmt::Display, body: &Value) -> Reply {
        reply(self.request(Method::PATCH, &format!("/{id}")).json(body)).await
    }

    pub(crate) async fn change_if(
        &self,
        id: impl std::fmt::Display,
        tag: &str,
        body: &Value,
    ) -> Reply {
        let request = self.request(Method::PATCH, &format!("/{id}")).header("if-match", tag);
        reply(request.json(body)).await
    }

    pub(crate) async fn delete(&self, id: impl std::fmt::Display) -> Reply {
        reply(self.request(Method::DELETE, &format!("/{id}"))).await
    }

    /// All ids, page by page.
    pub(crate) async fn all(&self, limit: usize) -> Vec<String> {
        let (mut ids, mut query) = (Vec::new(), format!("?limit={limit}"));
        loop {
            let page = self.list(&query).await;
            assert_eq!(page.status, StatusCode::OK, "{page:?}");
            let items = page.json["items"].as_array().unwrap();
            ids.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            let Some(next) = page.json["nextCursor"].as_str() else { return ids };
            query = format!("?limit={limit}&cursor={next}");
        }
    }
}

/// Sends a request.
pub(crate) async fn reply(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await.unwrap();
    let json = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)))
    };
    Reply { status, headers, json }
}
