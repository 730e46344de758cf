//! `POST /api/v1/auth/register`: a user, and the promise of a welcome todo.
//!
//! The password is hashed before the transaction, which the driver may repeat.
//! When the process dies before the commit nothing has happened; when it dies
//! after it the registration goes on and only the answer is lost. A client
//! that tries again with the same `Idempotency-Key` then gets that answer;
//! without one it hears that the address is taken.

mod act;
mod answer;
mod mode;
mod settings;

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use onboard_http::{Client, Fields, JsonObject, Object, Problem, ProblemBody, RequestTrace};
use utoipa::ToSchema;

use crate::email::Email;
use crate::idempotency::{Attempt, IdempotencyKey};
use crate::password::Password;
use crate::routes::App;
pub(crate) use answer::{Accepted, Account};
pub(crate) use mode::Mode;
pub use settings::{RegisterArgs, RegisterConfig};

/// Who wants to register. Unknown fields are ignored.
#[derive(Debug, ToSchema)]
#[schema(as = NewUser)]
#[expect(dead_code, reason = "only describes the body, whose fields are judged one by one")]
pub(crate) struct Body {
    /// At most 254 bytes; unique without regard to case.
    #[schema(format = "email", min_length = 3, max_length = 254, examples("ada@example.com"))]
    email: String,
    /// At most 1024 bytes, taken verbatim. Common passwords are refused, and
    /// so are the address and its parts.
    #[schema(
        format = "password",
        min_length = 8,
        max_length = 1024,
        examples("a long enough secret")
    )]
    password: String,
}

/// Register.
///
/// A client that does not know whether its request succeeded sends it again
/// with the same `Idempotency-Key` and gets the same answer.
#[utoipa::path(
    post,
    path = "/api/v1/auth/register",
    tag = "registration",
    params((
        "Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        description = "Chosen by the client for one registration, for example a UUID. A string \
            of structured fields (`\"…\"`), or the same characters bare.",
    )),
    request_body(content = Body, content_type = "application/json"),
    responses(
        (status = 201, description = "Registered, now or by an earlier request with this key.",
            body = Account<'_>,
            headers(
                ("Location" = String, description = "Where to see how far the registration is."),
                ("Idempotency-Replayed" = String,
                    description = "`true` when an earlier request with this key was answered so."),
            )),
        (status = 202, description = "Received, in silent mode: if the address is free, it is \
            registered.", body = Accepted<'_>,
            headers(("Idempotency-Replayed" = String,
                description = "`true` when an earlier request with this key was answered so."))),
        (status = 400, description = "The body is not JSON, or the Idempotency-Key is malformed.",
            body = ProblemBody<'_>, content_type = "application/problem+json"),
        (status = 409, description = "The address is taken, or a request with this \
            Idempotency-Key is in flight (then with Retry-After).",
            body = ProblemBody<'_>, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable, or the Idempotency-Key belongs \
            to another request.",
            body = ProblemBody<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn register(
    State(app): State<Arc<App>>,
    client: Client,
    RequestTrace(traceparent): RequestTrace,
    headers: HeaderMap,
    body: Result<JsonObject, Problem>,
) -> Response {
    let (label, response) = match Request::read(&app, client, &headers, body) {
        // Nothing that depends on who is registered: told at once.
        Err(problem) => (problem.kind().slug(), problem.into_response()),
        // The key stays in flight while the answer is held: how soon it is free
        // again must not tell either.
        Ok((request, password)) => {
            match app.mode.hold(request.act(&app, password, traceparent)).await {
                Ok(outcome) => (outcome.label(), outcome.answer(app.mode, request.email.given())),
                Err(problem) => (problem.kind().slug(), problem.into_response()),
            }
        }
    };
    metrics::counter!("registrations_total", "outcome" => label).increment(1);
    response
}

/// The error budget asks for the rate of these (deploy/observability), and a
/// rate does not see the first step of a series.
pub(crate) fn begin_error_budget() {
    for status in ["500", "503"] {
        let labels = [("method", "POST"), ("path", "/api/v1/auth/register"), ("status", status)];
        metrics::counter!("http_requests_total", &labels).increment(0);
    }
}

/// A request that may be acted on.
#[derive(Debug)]
struct Request {
    client: Client,
    email: Email,
    key: Option<Attempt>,
}

impl Request {
    fn read(
        app: &App,
        client: Client,
        headers: &HeaderMap,
        body: Result<JsonObject, Problem>,
    ) -> Result<(Self, Password), Problem> {
        let key = IdempotencyKey::read(headers)?;
        let (email, password) = parse(body?.0)?;
        app.throttle.admit_registration(email.canonical(), client)?;
        let key = key.map(|key| app.idempotency.begin(&key, &email, &password)).transpose()?;
        Ok((Self { client, email, key }, password))
    }
}

/// Looks at every field before it answers, so that all errors are told at once.
fn parse(body: Object) -> Result<(Email, Password), Problem> {
    let mut fields = Fields::new(body);
    let given = fields.string("email");
    let password = fields.string("password");
    let password = password.map(|text| Password::parse(text, given.as_deref()));
    let email = given.map(Email::parse).and_then(|parsed| fields.accept("email", parsed));
    let password = password.and_then(|parsed| fields.accept("password", parsed));
    fields.finish(email.zip(password))
}
