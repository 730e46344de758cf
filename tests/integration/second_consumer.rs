//! `examples/second-consumer`: a consumer on `crates/inbox` with a database of its
//! own has the guarantee of the todo service.

use std::fs::File;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::join_all;
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use onboard_fault::{Side, Step};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Child;

use crate::harness::{App, Options, eventually};
use crate::kill_points::tokens::Tokens;

const QUEUE: &str = "crm.user_registered";
const LETTERS: &str = "crm.user_registered.dlq";

/// The process of the example, which is started again when it has died.
struct Crm<'a> {
    app: &'a App,
    failpoints: String,
    child: Mutex<Option<Child>>,
    log: TempDir,
}

impl<'a> Crm<'a> {
    fn start(app: &'a App, failpoints: &str) -> Self {
        let (failpoints, log) = (failpoints.to_owned(), tempfile::tempdir().unwrap());
        let crm = Self { app, failpoints, child: Mutex::new(None), log };
        crm.runs();
        crm
    }

    /// Starts it, unless it runs.
    fn runs(&self) {
        let mut child = self.child.lock().unwrap();
        if child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none()) {
            return;
        }
        let mut command = self.app.command(&["second-consumer"]);
        command.env("CRM_DATABASE", self.name()).env("FAILPOINTS", &self.failpoints);
        let log = File::options().create(true).append(true).open(self.log.path().join("log"));
        *child = Some(command.stdout(Stdio::null()).stderr(log.unwrap()).spawn().unwrap());
    }

    /// Asks it to end, and expects that it does so with exit code 0.
    async fn stop(&self) {
        let mut child = self.child.lock().unwrap().take().unwrap();
        kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGTERM).unwrap();
        let ended = tokio::time::timeout(Duration::from_mins(1), child.wait()).await;
        assert!(ended.unwrap().unwrap().success(), "{}", self.said());
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.log.path().join("log")).unwrap_or_default()
    }

    fn name(&self) -> String {
        format!("crm-{}", self.app.names)
    }

    async fn database(&self) -> Database {
        self.app.auth_database().await.client().database(&self.name())
    }

    /// Every registered user is one customer, and each event has one record, whose
    /// acknowledgement is noted.
    async fn has_each_user_once(&self) {
        let database = self.database().await;
        let count = async |collection: &str, filter: Document| {
            database.collection::<Document>(collection).count_documents(filter).await.unwrap()
        };
        let users = self.app.users().await.count_documents(doc! {}).await.unwrap();
        let noted = doc! { "acknowledgedAt": { "$type": "date" } };
        eventually("every acknowledgement is noted", async || {
            match count("processed_events", noted.clone()).await {
                found if found == users => Ok(()),
                found => Err((found, self.said())),
            }
        })
        .await;
        assert_eq!(count("customers", doc! {}).await, users, "customers and users");
        assert_eq!(count("processed_events", doc! {}).await, users, "records and events");
    }

    /// Whether MongoDB takes customers.
    async fn takes_customers(&self, takes: bool) {
        let rule = if takes {
            doc! {}
        } else {
            doc! { "never": true }
        };
        let rule = doc! { "collMod": "customers", "validator": rule };
        self.database().await.run_command(rule).await.unwrap();
    }

    async fn letters_are(&self, count: u32) {
        eventually(&format!("{count} dead letters"), async || {
            match (self.app.depth(QUEUE).await, self.app.depth(LETTERS).await) {
                (0, letters) if letters == count => Ok(()),
                depths => Err((depths, self.said())),
            }
        })
        .await;
    }
}

/// Puts a body straight into the consumer's queue.
async fn put(app: &App, body: &[u8]) {
    let channel = app.channel().await;
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    channel.basic_publish("".into(), QUEUE.into(), options, body, properties).await.unwrap();
    channel.close(200, "put".into()).await.unwrap();
}

#[tokio::test]
async fn each_user_is_one_customer_whatever_comes_again_or_is_refused() {
    let app = App::start_with(Options::default().expecting_crm()).await;
    let crm = Crm::start(&app, "");
    let events = join_all((0..3).map(|_| app.register())).await;
    for event in &events {
        app.reaches(*event, "ACKNOWLEDGED").await;
    }
    let user = app.registered_user(events[0]).await;
    let row = app.row(events[0]).await;
    let acknowledged = row.get_document("acknowledgements").unwrap().get_document("crm").unwrap();
    assert_eq!(acknowledged.get_str("ref").unwrap(), user.to_string());
    join_all((0..20).map(|_| app.publish_registered(events[0], user))).await;

    crm.takes_customers(false).await;
    let refused = app.register().await;
    put(&app, b"{").await;
    crm.letters_are(2).await;
    let letters = app.peek(LETTERS).await;
    let mut reasons: Vec<_> = letters
        .iter()
        .map(|letter| letter["properties"]["headers"]["x-onboard-reason"].as_str().unwrap())
        .collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["not_json", "store_rejected"]);
    crm.takes_customers(true).await;
    let order = ["redrive", "--dead-letters", "--discard", "--reason", "the rule is mended"];
    let done = app.tool(&order).await.yes();
    assert_eq!(done["acts"], json!({ "putBack": 1, "discard": 1 }), "{done}");
    app.reaches(refused, "ACKNOWLEDGED").await;
    crm.letters_are(0).await;
    app.nothing_is_left().await;
    crm.has_each_user_once().await;
    // The duplicates that were in flight have ended with the process.
    crm.stop().await;
    crm.has_each_user_once().await;
    app.is_clean().await;
    crm.database().await.drop().await.unwrap();
    app.finish().await;
}

#[tokio::test]
async fn the_second_consumer_may_be_killed_before_and_after_each_step() {
    let app = App::start_with(Options::default().expecting_crm()).await;
    let steps = [
        Step("inbox.commit"),
        Step("acknowledge.signal"),
        Step("acknowledge.note"),
        Step("delivery.ack"),
    ];
    let points =
        steps.iter().flat_map(|step| [Side::Before, Side::After].map(|side| step.point(side)));
    let tokens = Tokens::new(points);
    let crm = Crm::start(&app, &tokens.armed("crash"));
    eventually("it was killed at each point", async || {
        crm.runs();
        if app.unfinished_rows().await < 4 {
            app.register().await;
        }
        let left = tokens.left();
        if left.is_empty() { Ok(()) } else { Err((left, crm.said())) }
    })
    .await;
    eventually("everything is acknowledged", async || {
        crm.runs();
        match app.unfinished_rows().await {
            0 => Ok(()),
            rows => Err((rows, crm.said())),
        }
    })
    .await;
    crm.has_each_user_once().await;
    app.nothing_is_left().await;
    crm.stop().await;
    app.is_clean().await;
    crm.database().await.drop().await.unwrap();
    app.finish().await;
}
