//! mongod as a replica set of one (`onboard setup` initiates the set).

use std::ffi::OsString;
use std::time::Duration;

use crate::Home;
use crate::component::Spec;
use crate::install::MongodFiles;
use crate::ports::Ports;
use crate::probe::Probe;
use crate::process::{Check, Inherited, Launch, Priority};

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
    let mut check: Vec<Check> = files.program.check.iter().cloned().collect();
    if let Some(libraries) = &files.libraries {
        env.push(("LD_LIBRARY_PATH".to_owned(), libraries.dir().into()));
        check.push(libraries.check());
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
            check,
        },
        probe: Probe::Mongo { port: ports.mongo },
        port: ports.mongo,
        ready_within: Duration::from_mins(1),
        stop_within: Duration::from_secs(30),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::{Libraries, Program};

    #[test]
    fn program_and_libraries_from_the_cache_are_compared_before_each_start() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::claim(dir.path()).unwrap();
        let sha256 = Check::Sha256("ab".to_owned());
        let program = Program { file: "mongod".into(), check: Some(sha256.clone()) };
        let libraries = Libraries::below("/cache/libcurl4".into());
        let mut files = MongodFiles { program, libraries: Some(libraries) };
        let checks = |files: &MongodFiles| {
            spec(&home, &Ports::documented(&[]), files, false).unwrap().launch.check
        };
        let folder = Check::Folder("/cache/libcurl4".into());
        assert_eq!(checks(&files), [sha256, folder.clone()]);
        // A program of the machine's own.
        files.program.check = None;
        assert_eq!(checks(&files), [folder]);
        files.libraries = None;
        assert!(checks(&files).is_empty());
    }
}
