//! Prometheus metrics of the process.
//!
//! The recorder belongs to the process, not to a server: several services may
//! run in one process (tests do) and then share it. What there is to record is
//! in `catalogue`. Nothing survives the process; counters begin at zero again,
//! which Prometheus expects.

pub mod catalogue;

use std::sync::OnceLock;
use std::time::Duration;

use axum::http::header;
use axum::response::IntoResponse;
use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use onboard_runtime::Readiness;

use self::catalogue::{Kind, METRICS, Metric};

/// How often what was observed is folded into the histograms; without it they
/// would grow between two scrapes.
pub(crate) const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// How often the servers a process needs are asked whether they are there.
const WATCH_EVERY: Duration = Duration::from_secs(5);

/// Upper bounds of the buckets of every metric named `*_seconds`.
const SECONDS: [f64; 14] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Those of an HTTP request and a hash, which are cut off before.
const SHORT: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Those of what waits out an outage.
const LONG: [f64; 14] =
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0, 1_800.0, 7_200.0];
const SHORT_ONES: [&str; 2] = ["http_request_seconds", "password_hash_seconds"];
const LONG_ONES: [&str; 3] = [
    "relay_start_lag_seconds",
    "registration_to_task_seconds",
    "temporal_workflow_endtoend_latency_seconds",
];

static RECORDER: OnceLock<Recorder> = OnceLock::new();

struct Recorder {
    handle: PrometheusHandle,
    process: metrics_process::Collector,
}

/// Whose metrics these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// Accounts.
    Auth,
    /// Todos.
    Todo,
    /// The relay.
    Relay,
    /// The worker.
    Worker,
}

impl Process {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auth, Self::Todo, Self::Relay, Self::Worker];

    /// The service's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Todo => "todo",
            Self::Relay => "relay",
            Self::Worker => "worker",
        }
    }
}

/// Installs the recorder unless it is there already. [`crate::Server::bind`]
/// does it; what is recorded earlier is lost.
pub fn install() {
    recorder();
}

/// Installs the recorder, says which build this is, and begins at zero what a
/// rate may be asked of before it first happens. A service's first act.
pub fn begin(process: Process) {
    install();
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("service", process.as_str())];
    metrics::gauge!("onboard_build_info", &labels).set(1.0);
    METRICS.iter().filter(|metric| metric.processes.contains(&process)).for_each(zero);
}

/// Everything recorded so far, in Prometheus' text format.
#[must_use]
pub fn render() -> String {
    let recorder = recorder();
    recorder.process.collect();
    recorder.handle.render()
}

pub(crate) fn upkeep() {
    recorder().handle.run_upkeep();
}

/// Says for ever whether the servers the process needs answer it.
pub(crate) async fn watch(readiness: &Readiness) {
    loop {
        for found in readiness.check().await {
            let up = if found.problem.is_none() { 1.0 } else { 0.0 };
            metrics::gauge!("dependency_up", "dependency" => found.name).set(up);
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// `GET /metrics`.
pub(crate) async fn scrape() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render())
}

fn recorder() -> &'static Recorder {
    RECORDER.get_or_init(|| {
        // Fails only for an empty list of buckets.
        let builder = with_buckets().unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::error!("another metrics recorder is installed; /metrics stays empty");
        }
        METRICS.iter().for_each(describe);
        let process = metrics_process::Collector::default();
        process.describe();
        Recorder { handle, process }
    })
}

fn with_buckets() -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for (names, buckets) in [(&SHORT_ONES[..], &SHORT[..]), (&LONG_ONES[..], &LONG[..])] {
        for name in names {
            let name = Matcher::Full((*name).to_owned());
            builder = builder.set_buckets_for_metric(name, buckets)?;
        }
    }
    builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
}

fn describe(metric: &Metric) {
    let unit = if metric.unit == "seconds" { Unit::Seconds } else { Unit::Count };
    match metric.kind {
        Kind::Counter => metrics::describe_counter!(metric.name, unit, metric.meaning),
        Kind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.meaning),
        Kind::Histogram => metrics::describe_histogram!(metric.name, unit, metric.meaning),
    }
}

/// A gauge is left out: its zero would be a statement.
fn zero(metric: &Metric) {
    match (metric.kind, metric.labels) {
        (Kind::Counter, []) => metrics::counter!(metric.name).increment(0),
        (Kind::Counter, [(label, values)]) => {
            for value in *values {
                metrics::counter!(metric.name, *label => *value).increment(0);
            }
        }
        (Kind::Histogram, []) => drop(metrics::histogram!(metric.name)),
        (Kind::Histogram, [(label, values)]) => {
            for value in *values {
                drop(metrics::histogram!(metric.name, *label => *value));
            }
        }
        (Kind::Gauge | Kind::Counter | Kind::Histogram, _) => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_a_histogram_and_a_second_install_changes_nothing() {
        install();
        install();
        metrics::histogram!("nap_seconds").record(0.02);
        metrics::counter!("naps_total").increment(1);
        let text = render();
        assert!(text.contains(r#"nap_seconds_bucket{le="0.025"} 1"#), "{text}");
        assert!(text.contains("naps_total 1"), "{text}");
    }

    #[test]
    fn a_process_begins_at_zero_and_says_what_it_is() {
        begin(Process::Relay);
        let text = render();
        for line in [
            "relay_starts_total{outcome=\"refused\"} 0",
            "relay_start_lag_seconds_count 0",
            "relay_start_lag_seconds_bucket{le=\"7200\"} 0",
            "# HELP relay_starts_total Tries to start a workflow",
            "# TYPE process_resident_memory_bytes gauge",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let build = format!("version=\"{}\",service=\"relay\"}} 1", env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&build), "{text}");
        assert!(!text.contains("task_queue_pollers"), "what is not known is not said: {text}");
    }

    #[test]
    fn the_catalogue_names_each_metric_once_and_as_prometheus_would() {
        let mut names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
        for Metric { name, kind, unit, meaning, .. } in METRICS {
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert_eq!(*unit == "seconds", name.ends_with("_seconds"), "{name}");
            assert!(meaning.ends_with('.'), "{name}");
        }
    }
}
