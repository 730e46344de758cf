//! The effect of `USER_REGISTERED`: the user's welcome todo, and what is counted and
//! said about it.

use std::time::Duration;

use mongodb::ClientSession;
use mongodb::bson::DateTime;
use onboard_contract::{EventError, UserId};
use onboard_events::{TodoId, UserRegistered};
use onboard_inbox::{Applied, Arrived, Effect, Noticed, Turn};
use onboard_mongo::StoreError;
use onboard_runtime::clock;
use uuid::Uuid;

use crate::todos::{Todos, Welcome};

/// Makes welcome todos.
#[derive(Debug, Clone)]
pub(crate) struct WelcomeTodo(pub(crate) Todos);

impl Effect for WelcomeTodo {
    type Event = UserRegistered;

    fn decode(&self, body: &[u8]) -> Result<Arrived<UserRegistered>, EventError> {
        let event = UserRegistered::parse(body)?;
        let (user, todo) = (event.user_id.uuid(), TodoId::welcome(event.user_id).uuid());
        Ok(Arrived::new(event.event_id, user, todo, event))
    }

    async fn apply(
        &self,
        session: &mut ClientSession,
        events: &[&Arrived<UserRegistered>],
        turn: Turn,
    ) -> mongodb::error::Result<()> {
        let users: Vec<UserId> = events.iter().map(|event| event.event.user_id).collect();
        let known = match turn {
            Turn::First => Welcome::Missing,
            Turn::Again => Welcome::Unknown,
        };
        self.0.welcome(session, &users, known).await
    }

    async fn is_there(&self, user: Uuid, todo: Uuid) -> Result<bool, StoreError> {
        self.0.has_or_deleted(user.into(), todo.into()).await
    }

    fn notice(&self, noticed: &Noticed<'_, UserRegistered>) {
        match noticed {
            Noticed::Applied(event, applied) => report(&event.event, *applied),
            Noticed::Handled(verdict, took) => {
                metrics::counter!("todo_messages_total", "verdict" => *verdict).increment(1);
                metrics::histogram!("todo_message_seconds").record(*took);
            }
            Noticed::Group(outcome) => {
                metrics::counter!("todo_inbox_groups_total", "outcome" => *outcome).increment(1);
            }
            Noticed::Alone => metrics::counter!("todo_inbox_alone_total").increment(1),
            Noticed::Acknowledgement(outcome) => {
                metrics::counter!("todo_acknowledgements_total", "outcome" => *outcome)
                    .increment(1);
            }
        }
    }
}

fn report(event: &UserRegistered, applied: Applied) {
    let todo_id = applied.reference();
    match applied {
        Applied::Created(_) => {
            metrics::counter!("todo_welcome_tasks_created_total").increment(1);
            if let Some(since) = since_registered(event) {
                metrics::histogram!("registration_to_task_seconds").record(since);
            }
            tracing::info!(%todo_id, "welcome task created");
        }
        Applied::Duplicate(_) => {
            metrics::counter!("todo_duplicates_total").increment(1);
            tracing::info!(%todo_id, "duplicate; nothing changed");
        }
        Applied::Conflict(_) => {
            metrics::counter!("todo_conflicts_total").increment(1);
            tracing::warn!(
                event_id = %event.event_id,
                %todo_id,
                "conflict: this event id came for another user before; the welcome task of this \
                 user is applied all the same"
            );
        }
    }
}

/// Only an event published by hand does not say when it happened.
fn since_registered(event: &UserRegistered) -> Option<Duration> {
    let at = DateTime::parse_rfc3339_str(event.occurred_at.as_deref()?).ok()?;
    let since_ms = clock::now_ms().saturating_sub(at.timestamp_millis());
    Some(Duration::from_millis(u64::try_from(since_ms).unwrap_or_default()))
}
