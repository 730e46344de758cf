//! What must not stand in a command line, which every user of the machine can read.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use onboard_runtime::Problems;

/// Warns of secrets among the arguments of a command and of the one below it: of settings that
/// may stand in a file instead, and of URLs with a user.
pub(crate) fn warn_of_secrets(command: &Command, given: &ArgMatches, problems: &mut Problems) {
    let variable = |arg: &Arg| arg.get_env().and_then(|name| name.to_str()).map(str::to_owned);
    let known: Vec<String> = command.get_arguments().filter_map(variable).collect();
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        let Some(name) = variable(arg) else { continue };
        if given.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let file = format!("{name}_FILE");
        let file = known.contains(&file).then_some(file);
        let value = given.try_get_one::<String>(id).ok().flatten();
        // A URL without a user holds no secret.
        let is_secret = value.is_some_and(|value| {
            let is_url = value.contains("://");
            if is_url { value.contains('@') } else { file.is_some() }
        });
        if is_secret {
            let why = "stands in the command line, which every user of this machine can read";
            let instead = file.unwrap_or_else(|| format!("the variable {name}"));
            problems.warn(&name, format!("{why}; use {instead}"));
        }
    }
    let below = given.subcommand();
    let below = below.and_then(|(name, given)| Some((command.find_subcommand(name)?, given)));
    if let Some((command, given)) = below {
        warn_of_secrets(command, given, problems);
    }
}
