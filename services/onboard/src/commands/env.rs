//! `onboard env`: where the running `onboard up` is, as a shell takes it. After
//! `eval "$(onboard env)"` the commands of the runbook hold on any ports.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use onboard_runtime::exit;
use onboard_stack::Home;
use onboard_stack::ports::Ports;
use onboard_stack::tools::{self, quoted};

use super::control::HomeArg;
use super::operate::{complain, print};
use crate::services::names;

/// Arguments of `onboard env`.
#[derive(Debug, clap::Args)]
pub(crate) struct EnvArgs {
    #[command(flatten)]
    home: HomeArg,
}

/// Prints one `export` a line; exit code 1 when nothing runs there.
pub(crate) fn run(args: &EnvArgs) -> anyhow::Result<ExitCode> {
    let home = &args.home.home;
    let Some(ports) = Home::running(home) else {
        complain(&format!("no `onboard up` runs on {}", home.display()));
        return Ok(ExitCode::from(exit::NO));
    };
    let home = home.canonicalize().with_context(|| format!("{} cannot be read", home.display()))?;
    let lines = variables(&home, &ports).into_iter();
    let lines: Vec<String> =
        lines.map(|(name, value)| format!("export {name}={value}\n")).collect();
    print(&lines.concat());
    Ok(ExitCode::from(exit::DONE))
}

fn variables(home: &Path, ports: &Ports) -> Vec<(String, String)> {
    let url = |port: u16| quoted(&format!("http://127.0.0.1:{port}"));
    let file = |path: &Path| quoted(&path.display().to_string());
    let services = names().into_iter().filter_map(|name| {
        let port = ports.service(name)?;
        Some((format!("{}_URL", name.to_uppercase()), url(port)))
    });
    let others = [
        ("MONGODB_URI", quoted(&ports.mongodb_uri())),
        ("AMQP_URL", quoted(&ports.amqp_url())),
        ("AMQP_MANAGEMENT_URL", quoted(&ports.management_url())),
        ("TEMPORAL_ADDRESS", quoted(&ports.temporal_address())),
        ("TEMPORAL_NAMESPACE", quoted("default")),
        ("TEMPORAL_HTTP_URL", url(ports.temporal_http)),
        ("TEMPORAL_UI_URL", url(ports.temporal_ui)),
        ("ONBOARD_HOME", file(home)),
        ("ONBOARD_ENVIRONMENT", quoted("local")),
        ("AUTH_SECRET_FILE", file(&Home::secret_of(home))),
        ("PATH", format!("{}:\"$PATH\"", file(&tools::dir(home)))),
    ];
    services.chain(others.map(|(name, value)| (name.to_owned(), value))).collect()
}
