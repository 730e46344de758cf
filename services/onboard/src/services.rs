//! The services of the system, once: the command line, the launcher, the chaos
//! and bench runs, the tests and the files of the deployment follow this table.
//!
//! The order is the one in which `onboard up` starts the services. The table
//! keeps nothing: a process that dies loses nothing of it.

use std::pin::Pin;
use std::time::Duration;

use clap::{ArgMatches, Command, FromArgMatches as _};
use onboard_auth::Auth;
use onboard_relay::Relay;
use onboard_runtime::{Metric, Problems, Service, Shutdown};
use onboard_stack::Priority;
use onboard_stack::ports::Ports;
use onboard_todo::Todo;
use onboard_worker::Worker;

/// Every service.
pub static SERVICES: [Entry; 4] = [
    Entry::of::<Auth>("auth-service", Priority::Foreground),
    Entry::of::<Relay>("relay", Priority::Background),
    Entry::of::<Worker>("worker", Priority::Background),
    Entry::of::<Todo>("todo-service", Priority::Foreground),
];

/// The names of the services.
#[must_use]
pub fn names() -> [&'static str; 4] {
    SERVICES.each_ref().map(|entry| entry.name)
}

/// The service of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Entry> {
    SERVICES.iter().find(|entry| entry.name == name)
}

/// The services as the launcher takes them.
#[must_use]
pub fn of_the_stack() -> Vec<onboard_stack::Service> {
    SERVICES.iter().map(Entry::of_the_stack).collect()
}

/// The variables that the services need to find each other on these ports.
pub(crate) fn variables(ports: &Ports) -> Vec<(&'static str, String)> {
    let auth = ports.service(Auth::NAME);
    let keys = auth.map(|port| format!("http://127.0.0.1:{port}/.well-known/jwks.json"));
    keys.map(|keys| ("JWKS_URL", keys)).into_iter().collect()
}

/// A service that runs until it ends.
pub type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>>>>;

/// Starts a service whose settings are checked.
pub type Start = Box<dyn FnOnce(Shutdown) -> Running>;

/// One service.
#[derive(Debug)]
pub struct Entry {
    /// Its subcommand, and its component in `onboard status`.
    pub name: &'static str,
    /// One line for `onboard --help`.
    pub about: &'static str,
    /// The port of its HTTP by default.
    pub port: u16,
    /// The port of health and metrics in production; none: `port`.
    pub management_port: Option<u16>,
    /// How long a stop may take, `SHUTDOWN_DELAY` apart.
    pub stop_max: Duration,
    /// What its process records, without the metrics of every process.
    pub metrics: &'static [&'static [Metric]],
    /// Its container in `docker-compose.yml`.
    pub container: &'static str,
    /// Whether somebody waits for its answer.
    pub priority: Priority,
    augment: fn(Command) -> Command,
    check: fn(&ArgMatches, &mut Problems) -> Option<Start>,
}

impl Entry {
    const fn of<S: Service + 'static>(container: &'static str, priority: Priority) -> Self {
        Self {
            name: S::NAME,
            about: S::ABOUT,
            port: S::PORT,
            management_port: S::MANAGEMENT_PORT,
            stop_max: S::STOP_MAX,
            metrics: S::METRICS,
            container,
            priority,
            augment: <S::Args as clap::Args>::augment_args,
            check: check::<S>,
        }
    }

    /// The command with the settings of this service.
    #[must_use]
    pub fn augment(&self, command: Command) -> Command {
        (self.augment)(command)
    }

    /// Checks the settings that such a command has read.
    pub fn check(&self, settings: &ArgMatches, problems: &mut Problems) -> Option<Start> {
        (self.check)(settings, problems)
    }

    /// The port of health and metrics in production.
    #[must_use]
    pub fn health_port(&self) -> u16 {
        self.management_port.unwrap_or(self.port)
    }

    /// The service as the launcher takes it.
    #[must_use]
    pub const fn of_the_stack(&self) -> onboard_stack::Service {
        let Self { name, port, priority, .. } = *self;
        onboard_stack::Service { name, port, priority }
    }
}

fn check<S: Service + 'static>(settings: &ArgMatches, problems: &mut Problems) -> Option<Start> {
    let args = S::Args::from_arg_matches(settings);
    let args = args.map_err(|error| problems.push(S::NAME, error)).ok()?;
    let config = S::check(args, problems)?;
    Some(Box::new(move |shutdown| -> Running {
        Box::pin(async move {
            onboard_http::metrics::begin(S::NAME, S::METRICS);
            S::run(config, shutdown).await.map_err(anyhow::Error::from)
        })
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_services_share_a_name_a_port_or_a_container() {
        let names: BTreeSet<_> = SERVICES.iter().map(|entry| entry.name).collect();
        let own = |entry: &Entry| [Some(entry.port), entry.management_port];
        let ports: Vec<_> = SERVICES.iter().flat_map(own).flatten().collect();
        let containers: BTreeSet<_> = SERVICES.iter().map(|entry| entry.container).collect();
        let distance = onboard_http::management::PORT_DISTANCE;
        for Entry { name, port, management_port, .. } in &SERVICES {
            let as_said = management_port.is_none_or(|second| second == port + distance);
            assert!(as_said, "{name}: the default is the port of its API plus {distance}");
        }
        let all = SERVICES.len();
        assert_eq!((names.len(), containers.len()), (all, all));
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len(), "{ports:?}");
    }

    #[test]
    fn the_help_of_each_service_names_its_own_port() {
        for entry in &SERVICES {
            let command = entry.augment(Command::new(entry.name));
            let mut settings = command.get_arguments();
            let address = settings.find(|one| one.get_id() == "http_address").unwrap();
            let help = address.get_help().unwrap().to_string();
            let said = format!("Default: `0.0.0.0:{}`", entry.port);
            assert!(help.contains(&said), "{}: {help}", entry.name);
        }
    }
}
