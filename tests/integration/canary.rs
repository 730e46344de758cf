//! A canary: somebody with an address, a password and a key that occur nowhere
//! else registers, meets every kind of refusal and ends as a dead letter. Then
//! everything that anybody could read is searched.
//!
//! The address may be where it is needed (`ALLOWED`), a token in the answer that
//! gives it. Password and key may be nowhere.

use std::collections::BTreeSet;
use std::path::Path;

use futures::TryStreamExt;
use memchr::memmem;
use mongodb::Client;
use mongodb::bson::{Bson, Document, RawDocumentBuf, Timestamp, doc};
use onboard::services::names;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{App, Collector, Heard, Options, Tokens, shared_servers};

/// What is where, and why.
const ALLOWED: [(&str, &str); 14] = [
    // The account.
    ("address", "mongodb auth.users.email"),
    ("address", "mongodb auth.users.emailCanonical"),
    // What is to be published, and MongoDB's own record of both writes.
    ("address", "mongodb auth.outbox.payload.email"),
    ("address", "mongodb local.oplog.rs"),
    // The message, in the queue and among the dead letters.
    ("address", "queue payload"),
    ("address", "dead letter payload"),
    // To whoever sent it, and to whoever has the token.
    ("address", "answer 201 email"),
    ("address", "answer 200 email"),
    // What an operator asks for by name.
    ("address", "tool users"),
    ("address", "tool show"),
    // To whoever logged in or refreshed.
    ("access token", "answer 200 accessToken"),
    ("device token", "header set-cookie"),
    ("refresh token", "answer 200 refreshToken"),
    ("next refresh token", "answer 200 refreshToken"),
];

/// What must not be found: its name, and its bytes in lower case.
struct Canary {
    needles: Vec<(&'static str, Vec<u8>)>,
    found: BTreeSet<(&'static str, String)>,
}

impl Canary {
    fn new(needles: [(&'static str, &str); 3]) -> Self {
        let mut canary = Self { needles: Vec::new(), found: BTreeSet::new() };
        for (name, text) in needles {
            canary.seek(name, text);
        }
        canary
    }

    /// Looks for this as well from now on.
    fn seek(&mut self, name: &'static str, text: &str) {
        self.needles.push((name, text.to_lowercase().into_bytes()));
    }

    /// Looks into bytes that lie at a place.
    fn look(&mut self, place: &str, bytes: &[u8]) {
        let lower = bytes.to_ascii_lowercase();
        for (name, needle) in &self.needles {
            if memmem::find(&lower, needle).is_some() {
                self.found.insert((name, place.to_owned()));
            }
        }
    }

    /// Looks at every value of a JSON document.
    fn look_json(&mut self, place: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.look(place, name.as_bytes());
                    self.look_json(&format!("{place} {name}"), value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.look_json(place, item)),
            other => self.look(place, other.to_string().as_bytes()),
        }
    }

    fn look_bson(&mut self, place: &str, value: &Bson) {
        match value {
            Bson::Document(fields) => {
                for (name, value) in fields {
                    self.look_bson(&format!("{place}.{name}"), value);
                }
            }
            Bson::Array(items) => items.iter().for_each(|item| self.look_bson(place, item)),
            Bson::Binary(binary) => self.look(place, &binary.bytes),
            other => self.look(place, other.to_string().as_bytes()),
        }
    }

    fn heard(&mut self, heard: &Heard) {
        self.look_json(&format!("answer {}", heard.status), &heard.body);
        for (name, value) in &heard.headers {
            self.look(&format!("header {name}"), value.as_bytes());
        }
    }

    /// The databases of the application, and those of the server itself; its
    /// oplog from a time on.
    async fn mongodb(&mut self, app: &App, since: Timestamp) {
        let client = app.auth_database().await.client().clone();
        self.oplog(&client, since).await;
        for name in client.list_database_names().await.unwrap() {
            let label = name.trim_end_matches(&app.names).trim_end_matches('-');
            if label == name && !["admin", "config", "local"].contains(&label) {
                continue;
            }
            let database = client.database(&name);
            let collections = database.list_collection_names().await.unwrap();
            for collection in collections.iter().filter(|name| *name != "oplog.rs") {
                let mut all =
                    database.collection::<Document>(collection).find(doc! {}).await.unwrap();
                let place = format!("mongodb {label}.{collection}");
                while let Some(document) = all.try_next().await.unwrap() {
                    self.look_bson(&place, &Bson::Document(document));
                }
            }
        }
    }

    async fn oplog(&mut self, client: &Client, since: Timestamp) {
        let oplog = client.database("local").collection::<RawDocumentBuf>("oplog.rs");
        let mut all = oplog.find(doc! { "ts": { "$gte": since } }).await.unwrap();
        while let Some(entry) = all.try_next().await.unwrap() {
            self.look("mongodb local.oplog.rs", entry.as_bytes());
        }
    }

    /// The files below a directory.
    fn files(&mut self, dir: &Path) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.files(&path);
            } else {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                self.look(&format!("log {name}"), &std::fs::read(&path).unwrap());
            }
        }
    }

    /// What was found where nothing may be.
    fn astray(&self) -> Vec<&(&'static str, String)> {
        let allowed = |(name, place): &(&str, String)| ALLOWED.contains(&(name, place.as_str()));
        self.found.iter().filter(|found| !allowed(found)).collect()
    }
}

/// By MongoDB's clock.
async fn now(app: &App) -> Timestamp {
    let hello = app.auth_database().await.run_command(doc! { "hello": 1 }).await.unwrap();
    hello.get_timestamp("operationTime").unwrap()
}

/// A refresh token that is used again is refused at once.
fn used_once(options: Options) -> Options {
    options.with("REFRESH_TOKEN_GRACE", "0s")
}

#[tokio::test]
async fn address_password_and_key_are_found_nowhere_they_are_not_needed() {
    let collector = Collector::start();
    let options = collector.of_all(used_once(Options::only(&["auth", "relay", "worker"])));
    let app = App::start_with(options).await;
    let since = now(&app).await;
    let local = format!("Canary.{}", Uuid::new_v4().simple());
    let email = format!("{local}@Example.com");
    let password = format!("feathers {}", Uuid::new_v4().simple());
    let key = format!("perch-{}", Uuid::new_v4().simple());
    let mut canary = Canary::new([("address", &local), ("password", &password), ("key", &key)]);

    let made = app.keyed(&key, &email, &password).await;
    assert_eq!(made.status, 201, "{made:?}");
    canary.heard(&made);
    let event = made.body["registrationId"].as_str().unwrap().parse().unwrap();
    app.reaches(event, "SENT").await;
    canary.look_json("answer registration", &app.registration(event).await);

    // What is answered to whoever sends something wrong.
    for (key, email, password, status) in [
        (&key, &email, &format!("{password}x"), 422),
        (&format!("{key}x"), &email, &password, 409),
        (&format!("{key} x"), &email, &password, 400),
        (&format!("{key}y"), &email, &local, 422),
        (&format!("{key}y"), &local, &password, 422),
    ] {
        let refused = app.keyed(key, email, password).await;
        assert_eq!(refused.status, status, "{refused:?}");
        canary.heard(&refused);
    }

    sign_in(&app, &mut canary, &email, &password).await;

    // The message while it waits, and as a dead letter.
    let waiting = app.waiting_messages().await;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    canary.look_json("queue", &Value::Array(waiting));
    app.refuse_todos().await;
    app.component("todo").start().await.unwrap();
    app.dead_letters_are(1).await;
    canary.look_json("dead letter", &Value::Array(app.dead_letters().await));

    tools(&app, &mut canary, &event.to_string()).await;
    for service in names() {
        let url = format!("{}/metrics", app.url(service));
        let text = app.http.get(url).send().await.unwrap().bytes().await.unwrap();
        canary.look(&format!("metrics of {service}"), &text);
    }
    let traced = collector.spans().len();
    assert!(traced > 10, "{traced} spans");
    canary.look("spans", &collector.bytes());
    canary.look("temporal history", &app.history_bytes(event).await);
    canary.look("temporal visibility", &app.described_bytes(event).await);
    canary.mongodb(&app, since).await;
    canary.files(&shared_servers().await.home().dir().join("logs"));

    let found: Vec<_> = canary.found.iter().map(|(name, place)| (*name, place.as_str())).collect();
    for allowed in ALLOWED {
        assert!(
            found.contains(&allowed),
            "the search sees what is there: {allowed:?} of {found:?}"
        );
    }
    assert_eq!(canary.astray(), Vec::<&(&str, String)>::new());
    app.accept_todos().await;
    app.purge_dead_letters().await;
    app.remove().await;
}

/// What the tools print.
async fn tools(app: &App, canary: &mut Canary, id: &str) {
    let tools = [
        &["list", "--json"][..],
        &["audit", "--json"],
        &["list"],
        &["show", id],
        &["keys", "list"],
        &["users", "list"],
        &["events"],
        &["events", "--json"],
    ];
    for args in tools {
        let output = app.onboard(args).await;
        canary.look(&format!("tool {}", args[0]), &[output.stdout, output.stderr].concat());
    }
}

/// Logs in wrongly and rightly, refreshes, asks who it is, uses todos, refreshes
/// with what is used up, and logs out.
async fn sign_in(app: &App, canary: &mut Canary, email: &str, password: &str) {
    let login = async |password: &str| {
        let body = json!({ "email": email, "password": password });
        Heard::of(app.try_post("auth", "/api/v1/auth/login", &body).await.unwrap()).await.unwrap()
    };
    let refused = login(&format!("{password}x")).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    canary.heard(&refused);
    let opened = login(password).await;
    let tokens = Tokens::read(&opened.body);
    canary.seek("access token", tokens.access.rsplit('.').next().unwrap());
    canary.seek("refresh token", &tokens.refresh);
    let device = opened.header("set-cookie").unwrap().split(';').next().unwrap();
    canary.seek("device token", device.strip_prefix("onboard_device=").unwrap());
    canary.heard(&opened);
    let me = app.ask("auth", "/api/v1/users/me", &tokens.access).await;
    canary.heard(&Heard::of(me).await.unwrap());
    let refresh = json!({ "refreshToken": tokens.refresh });
    for (path, status) in [("refresh", 200), ("refresh", 401), ("logout", 204)] {
        let path = format!("/api/v1/auth/{path}");
        let answer = app.try_post("auth", &path, &refresh).await.unwrap();
        let heard = Heard::of(answer).await.unwrap();
        assert_eq!(heard.status, status, "{path}: {heard:?}");
        if status == 200 {
            canary.seek("next refresh token", &Tokens::read(&heard.body).refresh);
        }
        canary.heard(&heard);
    }
}

#[test]
fn a_canary_is_seen_in_any_case_and_any_depth() {
    let mut canary = Canary::new([("address", "Bird"), ("password", "Feather"), ("key", "perch")]);
    canary.look("a", b"..bIrD..");
    canary.look_json("b", &json!({ "x": [{ "FEATHER": 1 }, "perc", "perch\u{e9}"] }));
    canary.look_bson("c", &Bson::Document(doc! { "y": { "z": ["bird"] } }));
    let found: Vec<_> = canary.found.iter().map(|(name, place)| (*name, place.as_str())).collect();
    let expected = [("address", "a"), ("address", "c.y.z"), ("key", "b x"), ("password", "b x")];
    assert_eq!(found, expected);
    assert_eq!(canary.astray().len(), 4);
}
