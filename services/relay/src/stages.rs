//! Says how many registrations are in each stage and how long the oldest has
//! been there, as metrics; and raises the alarm in the log.
//!
//! An acknowledgement counts as overdue after `REGISTRATION_OVERDUE`; the alarm
//! comes at most [`EVERY`] later. The leader among the relays looks for all of them: the
//! metrics of the others, and of one that has lost the lead, are NaN or absent.

use std::time::Duration;

use onboard_contract::Stage;
use onboard_outbox::{InStage, Outbox, Stages};
use onboard_runtime::{Availability, Rounds, Shutdown};

use crate::lead::Lead;

const EVERY: Duration = Duration::from_secs(5);

/// Looks while this relay leads, until the shutdown.
pub(crate) async fn run(outbox: Outbox, overdue: Duration, lead: Lead, shutdown: Shutdown) {
    let stop = shutdown.clone();
    let work = || look(outbox.clone(), overdue, stop.clone());
    lead.while_held(shutdown, work).await;
}

async fn look(outbox: Outbox, overdue: Duration, shutdown: Shutdown) {
    let mongo = Availability::new("mongo (stages)");
    let mut alarm = Alarm::default();
    let mut rounds = Rounds::new(EVERY, shutdown);
    let _figures = Figures;
    while let Some(looked) = rounds.next(outbox.stages(overdue)).await {
        match mongo.report(looked) {
            Ok(stages) => {
                publish(&stages);
                alarm.judge(&stages);
            }
            Err(_) => unknown(),
        }
    }
}

/// The figures of the leader: they become unknown when it leads no more.
struct Figures;

impl Drop for Figures {
    fn drop(&mut self) {
        unknown();
    }
}

fn publish(stages: &Stages) {
    for InStage { stage, count, oldest } in &stages.stages {
        say(*stage, precise(*count), oldest.unwrap_or_default().as_secs_f64());
    }
    say_quarantined(precise(stages.quarantined));
}

/// What is not known is no figure: the last one would stand for hours.
fn unknown() {
    for stage in [Stage::Pending, Stage::Started, Stage::Sent, Stage::Stalled] {
        say(stage, f64::NAN, f64::NAN);
    }
    say_quarantined(f64::NAN);
}

fn say(stage: Stage, count: f64, oldest_seconds: f64) {
    let stage = stage.as_str();
    metrics::gauge!("registrations_in_stage", "stage" => stage).set(count);
    metrics::gauge!("registrations_oldest_age_seconds", "stage" => stage).set(oldest_seconds);
}

fn say_quarantined(count: f64) {
    metrics::gauge!("registrations_quarantined").set(count);
}

/// Counts stop far below what a float holds exactly.
pub(crate) fn precise(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

/// Says once when it begins and once when it is over.
#[derive(Debug, Default)]
struct Alarm {
    stalled: bool,
    quarantined: bool,
}

impl Alarm {
    fn judge(&mut self, stages: &Stages) {
        let stalled = stages.stages.iter().find(|of| of.stage == Stage::Stalled);
        let stalled = stalled.map_or(0, |of| of.count);
        if turned(&mut self.stalled, stalled > 0) {
            if stalled > 0 {
                tracing::error!(stalled, "acknowledgements are overdue; `onboard list --stuck`");
            } else {
                tracing::info!("no acknowledgement is overdue any more");
            }
        }
        let quarantined = stages.quarantined;
        if turned(&mut self.quarantined, quarantined > 0) && quarantined > 0 {
            tracing::error!(quarantined, "rows are quarantined; `onboard list --stuck` says why");
        }
    }
}

/// Whether the state changed.
fn turned(state: &mut bool, now: bool) -> bool {
    std::mem::replace(state, now) != now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_said_once() {
        let mut state = false;
        assert!(!turned(&mut state, false));
        assert!(turned(&mut state, true));
        assert!(!turned(&mut state, true));
        assert!(turned(&mut state, false));
    }
}
