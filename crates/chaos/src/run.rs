//! The run as a recipe: load and faults together, settle, read, judge, audit.

use std::time::Duration;

use anyhow::Context as _;
use onboard_ops::Databases;
use onboard_ops::audit::{Histories, Options, Sources};
use onboard_stack::State;
use tokio::time::Instant;

use crate::facts::Facts;
use crate::inject::{Injected, inject};
use crate::journal::Journal;
use crate::judge::judge;
use crate::live::Live;
use crate::load::Load;
use crate::plan::Plan;
use crate::report::{FaultCounts, Report, Times};
use crate::settle::settle;
use crate::stage::{Stage, missing};
use crate::versions::versions;

/// How old the queues are before anything is broken. RabbitMQ 3.10 writes the
/// birth of a quorum queue to disk some seconds late; killed before that, it
/// comes back with a queue that has no leader, and never gets one. A run
/// that began at once found this (ADR 0016); it says nothing new a second time.
const QUEUES_ARE_ON_DISK: Duration = Duration::from_secs(15);

/// What a run is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the faults are drawn from.
    pub seed: u64,
    /// How long people register and things break.
    pub length: Duration,
    /// Registrations a second.
    pub rate: f64,
    /// Faults a minute.
    pub faults_per_minute: f64,
    /// Whether passwords are hashed weakly, to spare the CPU.
    pub cheap_hashing: bool,
    /// The command of a program that is the consumer `crm`.
    pub consumer: Option<String>,
}

impl Settings {
    /// The plan of this run: what happens to which of these targets.
    #[must_use]
    pub fn plan(&self, targets: &[String]) -> Plan {
        let count = self.length.as_secs_f64() / 60.0 * self.faults_per_minute;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small positive number"
        )]
        let count = count.round().max(0.0) as usize;
        Plan::draw(self.seed, self.length, count, targets)
    }
}

/// Breaks a stack that is up while people register, lets it settle and judges.
///
/// # Errors
/// When there is no verdict, because a server cannot be read after everything
/// has been mended.
pub async fn run(stage: &Stage, settings: &Settings, live: &Live) -> anyhow::Result<Report> {
    let plan = settings.plan(stage.targets());
    let (mongo_config, broker, temporal) = stage.servers()?;
    let mongo = Databases::new(&mongo_config).await?;
    let versions = versions(stage, &mongo).await;
    live.phase("letting RabbitMQ write its new queues to disk");
    tokio::time::sleep(QUEUES_ARE_ON_DISK).await;
    live.phase("breaking it");
    let (journal, injected) = break_under_load(stage, settings, &plan, live).await?;
    let (attempts, shed) = journal.close();

    live.phase("all faults have ended; waiting until nothing is left to do");
    let settled = settle(stage, &mongo, live).await?;

    live.phase("reading and judging");
    let facts = Facts::read(&mongo).await.context("MongoDB cannot be read")?;
    let verdict = judge(&attempts, &facts);
    let sources = Sources::connect(&mongo_config, &broker, &temporal).await?;
    let options =
        Options { since_ms: None, grace: Duration::ZERO, histories: Histories::Sample(200) };
    let audit = onboard_ops::audit::audit(&sources, &options, |at| {
        live.show(format!("auditing: {} of {} {}", at.done, at.total, at.pass.as_str()));
    })
    .await?;
    Ok(Report {
        times: Times::new(&facts, settled.after),
        faults: FaultCounts::new(plan.faults.len(), injected.close(), stage.targets().to_vec()),
        ..Report::new(settings, verdict, audit, settled.left)
    }
    .with(shed, versions))
}

/// Load and faults at the same time, until both have ended.
async fn break_under_load(
    stage: &Stage,
    settings: &Settings,
    plan: &Plan,
    live: &Live,
) -> anyhow::Result<(Journal, Injected)> {
    let auths = stage.auth_urls();
    if auths.is_empty() {
        return Err(missing("auth service"));
    }
    let load = Load::new(auths, (settings.rate, settings.length), settings.seed)?;
    let (journal, injected) = (Journal::default(), Injected::default());
    let end = Instant::now() + settings.length;
    let work = async { tokio::join!(load.run(&journal), inject(stage, plan, &injected)) };
    let ((), broken) = live.during(work, || line(stage, &journal, &injected, end)).await;
    broken?;
    Ok((journal, injected))
}

fn line(stage: &Stage, journal: &Journal, injected: &Injected, end: Instant) -> String {
    let left = end.saturating_duration_since(Instant::now()).as_secs();
    let (attempted, acknowledged) = journal.counts();
    let faults = injected.count();
    let mut broken: Vec<String> =
        injected.now().iter().map(|(target, kind)| format!("{target} ({kind})")).collect();
    for component in stage.stack().components() {
        let known = injected.now().contains_key(component.name());
        if !known && component.status().state != State::Ready {
            broken.push(component.name().to_owned());
        }
    }
    let broken = if broken.is_empty() { "nothing".to_owned() } else { broken.join(", ") };
    format!(
        "{:02}:{:02} left  {attempted} attempted  {acknowledged} acknowledged  {faults} faults  \
         broken now: {broken}",
        left / 60,
        left % 60
    )
}
