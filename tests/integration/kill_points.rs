//! The matrix: at every step of every process, a crash before and after it, an
//! answer that never comes, and a slow one. Whatever happens there, nobody is
//! lost and nobody is served twice.
//!
//! One application per service and act; each point has a token, and the test
//! goes on until every token is used, so a point that is never reached fails.

mod inbox;
mod special;
pub(crate) mod tokens;

use futures::future::join_all;
use onboard_fault::{Side, Step};

use self::tokens::Tokens;
use crate::harness::{App, Crm, Options, eventually};

/// Where a step is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driven {
    /// By registrations, while this service has its fail points armed.
    Plainly(&'static str),
    /// By a test in `special` or `inbox`, since it needs a situation of its own.
    Specially,
    /// By the tests of `retention`.
    ByRetention,
    /// By the tests of `disaster`.
    ByDisaster,
    /// By the tests of `redrive`.
    ByRedrive,
    /// By the tests of `idempotency`.
    ByIdempotency,
    /// By the tests of `todos`.
    ByTodos,
    /// By the tests of `accounts`.
    ByAccounts,
}

/// Every step, in the order of a registration's way, and where it is driven.
/// `house::steps` holds that the code takes these steps and no others.
pub(crate) const STEPS: [(&str, Driven); 45] = [
    // auth commits user, outbox row and idempotency key.
    ("register.commit", Driven::Plainly("auth")),
    // auth remembers, silently, that a key's request met a taken address.
    ("refusal.keep", Driven::ByIdempotency),
    // The relay claims a row by compare-and-set.
    ("relay.claim", Driven::Specially),
    // The relay starts the workflow.
    ("workflow.start", Driven::Plainly("relay")),
    // The relay notes the start on the row.
    ("relay.note", Driven::Plainly("relay")),
    // The relay gives a row back with the reason.
    ("relay.release", Driven::Specially),
    // The relay puts a row off that it cannot read.
    ("relay.put_off", Driven::Specially),
    // The relay starts a workflow anew that Temporal has lost, or that has completed in a
    // time that was restored away.
    ("relay.rebuild", Driven::ByDisaster),
    // A relay renews its place among the relays, leaves it, or notes for them how many
    // workflows are under way.
    ("relay.lead", Driven::Plainly("relay")),
    // The worker hands the message to the broker.
    ("publish.send", Driven::Plainly("worker")),
    // The broker's confirm reaches the worker.
    ("publish.confirm", Driven::Plainly("worker")),
    // The worker marks the row SENT.
    ("sent.mark", Driven::Plainly("worker")),
    // A consumer commits inbox record and effect.
    ("inbox.commit", Driven::Plainly("todo")),
    // A consumer commits an effect that had gone, once more.
    ("inbox.again", Driven::Specially),
    // A consumer commits the effect of a message whose event id another aggregate has, and
    // the note of it on the record.
    ("inbox.conflict", Driven::Specially),
    // A consumer acknowledges: the todo service signals the workflow.
    ("acknowledge.signal", Driven::Plainly("todo")),
    // A consumer notes that on the inbox record.
    ("acknowledge.note", Driven::Plainly("todo")),
    // A consumer acks the delivery.
    ("delivery.ack", Driven::Plainly("todo")),
    // A consumer gives the delivery back.
    ("delivery.requeue", Driven::Specially),
    // The worker writes the terminal record on the row.
    ("terminal.record", Driven::Plainly("worker")),
    // The relay or a consumer notes how far back it removes.
    ("purge.horizon", Driven::ByRetention),
    // The relay removes rows that are done and old.
    ("purge.outbox", Driven::ByRetention),
    // A consumer removes inbox records that nothing can ask for.
    ("purge.inbox", Driven::ByRetention),
    // The todo service creates a todo that its user asked for.
    ("todo.create", Driven::ByTodos),
    // The todo service changes a todo.
    ("todo.change", Driven::ByTodos),
    // The todo service removes a todo of the user's own.
    ("todo.remove", Driven::ByTodos),
    // The todo service commits the removal of a welcome todo, and the note.
    ("todo.remove_commit", Driven::ByTodos),
    // `redrive` or `consumers` records who does what and why.
    ("redrive.record", Driven::ByRedrive),
    // `redrive` asks a running workflow to publish again; `consumers` tells it of a waiver.
    ("redrive.signal", Driven::ByRedrive),
    // `redrive` starts a fresh run of a workflow that has ended without success;
    // `consumers` starts one for a row that expects one more consumer.
    ("redrive.restart", Driven::ByRedrive),
    // `redrive` makes a row that is put off due, or takes an acknowledgement off a row;
    // `consumers` changes what a page of rows expects.
    ("redrive.release", Driven::ByRedrive),
    // `redrive` removes from an inbox what it says of an effect that is missing.
    ("redrive.forget", Driven::ByRedrive),
    // `redrive` puts a message back into its queue.
    ("redrive.put_back", Driven::ByRedrive),
    // `redrive` removes a dead letter that is done with.
    ("redrive.settle", Driven::ByRedrive),
    // auth commits a session, its first refresh token and the record of the login.
    ("login.commit", Driven::ByAccounts),
    // auth records a failed login.
    ("login.failed", Driven::ByAccounts),
    // auth replaces a weaker hash after a login.
    ("login.rehash", Driven::ByAccounts),
    // auth commits the use of a refresh token and its successor.
    ("refresh.commit", Driven::ByAccounts),
    // auth ends the oldest sessions of a user who has too many.
    ("session.limit", Driven::ByAccounts),
    // auth revokes a session.
    ("session.revoke", Driven::ByAccounts),
    // `users` commits a role and the record of who gave or took it.
    ("role.commit", Driven::ByAccounts),
    // `setup` writes the first signing key.
    ("key.first", Driven::ByAccounts),
    // `keys` commits a new signing key and the end of the others.
    ("key.rotate", Driven::ByAccounts),
    // `keys` commits the removal of a signing key.
    ("key.remove", Driven::ByAccounts),
    // `keys` seals a signing key by the secret of today.
    ("key.rewrap", Driven::ByAccounts),
];

/// What happens at the points.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act {
    pub(crate) side: Side,
    pub(crate) word: &'static str,
}

pub(crate) const ACTS: [Act; 4] = [
    Act { side: Side::Before, word: "crash" },
    Act { side: Side::After, word: "crash" },
    Act { side: Side::After, word: "lost" },
    Act { side: Side::Before, word: "slow:2000" },
];

/// How many registrations are under way at once: whoever registers as fast as
/// auth answers gives the servers more than they get on with.
const UNDER_WAY: u64 = 8;

#[tokio::test]
async fn auth_may_die_stall_or_go_unheard_at_every_step() {
    matrix("auth").await;
}

#[tokio::test]
async fn the_relay_may_die_stall_or_go_unheard_at_every_step() {
    matrix("relay").await;
}

#[tokio::test]
async fn the_worker_may_die_stall_or_go_unheard_at_every_step() {
    matrix("worker").await;
}

#[tokio::test]
async fn the_todo_service_may_die_stall_or_go_unheard_at_every_step() {
    matrix("todo").await;
}

/// The worker hands on the acknowledgements of the consumer `crm`, beside all
/// that it does for a plain registration.
#[tokio::test]
async fn the_worker_may_die_stall_or_go_unheard_at_every_step_for_another_consumer() {
    let mut steps = plainly("worker");
    steps.extend([Step("acknowledge.signal"), Step("delivery.ack")]);
    join_all(ACTS.map(async |act| {
        let (app, tokens) = prepared("worker", &steps, act, Options::expecting_crm).await;
        let crm = Crm::start(&app).await;
        settles(&app, &tokens, &format!("worker, for crm: {act:?} at every point")).await;
        crm.stop().await;
        app.finish().await;
    }))
    .await;
}

async fn matrix(service: &'static str) {
    let steps = plainly(service);
    join_all(ACTS.map(|act| drive(service, &steps, act))).await;
}

fn plainly(service: &'static str) -> Vec<Step> {
    let own = STEPS.iter().filter(|(_, driven)| *driven == Driven::Plainly(service));
    let steps: Vec<Step> = own.map(|(name, _)| Step(name)).collect();
    assert!(!steps.is_empty(), "{service} has steps");
    steps
}

async fn drive(service: &'static str, steps: &[Step], act: Act) {
    let (app, tokens) = prepared(service, steps, act, |options| options).await;
    settles(&app, &tokens, &format!("{service}: {act:?} at every point")).await;
    app.finish().await;
}

/// An application whose service acts once at each step.
async fn prepared(
    service: &'static str,
    steps: &[Step],
    act: Act,
    more: impl FnOnce(Options) -> Options,
) -> (App, Tokens) {
    let tokens = Tokens::new(steps.iter().map(|step| step.point(act.side)));
    let options = Options::default()
        .with("RELAY_CLAIM_LEASE", "10s")
        .with("TODO_SWEEP_AGE", "1s")
        .with("AMQP_CONFIRM_TIMEOUT", "2s")
        .with("REGISTRATION_OVERDUE", "5s")
        .with_for(service, "FAILPOINTS", &tokens.armed(act.word));
    (App::start_with(more(options)).await, tokens)
}

/// Registers people until the service has been hit at every point, then lets
/// everything settle.
async fn settles(app: &App, tokens: &Tokens, what: &str) {
    eventually(what, async || {
        if app.unfinished_rows().await < UNDER_WAY {
            insist(app).await;
        }
        let left = tokens.left();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    app.nothing_is_left().await;
    app.every_registration_has_one_workflow().await;
}

/// Registers one person as a client would that gets no answer: again, until it
/// is told that the address is there.
async fn insist(app: &App) {
    let email = app.address();
    eventually("somebody is registered", async || match app.register_as(&email).await {
        Ok((201 | 409, _)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    app.is_registered_once(&email).await;
}
