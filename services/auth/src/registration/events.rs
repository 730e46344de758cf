//! `GET /api/v1/registrations/<id>/events`: the stages of a registration as they come
//! (server-sent events, WHATWG HTML 9.2).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use onboard_contract::{EventId, Stage};
use onboard_http::{Client, IdPath, Problem, ProblemBody};
use utoipa::ToSchema;

use super::follow::Seen;
use super::unknown;
use crate::routes::App;

/// How often a comment shows that the stream is alive. Proxies close what is silent for a
/// minute, mostly.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// The browser says in it which event it saw last.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells a proxy to pass each event on at once.
const UNBUFFERED: (&str, &str) = ("x-accel-buffering", "no");

/// One event of the stream.
#[derive(ToSchema)]
#[schema(as = StageEvent)]
#[expect(dead_code, reason = "it describes what `event` makes")]
pub(crate) struct StageEvent {
    /// Always `stage`.
    event: String,
    /// The stage; browsers send the last one as `Last-Event-ID`.
    id: String,
    /// What `GET /api/v1/registrations/{id}` answers, as JSON.
    data: String,
}

/// Follow a registration.
///
/// Each event is named `stage` and carries what `GET /api/v1/registrations/{id}` answers: the
/// first one at once, the others as they come. The stream ends with the event that says
/// ACKNOWLEDGED. A stream that ends earlier is opened again, as browsers do by themselves. A
/// stage that lasts for a moment only may be left out.
#[utoipa::path(
    get,
    path = "/api/v1/registrations/{id}/events",
    tag = "registration",
    params(
        ("id" = String, Path, description = "The `registrationId` that registering answered."),
        ("Last-Event-ID" = Option<String>, Header,
            description = "The stage that was seen last; browsers send it by themselves."),
    ),
    responses(
        (status = 200, description = "Server-sent events; the schema is that of one of them.",
            body = StageEvent, content_type = "text/event-stream"),
        (status = 204, description = "ACKNOWLEDGED was seen already, so that nothing follows."),
        (status = 404, description = "There is none with this id.", body = ProblemBody<'_>,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    client: Client,
    IdPath(id): IdPath<EventId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = id.ok_or_else(unknown)?;
    let found = app.registrations.find(id).await;
    let row = found.map_err(|error| app.store_failed(&error))?;
    app.store_answered();
    let seen = Seen::of(id, row.ok_or_else(unknown)?, app.overdue_ms);
    let seen_before = headers.get(LAST_EVENT_ID).map(HeaderValue::as_bytes);
    let acknowledged = Stage::Acknowledged;
    if seen.stage == acknowledged && seen_before == Some(acknowledged.as_str().as_bytes()) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let stages = app.followers.follow(id, seen, client).await?;
    let events = Sse::new(stages.map(|seen| Ok::<_, Infallible>(event(&seen))));
    Ok(([UNBUFFERED], events.keep_alive(KeepAlive::new().interval(ALIVE_EVERY))).into_response())
}

fn event(seen: &Seen) -> Event {
    Event::default().event("stage").id(seen.stage.as_str()).data(&seen.json)
}
