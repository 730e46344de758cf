//! The stack of a run: the three servers and the services asked for, in a
//! state directory and on ports of its own.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use onboard_broker::{BrokerArgs, BrokerConfig};
use onboard_events::ExtraConsumers;
use onboard_ops::{DatabasesArgs, DatabasesConfig};
use onboard_runtime::Problems;
use onboard_stack::component::Spec;
use onboard_stack::ports::{Choice, Lease};
use onboard_stack::probe::Probe;
use onboard_stack::process::{Inherited, Launch};
use onboard_stack::{Component, Events, Server, Servers, ServersConfig, Service, Stack, services};
use onboard_temporal::{TemporalArgs, TemporalConfig};

use crate::management::Management;
use crate::plan;

/// The service that people register with.
const AUTH: &str = "auth";
/// Hashing at its cheapest, for machines that have other things to do.
const CHEAP_HASHING: [(&str, &str); 3] =
    [("ONBOARD_INSECURE_HASHING", "yes"), ("ARGON2_MEMORY_KIB", "8"), ("ARGON2_ITERATIONS", "1")];
/// What the caller's environment must not change: the auditor looks there.
const NAMES: [(&str, &str); 3] = [
    ("MONGODB_AUTH_DATABASE", "auth"),
    ("MONGODB_TODO_DATABASE", "todo"),
    ("TEMPORAL_TASK_QUEUE", "registration"),
];

/// The name of the consumer that a run may add.
pub(crate) const CONSUMER: &str = "crm";
/// The setting that makes registrations expect it.
const EXPECTED: (&str, &str) = ("EXTRA_CONSUMERS", "crm:USER_REGISTERED");

/// What to run, and where.
#[derive(Debug, Clone)]
pub struct StageConfig {
    /// State directory, empty.
    pub home: PathBuf,
    /// The `onboard` program.
    pub exe: PathBuf,
    /// Where downloads are kept; the user's cache when `None`.
    pub cache: Option<PathBuf>,
    /// As `onboard up` has it (ADR 0031).
    pub people_first: bool,
    /// The services, in the order in which they are started.
    pub processes: Vec<Process>,
    /// The command of a program that is the consumer `crm` of the registrations.
    pub consumer: Option<String>,
}

/// One process of a service.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its name on this stage.
    pub name: String,
    /// The service it is one of.
    pub service: Service,
    /// Whether it hashes passwords weakly, to spare the CPU.
    pub cheap_hashing: bool,
}

impl Process {
    /// Two of each service.
    #[must_use]
    pub fn pairs(services: &[Service], cheap_hashing: bool) -> Vec<Self> {
        let pair = |service: &Service| {
            let service = *service;
            [1, 2].map(|number| {
                let name = format!("{}-{number}", service.name);
                Self { name, service, cheap_hashing }
            })
        };
        services.iter().flat_map(pair).collect()
    }
}

/// Another program that consumes the registrations: what it is told is the
/// broker, its name and a file for its database.
fn consumer(servers: &Servers, command: &str, events: &Events) -> anyhow::Result<Component> {
    let home = servers.home();
    let database = home.dir().join(format!("{CONSUMER}.sqlite3"));
    let env = [
        ("CONSUMER", CONSUMER.into()),
        ("AMQP_URL", servers.amqp_url().into()),
        ("DATABASE", database.into_os_string()),
    ];
    let launch = Launch {
        program: "/bin/sh".into(),
        // The program takes the place of the shell, so that signals reach it.
        args: vec!["-c".into(), format!("exec {command}").into()],
        env: env.map(|(name, value)| (name.to_owned(), value)).into(),
        inherited: Inherited::AllBut(&[]),
        dir: None,
        log: home.log(CONSUMER),
        priority: servers.background(),
        check: Vec::new(),
    };
    let spec = Spec {
        name: CONSUMER.to_owned(),
        launch,
        probe: Probe::Running,
        port: 0,
        ready_within: Duration::from_mins(1),
        stop_within: Duration::from_secs(30),
    };
    Component::supervise(spec, servers.exe().to_owned(), events.clone())
}

/// The stack of a chaos run, or of a bench run.
#[derive(Debug)]
pub struct Stage {
    stack: Stack,
    targets: Vec<String>,
    auth_urls: Vec<String>,
    _leases: Vec<Lease>,
}

impl Stage {
    /// Claims the home and free ports, finds or installs the servers. Starts
    /// nothing.
    ///
    /// # Errors
    /// When the home is taken, or a server cannot be had.
    pub async fn prepare(config: StageConfig, events: Events) -> anyhow::Result<Self> {
        let servers = ServersConfig {
            home: config.home,
            exe: config.exe,
            servers: Server::ALL.into(),
            services: Vec::new(),
            ports: Choice::Free,
            fresh: true,
            test_commands: false,
            cache: config.cache,
            people_first: config.people_first,
            env: config.consumer.iter().map(|_| (EXPECTED.0, EXPECTED.1.to_owned())).collect(),
        };
        let servers = Servers::prepare(servers, &events).await?;
        let targets = plan::targets(&config.processes, config.consumer.is_some());
        let leases = config.processes.iter().map(|_| Lease::any());
        let leases = leases.collect::<anyhow::Result<Vec<_>>>()?;
        let auths = config.processes.iter().zip(&leases);
        let auths = auths.filter(|(process, _)| process.service.name == AUTH);
        let auth_urls: Vec<_> =
            auths.map(|(_, lease)| format!("http://127.0.0.1:{}", lease.port())).collect();
        let jwks = auth_urls.first().map(|auth| format!("{auth}/.well-known/jwks.json"));
        let mut services = Vec::new();
        for (Process { name, service, cheap_hashing }, lease) in
            config.processes.iter().zip(&leases)
        {
            let mut env: Vec<(&str, &str)> = NAMES.into();
            env.extend(jwks.as_deref().map(|url| ("JWKS_URL", url)));
            if *cheap_hashing {
                env.extend(CHEAP_HASHING);
            }
            let service = Service { port: lease.port(), ..*service };
            services.push(services::supervise(&servers, name, service, &env, &events)?);
        }
        if let Some(command) = &config.consumer {
            services.push(consumer(&servers, command, &events)?);
        }
        let stack = Stack::of(servers, services, events);
        Ok(Self { stack, targets, auth_urls, _leases: leases })
    }

    /// The stack itself: `bring_up`, `drain`, `kill_all`, `components`.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Where people register, one base URL per auth process.
    pub(crate) fn auth_urls(&self) -> &[String] {
        &self.auth_urls
    }

    /// Everything that can be broken.
    pub(crate) fn targets(&self) -> &[String] {
        &self.targets
    }

    pub(crate) fn find(&self, name: &str) -> anyhow::Result<&Component> {
        self.stack.find(name)
    }

    pub(crate) fn management(&self) -> anyhow::Result<Management> {
        Management::new(self.stack.servers().management_url())
    }

    /// How the servers are reached.
    ///
    /// # Errors
    /// When the caller's environment has settings that contradict these.
    pub fn servers(&self) -> anyhow::Result<(DatabasesConfig, BrokerConfig, TemporalConfig)> {
        let servers = self.stack.servers();
        let mut problems = Problems::default();
        let mongo = DatabasesArgs::at(servers.mongodb_uri());
        let broker = BrokerArgs { amqp_url: Some(servers.amqp_url()), ..BrokerArgs::default() };
        let temporal = TemporalArgs {
            temporal_address: Some(servers.temporal_address()),
            temporal_namespace: Some("default".to_owned()),
            ..TemporalArgs::default()
        };
        let mongo = mongo.check(&mut problems);
        let broker =
            broker.check(onboard_events::topology(&ExtraConsumers::default()), &mut problems);
        let temporal = temporal.check(&mut problems);
        let all = mongo.zip(broker).zip(temporal);
        let all = all.map(|((mongo, broker), temporal)| (mongo, broker, temporal));
        problems.finish(all).context("the servers of the run cannot be addressed")
    }
}

/// A stage without a component it should have is a mistake of this crate.
pub(crate) fn missing(what: &str) -> anyhow::Error {
    anyhow!("the stage has no {what}")
}
