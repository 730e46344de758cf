//! `POST /api/v1/auth/register`: a user, and the promise of a welcome todo.
//!
//! The password is hashed before the transaction, which the driver may repeat.
//! When the process dies before the commit nothing has happened; when it dies
//! after it the registration goes on and only the answer is lost. A client
//! that tries again then hears that the address is taken.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use onboard_contract::{EventId, TraceParent, UserId};
use onboard_http::timestamp::rfc3339;
use onboard_http::{Fields, JsonObject, Kind, Problem, RequestTrace};
use onboard_runtime::availability::chain;
use onboard_store::{NewRegistration, RegisterError, Registered};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::email::Email;
use crate::hash::HashError;
use crate::password::Password;
use crate::routes::App;

/// The answer to a registration.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    user_id: UserId,
    email: String,
    created_at: String,
    registration_id: EventId,
}

pub(crate) async fn register(
    State(app): State<Arc<App>>,
    RequestTrace(traceparent): RequestTrace,
    body: Result<JsonObject, Problem>,
) -> Response {
    let answered = answer(&app, traceparent, body).await;
    let outcome = answered.as_ref().map_or_else(|problem| problem.kind().slug(), |_| "created");
    metrics::counter!("registrations_total", "outcome" => outcome).increment(1);
    answered.into_response()
}

async fn answer(
    app: &App,
    traceparent: TraceParent,
    body: Result<JsonObject, Problem>,
) -> Result<Answer, Problem> {
    let (email, password) = parse(body?.0)?;
    let password_hash = app.hasher.hash(password).await.map_err(|error| not_hashed(&error))?;
    let new = NewRegistration {
        email: email.given().to_owned(),
        email_canonical: email.canonical().to_owned(),
        password_hash,
        traceparent,
    };
    let registered = app.registrations.register(new).await;
    let registered = registered.map_err(|error| not_registered(app, &error))?;
    app.store_answered();
    tracing::info!(registration_id = %registered.event_id, user_id = %registered.user_id, "registered");
    Ok(Answer::new(registered, &email))
}

/// Looks at every field before it answers, so that all errors are told at once.
fn parse(body: Map<String, Value>) -> Result<(Email, Password), Problem> {
    let mut fields = Fields::new(body);
    let given = fields.string("email");
    let password = fields.string("password");
    let password = password.map(|text| Password::parse(text, given.as_deref()));
    let email = given.map(Email::parse).and_then(|parsed| fields.accept("email", parsed));
    let password = password.and_then(|parsed| fields.accept("password", parsed));
    fields.finish(email.zip(password))
}

fn not_hashed(error: &HashError) -> Problem {
    match error {
        HashError::Overloaded => Problem::new(Kind::Overloaded),
        HashError::Failed(_) | HashError::Died(_) => {
            tracing::error!(error = chain(error), "a password was not hashed");
            Problem::new(Kind::Internal)
        }
    }
}

fn not_registered(app: &App, error: &RegisterError) -> Problem {
    match error {
        RegisterError::EmailTaken => {
            app.store_answered();
            Problem::new(Kind::EmailTaken)
        }
        RegisterError::Store(error) if error.is_retryable() => app.store_failed(error).detail(
            "The registration could not be confirmed. Send it again after the time in \
             Retry-After; if the address is taken by then, it had succeeded.",
        ),
        RegisterError::Store(error) => app.store_failed(error),
    }
}

impl Answer {
    fn new(registered: Registered, email: &Email) -> Self {
        Self {
            user_id: registered.user_id,
            email: email.given().to_owned(),
            created_at: rfc3339(registered.created_at_ms),
            registration_id: registered.event_id,
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let location = format!("/api/v1/registrations/{}", self.registration_id);
        (StatusCode::CREATED, [(header::LOCATION, location)], Json(self)).into_response()
    }
}
