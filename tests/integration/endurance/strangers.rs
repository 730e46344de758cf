//! Members that nobody here wrote, made at random for a minute: outbox rows, inbox
//! records, accounts, sessions, keys, todos, messages, letters and signals, with fields
//! that are missing, of another type or from another time.
//!
//! Meanwhile people register and are served. Whatever is bad and does not end well is
//! named by the tools, no answer is 5xx, and nothing panics. `STRANGERS_SEED` repeats
//! the choices of a run.

#[path = "strangers/members.rs"]
mod members;
#[path = "strangers/odd.rs"]
mod odd;

use std::time::{Duration, Instant};

use onboard_contract::EventId;
use serde_json::{Value, json};

use self::members::Strangers;
use crate::harness::{Account, App, Options, PASSWORD, Random, Tokens, eventually, seed};
use crate::harness::{shared_servers, text};

const LASTS: Duration = Duration::from_mins(1);
/// Between two registrations.
const AT_ONCE: usize = 12;
/// Then people register among what is there: a list shows 1,000 rows.
const MEMBERS_MAX: usize = 900;

#[tokio::test]
async fn whatever_strangers_write_holds_up_nobody_and_is_named() {
    let mut random = Random(seed("STRANGERS_SEED"));
    let options = Options::default().apart(&["auth"]).with("RELAY_REBUILD_AFTER", "5s");
    let app = App::start_with(options).await;
    let witness = Witness::new(&app).await;
    let mut strangers = Strangers::new(&app).await;
    let mut served = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < LASTS {
        for _ in 0..AT_ONCE {
            if strangers.written() < MEMBERS_MAX {
                strangers.one(&app, &mut random).await;
            }
        }
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
        witness.is_served(&app).await;
        served.push(id);
    }
    // Keys are read again at a start.
    app.component("auth").stop().await.unwrap();
    app.component("auth").start().await.unwrap();
    witness.is_served(&app).await;
    for id in &strangers.signalled {
        app.reaches(*id, "ACKNOWLEDGED").await;
    }
    each_has_one_todo(&app, &served).await;
    each_has_one_todo(&app, &strangers.signalled).await;
    strangers.letters_are_moved(&app).await;
    eventually("everything bad has ended well or is named", async || {
        let told = told(&app).await;
        let unnamed = strangers.unnamed(&app, &told).await;
        if unnamed.is_empty() { Ok(()) } else { Err(unnamed) }
    })
    .await;
    nothing_panicked(&app).await;
    eprintln!("{} members of strangers, {} people served", strangers.written(), served.len());
    app.remove().await;
}

/// Somebody whose documents nobody touches.
struct Witness {
    account: Account,
    tokens: Tokens,
}

impl Witness {
    async fn new(app: &App) -> Self {
        let account = app.account().await;
        let tokens = app.log_in(&account).await;
        let witness = Self { account, tokens };
        eventually("the welcome todo is there", async || match witness.todos(app).await {
            (200, todos) if todos["items"].as_array().is_some_and(|items| items.len() == 1) => {
                Ok(())
            }
            other => Err(other),
        })
        .await;
        witness
    }

    async fn todos(&self, app: &App) -> (u16, Value) {
        let answer = app.ask("todo", "/api/v1/todos", &self.tokens.access).await;
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn is_served(&self, app: &App) {
        assert_eq!(app.me(&self.tokens.access).await, 200);
        let (status, todos) = self.todos(app).await;
        assert_eq!((status, todos["items"].as_array().map(Vec::len)), (200, Some(1)), "{todos}");
        let login = json!({ "email": self.account.email, "password": PASSWORD });
        let (status, answer) = app.post("auth", "/api/v1/auth/login", &login).await;
        assert_eq!(status, 200, "{answer}");
        assert!(!app.jwks().await["keys"].as_array().unwrap().is_empty());
    }
}

async fn each_has_one_todo(app: &App, served: &[EventId]) {
    for id in served {
        let user = app.registered_user(*id).await;
        assert_eq!(app.todos_of(user).await, 1, "{id}");
    }
}

/// What an operator reads of the whole system.
async fn told(app: &App) -> String {
    let mut told = String::new();
    for args in [
        &["audit", "--json"][..],
        &["list", "--stuck", "--limit", "1000", "--json"],
        &["users", "list", "--json"],
        &["keys", "list", "--json"],
        &["doctor", "--json"],
    ] {
        let output = app.onboard(args).await;
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 1)), "{args:?} {code:?}: {}", text(&output));
        told.push_str(&text(&output));
    }
    told
}

async fn nothing_panicked(app: &App) {
    let home = shared_servers().await.home();
    for process in ["auth", "services"] {
        let log = home.log(&format!("{process}-{}", app.id));
        let log = std::fs::read_to_string(&log)
            .unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let panics: Vec<&str> = log.lines().filter(|line| line.contains("panicked at")).collect();
        assert!(panics.is_empty(), "{panics:#?}");
    }
}
