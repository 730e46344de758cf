//! What a test does as an operator: runs the tools, spoils things so that
//! there is something to heal, and mends them.

use std::process::Stdio;

use lapin::options::QueuePurgeOptions;
use mongodb::bson::{Document, doc};
use onboard_contract::{EventId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::eventually::eventually;
use super::store::binary;
use super::{App, text};

/// What a tool answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) json: Value,
    pub(crate) text: String,
}

impl Answer {
    /// The document, where the answer is yes.
    pub(crate) fn yes(self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.text);
        self.json
    }

    /// The document, where the answer is no.
    pub(crate) fn no(self) -> Value {
        assert_eq!(self.code, Some(1), "{}", self.text);
        self.json
    }
}

impl App {
    /// Runs a tool with `--json`.
    pub(crate) async fn tool(&self, args: &[&str]) -> Answer {
        let output = self.onboard(&[args, &["--json"]].concat()).await;
        Answer {
            code: output.status.code(),
            json: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            text: text(&output),
        }
    }

    /// Starts a tool that is going to be killed.
    pub(crate) fn start_tool(&self, args: &[&str]) -> tokio::process::Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs a tool into a fail point that ends it. Its open transaction is ended, which
    /// the server would do after a minute.
    pub(crate) async fn crash_tool(&self, args: &[&str], point: &str) {
        self.crash(self.command(args), point).await;
    }

    /// The same for a command with more settings.
    pub(crate) async fn crash(&self, mut command: tokio::process::Command, point: &str) {
        command.env("MONGODB_URI", format!("{}&appName={}", self.places.mongodb_uri, self.id));
        let output = command.env("FAILPOINTS", format!("{point}=return(crash)")).output();
        let output = output.await.unwrap();
        assert_eq!(output.status.code(), None, "{point} was not reached: {}", text(&output));
        self.end_orphans().await;
    }

    /// From now on the todo service's messages become dead letters
    /// (`store_rejected`). `onboard setup` mends it.
    pub(crate) async fn refuse_todos(&self) {
        let never = doc! { "$jsonSchema": { "required": ["never"] } };
        let refuse = doc! { "collMod": "todos", "validator": never, "validationLevel": "strict" };
        self.todo_database().await.run_command(refuse).await.unwrap();
    }

    /// Ends [`Self::refuse_todos`].
    pub(crate) async fn accept_todos(&self) {
        let output = self.onboard(&["setup"]).await;
        assert!(output.status.success(), "{}", text(&output));
    }

    /// Waits until so many dead letters are there.
    pub(crate) async fn dead_letters_are(&self, count: u32) {
        eventually(&format!("{count} dead letters"), async || match self.queue_depths().await {
            (0, dead) if dead == count => Ok(()),
            depths => Err(depths),
        })
        .await;
    }

    /// Publishes an event by hand that belongs to no registration.
    pub(crate) async fn publish_event_by_hand(&self) -> (EventId, UserId) {
        let (event, user) = (Uuid::now_v7(), Uuid::new_v4());
        let body = json!({ "eventId": event, "eventType": "USER_REGISTERED", "schemaVersion": 1,
            "payload": { "userId": user, "email": "hand@example.com" } });
        assert!(self.publish_by_hand(&body.to_string()).await);
        (event.into(), user.into())
    }

    /// Loses what waits in the queue.
    pub(crate) async fn purge_queue(&self) {
        let channel = self.clients.channel(&self.amqp_url()).await;
        let purge =
            channel.queue_purge("user_registered_queue".into(), QueuePurgeOptions::default());
        purge.await.unwrap();
        channel.close(200, "purged".into()).await.unwrap();
    }

    /// Changes an outbox row behind everybody's back.
    pub(crate) async fn spoil_row(&self, event: EventId, change: Document) {
        let this = doc! { "_id": binary(event.uuid()) };
        let outbox = self.outbox().await;
        let update = outbox.update_one(this, change).bypass_document_validation(true);
        assert_eq!(update.await.unwrap().matched_count, 1);
    }

    /// What was recorded about redrives, oldest first.
    pub(crate) async fn redrives(&self, filter: Document) -> Vec<Document> {
        use futures::TryStreamExt;
        let redrives = self.auth_database().await.collection::<Document>("redrives");
        let found = redrives.find(filter).sort(doc! { "_id": 1 }).await.unwrap();
        found.try_collect().await.unwrap()
    }
}
