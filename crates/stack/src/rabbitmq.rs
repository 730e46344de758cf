//! A private `RabbitMQ` node: own cookie, own data, own Erlang port mapper.
//!
//! The node's name never changes, because its data directory is tied to it;
//! the private port mapper keeps equal names of two stacks apart. The mapper
//! runs in the foreground under supervision: left to itself, Erlang would
//! start one as a daemon that outlives everything.

mod preload;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::Home;
use crate::component::Spec;
use crate::install::RabbitmqFiles;
use crate::ports::Ports;
use crate::probe::Probe;
use crate::process::{Inherited, Launch, Priority};

const NODE: &str = "onboard@localhost";
/// No message of this system is larger than 64 KiB, so nobody has to hold a larger one.
const MESSAGE_BYTES_MAX: u32 = 1024 * 1024;
/// Idle schedulers sleep at once: waiting busily they would take CPU time from
/// the rest of the system.
const ERLANG_ARGS: &str = concat!(
    "-noinput +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none ",
    "-kernel inet_dist_use_interface {127,0,0,1}",
);

/// The Erlang port mapper; must be ready before the node starts.
pub(crate) fn epmd_spec(home: &Home, ports: &Ports, files: &RabbitmqFiles) -> anyhow::Result<Spec> {
    let data = home.data("rabbitmq")?;
    let port = ports.epmd.to_string();
    Ok(Spec {
        name: "epmd".to_owned(),
        launch: Launch {
            program: files.epmd.clone(),
            args: ["-port", &port, "-address", "127.0.0.1"].map(OsString::from).into(),
            env: env(&data, ports, files),
            inherited: Inherited::Nothing,
            dir: Some(data),
            log: home.log("epmd"),
            priority: Priority::Foreground,
            check: files.check().into_iter().collect(),
        },
        probe: Probe::Open { port: ports.epmd },
        port: ports.epmd,
        ready_within: Duration::from_secs(10),
        stop_within: Duration::from_secs(2),
    })
}

/// The node itself.
pub(crate) fn spec(home: &Home, ports: &Ports, files: &RabbitmqFiles) -> anyhow::Result<Spec> {
    let data = home.data("rabbitmq")?;
    write(&data.join("rabbitmq.conf"), &config(ports))?;
    write(&data.join("enabled_plugins"), "[rabbitmq_management].\n")?;
    let preload = data.join("preload.args");
    write(&preload, &preload::arguments(&files.lib()))?;
    let mut env = env(&data, ports, files);
    env.push(("ERL_AFLAGS".to_owned(), format!("-args_file \"{}\"", preload.display()).into()));
    Ok(Spec {
        name: "rabbitmq".to_owned(),
        launch: Launch {
            program: "/bin/sh".into(),
            args: vec![files.server.clone().into()],
            env,
            inherited: Inherited::Nothing,
            dir: Some(data),
            log: home.log("rabbitmq"),
            priority: Priority::Foreground,
            check: files.check().into_iter().collect(),
        },
        probe: Probe::Rabbitmq { amqp: ports.amqp, management: ports.management },
        port: ports.amqp,
        ready_within: Duration::from_mins(2),
        stop_within: Duration::from_secs(30),
    })
}

pub(crate) fn env(data: &Path, ports: &Ports, files: &RabbitmqFiles) -> Vec<(String, OsString)> {
    let mut path = OsString::from(&files.erlang_bin);
    path.push(":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    let mut env: Vec<(&str, OsString)> = vec![
        ("PATH", path),
        ("LANG", "C.UTF-8".into()),
        ("HOME", data.into()),
        ("ERL_EPMD_PORT", ports.epmd.to_string().into()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
        ("ERL_CRASH_DUMP_SECONDS", "0".into()),
        ("RABBITMQ_NODENAME", NODE.into()),
        ("RABBITMQ_DIST_PORT", ports.erlang.to_string().into()),
        ("RABBITMQ_MNESIA_BASE", data.join("mnesia").into()),
        ("RABBITMQ_LOG_BASE", data.join("log").into()),
        ("RABBITMQ_CONFIG_FILE", data.join("rabbitmq.conf").into()),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", data.join("advanced.config").into()),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", data.join("enabled_plugins").into()),
        ("RABBITMQ_CONF_ENV_FILE", data.join("no-env.conf").into()),
        // Makes the script `exec` the Erlang machine, so that the process
        // under supervision is the node and not a shell in front of it.
        ("RABBITMQ_ALLOW_INPUT", "1".into()),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERLANG_ARGS.into()),
    ];
    if let Some(libraries) = &files.libraries {
        env.push(("LD_LIBRARY_PATH", libraries.into()));
    }
    env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn config(ports: &Ports) -> String {
    format!(
        "listeners.tcp.1 = 127.0.0.1:{}\n\
         management.tcp.ip = 127.0.0.1\n\
         management.tcp.port = {}\n\
         log.file = false\n\
         log.console = true\n\
         log.console.level = info\n\
         log.console.use_colors = off\n\
         max_message_size = {MESSAGE_BYTES_MAX}\n\
         vm_memory_high_watermark.absolute = 1GB\n\
         disk_free_limit.absolute = 50MB\n\
         raft.wal_max_size_bytes = 67108864\n",
        ports.amqp, ports.management
    )
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}
