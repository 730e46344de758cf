//! The matrix: at every step of every process, a crash before and after it, an
//! answer that never comes, and a slow one. Whatever happens there, nobody is
//! lost and nobody is served twice.
//!
//! One application per service and act; each point has a token, and the test
//! goes on until every token is used, so a point that is never reached fails.

mod special;
pub(crate) mod tokens;

use futures::future::join_all;
use onboard_fault::{Side, Step};

use self::tokens::Tokens;
use crate::harness::{App, Crm, Options, eventually};

/// Where a step is driven. Exhaustive: a new step does not compile until
/// somebody says how it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Driven {
    /// By registrations, while this service has its fail points armed.
    Plainly(&'static str),
    /// By a test in `special`, since it needs a situation of its own.
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

const fn driven(step: Step) -> Driven {
    match step {
        Step::RegisterCommit => Driven::Plainly("auth"),
        Step::RefusalKeep => Driven::ByIdempotency,
        Step::RelayLead | Step::WorkflowStart | Step::RelayNote => Driven::Plainly("relay"),
        Step::PublishSend | Step::PublishConfirm | Step::SentMark | Step::TerminalRecord => {
            Driven::Plainly("worker")
        }
        Step::InboxCommit | Step::AcknowledgeSignal | Step::AcknowledgeNote | Step::DeliveryAck => {
            Driven::Plainly("todo")
        }
        Step::RelayClaim | Step::RelayRelease | Step::RelayPutOff | Step::DeliveryRequeue => {
            Driven::Specially
        }
        Step::RelayRebuild => Driven::ByDisaster,
        Step::PurgeHorizon | Step::PurgeOutbox | Step::PurgeInbox => Driven::ByRetention,
        Step::TodoCreate | Step::TodoChange | Step::TodoRemove | Step::TodoRemoveCommit => {
            Driven::ByTodos
        }
        Step::RedriveRecord
        | Step::RedriveSignal
        | Step::RedriveRestart
        | Step::RedriveRelease
        | Step::RedriveForget
        | Step::RedrivePutBack
        | Step::RedriveSettle => Driven::ByRedrive,
        Step::LoginCommit
        | Step::LoginRehash
        | Step::RefreshCommit
        | Step::SessionRevoke
        | Step::RoleCommit
        | Step::KeyFirst
        | Step::KeyRotate
        | Step::KeyRemove => Driven::ByAccounts,
    }
}

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
    steps.extend([Step::AcknowledgeSignal, Step::DeliveryAck]);
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
    let own = |step: &Step| driven(*step) == Driven::Plainly(service);
    let steps: Vec<Step> = Step::ALL.into_iter().filter(own).collect();
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
