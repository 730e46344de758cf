//! The command line: which subcommand runs, and what its exit code means.
//!
//! Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 64 bad
//! configuration, 69 a server cannot be reached.

use std::io::Write as _;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use onboard_runtime::availability::chain;
use onboard_runtime::{ConfigError, Problems, exit, memory};

use crate::commands::columns::{columns_of_errors, fitted};
use crate::commands::operate::complain;
use crate::commands::service::ServiceCommand;
use crate::commands::{
    arguments, audit, bench, calibrate, chaos, completions, config, consumers, control, doctor,
    env, events, guard, keys, list, probe, redrive, register, setup, show, up, users,
};

#[derive(Debug, Parser)]
#[command(name = "onboard", version, about = "User registration that cannot lose anyone")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole system on this machine (the default).
    Up(up::UpArgs),
    /// Stop the running `up`.
    Down(control::DownArgs),
    /// Show every component of the running `up`.
    Status(control::StatusArgs),
    /// Stop one component and keep it stopped.
    Stop(control::ComponentArgs),
    /// Start one component.
    Start(control::ComponentArgs),
    /// Kill one component; it is restarted.
    Kill(control::ComponentArgs),
    /// Print the addresses of the running `up` for a shell: eval "$(onboard env)".
    Env(env::EnvArgs),
    /// Register a user, and follow the registration to its end.
    Register(register::RegisterArgs),
    /// Prepare MongoDB, RabbitMQ and Temporal; safe to repeat.
    Setup(setup::SetupArgs),
    /// List registrations by stage and age.
    List(list::ListArgs),
    /// Show one registration's whole record.
    Show(show::ShowArgs),
    /// Put dead letters and stalled registrations back to work.
    Redrive(redrive::RedriveArgs),
    /// List the consumers of events, send one of them the past, or retire one.
    Consumers(consumers::ConsumersArgs),
    /// Prove that nobody is lost or served twice, or name who is.
    Audit(audit::AuditArgs),
    /// Break everything at random on a stack of its own, then audit.
    Chaos(chaos::ChaosArgs),
    /// Measure the figures of `docs/performance.md` on a stack of its own.
    Bench(bench::BenchArgs),
    /// List the keys that sign access tokens, rotate or remove them.
    Keys(keys::KeysArgs),
    /// Show users and grant or take away roles.
    Users(users::UsersArgs),
    /// List who changed what of the accounts: roles, keys, sessions, failed logins.
    Events(events::EventsArgs),
    /// Check an environment, and say what to do about what will not do.
    Doctor(Box<doctor::DoctorArgs>),
    /// Print every setting of every service and tool.
    Config(config::ConfigArgs),
    /// Measure password hashing and propose its settings.
    Calibrate(calibrate::CalibrateArgs),
    /// Print the completions of this program for a shell.
    Completions(completions::CompletionsArgs),
    #[command(flatten)]
    Service(ServiceCommand),
    /// Run a command that ends with the process that started it.
    #[command(hide = true)]
    Guard(guard::GuardArgs),
    /// Tell whether a service answers with a success.
    #[command(hide = true)]
    Probe(probe::ProbeArgs),
}

/// Runs the program; called by the binary and by the tests' copy of it.
#[must_use]
pub fn main() -> ExitCode {
    let (command, warnings) = read().unwrap_or_else(|error| plain(error).exit());
    match command.run(&warnings) {
        Ok(code) => code,
        Err(error) => {
            let text = fitted(&format!("onboard: {error:#}"), columns_of_errors());
            write!(std::io::stderr().lock(), "{text}").ok();
            let bad_config = error.downcast_ref::<ConfigError>().is_some();
            ExitCode::from(if bad_config { exit::CONFIG } else { exit::NO })
        }
    }
}

/// The command, and what is to be said of this process. What clap has read goes: it holds
/// secrets as text.
fn read() -> Result<(Command, Vec<String>), clap::Error> {
    let arguments = Cli::command().try_get_matches()?;
    let cli = Cli::from_arg_matches(&arguments);
    let cli = cli.map_err(|error| error.format(&mut Cli::command()))?;
    let command = cli.command.unwrap_or_else(default_command);
    let warnings = command.warnings(&arguments);
    Ok((command, warnings))
}

impl Command {
    /// Keeps the memory of this process private, and notes what others can read all the
    /// same: that, and its command line.
    fn warnings(&self, arguments: &ArgMatches) -> Vec<String> {
        let mut problems = Problems::default();
        if !self.starts_programs()
            && let Err(error) = memory::keep_private()
        {
            problems.warn("memory", chain(&error));
        }
        arguments::warn_of_secrets(&Cli::command(), arguments, &mut problems);
        problems.take_warnings()
    }

    /// Whether it starts others, which would inherit the limit of core files, and looks after
    /// them. It holds the secrets of a local stack at most.
    const fn starts_programs(&self) -> bool {
        matches!(self, Self::Up(_) | Self::Guard(_) | Self::Chaos(_) | Self::Bench(_))
    }

    /// A service logs the warnings, a tool says them.
    fn run(self, warnings: &[String]) -> anyhow::Result<ExitCode> {
        if !matches!(self, Self::Service(_)) {
            for warning in warnings {
                complain(warning);
            }
        }
        match self {
            Self::Up(args) => up::run(args),
            Self::Down(args) => control::down(&args),
            Self::Status(args) => control::status(&args),
            Self::Stop(args) => control::stop(args),
            Self::Start(args) => control::start(args),
            Self::Kill(args) => control::kill(args),
            Self::Env(args) => env::run(&args),
            Self::Register(args) => register::run(&args),
            Self::Setup(args) => setup::run(args),
            Self::List(args) => list::run(args),
            Self::Show(args) => show::run(args),
            Self::Redrive(args) => redrive::run(args),
            Self::Consumers(args) => consumers::run(args),
            Self::Audit(args) => audit::run(args),
            Self::Chaos(args) => chaos::run(&args),
            Self::Bench(args) => bench::run(&args),
            Self::Keys(args) => keys::run(args),
            Self::Users(args) => users::run(args),
            Self::Events(args) => events::run(args),
            Self::Doctor(args) => doctor::run(*args),
            Self::Config(args) => Ok(config::run(&args, &Cli::command())),
            Self::Calibrate(args) => calibrate::run(&args),
            Self::Completions(args) => Ok(completions::run(&args, &mut Cli::command())),
            Self::Service(service) => service.run(warnings),
            Self::Guard(args) => guard::run(&args),
            Self::Probe(args) => probe::run(&args),
        }
    }
}

/// The error with a usage that names what the subcommand requires: clap adds what the
/// environment happens to set.
fn plain(mut error: clap::Error) -> clap::Error {
    if error.get(ContextKind::Usage).is_some() {
        let words = std::env::args_os().skip(1);
        let words = words.map(|word| word.to_string_lossy().into_owned());
        error.insert(ContextKind::Usage, ContextValue::StyledStr(usage(words)));
    }
    error
}

/// The usage of the subcommand that these words call.
fn usage(words: impl Iterator<Item = String>) -> StyledStr {
    let mut command = Cli::command();
    command.build();
    for word in words {
        let below = command.find_subcommand(&word).cloned();
        command = below.unwrap_or(command);
    }
    command.render_usage()
}

/// `onboard` alone means `onboard up`, its variables included.
fn default_command() -> Command {
    let name = std::env::args_os().next().unwrap_or_else(|| "onboard".into());
    match Cli::parse_from([name, "up".into()]).command {
        Some(command) => command,
        None => default_command(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_names_required_arguments_only() {
        let of = |words: &[&str]| usage(words.iter().map(|word| (*word).to_owned())).to_string();
        assert_eq!(of(&["show"]), "Usage: onboard show [OPTIONS] <ID or E-MAIL>");
        let retire = of(&["consumers", "retire", "--home", "x"]);
        assert_eq!(retire, "Usage: onboard consumers retire [OPTIONS] --reason <TEXT> <NAME>");
        assert_eq!(of(&["--nonsense"]), "Usage: onboard [COMMAND]");
    }

    #[test]
    fn the_services_are_subcommands_beside_the_tools_and_each_is_read() {
        Cli::command().debug_assert();
        for name in crate::services::names() {
            let cli = Cli::try_parse_from(["onboard", name, "--log-format", "json"]).unwrap();
            assert!(matches!(cli.command, Some(Command::Service(_))), "{name}");
        }
    }
}
