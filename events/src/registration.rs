//! The workflow of `USER_REGISTERED`: its names, its input and what it answers.
//!
//! Every field added later is `#[serde(default)]`: a history written by an older build
//! must still be read.

use onboard_contract::message::OwnWorkflow;
use onboard_contract::workflow::Carried;
use onboard_contract::{Delivery, EventId, Progress, Start, TraceParent, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{TodoId, UserRegistered};

/// The workflow's type.
pub const WORKFLOW: &str = "UserRegistration";
/// The activity that publishes the event and awaits the confirm.
pub const ACTIVITY_PUBLISH: &str = "publish_user_registered";
/// Search attribute (Keyword): the user's id.
pub const ATTRIBUTE_USER: &str = "RegistrationUserId";

/// The workflow, as the engine starts it.
pub(crate) const REGISTRATION: &OwnWorkflow = &OwnWorkflow {
    name: WORKFLOW,
    id_prefix: "registration",
    input,
    publish: ACTIVITY_PUBLISH,
    attribute: ATTRIBUTE_USER,
    summary: "Welcome task for user",
};

/// The workflow id of a registration.
#[must_use]
pub fn workflow_id(event: EventId) -> String {
    UserRegistered::TYPE.workflow_id(event)
}

fn input(start: &Start, delivery: Option<Delivery>) -> Value {
    let input = RegistrationInput {
        event_id: start.event_id,
        user_id: start.aggregate_id.into(),
        traceparent: start.traceparent.clone(),
        overdue_ms: start.overdue_ms,
        delivery,
        carried: None,
    };
    // Ids, names and numbers only: serialising them cannot fail.
    serde_json::to_value(input).unwrap_or_default()
}

/// The input of the `UserRegistration` workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationInput {
    /// The outbox event.
    pub event_id: EventId,
    /// The user.
    pub user_id: UserId,
    /// The trace the registration belongs to.
    #[serde(default)]
    pub traceparent: Option<TraceParent>,
    /// How long after a publish its acknowledgement is overdue, in ms.
    #[serde(default = "onboard_contract::workflow::overdue_default")]
    pub overdue_ms: u64,
    /// Which consumers the event is delivered to. Absent: the plan of released
    /// builds, which knows the todo service alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// What an earlier run of the same workflow handed over.
    #[serde(default)]
    pub carried: Option<Carried>,
}

/// The answer of the `progress` query, and the result of the workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationProgress {
    /// How far the delivery is.
    #[serde(flatten)]
    pub delivery: Progress,
    /// The acknowledged todo, once there is one.
    pub todo_id: Option<TodoId>,
}

#[cfg(test)]
mod tests {
    use onboard_contract::workflow::OVERDUE_MS_DEFAULT;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::TODO;

    fn start(delivery: Option<Delivery>) -> Start {
        Start {
            event_type: UserRegistered::TYPE,
            event_id: Uuid::from_u128(1).into(),
            aggregate_id: Uuid::from_u128(2),
            traceparent: None,
            overdue_ms: OVERDUE_MS_DEFAULT,
            delivery,
        }
    }

    #[test]
    fn the_input_says_who_is_asked_and_which_ref_counts() {
        let input = start(Some(Delivery::to(vec![TODO], false))).input("a-");
        let read: RegistrationInput = serde_json::from_value(input).unwrap();
        let delivery = read.delivery.unwrap();
        assert_eq!(delivery.ask, [(TODO, "a-todo".to_owned())].into());
        let welcome = TodoId::welcome(Uuid::from_u128(2).into()).to_string();
        assert_eq!(delivery.refs, [(TODO, welcome)].into());
    }

    #[test]
    fn the_plan_of_released_builds_has_an_input_without_consumers() {
        let (event, user) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let released = json!({
            "eventId": event, "userId": user, "traceparent": null, "overdueMs": 30_000,
            "carried": null,
        });
        assert_eq!(start(None).input(""), released);
    }

    #[test]
    fn progress_is_one_object() {
        let written = json!({
            "stage": "SENT", "publishes": 1, "overdueChecks": 2, "todoId": null, "awaited": ["todo"],
        });
        let read: RegistrationProgress = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(read.delivery.awaited, [TODO]);
        assert_eq!(serde_json::to_value(read).unwrap(), written);
    }
}
