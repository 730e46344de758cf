//! `GET /api/v1/registrations/<id>`: how far a registration is.
//!
//! Anyone who knows the id may ask: the answer holds no personal data. `events` follows
//! one, `follow` looks for what followers wait for.

pub(crate) mod events;
mod follow;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use onboard_contract::{EventId, Stage};
use onboard_events::registration::workflow_id;
use onboard_http::timestamp::rfc3339;
use onboard_http::{IdPath, Kind, Problem, ProblemBody};
use onboard_runtime::clock;
use serde::Serialize;
use utoipa::ToSchema;

use crate::routes::App;
use crate::store::RegistrationRow;
pub(crate) use follow::{Followers, Looks, followers};

/// A registration as clients see it; a time is null until it has come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Registration)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View {
    #[schema(value_type = String, format = Uuid)]
    registration_id: EventId,
    #[schema(value_type = String, pattern = "^(PENDING|STARTED|SENT|ACKNOWLEDGED|STALLED)$",
        examples("ACKNOWLEDGED"))]
    stage: Stage,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    sent_at: Option<String>,
    #[schema(format = DateTime)]
    acknowledged_at: Option<String>,
    workflow_id: String,
    /// The fields of the stored registration that cannot be read; absent when all can. A
    /// registration whose stage cannot be told is STALLED.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    unreadable: Vec<&'static str>,
}

/// How far a registration is.
///
/// Anyone who knows the id may ask; no personal data is in the answer.
#[utoipa::path(
    get,
    path = "/api/v1/registrations/{id}",
    tag = "registration",
    params(("id" = String, Path, description = "The `registrationId` that registering answered.")),
    responses(
        (status = 200, description = "The registration.", body = View),
        (status = 404, description = "There is none with this id.", body = ProblemBody<'_>,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn registration(
    State(app): State<Arc<App>>,
    IdPath(id): IdPath<EventId>,
) -> Result<Json<View>, Problem> {
    let id = id.ok_or_else(unknown)?;
    let found = app.registrations.find(id).await;
    let row = found.map_err(|error| app.store_failed(&error))?;
    app.store_answered();
    let row = row.ok_or_else(unknown)?;
    Ok(Json(View::new(id, row, clock::now_ms(), app.overdue_ms)))
}

fn unknown() -> Problem {
    Problem::new(Kind::NotFound).detail("There is no registration with this id.")
}

impl View {
    fn new(id: EventId, row: RegistrationRow, now_ms: i64, overdue_ms: i64) -> Self {
        Self {
            registration_id: id,
            stage: row.stage(now_ms, overdue_ms),
            created_at: rfc3339(row.created_at_ms),
            started_at: row.started_at_ms.map(rfc3339),
            sent_at: row.sent_at_ms.map(rfc3339),
            acknowledged_at: row.acknowledged_at_ms.map(rfc3339),
            workflow_id: workflow_id(id),
            unreadable: row.unreadable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_contract::OutboxStatus;

    const ID: &str = "0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d";

    #[test]
    fn what_has_not_happened_is_null() {
        let row = RegistrationRow {
            status: Some(OutboxStatus::Pending),
            created_at_ms: 1_767_323_045_006,
            started_at_ms: Some(1_767_323_046_000),
            ..RegistrationRow::default()
        };
        insta::assert_json_snapshot!(View::new(ID.parse().unwrap(), row, 1_767_323_050_000, 30_000), @r#"
        {
          "registrationId": "0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d",
          "stage": "STARTED",
          "createdAt": "2026-01-02T03:04:05.006Z",
          "startedAt": "2026-01-02T03:04:06.000Z",
          "sentAt": null,
          "acknowledgedAt": null,
          "workflowId": "registration-0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d"
        }
        "#);
    }
}
