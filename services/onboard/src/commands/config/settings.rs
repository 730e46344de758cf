//! The settings, read off clap's definitions.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Command};

/// One setting, as one or more subcommands read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The environment variable.
    pub(crate) variable: String,
    /// The flag that says the same; a variable alone has none.
    pub(crate) flag: Option<String>,
    /// What holds without it.
    pub(crate) default: String,
    /// The variable that names a file with the value instead: a secret has one.
    pub(crate) file: Option<String>,
    /// What it is about.
    pub(crate) section: String,
    /// Who reads it.
    pub(crate) subcommands: Vec<String>,
    /// What it does, the default left out.
    pub(crate) meaning: String,
}

/// Read by Temporal's own loader, which no definition of ours names.
const OF_TEMPORAL: [(&str, &str); 8] = [
    ("TEMPORAL_API_KEY", "API key; with it the connection uses TLS."),
    ("TEMPORAL_TLS", "`true` for TLS without a key of the client's."),
    ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", "File of the CA that signed the server's certificate."),
    ("TEMPORAL_TLS_CLIENT_CERT_PATH", "File of the client's certificate."),
    ("TEMPORAL_TLS_CLIENT_KEY_PATH", "File of the client's key."),
    ("TEMPORAL_TLS_SERVER_NAME", "The name that the server's certificate must have."),
    ("TEMPORAL_PROFILE", "Profile of the configuration file. Default: default."),
    (
        "TEMPORAL_CONFIG_FILE",
        "Temporal's configuration file. Default: the one in the user's configuration directory, if it exists.",
    ),
];
const NONE: &str = "none";

/// Every setting that has a variable, by section and name.
pub(crate) fn settings(program: &Command) -> Vec<Setting> {
    let mut found = Vec::new();
    for subcommand in program.get_subcommands().filter(|one| !one.is_hide_set()) {
        gather(subcommand, subcommand.get_name(), &mut found);
    }
    found.extend(OF_TEMPORAL.map(|of| of_temporal(of, &found)));
    let mut merged = merge(found);
    let names: Vec<String> = merged.iter().map(|one| one.variable.clone()).collect();
    for setting in &mut merged {
        let file = format!("{}_FILE", setting.variable);
        setting.file = names.contains(&file).then_some(file);
    }
    merged
}

/// Of a subcommand and those below it, which share its name here.
fn gather(command: &Command, name: &str, found: &mut Vec<Setting>) {
    found.extend(command.get_arguments().filter_map(|arg| setting(arg, name)));
    command.get_subcommands().for_each(|below| gather(below, name, found));
}

fn setting(arg: &Arg, subcommand: &str) -> Option<Setting> {
    let variable = arg.get_env()?.to_str()?.to_owned();
    let help = arg.get_long_help().or_else(|| arg.get_help())?.to_string();
    let (meaning, default) = apart(&one_line(&help));
    Some(Setting {
        variable,
        flag: arg.get_long().map(|long| format!("--{long}")),
        default: given(arg).or(default).unwrap_or_else(|| NONE.to_owned()),
        file: None,
        section: arg.get_help_heading().unwrap_or("General").to_owned(),
        subcommands: vec![subcommand.to_owned()],
        meaning,
    })
}

fn of_temporal((variable, help): (&str, &str), found: &[Setting]) -> Setting {
    let (meaning, default) = apart(help);
    let address = found.iter().filter(|one| one.variable == "TEMPORAL_ADDRESS");
    Setting {
        variable: variable.to_owned(),
        flag: None,
        default: default.unwrap_or_else(|| NONE.to_owned()),
        file: None,
        section: "Temporal".to_owned(),
        subcommands: address.flat_map(|one| one.subcommands.clone()).collect(),
        meaning,
    }
}

/// The default that clap itself knows.
fn given(arg: &Arg) -> Option<String> {
    let values: Vec<_> = arg.get_default_values().iter().filter_map(|one| one.to_str()).collect();
    match (values.is_empty(), arg.get_action()) {
        (false, _) => Some(values.join(",")),
        (true, ArgAction::SetTrue) => Some("off".to_owned()),
        (true, _) => None,
    }
}

/// The meaning, and the default that the text ends with.
fn apart(help: &str) -> (String, Option<String>) {
    const REQUIRED: &str = "Required; no default";
    let (meaning, default) = match (help.split_once(REQUIRED), help.rsplit_once("Default: ")) {
        (Some((meaning, more)), _) => {
            (format!("{meaning}{}", more.trim_start_matches('.')), "required")
        }
        (None, Some((meaning, default))) => (meaning.to_owned(), default),
        (None, None) => return (help.to_owned(), None),
    };
    let default = default.trim().trim_end_matches('.').replace('`', "");
    (meaning.trim().to_owned(), Some(default))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same setting of several subcommands is one; where they differ in more
/// than who reads it, each stays.
fn merge(found: Vec<Setting>) -> Vec<Setting> {
    let mut merged = BTreeMap::new();
    for setting in found {
        let key = (
            (setting.section != "General", setting.section.clone(), setting.variable.clone()),
            (setting.default.clone(), setting.meaning.clone()),
        );
        let names = setting.subcommands.clone();
        let one: &mut Setting = merged.entry(key).or_insert(setting);
        one.subcommands.extend(names);
        one.subcommands.sort();
        one.subcommands.dedup();
    }
    merged.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_the_text_ends_with() {
        assert_eq!(apart("How long. Default: `5s`."), ("How long.".into(), Some("5s".into())));
        assert_eq!(
            apart("The URL. Required; no default."),
            ("The URL.".into(), Some("required".into()))
        );
        assert_eq!(apart("File of it."), ("File of it.".into(), None));
    }
}
