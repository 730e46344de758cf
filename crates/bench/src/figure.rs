//! One figure: what was measured, what limits it, what it should be.

use serde::Serialize;

use crate::Scenario;

/// A measured figure.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// The scenario's word.
    pub scenario: &'static str,
    /// What was measured.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The limit measured in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// Value ÷ limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// What it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Whether it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
}

/// What the same machine can do at most.
#[derive(Debug, Clone, Serialize)]
pub struct Limit {
    /// Of what.
    pub name: String,
    /// In the figure's unit.
    pub value: f64,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// The value is at least this.
    AtLeast(f64),
    /// The value is at most this.
    AtMost(f64),
    /// Value ÷ limit is at least this.
    RatioAtLeast(f64),
    /// Value ÷ limit is at most this.
    RatioAtMost(f64),
}

impl Figure {
    /// A figure without limit and target.
    #[must_use]
    pub fn new(scenario: Scenario, name: &str, value: f64, unit: &'static str) -> Self {
        Self {
            scenario: scenario.word(),
            name: name.to_owned(),
            value,
            unit,
            limit: None,
            ratio: None,
            target: None,
            met: None,
        }
    }

    /// With the limit measured in the same run.
    #[must_use]
    pub fn beside(mut self, name: &str, value: f64) -> Self {
        self.ratio = Some(self.value / value);
        self.limit = Some(Limit { name: name.to_owned(), value });
        self
    }

    /// With what it should be. A ratio that is not there is not met.
    #[must_use]
    pub fn aim(mut self, target: Target) -> Self {
        self.met = Some(match target {
            Target::AtLeast(least) => self.value >= least,
            Target::AtMost(most) => self.value <= most,
            Target::RatioAtLeast(least) => self.ratio.is_some_and(|ratio| ratio >= least),
            Target::RatioAtMost(most) => self.ratio.is_some_and(|ratio| ratio <= most),
        });
        self.target = Some(target);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_or_not() {
        let figure = || Figure::new(Scenario::Register, "x", 90.0, "1/s").beside("y", 100.0);
        for (target, met) in [
            (Target::AtLeast(90.0), true),
            (Target::AtLeast(90.1), false),
            (Target::AtMost(90.0), true),
            (Target::AtMost(89.9), false),
            (Target::RatioAtLeast(0.9), true),
            (Target::RatioAtLeast(0.91), false),
            (Target::RatioAtMost(0.9), true),
            (Target::RatioAtMost(0.89), false),
        ] {
            assert_eq!(figure().aim(target).met, Some(met), "{target:?}");
        }
        let bare = Figure::new(Scenario::Register, "x", 1.0, "1/s");
        assert_eq!(bare.aim(Target::RatioAtLeast(0.1)).met, Some(false));
    }
}
