//! The report's verdict and its words.

use onboard_stack::{Priority, Service};

use super::*;
use crate::journal::{Attempt, Outcome};
use crate::judge::judge;
use crate::plan::{Kind, targets};
use crate::stage::Process;

fn settings() -> Settings {
    Settings {
        seed: 7,
        length: Duration::from_mins(2),
        rate: 10.0,
        faults_per_minute: 20.0,
        cheap_hashing: true,
        consumer: None,
    }
}

fn left() -> Left {
    Left { not_ready: vec![], rows: 0, messages: 0, dead_letters: 0, workflows: 0 }
}

/// What an auditor says who found nothing.
fn audit() -> Audit {
    Audit {
        attempted: 0,
        acknowledged: 0,
        lost: 0,
        duplicated: 0,
        unexpected: 0,
        unfinished: 0,
        in_flight: 0,
        histories: 0,
        kinds: BTreeMap::new(),
        unnamed: 0,
        violations: Vec::new(),
        noted: 0,
        notes: Vec::new(),
        began_at_ms: 0,
        grace_ms: 0,
        since_ms: None,
    }
}

fn report(verdict: Verdict, left: Option<Left>) -> Report {
    let fault = |kind| Fault { at_ms: 0, target: "rabbitmq".into(), kind, lasts_ms: 0 };
    let service = |name| Service { name, port: 0, priority: Priority::Foreground };
    let services = ["auth", "relay", "worker", "todo"].map(service);
    let pairs = Process::pairs(&services, true);
    let done = Kind::ALL.into_iter().take(3).map(fault).collect();
    Report {
        faults: FaultCounts::new(4, (done, 1), targets(&pairs, false)),
        versions: BTreeMap::from([("mongodb", "6.0.5".to_owned())]),
        ..Report::new(&settings(), verdict, audit(), left)
    }
}

fn one_lost() -> Verdict {
    let id = uuid::Uuid::from_u128(1);
    let outcome = Outcome::Acknowledged { user: id.into(), registration: id.into() };
    judge(&[Attempt { email: "a@example.com".into(), outcome }], &Facts::default())
}

#[test]
fn a_run_is_clean_only_when_nothing_is_wrong_and_nothing_is_left() {
    assert!(report(Verdict::default(), Some(left())).clean());
    assert!(!report(Verdict::default(), None).clean());
    assert!(!report(Verdict::default(), Some(Left { workflows: 1, ..left() })).clean());
    assert!(!report(one_lost(), Some(left())).clean());
    let mut audited = report(Verdict::default(), Some(left()));
    audited.audit.kinds.insert(onboard_ops::audit::Kind::TodoDuplicated, 1);
    assert!(!audited.clean());
}

#[test]
fn the_larger_count_of_journal_and_audit_is_reported() {
    let found = report(one_lost(), Some(left()));
    assert_eq!((found.lost, found.audit.lost), (1, 0));
    let audit = Audit { lost: 3, unfinished: 2, ..audit() };
    let found = Report::new(&settings(), one_lost(), audit, Some(left()));
    assert_eq!((found.lost, found.unfinished), (3, 2));
}

#[test]
fn the_text_fits_80_columns_and_names_what_is_wrong() {
    let text = report(one_lost(), Some(left())).to_string();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for words in [
        "seed 7, 2 min",
        "lost                 1",
        "3 faults of 4 planned, 1 skipped",
        "  rabbitmq            1          1          1          0          0        3\n",
        "NOT clean",
        "00000000-0000-0000-0000-000000000001",
        "  onboard chaos --minutes 2 --seed 7 --rate 10 \\\n    --faults-per-minute 20 --cheap-hashing",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn times_are_taken_from_those_that_ended() {
    let id = uuid::Uuid::nil();
    let row = |took_ms| crate::facts::Row { event: id.into(), user: id.into(), took_ms };
    let facts =
        Facts { rows: [Some(30), None, Some(10), Some(20)].map(row).into(), ..Facts::default() };
    let times = Times::new(&facts, Some(Duration::from_secs(2)));
    assert_eq!((times.registration_median_ms, times.registration_longest_ms), (Some(20), Some(30)));
    assert_eq!(times.drain_ms, Some(2_000));
    assert_eq!(Times::new(&Facts::default(), None).registration_longest_ms, None);
}
