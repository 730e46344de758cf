//! The request that registers, sent again while its answer is not known.

use std::time::Duration;

use onboard_contract::EventId;
use onboard_runtime::clock;
use onboard_runtime::plain::note;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// The wait before another try, where the service names none.
const PAUSE: Duration = Duration::from_secs(1);
/// How long one request may take.
const REQUEST_MAX: Duration = Duration::from_secs(15);

/// What the service answered.
pub(super) enum Answer {
    /// Registered; the registration has this id.
    Registered(EventId),
    /// It does not say more (silent mode).
    Received,
    /// It will not do, in words.
    Refused(String),
    /// It says to come back later than is waited for, in words.
    NotNow(String),
    /// Nobody answered in time.
    Silent,
}

/// Sends until there is an answer that another try would not change.
pub(super) async fn send(
    client: &Client,
    url: &str,
    (email, password): (&str, &SecretString),
    until: Instant,
) -> reqwest::Result<Answer> {
    let key = clock::random_id().to_string();
    let body = json!({ "email": email, "password": password.expose_secret() });
    loop {
        let request = client.post(format!("{url}/api/v1/auth/register"));
        let request = request.header("idempotency-key", &key).json(&body).timeout(REQUEST_MAX);
        let answered = match request.send().await {
            Ok(answer) if is_passing(answer.status()) => {
                Ok((pause(&answer), Answer::NotNow(problem(answer).await)))
            }
            Ok(answer) => match judge(answer).await {
                Ok(answer) => return Ok(answer),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        let (pause, last) = match answered {
            Ok(later) => later,
            Err(error) => {
                note(&error);
                if error.is_connect() || error.is_builder() {
                    return Ok(Answer::Silent);
                }
                (PAUSE, Answer::Silent)
            }
        };
        if Instant::now() + pause >= until {
            return Ok(last);
        }
        sleep(pause).await;
    }
}

/// Whether the same request may fare better later.
fn is_passing(status: StatusCode) -> bool {
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
}

fn pause(answer: &Response) -> Duration {
    let said =
        answer.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
    said.map_or(PAUSE, Duration::from_secs)
}

/// An answer that breaks off is an error; the request is sent again.
async fn judge(answer: Response) -> reqwest::Result<Answer> {
    match answer.status() {
        StatusCode::CREATED => {
            let body: Value = answer.json().await?;
            let id = body.get("registrationId").and_then(Value::as_str).map(str::parse);
            Ok(id.and_then(Result::ok).map_or_else(
                || Answer::Refused("the service answers 201 without a registrationId".to_owned()),
                Answer::Registered,
            ))
        }
        StatusCode::ACCEPTED => Ok(Answer::Received),
        _ => Ok(Answer::Refused(problem(answer).await)),
    }
}

/// The words of a problem (RFC 9457), those about single fields included.
async fn problem(answer: Response) -> String {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    let text = |value: &Value, name| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let errors = body.get("errors").and_then(Value::as_array).into_iter().flatten();
    let errors: Vec<String> = errors.filter_map(|error| text(error, "detail")).collect();
    let title = text(&body, "title").unwrap_or_else(|| format!("the service answers {status}"));
    match (errors.is_empty(), text(&body, "detail")) {
        (false, _) => format!("{title}: {}", errors.join(" ")),
        (true, Some(detail)) => format!("{title}: {detail}"),
        (true, None) => title,
    }
}
