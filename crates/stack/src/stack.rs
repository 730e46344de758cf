//! The ordered whole: servers, then setup, then services; and back.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use futures::future::{join_all, try_join_all};

use crate::component::Component;
use crate::event::Events;
use crate::ports::{Choice, Ports};
use crate::servers::{Server, Servers, ServersConfig};
use crate::services::Service;
use crate::state::{Row, State};
use crate::{services, setup};

/// How often a component that starts is asked what it waits for.
const ASK_AGAIN: Duration = Duration::from_millis(150);

/// What to run, and where.
#[derive(Debug, Clone)]
pub struct StackConfig {
    /// State directory.
    pub home: PathBuf,
    /// The `onboard` program: its services, `setup` and `guard`.
    pub exe: PathBuf,
    /// Where downloads are kept; the user's cache when `None`.
    pub cache: Option<PathBuf>,
    /// Whether data of earlier runs is removed first.
    pub fresh: bool,
    /// The services, in the order in which they are started.
    pub services: Vec<Service>,
    /// The variables that the services need to find each other on these ports.
    pub env: fn(&Ports) -> Vec<(&'static str, String)>,
    /// How ports are chosen.
    pub ports: Choice,
}

/// The whole system on this machine.
#[derive(Debug)]
pub struct Stack {
    servers: Servers,
    services: Vec<Component>,
    events: Events,
}

impl Stack {
    /// Claims the home, chooses ports, finds or installs the servers. Starts
    /// nothing.
    ///
    /// # Errors
    /// When the home or a port is taken, or a server cannot be had.
    pub async fn prepare(config: StackConfig, events: Events) -> anyhow::Result<Self> {
        let of_servers = ServersConfig {
            home: config.home,
            exe: config.exe,
            servers: Server::ALL.into(),
            services: config.services.clone(),
            ports: config.ports,
            fresh: config.fresh,
            test_commands: false,
            cache: config.cache,
            people_first: true,
            env: Vec::new(),
        };
        let servers = Servers::prepare(of_servers, &events).await?;
        let env = (config.env)(servers.ports());
        let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let services = services::supervise_all(&servers, &config.services, &env, &events)?;
        Ok(Self::of(servers, services, events))
    }

    /// A stack of these servers and services, however many of each service.
    #[must_use]
    pub fn of(servers: Servers, services: Vec<Component>, events: Events) -> Self {
        Self { servers, services, events }
    }

    /// Starts everything in order and waits until all of it is ready.
    ///
    /// # Errors
    /// The first failure. What has started keeps running: drain afterwards.
    pub async fn bring_up(&self) -> anyhow::Result<()> {
        self.servers.start_all().await?;
        self.events.note("setup: preparing replica set, collections, queues, namespace");
        setup::run(&self.servers, &self.events).await?;
        try_join_all(self.services.iter().map(Component::start))
            .await
            .context("a service did not come up")?;
        Ok(())
    }

    /// Stops everything gracefully, in the reverse order.
    ///
    /// # Errors
    /// When a supervisor is gone.
    pub async fn drain(&self) -> anyhow::Result<()> {
        let services = join_all(self.services.iter().map(Component::stop)).await;
        let servers = self.servers.stop().await;
        services.into_iter().collect::<Result<(), _>>().and(servers)
    }

    /// Ends everything at once with SIGKILL.
    pub async fn kill_all(&self) {
        let all = self.services.iter().chain(self.servers.processes());
        join_all(all.map(|component| async {
            // In this order: what is being stopped is not restarted. One that
            // is not running needs no signal, so the refusal is no error.
            let (_stopped, _killed) = tokio::join!(component.stop(), component.kill());
        }))
        .await;
    }

    /// Starts one component, and waits until it is ready or says that it waits for
    /// another one, which is not ready either.
    ///
    /// # Errors
    /// What it waits for; or as [`Component::start`].
    pub async fn start(&self, name: &str) -> anyhow::Result<()> {
        let component = self.find(name)?;
        component.request_start().await?;
        tokio::select! {
            ready = component.comes_up() => ready,
            (awaited, state) = self.awaited_by(component) => {
                bail!(
                    "{name} runs and waits for {awaited}, which is {state}; \
                     `onboard start {awaited}` starts it"
                )
            }
        }
    }

    /// The component that this one waits for, as soon as it says so.
    async fn awaited_by(&self, component: &Component) -> (String, State) {
        loop {
            tokio::time::sleep(ASK_AGAIN).await;
            let missing = component.probe().missing().await;
            let awaited = missing.into_iter().find_map(|name| {
                let state = self.find(&name).ok()?.status().state;
                (state != State::Ready).then_some((name, state))
            });
            if let Some(awaited) = awaited {
                return awaited;
            }
        }
    }

    /// One component by name.
    ///
    /// # Errors
    /// When there is none of that name; says which there are.
    pub fn find(&self, name: &str) -> anyhow::Result<&Component> {
        self.components().find(|component| component.name() == name).ok_or_else(|| {
            let names: Vec<&str> = self.components().map(Component::name).collect();
            anyhow!("no component {name:?}; there are {}", names.join(", "))
        })
    }

    /// Every component, in the order of `onboard status`.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        self.servers.components().chain(&self.services)
    }

    /// The lines of `onboard status`.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.components().map(Component::row).collect()
    }

    /// Its ports.
    #[must_use]
    pub fn ports(&self) -> &Ports {
        self.servers.ports()
    }

    /// Its servers.
    #[must_use]
    pub fn servers(&self) -> &Servers {
        &self.servers
    }
}
