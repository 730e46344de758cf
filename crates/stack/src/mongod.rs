//! mongod as a replica set of one (`onboard setup` initiates the set).

use std::ffi::OsString;
use std::time::Duration;

use crate::Home;
use crate::component::Spec;
use crate::install::MongodFiles;
use crate::ports::Ports;
use crate::probe::Probe;
use crate::process::{Inherited, Launch, Priority};

const CACHE_GB: &str = "0.5";
const OPLOG_MB: &str = "512";

pub(crate) fn spec(
    home: &Home,
    ports: &Ports,
    files: &MongodFiles,
    test_commands: bool,
) -> anyhow::Result<Spec> {
    let data = home.data("mongo")?;
    let mut args: Vec<OsString> = vec!["--dbpath".into(), data.clone().into()];
    args.extend(["--port".into(), ports.mongo.to_string().into()]);
    args.extend(
        ["--bind_ip", "127.0.0.1", "--nounixsocket", "--replSet", "rs0"].map(OsString::from),
    );
    args.extend(["--wiredTigerCacheSizeGB", CACHE_GB, "--oplogSize", OPLOG_MB].map(OsString::from));
    args.extend(
        ["--quiet", "--setParameter", "diagnosticDataCollectionEnabled=false"].map(OsString::from),
    );
    if test_commands {
        args.extend(["--setParameter", "enableTestCommands=1"].map(OsString::from));
    }
    let mut env: Vec<(String, OsString)> =
        vec![("LC_ALL".to_owned(), "C".into()), ("HOME".to_owned(), data.clone().into())];
    if let Some(libraries) = &files.libraries {
        env.push(("LD_LIBRARY_PATH".to_owned(), libraries.into()));
    }
    Ok(Spec {
        name: "mongo".to_owned(),
        launch: Launch {
            program: files.program.file.clone(),
            args,
            env,
            inherited: Inherited::Nothing,
            dir: Some(data),
            log: home.log("mongo"),
            priority: Priority::Foreground,
            check: files.program.check.clone(),
        },
        probe: Probe::Mongo { port: ports.mongo },
        port: ports.mongo,
        ready_within: Duration::from_mins(1),
        stop_within: Duration::from_secs(30),
    })
}
