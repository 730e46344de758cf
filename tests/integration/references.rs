//! The pages that are made from the program: what they say is what it does.
//! `UPDATE_BASELINE=1` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use onboard::metrics::catalogue;
use onboard::services::SERVICES;
use onboard_runtime::Metric;
use serde_json::Value;

use crate::harness::{ONBOARD, text};

const COMMAND: &str =
    "UPDATE_BASELINE=1 cargo test -p onboard-tests --test integration references::";

#[test]
fn the_page_of_metrics_is_the_catalogue() {
    hold("metrics.md", &metrics_page());
}

#[test]
fn the_page_of_settings_is_what_the_program_prints() {
    hold("settings.md", &config(&["--markdown"]));
}

#[test]
fn every_setting_says_its_default_and_no_secret_has_one() {
    let settings: Value = serde_json::from_str(&config(&["--json"])).unwrap();
    let settings = settings["settings"].as_array().unwrap();
    let named = |name: &str| settings.iter().find(|one| one["variable"] == name).unwrap();
    for name in ["MONGODB_URI", "AMQP_URL", "AUTH_SECRET"] {
        assert_eq!(named(name)["secret"], true, "{name}");
        assert_eq!(named(name)["default"], "required", "{name}");
        assert_eq!(named(name)["file"], format!("{name}_FILE"));
    }
    assert_eq!(named("TEMPORAL_API_KEY")["secret"], true);
    let lease = named("RELAY_CLAIM_LEASE");
    assert_eq!((&lease["default"], &lease["flag"]), (&"15s".into(), &"--relay-claim-lease".into()));
    assert_eq!(lease["subcommands"], serde_json::json!(["relay"]));
    for one in settings {
        let (default, meaning) =
            (one["default"].as_str().unwrap(), one["meaning"].as_str().unwrap());
        assert!(!meaning.is_empty() && !meaning.contains("Default:"), "{one}");
        assert!(!default.is_empty() && default.len() < 60, "{one}");
    }
    assert!(config(&[]).contains("RELAY_CLAIM_LEASE"));
}

fn config(args: &[&str]) -> String {
    let output = std::process::Command::new(ONBOARD).arg("config").args(args).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The page is the very text, or it is written.
fn hold(name: &str, current: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("UPDATE_BASELINE").is_some_and(|value| value == "1") {
        std::fs::write(&file, current).unwrap();
    }
    let page = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = page.lines().zip(current.lines()).find(|(page, current)| page != current);
    assert!(page == current, "docs/{name} is behind the program ({differs:?}): {COMMAND}");
}

const HEAD: &str = "\
# Metrics

What each process says on `/metrics`, in Prometheus' text format: auth at port 4001, todo at 4002, the
relay at 4003, the worker at 4004; in production auth at 4101 and todo at 4102. Made from the crates' lists of their metrics, which
`services/onboard/src/metrics.rs` brings together and which also give the help texts; a test holds this
page to them. Why these and no others:
[0033](adr/0033-metrics.md).

Counters begin at zero for every label value listed here. A gauge is there from the first time it is
known, and NaN when whoever knows it does not answer. No label holds an id, an address or a path as a
client wrote it.

| name | type | unit | process | meaning |
|---|---|---|---|---|
";

const TAIL: &str = "
Besides these:

- **Every process**: `process_resident_memory_bytes`, `process_virtual_memory_bytes`,
  `process_cpu_seconds_total`, `process_open_fds`, `process_max_fds`, `process_threads`,
  `process_start_time_seconds`, as Prometheus' own client libraries name them.
- **worker, relay, todo**: Temporal's SDK metrics under the SDK's names with the prefix `temporal_`,
  durations in `_seconds`, counters with `_total`. The client's, `temporal_request_total`,
  `temporal_request_failure_total` and `temporal_request_latency_seconds`, on all three; the worker's own,
  such as `temporal_workflow_task_execution_failed_total{failure_reason}`,
  `temporal_workflow_task_schedule_to_start_latency_seconds`, `temporal_num_pollers`,
  `temporal_worker_task_slots_used` and `temporal_sticky_cache_size`, on the worker.
";

fn metrics_page() -> String {
    let mut page = HEAD.to_owned();
    for (Metric { name, kind, unit, labels, meaning, .. }, services) in catalogue() {
        let labels: Vec<_> = labels.iter().map(|(label, _)| *label).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let all = services.len() == SERVICES.len();
        let services = if all { "all".to_owned() } else { services.join(", ") };
        let kind = kind.as_str();
        writeln!(page, "| `{name}{labels}` | {kind} | {unit} | {services} | {meaning} |").unwrap();
    }
    page.push_str(TAIL);
    page
}
