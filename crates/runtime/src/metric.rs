//! A metric as data: each crate lists the metrics that it records.
//!
//! The recorder (`onboard_http::metrics`) describes them on `/metrics`, begins
//! them at zero and gives them their buckets; `docs/metrics.md` is made from
//! them. A recorded metric that no list has fails the test that reads the
//! sources for metrics. Label values come from enums and route templates alone.
//! Nothing here survives the process.

/// A metric of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name; the unit last.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// What it is counted in.
    pub unit: &'static str,
    /// Its labels, with their values where a counter begins at zero for each.
    pub labels: &'static [Label],
    /// One sentence.
    pub meaning: &'static str,
    /// The buckets of a histogram.
    pub buckets: Buckets,
}

/// A label's name and the values known beforehand.
pub type Label = (&'static str, &'static [&'static str]);

/// What a metric does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows. Begins at zero, unless a label's values are not listed.
    Counter,
    /// It is what it is now. There from the first time it is known.
    Gauge,
    /// How many took how long. There from the beginning without labels.
    Histogram,
    /// A histogram that a library records and describes; only its buckets are ours.
    Foreign,
}

impl Kind {
    /// Prometheus' word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram | Self::Foreign => "histogram",
        }
    }
}

/// Which upper bounds the buckets of a histogram of seconds have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buckets {
    /// From 1 ms to 1 min.
    Default,
    /// From 1 ms to 10 s: for an HTTP request and a hash, which are cut off before.
    Short,
    /// From 10 ms to 2 h: for a duration that includes an outage.
    Long,
}

impl Buckets {
    /// The upper bounds, in seconds.
    #[must_use]
    pub const fn bounds(self) -> &'static [f64] {
        match self {
            Self::Default => {
                &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]
            }
            Self::Short => &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
            Self::Long => &[
                0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0, 1_800.0,
                7_200.0,
            ],
        }
    }
}

impl Metric {
    /// A counter.
    #[must_use]
    pub const fn counter(
        name: &'static str,
        labels: &'static [Label],
        meaning: &'static str,
    ) -> Self {
        let (kind, buckets) = (Kind::Counter, Buckets::Default);
        Self { name, kind, unit: "", labels, meaning, buckets }
    }

    /// A gauge.
    #[must_use]
    pub const fn gauge(
        name: &'static str,
        unit: &'static str,
        labels: &'static [Label],
        meaning: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Gauge, unit, labels, meaning, buckets: Buckets::Default }
    }

    /// A histogram of durations.
    #[must_use]
    pub const fn seconds(
        name: &'static str,
        labels: &'static [Label],
        meaning: &'static str,
    ) -> Self {
        let (kind, buckets) = (Kind::Histogram, Buckets::Default);
        Self { name, kind, unit: "seconds", labels, meaning, buckets }
    }

    /// A library's histogram of durations.
    #[must_use]
    pub const fn foreign(name: &'static str) -> Self {
        let (kind, buckets) = (Kind::Foreign, Buckets::Default);
        Self { name, kind, unit: "seconds", labels: &[], meaning: "", buckets }
    }

    /// The same histogram with these buckets.
    #[must_use]
    pub const fn in_buckets(self, buckets: Buckets) -> Self {
        Self { buckets, ..self }
    }
}
