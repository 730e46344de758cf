//! How an application differs from the plain one, and the environment of its
//! services.

use std::path::{Path, PathBuf};

use onboard::services::names;
use onboard_stack::Servers;

/// Settings that the services of one process share.
const OF_A_PROCESS: [&str; 3] = ["FAILPOINTS", "RUST_LOG", "CLOCK_AHEAD_MS"];

/// How an application differs from the plain one.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The services to start; the others can be started later.
    pub(crate) services: Vec<&'static str>,
    /// Those of them that need a process of their own.
    pub(crate) apart: Vec<&'static str>,
    /// More settings, for all services.
    pub(crate) env: Vec<(&'static str, String)>,
    /// Components besides the four services: name and service.
    pub(crate) more: Vec<(&'static str, &'static str)>,
    /// The service whose MongoDB connections are named after the application,
    /// so that a fail point hits it alone.
    pub(crate) failing: Option<&'static str>,
    /// More settings for one component: its name, setting, value; `{id}` and
    /// `{names}` in a value stand for those of the application.
    pub(crate) env_for: Vec<(&'static str, &'static str, String)>,
    /// What another build of the program does: a component, or `setup`, which
    /// prepares the names; and that build.
    pub(crate) built_by: Vec<(&'static str, PathBuf)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            services: names().into(),
            apart: Vec::new(),
            env: Vec::new(),
            more: Vec::new(),
            failing: None,
            env_for: Vec::new(),
            built_by: Vec::new(),
        }
    }
}

impl Options {
    /// Only these services.
    pub(crate) fn only(services: &[&'static str]) -> Self {
        Self { services: services.into(), ..Self::default() }
    }

    /// With processes of their own for these services: the test stops, kills or
    /// freezes them, or reads what one process says of itself.
    pub(crate) fn apart(mut self, services: &[&'static str]) -> Self {
        self.apart.extend(services);
        self
    }

    /// With a process for each service.
    pub(crate) fn each_apart(self) -> Self {
        self.apart(&names())
    }

    /// With a setting.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    /// With the plan of released builds for runs whose row names no consumers.
    pub(crate) fn in_the_released_plan(self) -> Self {
        self.with("DELIVERY_PLAN", "1")
    }

    /// With a setting of one component alone; see `env_for`.
    pub(crate) fn with_for(
        mut self,
        component: &'static str,
        name: &'static str,
        value: &str,
    ) -> Self {
        self.env_for.push((component, name, value.to_owned()));
        self
    }

    /// With a service that fail points can hit: see `App::fail_commands`.
    pub(crate) fn failing(mut self, service: &'static str) -> Self {
        self.failing = Some(service);
        self
    }

    /// With another process of a service.
    pub(crate) fn and(mut self, name: &'static str, service: &'static str) -> Self {
        self.more.push((name, service));
        self
    }

    /// With another build of the program for a component, or for `setup`.
    pub(crate) fn built_by(mut self, component: &'static str, program: &Path) -> Self {
        self.built_by.push((component, program.to_owned()));
        self
    }

    /// The other build that a component is of.
    pub(super) fn program(&self, component: &str) -> Option<&Path> {
        let mut all = self.built_by.iter().filter(|(name, _)| *name == component);
        all.next().map(|(_, program)| program.as_path())
    }

    /// The services that share a process: those that are started at once, less
    /// those that are apart, and those with fail points or a tracer, of which a
    /// process has one.
    pub(super) fn together(&self) -> Vec<&'static str> {
        let of_a_process = |set: &str| OF_A_PROCESS.contains(&set) || set.starts_with("OTEL_");
        if self.env.iter().any(|(set, _)| of_a_process(set)) {
            return Vec::new();
        }
        let has_such = |service: &str| {
            self.env_for.iter().any(|(name, set, _)| *name == service && of_a_process(set))
        };
        let alone = |service: &&str| self.apart.contains(service) || has_such(service);
        let shared: Vec<_> =
            self.services.iter().copied().filter(|service| !alone(service)).collect();
        if shared.len() > 1 { shared } else { Vec::new() }
    }
}

/// The address and credentials of each server; by default those of one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) mongodb_uri: String,
    pub(crate) amqp_address: String,
    pub(crate) management_url: String,
    pub(crate) temporal_address: String,
}

impl Places {
    pub(crate) fn of(servers: &Servers) -> Self {
        Self {
            mongodb_uri: servers.mongodb_uri(),
            amqp_address: format!("127.0.0.1:{}", servers.ports().amqp),
            management_url: servers.management_url(),
            temporal_address: servers.temporal_address(),
        }
    }
}

/// What every service and tool of the application is told.
pub(super) fn environment(
    host: &Servers,
    (id, names): (&str, &str),
    places: &Places,
    options: &Options,
) -> Vec<(String, String)> {
    let Places { mongodb_uri, amqp_address, temporal_address, .. } = places;
    let mut env: Vec<(String, String)> = [
        ("MONGODB_URI", mongodb_uri.clone()),
        ("MONGODB_AUTH_DATABASE", format!("auth-{names}")),
        ("MONGODB_TODO_DATABASE", format!("todo-{names}")),
        ("AMQP_URL", format!("amqp://guest:guest@{amqp_address}/{names}")),
        ("TEMPORAL_ADDRESS", temporal_address.clone()),
        ("TEMPORAL_TASK_QUEUE", format!("registration-{id}")),
        ("CONSUMER_TASK_QUEUE_PREFIX", format!("{id}-")),
        // Hashing at its cheapest: it is not what these tests are about.
        ("ONBOARD_INSECURE_HASHING", "yes".to_owned()),
        ("ARGON2_MEMORY_KIB", "8".to_owned()),
        ("ARGON2_ITERATIONS", "1".to_owned()),
        ("ONBOARD_LOG_FORMAT", "json".to_owned()),
        ("ONBOARD_ENVIRONMENT", "local".to_owned()),
        ("AUTH_SECRET_FILE", host.home().secret_file().display().to_string()),
        ("RATE_LIMIT_EXEMPT", "127.0.0.0/8,::1/128".to_owned()),
        // As in `onboard up`.
        ("DELIVERY_PLAN", "2".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    env.extend(options.env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    env
}
