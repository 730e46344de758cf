//! Crates that serve every service name no service, no service's metric, no event
//! and no queue.
//!
//! The sources are read as tokens, so that the arguments of macros and attributes
//! count. Comments and test modules do not count.

use std::collections::BTreeSet;
use std::path::Path;

use onboard::services::{SERVICES, names as services};
use onboard_broker::metrics::{CONNECTION, PUBLISHES};
use onboard_events::{TODO_QUEUE, UserRegistered};
use onboard_http::metrics::{METRICS, RATE_LIMITS};
use syn::buffer::{Cursor, TokenBuffer};

use super::steps::sources;

/// The tools of operators and the laboratory, which know every service. All other crates
/// are shared.
const TOOLS: [&str; 5] = ["bench", "chaos", "doctor", "ops", "stack"];

/// Words that mean no service in a crate. Relay and worker are roles of an outbox, of
/// which the services are shells; Temporal calls whoever polls it a worker.
const ROLES: [(&str, &[&str]); 3] = [
    ("outbox", &["relay", "relays", "worker"]),
    ("poller", &["worker"]),
    ("temporal", &["worker"]),
];

/// Constants of `events` whose names do not tell that they are about an
/// event or a queue.
const OURS: [&str; 11] = [
    "EXCHANGE",
    "ROUTING_KEY",
    "QUEUE",
    "DEAD_LETTER_EXCHANGE",
    "DEAD_LETTER_QUEUE",
    "WORKFLOW",
    "ACTIVITY_PUBLISH",
    "ACTIVITY_CHECK",
    "SIGNAL_ACKNOWLEDGED",
    "ATTRIBUTE_USER",
    "WELCOME_TITLE",
];

/// Names that contain a service's name and mean something else.
const ALLOWED: [&str; 18] = [
    // A type of utoipa: how a client of any service sends its token.
    "HttpAuthScheme",
    // Of lapin's URI, of MongoDB's connection strings and of rustls.
    "auth_mechanism",
    "authMechanism",
    "with_no_client_auth",
    // A setting: its name is fixed, and more than one process may have it.
    "AUTH_SECRET",
    "AUTH_SECRET_FILE",
    "auth_secret",
    "auth_secret_file",
    "AUTH_SECRET_PREVIOUS",
    "AUTH_SECRET_PREVIOUS_FILE",
    "auth_secret_previous",
    "auth_secret_previous_file",
    // The same: settings of the outbox's database, which auth, relay and worker have.
    "AUTH_MONGODB_URI",
    "AUTH_MONGODB_URI_FILE",
    "MONGODB_AUTH_DATABASE",
    "auth_mongodb_uri",
    "auth_mongodb_uri_file",
    "mongodb_auth_database",
];

#[test]
fn shared_crates_name_no_service() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("crates");
    let all = std::fs::read_dir(&crates).unwrap().map(|of| of.unwrap().file_name());
    let all: BTreeSet<String> = all.map(|of| of.into_string().unwrap()).collect();
    assert!(TOOLS.iter().all(|tool| all.contains(*tool)), "{all:?}");
    let (mut read, mut found) = (0, Vec::new());
    for of in all.iter().filter(|of| !TOOLS.contains(&of.as_str())) {
        let roles = ROLES.iter().find(|(name, _)| name == of).map_or(&[][..], |(_, words)| words);
        for file in sources(&crates.join(of).join("src")) {
            let names = names(&std::fs::read_to_string(&file).unwrap());
            read += names.len();
            let known = names.iter().filter(|name| tells_of_ours(name, roles));
            found.extend(known.map(|name| format!("{}: {name}", file.display())));
        }
    }
    assert!(read > 10_000, "the sources are read: {read} names");
    assert_eq!(
        found,
        Vec::<String>::new(),
        "shared crates know these names of services, events and queues"
    );
}

#[test]
fn a_service_and_its_metric_are_seen_wherever_they_stand() {
    for (code, seen) in [
        ("enum Process { Auth }", vec!["Auth"]),
        ("fn f() { todo_address(); }", vec!["todo_address"]),
        ("struct TodoId;", vec!["TodoId"]),
        ("const NAME: &str = \"todo-service\";", vec!["todo"]),
        ("const CLAIM: &str = \"\\nrelay.claim\";", vec!["relay"]),
        ("fn f() { tracing::info!(\"the worker stops\"); }", vec!["worker"]),
        ("#[error(\"workers are away\")] struct E;", vec!["workers"]),
        ("const M: Metric = Metric::gauge(\"hash_busy\");", vec!["hash_busy"]),
        ("fn f() { metrics::counter!(\"logins_total\"); }", vec!["logins_total"]),
        ("use onboard_auth::run;", vec!["onboard_auth"]),
        ("#[cfg(test)] mod tests { const A: &str = \"auth\"; } struct Relay;", vec!["Relay"]),
        ("#[cfg(test)] mod relay; struct Worker;", vec!["Worker"]),
        ("/// For auth.\nfn f() {} // relay", vec![]),
        ("fn f(header: Authority) { coworker(AUTHORIZATION); }", vec![]),
        ("fn f() { metrics::counter!(\"http_requests_total\"); }", vec![]),
        ("fn f() { metrics::counter!(\"broker_publishes_total\"); }", vec![]),
        ("use onboard_contract::UserRegistered;", vec!["UserRegistered"]),
        ("fn f(channel: Channel) { declare(channel, QUEUE); }", vec!["QUEUE"]),
        ("const NAME: &str = \"user.events.dlx\";", vec!["user.events.dlx"]),
        ("const NAME: &str = \"user_registered_queue\";", vec!["user_registered_queue"]),
        ("fn f(queue: &Queue, user: UserId) { events(queue.routing_key); }", vec![]),
    ] {
        let mut found = names(code);
        found.retain(|name| tells_of_ours(name, &[]));
        assert_eq!(found, seen, "{code}");
    }
}

#[test]
fn a_role_of_an_outbox_counts_in_other_crates_alone() {
    assert!(tells_of_ours("RelayLead", &[]));
    assert!(!tells_of_ours("RelayLead", ROLES[0].1));
    assert!(tells_of_ours("RelayOfAuth", ROLES[0].1));
}

fn tells_of_ours(name: &str, roles: &[&str]) -> bool {
    tells_of_a_service(name, roles) || tells_of_an_event(name)
}

/// Whether the words of an event or of its exchange or queue are all in the name.
fn tells_of_an_event(name: &str) -> bool {
    let words = |name: &str| words(&name.replace(|char: char| !char.is_alphanumeric(), "_"));
    let queues = [TODO_QUEUE.exchange, TODO_QUEUE.name].into_iter();
    let mut events = queues.chain([UserRegistered::TYPE.name.into()]);
    OURS.contains(&name) || events.any(|event| words(&event).is_subset(&words(name)))
}

fn tells_of_a_service(name: &str, roles: &[&str]) -> bool {
    let words = words(name).into_iter();
    let mut words = words.filter(|word| !roles.contains(&word.as_str()));
    let service = |word: String| {
        services().iter().any(|service| word == *service || word == format!("{service}s"))
    };
    !ALLOWED.contains(&name) && (words.any(service) || is_metric_of_a_service(name))
}

/// Whether a service records the metric, and none of the shared crates does.
fn is_metric_of_a_service(name: &str) -> bool {
    let broker = [PUBLISHES, CONNECTION];
    let tokens = [onboard_token::METRICS, onboard_token::remote::METRICS];
    let shared = [METRICS, RATE_LIMITS, onboard_temporal::METRICS];
    let shared = [broker.concat(), shared.concat(), tokens.concat()].concat();
    let mut recorded = SERVICES.iter().flat_map(|service| service.metrics.concat());
    recorded.any(|metric| metric.name == name && !shared.contains(&metric))
}

/// The words of a name, in whatever case it is written.
fn words(name: &str) -> BTreeSet<String> {
    let (mut words, mut word, mut low) = (BTreeSet::new(), String::new(), false);
    for char in name.chars() {
        if char == '_' || (low && char.is_uppercase()) {
            words.insert(std::mem::take(&mut word));
        }
        low = char.is_lowercase();
        word.extend(char.to_lowercase().filter(|char| *char != '_'));
    }
    words.insert(word);
    words
}

/// The identifiers of the code and the names in its literals, in their order. A
/// literal of several names without a space is a name, too: `user.events`.
pub(super) fn names(code: &str) -> Vec<String> {
    tokens(code).names
}

/// The texts of the literals of the code, in their order.
pub(super) fn literals(code: &str) -> Vec<String> {
    tokens(code).literals
}

/// What of the code counts.
#[derive(Default)]
struct Tokens {
    names: Vec<String>,
    literals: Vec<String>,
}

fn tokens(code: &str) -> Tokens {
    let buffer = TokenBuffer::new2(code.parse().unwrap());
    let mut tokens = Tokens::default();
    collect(buffer.begin(), &mut tokens);
    tokens
}

fn collect(mut at: Cursor<'_>, tokens: &mut Tokens) {
    while !at.eof() {
        at = if let Some((attribute, after)) = attribute(at) {
            let text = attribute.token_stream().to_string().replace(' ', "");
            if text == "cfg(test)" {
                after_item(after)
            } else {
                if !text.starts_with("doc=") {
                    collect(attribute, tokens);
                }
                after
            }
        } else if let Some((inside, _, _, after)) = at.any_group() {
            collect(inside, tokens);
            after
        } else if let Some((literal, after)) = at.literal() {
            let text = literal.to_string();
            let text = syn::parse_str::<syn::LitStr>(&text).map_or(text, |text| text.value());
            let all = text.split(|char: char| !(char.is_alphanumeric() || char == '_'));
            tokens.names.extend(all.filter(|name| !name.is_empty()).map(str::to_owned));
            if text.contains(|char: char| !(char.is_alphanumeric() || char == '_'))
                && !text.contains(char::is_whitespace)
            {
                tokens.names.push(text.clone());
            }
            tokens.literals.push(text);
            after
        } else if let Some((name, after)) = at.ident() {
            tokens.names.push(name.to_string());
            after
        } else {
            at.token_tree().map_or(Cursor::empty(), |(_, after)| after)
        };
    }
}

/// The inside of the attribute that begins here, and what comes after it.
fn attribute(at: Cursor<'_>) -> Option<(Cursor<'_>, Cursor<'_>)> {
    let (_, at) = at.punct().filter(|(punct, _)| punct.as_char() == '#')?;
    let inner = at.punct().filter(|(punct, _)| punct.as_char() == '!');
    let (inside, _, _, after) = inner.map_or(at, |(_, at)| at).any_group()?;
    Some((inside, after))
}

/// Where the item that begins here has ended: behind its block or its semicolon.
fn after_item(mut at: Cursor<'_>) -> Cursor<'_> {
    while let Some((tree, after)) = at.token_tree() {
        at = after;
        let text = tree.to_string();
        if text == ";" || text.starts_with('{') {
            break;
        }
    }
    at
}
