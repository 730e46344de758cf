//! The three servers, together or some of them.
//!
//! For tests: `Servers::start(ServersConfig::all(home, exe))` gives real
//! servers on free ports. They end with `stop`, with the last handle, or with
//! the process, whichever comes first; data and logs stay in `home`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::try_join;

use crate::component::{Component, Spec};
use crate::event::Events;
use crate::home::Home;
use crate::install::{MongodFiles, Program, RabbitmqFiles};
use crate::ports::{Choice, Lease, Ports};
use crate::process::{Inherited, Launch, Priority};
use crate::services::Service;
use crate::{cache, install, mongod, rabbitmq, temporal, tools};

/// One of the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// `MongoDB`.
    Mongo,
    /// `RabbitMQ`.
    Rabbitmq,
    /// Temporal with its web UI.
    Temporal,
}

impl Server {
    /// Every server.
    pub const ALL: [Self; 3] = [Self::Mongo, Self::Rabbitmq, Self::Temporal];

    /// Its component in `onboard status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mongo => "mongo",
            Self::Rabbitmq => "rabbitmq",
            Self::Temporal => "temporal",
        }
    }
}

/// What to start, and where.
#[derive(Debug, Clone)]
pub struct ServersConfig {
    /// State directory: `data/`, `logs/`. Locked while the servers live.
    pub home: PathBuf,
    /// A copy of the `onboard` program, for its `guard`.
    pub exe: PathBuf,
    /// Which servers.
    pub servers: Vec<Server>,
    /// The services that ports are chosen for.
    pub services: Vec<Service>,
    /// How ports are chosen.
    pub ports: Choice,
    /// Whether data of earlier runs is removed first.
    pub fresh: bool,
    /// Whether mongod takes `failCommand` and other test commands.
    pub test_commands: bool,
    /// Where downloads are kept; the user's cache when `None`.
    pub cache: Option<PathBuf>,
    /// Whether Temporal and the services of [`Priority::Background`] let the
    /// others have the CPUs first (ADR 0031).
    pub people_first: bool,
    /// More variables for every service, and for `setup`.
    pub env: Vec<(&'static str, String)>,
}

impl ServersConfig {
    /// All servers, empty, on free ports, with mongod's test commands; no
    /// services.
    #[must_use]
    pub fn all(home: PathBuf, exe: PathBuf) -> Self {
        Self {
            home,
            exe,
            servers: Server::ALL.into(),
            services: Vec::new(),
            ports: Choice::Free,
            fresh: true,
            test_commands: true,
            cache: None,
            people_first: false,
            env: Vec::new(),
        }
    }
}

/// Servers under supervision.
#[derive(Debug)]
pub struct Servers {
    /// `MongoDB`, when asked for.
    pub mongo: Option<Component>,
    /// `RabbitMQ`, when asked for.
    pub rabbitmq: Option<Component>,
    /// Temporal, when asked for.
    pub temporal: Option<Component>,
    epmd: Option<Component>,
    ports: Ports,
    home: Home,
    exe: PathBuf,
    background: Priority,
    more_env: Vec<(&'static str, String)>,
    _leases: Vec<Lease>,
}

impl Servers {
    /// Installs what is missing, starts the servers and waits until they are
    /// ready. mongod is not yet a replica set: that is `onboard setup`'s work.
    ///
    /// # Errors
    /// When something cannot be had or started; data and logs are kept.
    pub async fn start(config: ServersConfig) -> anyhow::Result<Self> {
        let home = config.home.clone();
        let servers = Self::prepare(config, &Events::silent()).await?;
        servers
            .start_all()
            .await
            .with_context(|| format!("data and logs are in {}", home.display()))?;
        Ok(servers)
    }

    /// Claims the home, chooses ports and finds or installs the programs.
    ///
    /// # Errors
    /// When the home or a port is taken, or a program cannot be had.
    pub async fn prepare(config: ServersConfig, events: &Events) -> anyhow::Result<Self> {
        let home = Home::claim(&config.home)?;
        if config.fresh {
            home.wipe()?;
        }
        let (ports, leases) = Ports::choose(config.ports, &config.services, &home.ports_file())?;
        let programs = Programs::find(&config, events).await?;
        programs.lay_out(&config.exe, &home, &ports)?;
        let background =
            if config.people_first { Priority::Background } else { Priority::Foreground };
        let supervise = |spec: Spec| Component::supervise(spec, config.exe.clone(), events.clone());
        let mongo = programs.mongod.map(|program| {
            mongod::spec(&home, &ports, &program, config.test_commands).and_then(supervise)
        });
        let files = programs.rabbitmq.as_ref();
        let epmd = files.map(|files| rabbitmq::epmd_spec(&home, &ports, files).and_then(supervise));
        let rabbitmq = files.map(|files| rabbitmq::spec(&home, &ports, files).and_then(supervise));
        let temporal = programs
            .temporal
            .map(|program| temporal::spec(&home, &ports, program, background).and_then(supervise));
        Ok(Self {
            mongo: mongo.transpose()?,
            epmd: epmd.transpose()?,
            rabbitmq: rabbitmq.transpose()?,
            temporal: temporal.transpose()?,
            ports,
            home,
            exe: config.exe,
            background,
            more_env: config.env,
            _leases: leases,
        })
    }

    /// Starts every server and waits until all are ready.
    ///
    /// # Errors
    /// The first failure, with the end of that server's log.
    pub async fn start_all(&self) -> anyhow::Result<()> {
        let broker = async {
            start(self.epmd.as_ref()).await?;
            start(self.rabbitmq.as_ref()).await
        };
        try_join!(start(self.mongo.as_ref()), broker, start(self.temporal.as_ref())).map(drop)
    }

    /// Stops every server gracefully: Temporal, `RabbitMQ`, `MongoDB`.
    ///
    /// # Errors
    /// When a supervisor is gone; the others are stopped all the same.
    pub async fn stop(&self) -> anyhow::Result<()> {
        let mut result = Ok(());
        for component in
            [&self.temporal, &self.rabbitmq, &self.epmd, &self.mongo].into_iter().flatten()
        {
            result = result.and(component.stop().await);
        }
        result
    }

    /// The servers in the order `onboard status` shows them.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        [&self.mongo, &self.rabbitmq, &self.temporal].into_iter().flatten()
    }

    /// Everything that runs, helpers included.
    pub fn processes(&self) -> impl Iterator<Item = &Component> {
        self.components().chain(&self.epmd)
    }

    /// The ports of this stack, those of the services included.
    #[must_use]
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The state directory.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The priority of what nobody waits for.
    #[must_use]
    pub fn background(&self) -> Priority {
        self.background
    }

    /// The `onboard` program in use.
    #[must_use]
    pub fn exe(&self) -> &Path {
        &self.exe
    }

    /// `mongodb://…/?replicaSet=rs0`.
    #[must_use]
    pub fn mongodb_uri(&self) -> String {
        self.ports.mongodb_uri()
    }

    /// `amqp://guest:guest@…/%2f`.
    #[must_use]
    pub fn amqp_url(&self) -> String {
        self.ports.amqp_url()
    }

    /// `RabbitMQ`'s management API, guest/guest.
    #[must_use]
    pub fn management_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.management)
    }

    /// Temporal's gRPC address, `host:port`.
    #[must_use]
    pub fn temporal_address(&self) -> String {
        self.ports.temporal_address()
    }

    /// Temporal's web UI.
    #[must_use]
    pub fn temporal_ui_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.temporal_ui)
    }

    /// The variables that point a service, or `setup`, at these servers.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let own = [
            ("MONGODB_URI", self.mongodb_uri()),
            ("AMQP_URL", self.amqp_url()),
            ("TEMPORAL_ADDRESS", self.temporal_address()),
            ("TEMPORAL_NAMESPACE", "default".to_owned()),
            ("ONBOARD_HOME", self.home.dir().display().to_string()),
            ("ONBOARD_ENVIRONMENT", "local".to_owned()),
            ("AUTH_SECRET_FILE", self.home.secret_file().display().to_string()),
            ("RATE_LIMIT_EXEMPT", "127.0.0.0/8,::1/128".to_owned()),
            ("ONBOARD_LOG_FORMAT", "json".to_owned()),
        ];
        let all = own.into_iter().chain(delivery_plan()).chain(self.more_env.iter().cloned());
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// A launch of `onboard <args>` against these servers; what `env` names
    /// again wins. Output goes to `logs/<log>.log`.
    #[must_use]
    pub fn launch(&self, log: &str, args: &[&str], env: &[(&str, &str)]) -> Launch {
        let owned = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Launch {
            program: self.exe.clone(),
            args: args.iter().map(Into::into).collect(),
            env: self
                .env()
                .into_iter()
                .chain(owned)
                .map(|(name, value)| (name, value.into()))
                .collect(),
            inherited: Inherited::AllBut(&ELSEWHERE),
            dir: None,
            log: self.home.log(log),
            priority: Priority::Foreground,
            check: Vec::new(),
        }
    }
}

/// The plan of new runs, unless the caller's environment sets it: the newest one,
/// since all services here are of one build.
fn delivery_plan() -> Option<(&'static str, String)> {
    const SETTING: &str = "DELIVERY_PLAN";
    std::env::var_os(SETTING).is_none().then(|| (SETTING, "2".to_owned()))
}

/// Variables that would point a service at other servers than these, or all services at one
/// address.
const ELSEWHERE: [&str; 9] = [
    "MONGODB_URI_FILE",
    "AUTH_MONGODB_URI",
    "AUTH_MONGODB_URI_FILE",
    "TODO_MONGODB_URI",
    "TODO_MONGODB_URI_FILE",
    "AMQP_URL_FILE",
    "ONBOARD_MANAGEMENT_ADDRESS",
    "JWKS_CA_FILE",
    "JWKS_THUMBPRINTS",
];

#[derive(Default)]
struct Programs {
    mongod: Option<MongodFiles>,
    rabbitmq: Option<RabbitmqFiles>,
    temporal: Option<Program>,
}

impl Programs {
    /// One after the other: downloads at the same time are no faster.
    async fn find(config: &ServersConfig, events: &Events) -> anyhow::Result<Self> {
        let cache = config.cache.clone().map_or_else(cache::default_dir, Ok)?;
        let mut programs = Self::default();
        for server in &config.servers {
            match server {
                Server::Mongo => programs.mongod = Some(install::mongod(&cache, events).await?),
                Server::Rabbitmq => {
                    programs.rabbitmq =
                        Some(install::rabbitmq(Path::new("/"), &cache, events).await?);
                }
                Server::Temporal => {
                    programs.temporal = Some(install::temporal(&cache, events).await?);
                }
            }
        }
        Ok(programs)
    }

    /// Puts the tools where an operator finds them.
    fn lay_out(&self, exe: &Path, home: &Home, ports: &Ports) -> anyhow::Result<()> {
        tools::link(home, "onboard", exe)?;
        if let Some(files) = &self.mongod {
            tools::link(home, "mongod", &files.program.file)?;
        }
        if let Some(program) = &self.temporal {
            tools::link(home, "temporal", &program.file)?;
        }
        if let Some(files) = &self.rabbitmq {
            tools::rabbitmq(home, ports, files)?;
        }
        Ok(())
    }
}

async fn start(component: Option<&Component>) -> anyhow::Result<()> {
    match component {
        Some(component) => component.start().await,
        None => Ok(()),
    }
}
