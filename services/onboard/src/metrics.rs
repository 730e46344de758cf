//! Every metric of every service: the source of `docs/metrics.md`.
//!
//! Each service says what its metrics are ([`onboard_runtime::Service`]); the table
//! of services says whose. Nothing survives the process.

use onboard_runtime::Metric;
use onboard_runtime::metric::Kind;

use crate::services::SERVICES;

/// Prepares a process for any number of services: the buckets of all of them are
/// fixed at once, whichever begins first.
pub fn install() {
    let all: Vec<_> = SERVICES.iter().flat_map(|service| service.metrics).copied().collect();
    onboard_http::metrics::install(&all);
}

/// Every metric once, with the services that have it; a library's are left out.
#[must_use]
pub fn catalogue() -> Vec<(&'static Metric, Vec<&'static str>)> {
    let of_services = SERVICES.iter().flat_map(|service| {
        service.metrics.iter().copied().flatten().map(|one| (one, service.name))
    });
    let of_all = onboard_http::metrics::METRICS
        .iter()
        .flat_map(|one| SERVICES.iter().map(move |service| (one, service.name)));
    let mut catalogue: Vec<(&'static Metric, Vec<&'static str>)> = Vec::new();
    let ours = of_services.chain(of_all).filter(|(one, _)| one.kind != Kind::Foreign);
    for (metric, service) in ours {
        match catalogue.iter_mut().find(|(known, _)| *known == metric) {
            Some((_, services)) => services.push(service),
            None => catalogue.push((metric, vec![service])),
        }
    }
    catalogue
}

#[cfg(test)]
mod tests {
    use onboard_runtime::metric::Buckets;

    use super::*;

    #[test]
    fn the_catalogue_names_each_metric_once_and_as_prometheus_would() {
        let all = catalogue();
        let mut names: Vec<_> = all.iter().map(|(metric, _)| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
        for (Metric { name, kind, unit, meaning, buckets, .. }, _) in all {
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert_eq!(*unit == "seconds", name.ends_with("_seconds"), "{name}");
            assert!(meaning.ends_with('.'), "{name}");
            assert!(*kind == Kind::Histogram || *buckets == Buckets::Default, "{name}");
        }
    }

    #[test]
    fn services_that_share_a_process_have_their_zeros_and_their_buckets() {
        install();
        for service in &SERVICES {
            onboard_http::metrics::begin(service.name, service.metrics);
        }
        let text = onboard_http::metrics::render();
        let buckets = |name: &str, labels: &str| {
            let one = format!("{name}_bucket{{{labels}le=\"");
            let bounds = text.lines().filter_map(|line| line.strip_prefix(&one)?.split('"').next());
            bounds.map(str::to_owned).collect::<Vec<_>>()
        };
        for (name, labels, of) in [
            ("password_hash_seconds", "operation=\"hash\",", Buckets::Short),
            ("relay_start_lag_seconds", "", Buckets::Long),
            ("broker_publish_seconds", "", Buckets::Default),
            ("todo_message_seconds", "", Buckets::Default),
            ("registration_to_task_seconds", "", Buckets::Long),
        ] {
            let bounds = of.bounds().iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
            assert_eq!(buckets(name, labels), bounds.collect::<Vec<_>>(), "{name}: {text}");
        }
        for line in [
            "relay_starts_total{outcome=\"refused\"} 0",
            "relay_start_lag_seconds_count 0",
            "relay_change_stream_lost_total{cause=\"history\"} 0",
            "# HELP relay_starts_total Tries to start a workflow",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("task_queue_pollers"), "what is not known is not said: {text}");
    }
}
