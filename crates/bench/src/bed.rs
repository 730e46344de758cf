//! The stack that is measured: servers and one of each service, in a state
//! directory and on ports of its own, and a second auth that hashes as cheaply
//! as can be. It never touches servers under other names or ports.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use onboard_broker::BrokerConfig;
use onboard_chaos::stage::Process;
use onboard_chaos::{Stage, StageConfig};
use onboard_ops::{Databases, DatabasesConfig};
use onboard_stack::{Component, Events, Service};
use onboard_temporal::TemporalConfig;

/// The auth that hashes as production does.
pub(crate) const AUTH: &str = "auth";
/// The auth that hashes as cheaply as can be.
pub(crate) const AUTH_CHEAP: &str = "auth-cheap";

/// Where it lives.
#[derive(Debug, Clone)]
pub struct BedConfig {
    /// State directory, empty.
    pub home: PathBuf,
    /// The `onboard` program.
    pub exe: PathBuf,
    /// Where downloads are kept; the user's cache when `None`.
    pub cache: Option<PathBuf>,
    /// The services, in the order in which they are started.
    pub services: Vec<Service>,
}

/// The stack of a bench run.
#[derive(Debug)]
pub struct Bed {
    stage: Stage,
    services: Vec<Service>,
    ready_after: Duration,
}

impl Bed {
    /// Claims the home and free ports, finds or installs the servers. Starts
    /// nothing.
    ///
    /// # Errors
    /// When the home is taken, or a server cannot be had.
    pub async fn prepare(config: BedConfig, events: Events) -> anyhow::Result<Self> {
        let BedConfig { home, exe, cache, services } = config;
        let process = |name: &str, service: &Service, cheap_hashing| Process {
            name: name.to_owned(),
            service: *service,
            cheap_hashing,
        };
        let processes = services.iter().flat_map(|service| {
            let cheap = (service.name == AUTH).then(|| process(AUTH_CHEAP, service, true));
            std::iter::once(process(service.name, service, false)).chain(cheap)
        });
        let processes = processes.collect();
        let stage = StageConfig { home, exe, cache, people_first: true, processes, consumer: None };
        let stage = Stage::prepare(stage, events).await?;
        Ok(Self { stage, services, ready_after: Duration::ZERO })
    }

    /// Starts everything and notes how long that took.
    ///
    /// # Errors
    /// When something does not come up.
    pub async fn bring_up(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.stage.stack().bring_up().await.context("the stack did not come up")?;
        self.ready_after = begun.elapsed();
        Ok(())
    }

    /// The stack itself, to stop it.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The names of the services.
    pub(crate) fn services(&self) -> impl Iterator<Item = &'static str> {
        self.services.iter().map(|service| service.name)
    }

    /// How long `bring_up` took.
    pub(crate) fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// A server or service by its name: `stop`, `start`, `status` (with pid).
    pub(crate) fn component(&self, name: &str) -> anyhow::Result<&Component> {
        self.stage.stack().find(name)
    }

    /// Where people register with one of the auths.
    pub(crate) fn register_url(&self, auth: &str) -> anyhow::Result<String> {
        let port = self.component(auth)?.port();
        Ok(format!("http://127.0.0.1:{port}/api/v1/auth/register"))
    }

    /// How the servers are reached.
    pub(crate) fn servers(
        &self,
    ) -> anyhow::Result<(DatabasesConfig, BrokerConfig, TemporalConfig)> {
        self.stage.servers()
    }

    /// A client of `MongoDB`.
    pub(crate) async fn mongo(&self) -> anyhow::Result<Databases> {
        let (mongo, _, _) = self.servers()?;
        Ok(Databases::new(&mongo).await?)
    }
}
