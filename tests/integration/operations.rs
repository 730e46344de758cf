//! The runbook's part "Operations": its commands are run as they stand there,
//! on an `onboard up` that people register at.

mod data;
mod services;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::harness::{Entry, Operated, eventually, is_in, text};

/// The relay and the workflows look soon.
const SOON: [(&str, &str); 2] = [("RELAY_REBUILD_AFTER", "2s"), ("REGISTRATION_OVERDUE", "2s")];

/// Between two people who register: what a stack on a busy machine keeps up with.
const PACE: Duration = Duration::from_millis(300);

/// Somebody registers; the registration when it was answered with 201.
async fn register(auth: &str) -> Option<String> {
    let email = format!("{}@example.com", uuid::Uuid::new_v4().simple());
    let sent = reqwest::Client::new()
        .post(format!("{auth}/api/v1/auth/register"))
        .json(&json!({ "email": email, "password": "correct horse battery" }))
        .timeout(Duration::from_secs(20))
        .send();
    let answer = sent.await.ok().filter(|answer| answer.status() == 201)?;
    let body: Value = answer.json().await.ok()?;
    Some(body["registrationId"].as_str().unwrap().to_owned())
}

impl Operated {
    async fn does(&self, command: &str) {
        let ran = self.sh(command, &[]).await;
        assert!(ran.status.success(), "{command}: {}", text(&ran));
    }

    /// So many people, each in this stage.
    async fn registered(&self, people: usize, stage: &str) -> Vec<String> {
        let auth = self.variable("AUTH_URL").await;
        let mut ids = Vec::new();
        for _ in 0..people {
            ids.push(
                eventually("somebody registers", async || register(&auth).await.ok_or(())).await,
            );
        }
        self.reach(&ids, stage).await;
        ids
    }

    async fn reach(&self, ids: &[String], stage: &str) {
        let auth = self.variable("AUTH_URL").await;
        for id in ids {
            let url = format!("{auth}/api/v1/registrations/{id}");
            eventually(&format!("{id} reaches {stage}"), async || {
                let answer = reqwest::get(&url).await.map_err(|e| e.to_string())?;
                let seen: Value = answer.json().await.map_err(|e| e.to_string())?;
                if is_in(&seen, stage) { Ok(()) } else { Err(seen.to_string()) }
            })
            .await;
        }
    }

    /// People register while the work is done; those who were answered with 201
    /// all come to the end.
    async fn under_load(&self, work: impl Future<Output = ()>) {
        let auth = self.variable("AUTH_URL").await;
        let (over, done) = watch::channel(false);
        let people = async {
            let mut ids = Vec::new();
            let mut clock = tokio::time::interval(PACE);
            while !*done.borrow() {
                clock.tick().await;
                // Where nobody is there to refuse, as a client that tries again.
                ids.extend(register(&auth).await);
            }
            ids
        };
        let work = async {
            work.await;
            over.send_replace(true);
        };
        let (ids, ()) = tokio::join!(people, work);
        assert!(!ids.is_empty(), "somebody registered meanwhile");
        self.reach(&ids, "ACKNOWLEDGED").await;
    }

    /// One operation of the runbook, up to its end.
    async fn performs(&self, entry: &Entry, variables: &[(&str, &str)]) -> String {
        let printed = self.run(entry, "Steps", variables).await;
        self.comes_true(entry, "Verify", variables).await;
        printed
    }
}
