//! What the matrix of kill points asks and sees beside what every test does.

use mongodb::bson::doc;
use serde_json::json;

use super::App;
use super::eventually::eventually;

impl App {
    /// Registers an address; the status and the body, or why there is none.
    pub(crate) async fn register_as(&self, email: &str) -> Result<(u16, String), String> {
        let answer = self
            .http
            .post(format!("{}/api/v1/auth/register", self.url("auth")))
            .json(&json!({ "email": email, "password": "correct horse battery" }))
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        answer.text().await.map(|body| (status, body)).map_err(|error| error.to_string())
    }

    /// One user and one registration have this address.
    pub(crate) async fn is_registered_once(&self, email: &str) {
        let users = self.users().await;
        assert_eq!(users.count_documents(doc! { "email": email }).await.unwrap(), 1, "{email}");
        let rows = self.outbox().await;
        let rows = rows.count_documents(doc! { "payload.email": email }).await.unwrap();
        assert_eq!(rows, 1, "{email}");
    }

    /// As many workflows as outbox rows.
    pub(crate) async fn every_registration_has_one_workflow(&self) {
        let rows = self.outbox().await.count_documents(doc! {}).await.unwrap();
        self.visibility_lists(rows).await;
    }

    /// Waits until visibility, which lags, lists so many workflows.
    pub(crate) async fn visibility_lists(&self, expected: u64) {
        eventually("visibility has caught up", async || {
            let workflows = self.all_workflows().await as u64;
            if workflows == expected { Ok(()) } else { Err(format!("{workflows} of {expected}")) }
        })
        .await;
    }
}
