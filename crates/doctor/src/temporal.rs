//! Temporal: the namespace the workflows live in, and who works on them.

use std::time::Duration;

use onboard_events::ExtraConsumers;
use onboard_runtime::plain::said;
use onboard_temporal::inspect::{Facts, Namespace, inspect};
use onboard_temporal::{
    Answering, DeliveryPlan, Pollers, RateLimit, Temporal, TemporalError, Unserved, command,
};

use crate::finding::REACHABLE;
use crate::{Area, Finding, Patient, judge_version};

const AREA: Area = Area::Temporal;
/// The first with policies for a workflow id that is taken.
const LEAST: (u32, u32) = (1, 24);
/// What `deploy/temporal-postgresql` runs; the tests run 1.32.
const CURRENT: (u32, u32) = (1, 31);
const RETENTION_MIN: Duration = Duration::from_hours(24 * 7);
const SETUP: &str = "run `onboard setup`; it is safe to repeat";

/// `oldest`: how old the oldest unfinished registration is; `extra`: the consumers
/// of other programs.
pub(crate) async fn examine(
    patient: &Patient,
    oldest: Option<Duration>,
    extra: &ExtraConsumers,
) -> Vec<Finding> {
    match ask(patient).await {
        Ok(facts) => {
            let mut findings = vec![Finding::ok(AREA, REACHABLE, "it answers")];
            findings.extend(judge(&facts, oldest));
            let pollers = facts.namespace.iter().map(|namespace| &namespace.pollers);
            findings.extend(pollers.map(|pollers| plan(patient.plan, extra, pollers)));
            findings
        }
        Err(error) => {
            let advice = match error {
                TemporalError::Unavailable { .. } => {
                    "start Temporal, or mend TEMPORAL_ADDRESS, TLS or the network"
                }
                TemporalError::Refused { .. } => "mend TEMPORAL_API_KEY or the rights it gives",
            };
            vec![Finding::fail(AREA, REACHABLE, said(&error), advice)]
        }
    }
}

async fn ask(patient: &Patient) -> Result<Facts, TemporalError> {
    inspect(&Temporal::connect(&patient.temporal).await?).await
}

fn judge(facts: &Facts, oldest: Option<Duration>) -> Vec<Finding> {
    let mut findings = vec![judge_version(AREA, &facts.version, LEAST, CURRENT)];
    match &facts.namespace {
        None => findings.push(Finding::fail(AREA, "namespace", "it is missing", SETUP)),
        Some(Namespace { retention, has_attributes, pollers, answering, limit, unserved }) => {
            findings.push(self::retention(*retention, oldest));
            findings.push(attributes(*has_attributes));
            findings.push(self::pollers(pollers));
            findings.extend(answering.iter().map(answers));
            findings.push(self::limit(limit.as_ref()));
            findings.push(self::unserved(unserved.as_ref()));
        }
    }
    findings.push(Finding::not_checked(AREA, "clock", "Temporal does not tell the time"));
    findings
}

fn retention(retention: Duration, oldest: Option<Duration>) -> Finding {
    const CHECK: &str = "retention";
    let found = format!("{} h", retention.as_secs() / 3_600);
    let raise = "raise it: set TEMPORAL_RETENTION and run `onboard setup`; a row that outlives \
                 its workflow would get a second one";
    match oldest {
        Some(oldest) if retention <= oldest => {
            let oldest = oldest.as_secs() / 3_600;
            let found = format!("{found}, and a registration has waited for {oldest} h");
            Finding::fail(AREA, CHECK, found, raise)
        }
        _ if retention < RETENTION_MIN => Finding::warn(AREA, CHECK, found, raise),
        _ => Finding::ok(AREA, CHECK, found),
    }
}

fn attributes(registered: bool) -> Finding {
    const CHECK: &str = "search attributes";
    if registered {
        Finding::ok(AREA, CHECK, "registered")
    } else {
        Finding::fail(AREA, CHECK, "not registered: no workflow can start", SETUP)
    }
}

fn pollers(Pollers { workflow, activity, .. }: &Pollers) -> Finding {
    const CHECK: &str = "workers";
    let found = format!("{workflow} poll for workflows, {activity} for activities");
    if *workflow > 0 && *activity > 0 {
        Finding::ok(AREA, CHECK, found)
    } else {
        Finding::warn(AREA, CHECK, found, "start a worker, with this namespace and task queue")
    }
}

/// Whether the questions of workflows to a consumer are taken.
fn answers(Answering { consumer, task_queue, pollers }: &Answering) -> Finding {
    const CHECK: &str = "questions";
    let found = format!("{pollers} poll {task_queue} for questions to {consumer}");
    if *pollers > 0 {
        return Finding::ok(AREA, CHECK, found);
    }
    let advice = format!(
        "start the consumer {consumer}, with this namespace and CONSUMER_TASK_QUEUE_PREFIX; \
         until then a workflow that asks it waits"
    );
    Finding::warn(AREA, CHECK, found, advice)
}

fn limit(limit: Option<&RateLimit>) -> Finding {
    const CHECK: &str = "task queue";
    let Some(RateLimit { task_queue, per_second, set }) = limit else {
        return Finding::ok(AREA, CHECK, "nobody limits it");
    };
    let found =
        format!("it hands out {per_second} activities a second, set by {}: {}", set.by, set.reason);
    Finding::warn(AREA, CHECK, found, command::unlimit(task_queue))
}

/// Whether the workers that poll get the tasks.
fn unserved(unserved: Option<&Unserved>) -> Finding {
    const CHECK: &str = "worker versions";
    let Some(found) = unserved else {
        return Finding::ok(AREA, CHECK, "no tasks go to a version that does not poll");
    };
    let Unserved { deployment, build, percent, set, .. } = found;
    let words = format!(
        "{percent} % of the workflow tasks go to workers of version {deployment}:{build}, set by \
         {}, and none of them polls",
        if set.by.is_empty() { "somebody" } else { &set.by }
    );
    let advice = format!("start a worker of it, or {}", command::serve(found));
    Finding::warn(AREA, CHECK, words, advice)
}

/// Whether every worker knows the plan of steps of new runs.
fn plan(plan: DeliveryPlan, extra: &ExtraConsumers, pollers: &Pollers) -> Finding {
    const CHECK: &str = "delivery plan";
    let why = match plan {
        DeliveryPlan::Several => "DELIVERY_PLAN is 2",
        DeliveryPlan::Released if !extra.names().is_empty() => {
            "consumers of other programs are awaited"
        }
        DeliveryPlan::Released => {
            return Finding::ok(AREA, CHECK, "that of released builds, which every worker knows");
        }
    };
    if pollers.older.is_empty() {
        return Finding::ok(AREA, CHECK, format!("that of several consumers: {why}"));
    }
    let older = pollers.older.join(", ");
    Finding::fail(
        AREA,
        CHECK,
        format!("{why}, and workers of a released build poll, which do not know its plan: {older}"),
        "replace these workers by this build; until then unset DELIVERY_PLAN at the relay and \
         EXTRA_CONSUMERS at auth",
    )
}

#[cfg(test)]
mod tests {
    use onboard_temporal::Pause;

    use super::*;
    use crate::Verdict;

    fn good() -> Namespace {
        let pollers = Pollers { workflow: 1, activity: 1, older: Vec::new() };
        let answering = Vec::new();
        Namespace {
            retention: RETENTION_MIN,
            has_attributes: true,
            pollers,
            answering,
            limit: None,
            unserved: None,
        }
    }

    fn said(namespace: Option<Namespace>, oldest_h: u64) -> Vec<(&'static str, Verdict)> {
        let facts = Facts { version: "1.32.0".into(), namespace };
        let oldest = Some(Duration::from_hours(oldest_h));
        let judged = judge(&facts, oldest).into_iter();
        let bad = judged.filter(|one| !matches!(one.verdict, Verdict::Ok | Verdict::NotChecked));
        bad.map(|one| (one.check, one.verdict)).collect()
    }

    #[test]
    fn each_fault_is_named_alone() {
        assert!(said(Some(good()), 1).is_empty());
        assert_eq!(said(None, 1), [("namespace", Verdict::Fail)]);
        let short = Namespace { retention: Duration::from_hours(24), ..good() };
        assert_eq!(said(Some(short.clone()), 1), [("retention", Verdict::Warn)]);
        assert_eq!(said(Some(short), 24), [("retention", Verdict::Fail)]);
        let bare = Namespace { has_attributes: false, ..good() };
        assert_eq!(said(Some(bare), 1), [("search attributes", Verdict::Fail)]);
        let pollers = Pollers { activity: 0, ..good().pollers };
        let alone = Namespace { pollers, ..good() };
        assert_eq!(said(Some(alone), 1), [("workers", Verdict::Warn)]);
        let limit = RateLimit { task_queue: "q".into(), per_second: 0.0, set: Pause::default() };
        let limited = Namespace { limit: Some(limit), ..good() };
        assert_eq!(said(Some(limited), 1), [("task queue", Verdict::Warn)]);
        let unserved = Unserved {
            deployment: "d".into(),
            build: "7".into(),
            percent: 100.0,
            is_current: true,
            instead: None,
            set: Pause::default(),
        };
        let elsewhere = Namespace { unserved: Some(unserved), ..good() };
        assert_eq!(said(Some(elsewhere), 1), [("worker versions", Verdict::Warn)]);
    }

    #[test]
    fn a_consumer_that_takes_no_questions_is_named() {
        let of = |pollers| {
            let consumer = onboard_events::TODO;
            answers(&Answering { consumer, task_queue: "x-todo".into(), pollers })
        };
        assert_eq!((of(0).verdict, of(1).verdict), (Verdict::Warn, Verdict::Ok));
        assert!(of(0).found.contains("x-todo"), "{:?}", of(0));
    }

    #[test]
    fn a_worker_that_does_not_know_the_plan_is_named_where_the_plan_is_used() {
        let none = ExtraConsumers::default();
        let crm: ExtraConsumers = "crm:USER_REGISTERED".parse().unwrap();
        let mixed = Pollers { older: vec!["7@old".into()], ..good().pollers };
        assert_eq!(plan(DeliveryPlan::Released, &none, &mixed).verdict, Verdict::Ok);
        for (set, extra) in [(DeliveryPlan::Several, &none), (DeliveryPlan::Released, &crm)] {
            assert_eq!(plan(set, extra, &good().pollers).verdict, Verdict::Ok);
            let found = plan(set, extra, &mixed);
            assert_eq!(found.verdict, Verdict::Fail);
            assert!(found.found.contains("7@old"), "{found:?}");
        }
    }
}
