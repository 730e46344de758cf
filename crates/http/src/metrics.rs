//! Prometheus metrics of the process.
//!
//! The recorder belongs to the process, not to a server: several services may
//! run in one process (tests do) and then share it.

use std::sync::OnceLock;
use std::time::Duration;

use axum::http::header;
use axum::response::IntoResponse;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// How often what was observed is folded into the histograms; without it they
/// would grow between two scrapes.
pub(crate) const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Upper bounds of the buckets of every metric named `*_seconds`.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder unless it is there already. [`crate::Server::bind`]
/// does it; what is recorded earlier is lost.
pub fn install() {
    recorder();
}

/// Everything recorded so far, in Prometheus' text format.
#[must_use]
pub fn render() -> String {
    recorder().render()
}

pub(crate) fn upkeep() {
    recorder().run_upkeep();
}

/// `GET /metrics`.
pub(crate) async fn scrape() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render())
}

fn recorder() -> &'static PrometheusHandle {
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let builder = builder
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            // Fails only for an empty list of buckets.
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::error!("another metrics recorder is installed; /metrics stays empty");
        }
        handle
    })
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
}
