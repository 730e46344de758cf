//! A stack under observation, and whoever makes it fail.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection, Database};
use onboard::services::names;
use onboard_contract::EventId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Entry, Operated, PASSWORD, Prometheus, binary, eventually};

/// Hashing at its cheapest.
const SETTINGS: [(&str, &str); 3] =
    [("ONBOARD_INSECURE_HASHING", "yes"), ("ARGON2_MEMORY_KIB", "8"), ("ARGON2_ITERATIONS", "1")];

/// Why, as the operator of the tests puts it.
pub(super) const REASON: (&str, &str) = ("REASON", "the runbook is tried");

/// `onboard up` with Prometheus beside it.
pub(super) struct Watched {
    pub(super) operated: Operated,
    pub(super) prometheus: Prometheus,
    pub(super) http: reqwest::Client,
    pub(super) auth_url: String,
    mongo: Client,
}

impl Watched {
    /// With these settings besides the usual ones; the last word counts.
    pub(super) async fn up(settings: &[(&str, &str)]) -> Self {
        let operated = Operated::up(&[&SETTINGS[..], settings].concat()).await;
        let auth_url = operated.variable("AUTH_URL").await;
        let prometheus = Self::beside(&operated).await;
        let mongo = Client::with_uri_str(operated.variable("MONGODB_URI").await).await.unwrap();
        let watched = Self { operated, prometheus, http: reqwest::Client::new(), auth_url, mongo };
        eventually("every service is scraped", async || {
            let up = watched.prometheus.query("sum(up)").await;
            let all = names().len().to_string();
            if up.first().is_some_and(|up| up["value"][1] == all.as_str()) {
                Ok(())
            } else {
                Err(up)
            }
        })
        .await;
        watched
    }

    /// A Prometheus that scrapes the services of this stack.
    pub(super) async fn beside(operated: &Operated) -> Prometheus {
        let mut targets = Vec::new();
        for service in names() {
            let variable = format!("{}_URL", service.to_uppercase());
            targets.push((service, operated.variable(&variable).await));
        }
        Prometheus::watch(&targets).await
    }

    /// Stops everything.
    pub(super) async fn down(self) {
        self.operated.down().await;
    }

    /// Runs a command that makes the fault.
    pub(super) async fn breaks(&self, script: &str) {
        let script = format!("eval \"$(onboard env)\"\n{script}");
        let ran = self.operated.sh(&script, &[]).await;
        assert!(ran.status.success(), "{script}: {}", crate::harness::text(&ran));
    }

    /// The entry's alerts fire, and are the ones that this test is about.
    pub(super) async fn alarmed(&self, entry: &Entry, alert: &str) {
        assert!(entry.alerts().iter().any(|named| named == alert), "{alert} leads elsewhere");
        self.prometheus.fires(alert).await;
    }

    /// Check and Fix as written, then Verify until it is true.
    pub(super) async fn follow(&self, entry: &Entry, variables: &[(&str, &str)]) {
        self.check(entry, variables).await;
        self.mend(entry, variables).await;
    }

    /// The entry's Check.
    pub(super) async fn check(&self, entry: &Entry, variables: &[(&str, &str)]) {
        self.operated.run(entry, "Check", variables).await;
    }

    /// The entry's Fix, where it has commands, and its Verify.
    pub(super) async fn mend(&self, entry: &Entry, variables: &[(&str, &str)]) {
        if !entry.commands("Fix").is_empty() {
            self.operated.run(entry, "Fix", variables).await;
        }
        self.operated.comes_true(entry, "Verify", variables).await;
    }

    /// The answer to a registration of a fresh address.
    pub(super) async fn post_register(&self) -> reqwest::Result<reqwest::Response> {
        let email = format!("{}@example.com", Uuid::new_v4().simple());
        self.post("auth/register", json!({ "email": email, "password": PASSWORD })).await
    }

    /// Registers a fresh address; the registration.
    pub(super) async fn register(&self) -> String {
        let answer = self.post_register().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        let body: Value = answer.json().await.unwrap();
        body["registrationId"].as_str().unwrap().to_owned()
    }

    /// Posts to the API of auth.
    pub(super) async fn post(&self, path: &str, body: Value) -> reqwest::Result<reqwest::Response> {
        self.http.post(format!("{}/api/v1/{path}", self.auth_url)).json(&body).send().await
    }

    /// Waits until the registration is in this stage.
    pub(super) async fn reaches(&self, id: &str, stage: &str) {
        let url = format!("{}/api/v1/registrations/{id}", self.auth_url);
        eventually(&format!("{id} reaches {stage}"), async || {
            let seen = self.http.get(&url).send().await.map_err(|error| error.to_string())?;
            let seen: Value = seen.json().await.map_err(|error| error.to_string())?;
            if seen["stage"] == stage { Ok(()) } else { Err(seen.to_string()) }
        })
        .await;
    }

    /// Publishes a message by hand.
    pub(super) async fn publishes(&self, body: &str) {
        self.publishes_to("user.events", "user.registered", body).await;
    }

    /// Publishes a message by hand to this exchange.
    pub(super) async fn publishes_to(&self, exchange: &str, routing_key: &str, body: &str) {
        let management = self.operated.variable("AMQP_MANAGEMENT_URL").await;
        let message = json!({ "properties": {}, "routing_key": routing_key,
            "payload": body, "payload_encoding": "string" });
        let url = format!("{management}/api/exchanges/%2f/{exchange}/publish");
        let answer = self.http.post(url).json(&message).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["routed"], true, "{answer}");
    }

    /// A database of the stack.
    pub(super) fn database(&self, name: &str) -> Database {
        self.mongo.database(name)
    }

    /// The outbox.
    pub(super) fn outbox(&self) -> Collection<Document> {
        self.database("auth").collection("outbox")
    }

    /// Changes an outbox row behind everybody's back.
    pub(super) async fn spoil(&self, id: &str, change: Document) {
        let id: EventId = id.parse().unwrap();
        let this = doc! { "_id": binary(id.uuid()) };
        let outbox = self.outbox();
        let update = outbox.update_one(this, change).bypass_document_validation(true);
        assert_eq!(update.await.unwrap().matched_count, 1);
    }

    /// Makes a row as old as if two minutes had gone by since `field`.
    pub(super) async fn ages(&self, id: &str, field: &str) {
        self.ages_by(id, field, Duration::from_mins(2)).await;
    }

    /// Makes a row as old as if this long had gone by since `field`.
    pub(super) async fn ages_by(&self, id: &str, field: &str, age: Duration) {
        let age_ms = i64::try_from(age.as_millis()).unwrap();
        let then = mongodb::bson::DateTime::now().timestamp_millis() - age_ms;
        let then = mongodb::bson::DateTime::from_millis(then);
        self.spoil(id, doc! { "$set": { field: then } }).await;
    }
}
