//! Prometheus metrics of the process.
//!
//! The recorder belongs to the process, not to a server: several services may
//! run in one process (tests do) and then share it. Each service hands in the
//! metrics it has; this module knows only those that every process has. Nothing
//! survives the process; counters begin at zero again, which Prometheus expects.

use std::sync::OnceLock;
use std::time::Duration;

use axum::http::header;
use axum::response::IntoResponse;
use metrics::Unit;
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use onboard_runtime::metric::{Buckets, Kind};
use onboard_runtime::{Metric, Readiness};

/// How often what was observed is folded into the histograms; without it they
/// would grow between two scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// How often the servers a process needs are asked whether they are there.
const WATCH_EVERY: Duration = Duration::from_secs(5);

/// The metrics that this crate records in every process.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    Metric::counter("http_requests_total", &[("method", &[]), ("path", &[]), ("status", &[])],
        "Answered requests by method, route and status; what matches no route is `unmatched`."),
    Metric::seconds("http_request_seconds", &[("method", &[]), ("path", &[])],
        "Time to an answer's head, by method and route.").in_buckets(Buckets::Short),
    Metric::counter("connections_refused_total", &[],
        "Connections closed at once because one client had too many."),
    Metric::counter("unnamed_clients_total", &[("why", &["no_header", "two_headers", "unreadable", "all_trusted"])],
        "Requests of a trusted proxy that does not say who its client is: they share the limits of one address."),
    Metric::gauge("dependency_up", "0 or 1", &[("dependency", &[])],
        "1 while the server answers this process (mongo, rabbitmq, temporal; keys: the signing keys can be used)."),
    Metric::gauge("onboard_build_info", "1", &[("version", &[]), ("service", &[])],
        "Always 1; the labels say which build this is."),
];

/// The metrics that this crate records where a service has rate limits.
#[rustfmt::skip]
pub const RATE_LIMITS: &[Metric] = &[
    Metric::counter("rate_limited_total", &[("policy", &[])],
        "Requests refused by a rate limit, by policy."),
];

static RECORDER: OnceLock<Recorder> = OnceLock::new();

struct Recorder {
    handle: PrometheusHandle,
    process: metrics_process::Collector,
    /// The histograms that it was built with other buckets for.
    apart: Vec<&'static str>,
}

/// Installs the recorder, with the buckets that these metrics ask for, unless
/// there is one already.
///
/// The buckets are fixed when the recorder is built. A service alone in its
/// process needs no call, since [`begin`] comes first. A process of several
/// services hands in the metrics of all of them before the first one begins.
pub fn install(metrics: &[&'static [Metric]]) {
    recorder(metrics);
}

/// Installs the recorder unless there is one, describes the service's metrics
/// and those of every process, begins at zero what a rate may be asked of before
/// it first happens, and says which build this is. The table of services calls it
/// before a service runs: what is recorded earlier is lost.
pub fn begin(service: &'static str, metrics: &[&'static [Metric]]) {
    let recorder = recorder(metrics);
    for Metric { name, .. } in apart(metrics).filter(|one| !recorder.apart.contains(&one.name)) {
        tracing::error!(name, "the metrics recorder was built without this metric's buckets");
    }
    announce(service, metrics);
}

/// Everything recorded so far, in Prometheus' text format.
#[must_use]
pub fn render() -> String {
    let recorder = recorder(&[]);
    recorder.process.collect();
    recorder.handle.render()
}

pub(crate) fn upkeep() {
    recorder(&[]).handle.run_upkeep();
}

/// Keeps what is recorded small and up to date; without an end.
pub(crate) async fn keep_up() {
    let mut ticks = tokio::time::interval(UPKEEP_EVERY);
    loop {
        ticks.tick().await;
        upkeep();
    }
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

fn recorder(metrics: &[&'static [Metric]]) -> &'static Recorder {
    RECORDER.get_or_init(|| {
        let recorder = build(metrics);
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::error!("another metrics recorder is installed; /metrics stays empty");
        }
        let process = metrics_process::Collector::default();
        process.describe();
        Recorder { handle, process, apart: apart(metrics).map(|metric| metric.name).collect() }
    })
}

fn build(metrics: &[&'static [Metric]]) -> PrometheusRecorder {
    // Fails only for an empty list of buckets.
    let builder = with_buckets(metrics).unwrap_or_else(|_| PrometheusBuilder::new());
    builder.build_recorder()
}

/// Every histogram named `*_seconds` has the default buckets, a library's too,
/// unless its metric asks for others.
fn with_buckets(metrics: &[&'static [Metric]]) -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for Metric { name, buckets, .. } in apart(metrics) {
        let name = Matcher::Full((*name).to_owned());
        builder = builder.set_buckets_for_metric(name, buckets.bounds())?;
    }
    let seconds = Matcher::Suffix("_seconds".to_owned());
    builder.set_buckets_for_metric(seconds, Buckets::Default.bounds())
}

/// Those of these metrics and of every process's that ask for other buckets.
fn apart(metrics: &[&'static [Metric]]) -> impl Iterator<Item = &'static Metric> {
    all(metrics).filter(|metric| metric.buckets != Buckets::Default)
}

fn all(metrics: &[&'static [Metric]]) -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().chain(metrics.iter().copied().flatten())
}

fn announce(service: &'static str, metrics: &[&'static [Metric]]) {
    all(metrics).for_each(describe);
    all(metrics).for_each(zero);
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("service", service)];
    metrics::gauge!("onboard_build_info", &labels).set(1.0);
}

fn describe(metric: &Metric) {
    let unit = if metric.unit == "seconds" { Unit::Seconds } else { Unit::Count };
    match metric.kind {
        Kind::Counter => metrics::describe_counter!(metric.name, unit, metric.meaning),
        Kind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.meaning),
        Kind::Histogram => metrics::describe_histogram!(metric.name, unit, metric.meaning),
        Kind::Foreign => (),
    }
}

/// A gauge is left out: its zero would be a statement. A library begins its own.
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
        (Kind::Gauge | Kind::Counter | Kind::Histogram | Kind::Foreign, _) => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    const SHOP: &[Metric] = &[
        Metric::counter("sales_total", &[("outcome", &["paid", "refused"])], "Tries to pay."),
        Metric::seconds("delivery_seconds", &[], "Time to the door.").in_buckets(Buckets::Long),
        Metric::gauge("tills_open", "tills", &[], "Tills that are open."),
        Metric::foreign("library_wait_seconds").in_buckets(Buckets::Short),
    ];

    #[test]
    fn seconds_are_a_histogram_and_a_second_install_changes_nothing() {
        install(&[]);
        install(&[SHOP]);
        metrics::histogram!("nap_seconds").record(0.02);
        metrics::counter!("naps_total").increment(1);
        let text = render();
        assert!(text.contains(r#"nap_seconds_bucket{le="0.025"} 1"#), "{text}");
        assert!(text.contains("naps_total 1"), "{text}");
        assert!(text.contains("# TYPE process_resident_memory_bytes gauge"), "{text}");
    }

    #[test]
    fn a_service_begins_at_zero_and_says_what_it_is() {
        let recorder = build(&[SHOP]);
        metrics::with_local_recorder(&recorder, || announce("shop", &[SHOP]));
        let text = recorder.handle().render();
        for line in [
            "sales_total{outcome=\"refused\"} 0",
            "delivery_seconds_count 0",
            "delivery_seconds_bucket{le=\"7200\"} 0",
            "connections_refused_total 0",
            "# HELP sales_total Tries to pay.",
            "# TYPE delivery_seconds histogram",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let build = format!("version=\"{}\",service=\"shop\"}} 1", env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&build), "{text}");
        assert!(!text.contains("tills_open"), "what is not known is not said: {text}");
        assert!(!text.contains("library_wait"), "a library begins its own: {text}");
    }

    #[test]
    fn buckets_are_those_that_the_metric_asks_for() {
        let recorder = build(&[SHOP]);
        metrics::with_local_recorder(&recorder, || {
            for name in ["delivery_seconds", "library_wait_seconds", "http_request_seconds"] {
                metrics::histogram!(name).record(0.02);
            }
            metrics::histogram!("other_seconds").record(0.02);
        });
        let text = recorder.handle().render();
        for (name, most, bounds) in [
            ("delivery_seconds", "7200", 14),
            ("library_wait_seconds", "10", 12),
            ("http_request_seconds", "10", 12),
            ("other_seconds", "60", 14),
        ] {
            let buckets: Vec<_> =
                text.lines().filter(|line| line.starts_with(&format!("{name}_bucket"))).collect();
            assert_eq!(buckets.len(), bounds + 1, "{name}: {text}");
            assert_eq!(buckets[bounds - 1], format!("{name}_bucket{{le=\"{most}\"}} 1"));
        }
    }
}
