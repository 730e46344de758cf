//! The judge must be able to say no.

use uuid::Uuid;

use super::*;
use crate::facts::{Applied, Welcome};

fn user(n: u128) -> UserId {
    Uuid::from_u128(n).into()
}

fn event(n: u128) -> EventId {
    Uuid::from_u128(1000 + n).into()
}

fn email(n: u128) -> String {
    format!("{n}@example.com")
}

fn attempt(n: u128, outcome: Outcome) -> Attempt {
    Attempt { email: email(n), outcome }
}

fn acknowledged(n: u128) -> Outcome {
    Outcome::Acknowledged { user: user(n), registration: event(n) }
}

/// Everything that `numbers` should have, complete.
fn complete(numbers: &[u128]) -> Facts {
    Facts {
        users: numbers.iter().map(|n| User { id: user(*n), email: email(*n) }).collect(),
        rows: numbers
            .iter()
            .map(|n| Row { event: event(*n), user: user(*n), took_ms: Some(40) })
            .collect(),
        inbox: numbers.iter().map(|n| Applied { event: event(*n) }).collect(),
        todos: numbers.iter().map(|n| Welcome { user: user(*n) }).collect(),
    }
}

/// Judges three acknowledged registrations after `spoil` has had its way.
fn spoiled(spoil: impl FnOnce(&mut Facts)) -> Verdict {
    let attempts = [1, 2, 3].map(|n| attempt(n, acknowledged(n)));
    let mut facts = complete(&[1, 2, 3]);
    spoil(&mut facts);
    judge(&attempts, &facts)
}

fn counts(verdict: &Verdict) -> [usize; 4] {
    [Class::Lost, Class::Duplicated, Class::Unexpected, Class::Unfinished]
        .map(|class| verdict.count(class))
}

#[test]
fn complete_registrations_have_no_findings() {
    let verdict = spoiled(|_| ());
    assert_eq!(verdict.findings, []);
    assert_eq!((verdict.attempted, verdict.acknowledged, verdict.recovered), (3, 3, 0));
}

#[test]
fn an_acknowledged_registration_without_user_is_lost() {
    let verdict = spoiled(|facts| {
        *facts = complete(&[1, 3]);
    });
    assert_eq!(counts(&verdict), [1, 0, 0, 0]);
    assert_eq!(verdict.findings[0].id, event(2).to_string());
}

#[test]
fn an_acknowledged_registration_that_became_another_one_is_lost() {
    let verdict = spoiled(|facts| {
        facts.rows[1].event = event(9);
        facts.inbox[1].event = event(9);
    });
    assert_eq!(counts(&verdict), [1, 0, 0, 0]);
    let verdict = spoiled(|facts| facts.users[1].id = user(9));
    assert!(verdict.count(Class::Lost) >= 1, "{verdict:?}");
}

#[test]
fn a_missing_row_inbox_record_or_todo_is_lost() {
    for spoil in [
        |facts: &mut Facts| facts.inbox.retain(|applied| applied.event != event(2)),
        |facts: &mut Facts| facts.todos.retain(|todo| todo.user != user(2)),
    ] {
        assert_eq!(counts(&spoiled(spoil)), [1, 0, 0, 0]);
    }
    let verdict = spoiled(|facts| facts.rows.retain(|row| row.user != user(2)));
    assert!(verdict.count(Class::Lost) >= 1, "{verdict:?}");
}

#[test]
fn a_registration_that_misses_several_things_is_lost_once() {
    let verdict = spoiled(|facts| {
        facts.inbox.retain(|applied| applied.event != event(2));
        facts.todos.retain(|todo| todo.user != user(2));
    });
    assert_eq!((verdict.findings.len(), counts(&verdict)), (2, [1, 0, 0, 0]));
}

#[test]
fn a_second_user_row_inbox_record_or_todo_is_doubled() {
    for spoil in [
        |facts: &mut Facts| facts.rows.push(Row { took_ms: Some(1), ..facts.rows[1] }),
        |facts: &mut Facts| facts.inbox.push(facts.inbox[1]),
        |facts: &mut Facts| facts.todos.push(facts.todos[1]),
        |facts: &mut Facts| facts.users.push(facts.users[1].clone()),
    ] {
        let verdict = spoiled(spoil);
        assert!(verdict.count(Class::Duplicated) == 1, "{verdict:?}");
        assert_eq!(verdict.count(Class::Lost), 0, "{verdict:?}");
    }
}

#[test]
fn what_nobody_asked_for_is_unexpected() {
    let verdict = spoiled(|facts| {
        let more = complete(&[4]);
        facts.users.extend(more.users);
        facts.rows.extend(more.rows);
        facts.inbox.extend(more.inbox);
        facts.todos.extend(more.todos);
    });
    assert_eq!(counts(&verdict), [0, 0, 1, 0]);
    for spoil in [
        |facts: &mut Facts| facts.rows.extend(complete(&[4]).rows),
        |facts: &mut Facts| facts.inbox.extend(complete(&[4]).inbox),
        |facts: &mut Facts| facts.todos.extend(complete(&[4]).todos),
    ] {
        assert_eq!(counts(&spoiled(spoil)), [0, 0, 1, 0]);
    }
}

#[test]
fn a_row_that_is_not_at_its_end_is_unfinished() {
    assert_eq!(counts(&spoiled(|facts| facts.rows[1].took_ms = None)), [0, 0, 0, 1]);
}

#[test]
fn who_heard_no_and_is_registered_all_the_same_is_recovered() {
    let attempts = [
        attempt(1, Outcome::Refused(503)),
        attempt(2, Outcome::Unknown),
        attempt(3, Outcome::Refused(503)),
        attempt(4, Outcome::Unknown),
    ];
    let verdict = judge(&attempts, &complete(&[1, 2]));
    assert_eq!(verdict.findings, []);
    assert_eq!((verdict.acknowledged, verdict.unknown, verdict.recovered), (0, 2, 2));
    assert_eq!(verdict.refused, BTreeMap::from([(503, 2)]));
}

#[test]
fn a_recovered_registration_is_owed_its_todo_too() {
    let mut facts = complete(&[1]);
    facts.todos.clear();
    let verdict = judge(&[attempt(1, Outcome::Unknown)], &facts);
    assert_eq!((verdict.recovered, verdict.count(Class::Lost)), (1, 1));
}
