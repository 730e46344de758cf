//! Temporal's own metrics, into the process's one registry.
//!
//! The SDK measures through an interface of its own. This hands every
//! measurement to the `metrics` crate, under the SDK's names with the prefix
//! `temporal_`, counters with `_total`, durations in seconds with `_seconds`.
//! Labels are what the SDK attaches: operations, types and queues, no ids.
//! Without a recorder (tools have none) nothing is kept.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use onboard_runtime::Metric;
use onboard_runtime::metric::Buckets;
use temporalio_common::telemetry::metrics::{
    CoreMeter, Counter, CounterBase, Gauge, GaugeBase, GaugeF64, GaugeF64Base, Histogram,
    HistogramBase, HistogramDuration, HistogramDurationBase, HistogramF64, HistogramF64Base,
    MetricAttributable, MetricAttributes, MetricParameters, NewAttributes, TemporalMeter,
    UpDownCounter, UpDownCounterBase,
};
use temporalio_common::telemetry::{TaskQueueLabelStrategy, TelemetryOptions};

const PREFIX: &str = "temporal_";

/// Those of the SDK's metrics in a worker whose buckets are not the default ones.
pub const METRICS: &[Metric] =
    &[Metric::foreign("temporal_workflow_endtoend_latency_seconds").in_buckets(Buckets::Long)];

/// What a worker's runtime needs to measure into the process's registry.
#[must_use]
pub fn telemetry() -> TelemetryOptions {
    let meter: Arc<dyn CoreMeter> = Arc::new(Meter { prefix: "" });
    // The runtime adds the prefix itself.
    TelemetryOptions::builder()
        .metrics(meter)
        .attach_service_name(false)
        .metric_prefix(PREFIX.to_owned())
        .build()
}

/// What a client's connection needs for it.
pub(crate) fn of_client() -> TemporalMeter {
    let meter = Arc::new(Meter { prefix: PREFIX });
    TemporalMeter::new(meter, NewAttributes::default(), TaskQueueLabelStrategy::UseNormal)
}

#[derive(Debug)]
struct Meter {
    prefix: &'static str,
}

impl Meter {
    fn name(&self, asked: &MetricParameters, suffix: &str) -> String {
        let stem = asked.name.strip_suffix(suffix).unwrap_or(&asked.name);
        format!("{}{stem}{suffix}", self.prefix).replace('-', "_")
    }

    fn counted(&self, asked: &MetricParameters) -> Arc<Instrument> {
        let name = self.name(asked, "_total");
        metrics::describe_counter!(name.clone(), asked.description.clone());
        Arc::new(Instrument(name))
    }

    fn level(&self, asked: &MetricParameters) -> Arc<Instrument> {
        let name = self.name(asked, "");
        metrics::describe_gauge!(name.clone(), asked.description.clone());
        Arc::new(Instrument(name))
    }

    fn spread(&self, asked: &MetricParameters, suffix: &str) -> Arc<Instrument> {
        let name = self.name(asked, suffix);
        metrics::describe_histogram!(name.clone(), asked.description.clone());
        Arc::new(Instrument(name))
    }
}

impl CoreMeter for Meter {
    fn new_attributes(&self, attributes: NewAttributes) -> MetricAttributes {
        MetricAttributes::NoOp(Arc::new(attributes.into()))
    }

    fn extend_attributes(&self, known: MetricAttributes, more: NewAttributes) -> MetricAttributes {
        let mut labels = match &known {
            MetricAttributes::NoOp(labels) => (**labels).clone(),
            _ => std::collections::HashMap::new(),
        };
        labels.extend(more.attributes.into_iter().map(|kv| (kv.key, kv.value.to_string())));
        MetricAttributes::NoOp(Arc::new(labels))
    }

    fn counter(&self, asked: MetricParameters) -> Counter {
        Counter::new(self.counted(&asked))
    }

    fn histogram(&self, asked: MetricParameters) -> Histogram {
        Histogram::new(self.spread(&asked, ""))
    }

    fn histogram_f64(&self, asked: MetricParameters) -> HistogramF64 {
        HistogramF64::new(self.spread(&asked, ""))
    }

    fn histogram_duration(&self, asked: MetricParameters) -> HistogramDuration {
        HistogramDuration::new(self.spread(&asked, "_seconds"))
    }

    fn gauge(&self, asked: MetricParameters) -> Gauge {
        Gauge::new(self.level(&asked))
    }

    fn gauge_f64(&self, asked: MetricParameters) -> GaugeF64 {
        GaugeF64::new(self.level(&asked))
    }

    fn up_down_counter(&self, asked: MetricParameters) -> UpDownCounter {
        UpDownCounter::new(self.level(&asked))
    }
}

/// A metric whose labels are not known yet.
struct Instrument(String);

struct Count(metrics::Counter);
struct Level(metrics::Gauge);
struct Spread(metrics::Histogram);

type Bound<T> = Result<Box<T>, Box<dyn Error>>;

impl Instrument {
    fn count(&self, with: &MetricAttributes) -> Count {
        Count(metrics::counter!(self.0.clone(), labels(with)))
    }

    fn level(&self, with: &MetricAttributes) -> Level {
        Level(metrics::gauge!(self.0.clone(), labels(with)))
    }

    fn spread(&self, with: &MetricAttributes) -> Spread {
        Spread(metrics::histogram!(self.0.clone(), labels(with)))
    }
}

/// In one order, whatever the map's: the same labels are the same series.
fn labels(attributes: &MetricAttributes) -> Vec<metrics::Label> {
    let MetricAttributes::NoOp(labels) = attributes else { return Vec::new() };
    let mut labels: Vec<_> = labels.iter().collect();
    labels.sort_unstable();
    labels.into_iter().map(|(key, value)| metrics::Label::new(key.clone(), value.clone())).collect()
}

/// Counts stop far below what a float holds exactly.
fn float(value: u64) -> f64 {
    u32::try_from(value).map_or(f64::from(u32::MAX), f64::from)
}

impl MetricAttributable<Box<dyn CounterBase>> for Instrument {
    fn with_attributes(&self, with: &MetricAttributes) -> Bound<dyn CounterBase> {
        Ok(Box::new(self.count(with)))
    }
}

impl CounterBase for Count {
    fn adds(&self, value: u64) {
        self.0.increment(value);
    }
}

impl MetricAttributable<Box<dyn GaugeBase>> for Instrument {
    fn with_attributes(&self, with: &MetricAttributes) -> Bound<dyn GaugeBase> {
        Ok(Box::new(self.level(with)))
    }
}

impl GaugeBase for Level {
    fn records(&self, value: u64) {
        self.0.set(float(value));
    }
}

impl MetricAttributable<Box<dyn GaugeF64Base>> for Instrument {
    fn with_attributes(&self, with: &MetricAttributes) -> Bound<dyn GaugeF64Base> {
        Ok(Box::new(self.level(with)))
    }
}

impl GaugeF64Base for Level {
    fn records(&self, value: f64) {
        self.0.set(value);
    }
}

impl MetricAttributable<Box<dyn UpDownCounterBase>> for Instrument {
    fn with_attributes(&self, with: &MetricAttributes) -> Bound<dyn UpDownCounterBase> {
        Ok(Box::new(self.level(with)))
    }
}

impl UpDownCounterBase for Level {
    fn adds(&self, value: i64) {
        let by = float(value.unsigned_abs());
        if value < 0 { self.0.decrement(by) } else { self.0.increment(by) }
    }
}

impl MetricAttributable<Box<dyn HistogramBase>> for Instrument {
    fn with_attributes(&self, with: &MetricAttributes) -> Bound<dyn HistogramBase> {
        Ok(Box::new(self.spread(with)))
    }
}

impl HistogramBase for Spread {
    fn records(&self, value: u64) {
        self.0.record(float(value));
    }
}

impl MetricAttributable<Box<dyn HistogramF64Base>> for Instrument {
    fn with_attributes(&self, with: &MetricAttributes) -> Bound<dyn HistogramF64Base> {
        Ok(Box::new(self.spread(with)))
    }
}

impl HistogramF64Base for Spread {
    fn records(&self, value: f64) {
        self.0.record(value);
    }
}

impl MetricAttributable<Box<dyn HistogramDurationBase>> for Instrument {
    fn with_attributes(&self, with: &MetricAttributes) -> Bound<dyn HistogramDurationBase> {
        Ok(Box::new(self.spread(with)))
    }
}

impl HistogramDurationBase for Spread {
    fn records(&self, value: Duration) {
        self.0.record(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use temporalio_common::telemetry::metrics::MetricKeyValue;

    #[test]
    fn names_end_in_their_unit_once() {
        let meter = Meter { prefix: PREFIX };
        for (asked, suffix, name) in [
            ("request", "_total", "temporal_request_total"),
            ("local_activity_total", "_total", "temporal_local_activity_total"),
            ("request_latency", "_seconds", "temporal_request_latency_seconds"),
            ("num-pollers", "", "temporal_num_pollers"),
        ] {
            assert_eq!(meter.name(&asked.into(), suffix), name);
        }
    }

    #[test]
    fn labels_are_kept_extended_and_in_one_order() {
        let meter = Meter { prefix: "" };
        let one =
            |key: &'static str, value| NewAttributes::new(vec![MetricKeyValue::new(key, value)]);
        let both = meter.extend_attributes(meter.new_attributes(one("b", "2")), one("a", "1"));
        let labels = labels(&both);
        let labels: Vec<_> = labels.iter().map(|label| (label.key(), label.value())).collect();
        assert_eq!(labels, [("a", "1"), ("b", "2")]);
    }
}
