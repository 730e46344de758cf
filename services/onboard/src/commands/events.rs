//! `onboard events`: who changed what of the accounts, the newest first. Only reads.

use std::fmt::Write as _;
use std::process::ExitCode;

use onboard_auth::store::{
    EventKind, EventsPage, EventsQuery, RecordedEvent, SecurityEvents, User, Users,
};
use onboard_http::timestamp::rfc3339;
use onboard_mongo::StoreError;
use onboard_ops::Databases;
use onboard_runtime::plain::told;
use onboard_runtime::{clock, exit};
use serde_json::{Value, json};

use super::audit::when::{Since, since};
use super::columns::{columns, row};
use super::operate::{complain, print, unread};
use super::target::TargetArgs;
use super::users::{Who, find, who};

/// How many events are listed.
const LIMIT: u32 = 100;
/// Bytes of a network's hash that a table shows.
const SHOWN: usize = 4;

/// Arguments of `onboard events`.
#[derive(Debug, clap::Args)]
pub(crate) struct EventsArgs {
    /// Only those of this user.
    #[arg(long, value_name = "ID or E-MAIL", value_parser = who)]
    user: Option<Who>,
    /// Only those of this kind: registered (with --user), `logged_in`, `login_failed`,
    /// `logged_out`, `session_reused`, `session_limit`, `password_rehashed`, `role_granted`,
    /// `role_revoked`, `key_made`, `key_rotated`, `key_removed` or `key_rewrapped`.
    #[arg(long, value_name = "KIND", requires_if("registered", "user"))]
    kind: Option<EventKind>,
    /// Only those since: a duration back from now, such as `24h`, or a time in UTC, such
    /// as `2026-01-31T12:00:00Z`.
    #[arg(long, value_parser = since, value_name = "WHEN")]
    since: Option<Since>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = LIMIT,
        value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// Lists security events.
pub(crate) fn run(args: EventsArgs) -> anyhow::Result<ExitCode> {
    let EventsArgs { user, kind, since, limit, json, target } = args;
    let mongo = target.connect()?.mongo;
    let query = EventsQuery {
        user: None,
        kind,
        since_ms: since.map(|since| since.ms(clock::now_ms())),
        limit,
    };
    let code = tokio::runtime::Runtime::new()?.block_on(async {
        let worked = match Databases::new(&mongo).await {
            Ok(mongo) => list(&mongo, query, user.as_ref(), json).await,
            Err(error) => Err(error),
        };
        worked.unwrap_or_else(|error| {
            complain(&told(&error));
            exit::UNAVAILABLE
        })
    });
    Ok(ExitCode::from(code))
}

async fn list(
    mongo: &Databases,
    mut query: EventsQuery,
    who: Option<&Who>,
    json: bool,
) -> Result<u8, StoreError> {
    let mut user = None;
    if let Some(who) = who {
        user = find(&Users::new(mongo.of_auth()), who).await?;
        // Events outlive an account: an id need not be anybody's any more.
        query.user = match (&user, who) {
            (Some(user), _) => Some(user.user_id),
            (None, Who::Id(id)) => Some(*id),
            (None, Who::Email(_)) => {
                complain("there is no such user, or its document cannot be read");
                return Ok(exit::NO);
            }
        };
    }
    let mut page = SecurityEvents::new(mongo.of_auth()).list(query).await?;
    if let Some(user) = user {
        add_registration(&mut page, &user, &query);
    }
    print(&if json { document(&page) } else { text(&page) });
    Ok(exit::DONE)
}

/// The registration of a user is recorded by the user's own document.
fn add_registration(page: &mut EventsPage, user: &User, query: &EventsQuery) {
    let wanted = query.kind.is_none_or(|kind| kind == EventKind::Registered)
        && query.since_ms.is_none_or(|since_ms| user.created_at_ms >= since_ms)
        && !page.more;
    if !wanted {
        return;
    }
    if page.events.len() >= usize::try_from(query.limit).unwrap_or(usize::MAX) {
        page.more = true;
        return;
    }
    page.events.push(RecordedEvent {
        id: user.user_id.to_string(),
        at_ms: user.created_at_ms,
        kind: EventKind::Registered.as_str().to_owned(),
        user_id: Some(user.user_id),
        session_id: None,
        role: None,
        kid: None,
        network: None,
        actor: None,
        os_user: None,
    });
}

fn document(page: &EventsPage) -> String {
    let events: Vec<Value> = page.events.iter().map(event).collect();
    let unreadable: Vec<Value> = page.unreadable.iter().map(unread).collect();
    let document = json!({ "events": events, "more": page.more, "unreadable": unreadable });
    format!("{document:#}\n")
}

fn event(event: &RecordedEvent) -> Value {
    json!({
        "id": event.id,
        "at": rfc3339(event.at_ms),
        "kind": event.kind,
        "userId": event.user_id,
        "sessionId": event.session_id,
        "role": event.role,
        "kid": event.kid,
        "network": event.network.as_ref().map(|bytes| hex(bytes)),
        "actor": event.actor,
        "osUser": event.os_user,
    })
}

fn text(page: &EventsPage) -> String {
    let mut lines = Vec::new();
    if !page.events.is_empty() {
        lines.push(format!("{:<20} {:<17} who and what", "when", "kind"));
    }
    for event in &page.events {
        // Without the milliseconds.
        let at = rfc3339(event.at_ms).chars().take(19).collect::<String>();
        lines.push(row(&format!("{at}Z {:<17} ", event.kind), &words(event), columns()));
    }
    let unread = page.unreadable.iter();
    lines.extend(unread.map(|one| {
        row(&format!("{} ", one.id), &format!("cannot be read: {}", one.why), columns())
    }));
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(match page.events.len() {
        1 => "1 event".to_owned(),
        n if page.more => format!("{n} events, and older ones: raise --limit"),
        n => format!("{n} events"),
    });
    lines.join("\n") + "\n"
}

fn words(event: &RecordedEvent) -> String {
    let mut words = Vec::new();
    words.extend(event.role.as_ref().map(|role| format!("role {role}")));
    words.extend(event.kid.as_ref().map(|kid| format!("key {kid}")));
    words.extend(event.user_id.map(|user| format!("user {user}")));
    words.extend(event.session_id.map(|session| format!("session {session}")));
    words.extend(
        event
            .network
            .as_ref()
            .map(|bytes| format!("network {}", hex(bytes.get(..SHOWN).unwrap_or(bytes)))),
    );
    match (&event.actor, &event.os_user) {
        (Some(actor), Some(os_user)) if actor != os_user => {
            words.push(format!("by {actor} (as {os_user})"));
        }
        (Some(who), _) | (None, Some(who)) => words.push(format!("by {who}")),
        (None, None) => (),
    }
    words.join(", ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // A text takes whatever is written.
        write!(hex, "{byte:02x}").ok();
        hex
    })
}
