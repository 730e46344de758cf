//! `GET /api/v1/registrations/<id>`: how far a registration is.
//!
//! Anyone who knows the id may ask: the answer holds no personal data.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use onboard_contract::names::workflow_id;
use onboard_contract::{EventId, Stage};
use onboard_http::timestamp::rfc3339;
use onboard_http::{Kind, Problem};
use onboard_runtime::clock;
use onboard_store::RegistrationRow;
use serde::Serialize;

use crate::routes::App;

/// A registration as clients see it; a time is null until it has come.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View {
    registration_id: EventId,
    stage: Stage,
    created_at: String,
    started_at: Option<String>,
    sent_at: Option<String>,
    acknowledged_at: Option<String>,
    workflow_id: String,
}

pub(crate) async fn registration(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<View>, Problem> {
    let id = parse(&id).ok_or_else(unknown)?;
    let found = app.registrations.find(id).await;
    let row = found.map_err(|error| app.store_failed(&error))?;
    app.store_answered();
    let row = row.ok_or_else(unknown)?;
    Ok(Json(View::new(row, clock::now_ms(), app.overdue_ms)))
}

/// One spelling per id: the hyphenated one, in any case.
fn parse(text: &str) -> Option<EventId> {
    let id: EventId = text.parse().ok()?;
    id.to_string().eq_ignore_ascii_case(text).then_some(id)
}

fn unknown() -> Problem {
    Problem::new(Kind::NotFound).detail("There is no registration with this id.")
}

impl View {
    fn new(row: RegistrationRow, now_ms: i64, overdue_ms: i64) -> Self {
        Self {
            registration_id: row.event_id,
            stage: Stage::derive(row.facts(), now_ms, overdue_ms),
            created_at: rfc3339(row.created_at_ms),
            started_at: row.started_at_ms.map(rfc3339),
            sent_at: row.sent_at_ms.map(rfc3339),
            acknowledged_at: row.acknowledged_at_ms.map(rfc3339),
            workflow_id: workflow_id(row.event_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_contract::OutboxStatus;

    const ID: &str = "0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d";

    #[test]
    fn an_id_has_one_spelling() {
        assert!(parse(ID).is_some());
        assert_eq!(parse(&ID.to_uppercase()), parse(ID));
        for other in [&ID.replace('-', ""), &format!("{{{ID}}}"), &format!("urn:uuid:{ID}"), "x"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_has_not_happened_is_null() {
        let row = RegistrationRow {
            event_id: parse(ID).unwrap(),
            user_id: "9b2f0c3e-51a4-4a53-9b64-0f5f2a6d7e8f".parse().unwrap(),
            status: OutboxStatus::Pending,
            created_at_ms: 1_767_323_045_006,
            started_at_ms: Some(1_767_323_046_000),
            sent_at_ms: None,
            acknowledged_at_ms: None,
        };
        insta::assert_json_snapshot!(View::new(row, 1_767_323_050_000, 30_000), @r#"
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
