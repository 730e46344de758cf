//! Many registrations that are done, inserted by hand.

use mongodb::bson::{DateTime, Document, doc};
use onboard_contract::UserId;
use onboard_events::TodoId;
use uuid::Uuid;

use super::{App, binary};

impl App {
    /// Whole registrations, so old that Temporal has forgotten their workflows.
    pub(crate) async fn insert_old(&self, count: usize) {
        let old = DateTime::from_millis(DateTime::now().timestamp_millis() - 90 * 86_400_000);
        let (users, outbox) = (self.users().await, self.outbox().await);
        let (inbox, todos) = (self.inbox().await, self.todos().await);
        let ids: Vec<(Uuid, Uuid)> = (0..count).map(|_| (Uuid::now_v7(), Uuid::new_v4())).collect();
        for ids in ids.chunks(2_000) {
            let of = |make: &dyn Fn(Uuid, Uuid) -> Document| -> Vec<Document> {
                ids.iter().map(|(event, user)| make(*event, *user)).collect()
            };
            let todo = |user: Uuid| binary(TodoId::welcome(UserId::from(user)).uuid());
            let user_documents = of(&|_, user| {
                let email = format!("{}@example.com", user.simple());
                doc! { "_id": binary(user), "email": &email, "emailCanonical": &email,
                "passwordHash": "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", "createdAt": old }
            });
            let rows = of(&|event, user| {
                let email = format!("{}@example.com", user.simple());
                doc! { "_id": binary(event), "aggregateType": "User", "aggregateId": binary(user),
                "eventType": "USER_REGISTERED", "schemaVersion": 1_i64,
                "payload": { "userId": binary(user), "email": email }, "traceparent": null,
                "status": "SENT", "createdAt": old, "startedAt": old, "sentAt": old,
                "acknowledgedAt": old, "attempts": 1 }
            });
            let records = of(&|event, user| {
                doc! { "eventId": binary(event), "userId": binary(user), "todoId": todo(user),
                "processedAt": old, "acknowledgedAt": old }
            });
            let welcome = of(&|_, user| {
                doc! { "_id": todo(user), "userId": binary(user), "title": "Welcome to the App",
                "completed": false, "createdAt": old, "updatedAt": old }
            });
            tokio::try_join!(
                async { users.insert_many(&user_documents).await },
                async { outbox.insert_many(&rows).await },
                async { inbox.insert_many(&records).await },
                async { todos.insert_many(&welcome).await },
            )
            .unwrap();
        }
    }
}
