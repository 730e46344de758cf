//! `POST /api/v1/auth/login`: a session for whoever knows the password.
//!
//! An unknown address, a malformed one and a wrong password are one case:
//! each costs one look into the database and the same argon2 verifications, and the
//! answer is the same. How many those are the password alone decides: two where its
//! prepared form is not what was typed, since older builds have hashed that. When the process dies before the session's commit,
//! nothing has happened; after it, there is a session that nobody knows of and
//! that ends by itself. The client logs in again.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use onboard_contract::UserId;
use onboard_http::{Client, Fields, JsonObject, Kind, Object, Problem, ProblemBody};
use onboard_runtime::availability::chain;
use onboard_runtime::clock;
use onboard_token::Refusal;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::device::Devices;
use crate::email::{self, Email};
use crate::hash::Purpose;
use crate::password::Password;
use crate::routes::App;
use crate::session::{self, Tokens};
use crate::store::User;

/// What a login sends.
#[derive(Deserialize, ToSchema)]
#[schema(as = Login)]
#[expect(dead_code, reason = "it describes the body; `Attempt` reads it")]
pub(crate) struct LoginBody {
    #[schema(examples("ada@example.com"))]
    email: String,
    #[schema(format = Password, examples("a long enough secret"))]
    password: String,
}

/// Somebody who says who they are.
struct Attempt {
    /// The forms under which an account may have the address, the nearest first.
    forms: Vec<String>,
    /// What the throttle counts: the same, or the text that is no address.
    throttled: String,
    password: Password,
}

/// Logs in.
///
/// The answer does not tell an unknown address from a wrong password. It sets a cookie,
/// `onboard_device`. Whoever sends it back with the next login to the same account does not
/// wait for what others have failed at that account. A client without cookies logs in just
/// the same; under an attack on its account it may have to wait, or to try again.
#[utoipa::path(
    post,
    path = "/api/v1/auth/login",
    tag = "sessions",
    params((
        "onboard_device" = Option<String>, Cookie,
        description = "What the last login to this account set, if the client keeps cookies.",
    )),
    request_body = LoginBody,
    responses(
        (status = 200, description = "A session is open.", body = Tokens,
            headers(("Set-Cookie" = String, description = "`onboard_device`: HttpOnly, \
                SameSite=Strict, for 90 days. It holds no personal data and opens nothing."))),
        (status = 401, description = "Address and password do not belong together.",
            body = ProblemBody<'_>, content_type = "application/problem+json"),
        (status = 429, description = "Too many from this address, or too many failed.",
            body = ProblemBody<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn login(
    State(app): State<Arc<App>>,
    client: Client,
    headers: HeaderMap,
    body: Result<JsonObject, Problem>,
) -> Response {
    let answered = answer(&app, client, &headers, body).await;
    let outcome = answered.as_ref().map_or_else(|problem| problem.kind().slug(), |_| "success");
    metrics::counter!("logins_total", "outcome" => outcome).increment(1);
    match answered {
        Ok(opened) => opened.into_response(),
        Err(problem) => Refusal::from(problem).into_response(),
    }
}

/// A session, and the cookie that makes the client a device of the account.
struct Opened {
    tokens: Tokens,
    device: Option<HeaderValue>,
}

impl IntoResponse for Opened {
    fn into_response(self) -> Response {
        let mut response = self.tokens.into_response();
        if let Some(cookie) = self.device {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

async fn answer(
    app: &App,
    client: Client,
    headers: &HeaderMap,
    body: Result<JsonObject, Problem>,
) -> Result<Opened, Problem> {
    let attempt = Attempt::parse(body?.0)?;
    // A token is of a user. Without one the account is looked up after the throttle alone.
    let looked = if Devices::are_sent(headers) { Some(look(app, &attempt).await?) } else { None };
    let owner = looked.as_ref().and_then(|Looked(user)| Some(user.as_ref()?.user_id));
    let device = owner.and_then(|user| app.devices.find(headers, user, clock::now_ms()));
    let admitted = app.throttle.admit_login(&attempt.throttled, client, device).await?;
    let (user, verdict) = match judge(app, &attempt, looked).await {
        Ok(Ok(right)) => right,
        Ok(Err(user_id)) => {
            admitted.failed();
            record_failure(app, user_id, client).await;
            return Err(refused(app, user_id, client));
        }
        Err(problem) => {
            // Whom the queue refuses has used one of its tries, as who leaves it has.
            if problem.kind() != Kind::Overloaded {
                admitted.costs_nothing();
            }
            return Err(problem);
        }
    };
    admitted.succeeded();
    strengthen(app, &user, attempt.password, (verdict, client)).await;
    let tokens = session::open(app, &user, client).await?;
    Ok(Opened { tokens, device: app.devices.cookie(user.user_id, clock::now_ms()) })
}

impl Attempt {
    fn parse(body: Object) -> Result<Self, Problem> {
        let mut fields = Fields::new(body);
        let (email, password) = (fields.string("email"), fields.string("password"));
        let (email, password) = fields.finish(email.zip(password))?;
        let mut forms = email::candidates(&email);
        // No account has this one; it is looked up like any other.
        forms.extend(forms.is_empty().then(String::new));
        let throttled = Email::parse(email.clone()).map(|email| email.canonical().to_owned());
        let throttled = throttled.unwrap_or(email);
        Ok(Self { forms, throttled, password: Password::attempt(password) })
    }
}

/// Which form of the password fits a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Prepared,
    /// What was typed, which is another text: an older build has hashed it.
    AsTyped,
    Neither,
}

/// The user and the form that fits; or whose password it was not, if anybody's.
///
/// `looked` is what the look for the account has found, where there was one.
async fn judge(
    app: &App,
    attempt: &Attempt,
    looked: Option<Looked>,
) -> Result<Result<(User, Verdict), Option<UserId>>, Problem> {
    let Looked(user) = match looked {
        Some(looked) => looked,
        None => look(app, attempt).await?,
    };
    // A hash that cannot be compared counts as that of nobody.
    let user = user.filter(|user| app.hasher.can_verify(&user.password_hash));
    let phc = user.as_ref().map_or(app.hasher.decoy(), |user| user.password_hash.as_str());
    let verdict = compare(app, &attempt.password, phc).await?;
    Ok(match user {
        Some(user) if verdict != Verdict::Neither => Ok((user, verdict)),
        user => Err(user.map(|user| user.user_id)),
    })
}

/// Whose account it is, if anybody's.
struct Looked(Option<User>);

async fn look(app: &App, attempt: &Attempt) -> Result<Looked, Problem> {
    let user = app.users.find_by_forms(&attempt.forms).await;
    let user = user.map_err(|error| app.store_failed(&error))?;
    app.store_answered();
    Ok(Looked(user))
}

async fn compare(app: &App, password: &Password, phc: &str) -> Result<Verdict, Problem> {
    let fits = async |password: Password| {
        let verified = app.hasher.verify(password, phc.to_owned()).await;
        verified.map_err(|error| App::hash_failed(&error))
    };
    if fits(password.clone()).await? {
        return Ok(Verdict::Prepared);
    }
    let Some(typed) = password.as_typed() else { return Ok(Verdict::Neither) };
    Ok(if fits(typed).await? { Verdict::AsTyped } else { Verdict::Neither })
}

/// Whether or not the address is somebody's, with one write. Where it fails, the log has the
/// failed login alone.
pub(crate) async fn record_failure(app: &App, user_id: Option<UserId>, client: Client) {
    let witness = match app.witnesses.of_failure(client) {
        Ok(witness) => witness,
        Err(left_out) => {
            metrics::counter!("security_events_left_out_total", "why" => left_out.word())
                .increment(1);
            return;
        }
    };
    if let Err(error) = app.events.login_failed(user_id, &witness).await {
        tracing::error!(error = chain(&error), "a failed login was not recorded");
    }
}

/// The log says whose network it was as the events do, also of what is not recorded.
fn refused(app: &App, user_id: Option<UserId>, client: Client) -> Problem {
    let user_id = user_id.map(tracing::field::display);
    tracing::info!(user_id, network = app.witnesses.network(client), "a login was refused");
    Problem::new(Kind::InvalidCredentials)
}

/// Hashes the password again when the settings have risen since, or when the hash is
/// not of its prepared form. Whatever goes wrong, the login stands and the next one
/// tries again.
async fn strengthen(
    app: &App,
    user: &User,
    password: Password,
    (verdict, client): (Verdict, Client),
) {
    if verdict == Verdict::Prepared && !app.hasher.needs_rehash(&user.password_hash) {
        return;
    }
    let outcome = match app.hasher.hash(password, Purpose::Login).await {
        Ok(new) => {
            let (old, by) = (&user.password_hash, app.witnesses.of(client));
            let replaced = app.users.replace_hash(user.user_id, (old, &new), &by).await;
            replaced.map_err(|error| chain(&error))
        }
        Err(error) => Err(chain(&error)),
    };
    match outcome {
        Ok(replaced) => tracing::info!(user_id = %user.user_id, replaced, "hashed again"),
        Err(error) => {
            tracing::warn!(user_id = %user.user_id, error, "a password was not hashed again");
        }
    }
}
