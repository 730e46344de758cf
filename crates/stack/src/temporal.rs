//! Temporal's development server with its web UI, on a file database.
//!
//! The pragmas double its throughput and survive SIGKILL; the poll setting
//! takes 50 ms off every workflow step; a task queue in one partition needs no
//! forwarding between four, 5 to 8 % of the server's work. The server forgets finished
//! tasks of its queues after 2 s instead of 30 and collects garbage half as often,
//! together a tenth of its work. An operator may pause a workflow, and make rules that
//! pause activities, which a server refuses by default.

use std::ffi::OsString;
use std::time::Duration;

use crate::Home;
use crate::component::Spec;
use crate::install::Program;
use crate::ports::Ports;
use crate::probe::Probe;
use crate::process::{Inherited, Launch, Priority};

/// The same as in `docker-compose.yml`.
const DYNAMIC: [&str; 8] = [
    "frontend.WorkflowPauseEnabled=true",
    "frontend.workflowRulesAPIsEnabled=true",
    "history.timerProcessorUpdateAckInterval=\"2s\"",
    "history.transferProcessorMaxPollRPS=2000",
    "history.transferProcessorUpdateAckInterval=\"2s\"",
    "history.visibilityProcessorUpdateAckInterval=\"2s\"",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
];
/// How much the heap grows until garbage is collected, in percent: twice Go's default.
const GOGC: (&str, &str) = ("GOGC", "200");

pub(crate) fn spec(
    home: &Home,
    ports: &Ports,
    program: Program,
    priority: Priority,
) -> anyhow::Result<Spec> {
    let data = home.data("temporal")?;
    let mut args: Vec<OsString> =
        ["server", "start-dev", "--db-filename"].map(OsString::from).into();
    args.push(data.join("temporal.db").into());
    for (flag, port) in [
        ("--port", ports.temporal),
        ("--ui-port", ports.temporal_ui),
        ("--http-port", ports.temporal_http),
        ("--metrics-port", ports.temporal_metrics),
    ] {
        args.extend([flag.into(), port.to_string().into()]);
    }
    args.extend(
        ["--ip", "127.0.0.1", "--log-level", "warn", "--ui-disable-news-fetch"].map(OsString::from),
    );
    args.extend(["--sqlite-pragma", "journal_mode=wal"].map(OsString::from));
    args.extend(["--sqlite-pragma", "synchronous=normal"].map(OsString::from));
    for setting in DYNAMIC {
        args.extend(["--dynamic-config-value", setting].map(OsString::from));
    }
    Ok(Spec {
        name: "temporal".to_owned(),
        launch: Launch {
            program: program.file,
            args,
            env: vec![("HOME".to_owned(), data.clone().into()), (GOGC.0.to_owned(), GOGC.1.into())],
            inherited: Inherited::Nothing,
            dir: Some(data),
            log: home.log("temporal"),
            priority,
            check: program.check.into_iter().collect(),
        },
        probe: Probe::Temporal { ui: ports.temporal_ui },
        port: ports.temporal,
        ready_within: Duration::from_mins(1),
        stop_within: Duration::from_secs(20),
    })
}
