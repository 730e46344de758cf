//! The case of every outbox row: its user, its inbox record and its workflow. The rules
//! ([`crate::rules`]) judge each.

use std::collections::HashMap;

use mongodb::bson::{Bson, Document, doc};
use onboard_contract::EventId;
use onboard_inbox::InboxRecord;
use onboard_mongo::Field;
use onboard_todo::INBOX_NAMES;
use uuid::Uuid;

use crate::audit::document::{name, stored};
use crate::audit::horizon::Horizon;
use crate::audit::page::{Pages, lookup};
use crate::audit::passes::Audit;
use crate::audit::progress::Pass;
use crate::audit::sample::Finished;
use crate::audit::scope::Age;
use crate::audit::{AuditError, Kind, histories, workflow};
use crate::case::{Case, Looked};
use crate::sound::{altered, disagrees, user_of};
use crate::user::User;
use crate::{Row, rules};

/// Judges all rows.
pub(crate) async fn judge(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    let outbox = audit.sources.mongo.outbox();
    let fields = doc! { "traceparent": 0, "lastError": 0, "attempts": 0, "nextAttemptAt": 0 };
    let mut pages = Pages::of("read the outbox", outbox, fields).await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        let mut cases = with_users(audit, &page).await?;
        look_into_the_inbox(audit, &mut cases).await?;
        workflow::look(audit, &mut cases).await?;
        for case in &cases {
            judge_case(audit, case);
        }
        let finished = cases.iter().filter_map(Finished::of).collect();
        let at_once = audit.sample.offer(finished);
        histories::judge(audit, at_once).await?;
        audit.tell(Pass::Outbox, pages.done, pages.total);
    }
}

fn judge_case(audit: &mut Audit<'_>, case: &Case) {
    let Some(row) = &case.row else { return };
    let report = &mut audit.report;
    // Each user counts in the pass over the users.
    if !row.is_registration() || case.user.is_missing() {
        report.attempted += 1;
        report.acknowledged += u64::from(row.acknowledged_at.is_some());
    }
    for found in rules::judge(case) {
        if let Some((kind, words)) = found.violation {
            report.violation(kind, row.registration_id, words);
        } else if let Some(words) = found.note.filter(|_| found.audited) {
            report.note(row.registration_id, words);
        }
    }
}

/// The cases of the rows that are to be judged, with their users.
async fn with_users(audit: &mut Audit<'_>, page: &[Document]) -> Result<Vec<Case>, AuditError> {
    let read = page.iter().map(|document| (document, onboard_outbox::Row::read(document)));
    let rows: Vec<(&Document, onboard_outbox::Row)> = read.collect();
    let of_registrations = rows.iter().filter(|(_, row)| is_registration(row));
    let users = of_registrations.filter_map(|(_, row)| user_of(row));
    let users = find_users(audit, users.map(|user| stored(user.uuid())).collect()).await?;
    let mut cases = Vec::with_capacity(rows.len());
    for (document, stored) in rows {
        if stored.id.known().is_none() {
            audit.report.violation(Kind::RowAltered, name(document), "its id is no UUID");
            continue;
        }
        let of_registration = is_registration(&stored);
        let owner = user_of(&stored).filter(|_| of_registration);
        let user = owner.and_then(|id| users.get(&id.uuid()));
        let created = user.map_or(stored.created_at.known(), |user| user.created_at_ms);
        match audit.scope.age(created) {
            Age::Judged => (),
            Age::InFlight => {
                audit.report.in_flight += u64::from(!of_registration);
                continue;
            }
            Age::Before => continue,
        }
        cases.push(Case {
            altered: altered(document, &stored),
            disagrees: user.and_then(|user| disagrees(&stored, user)),
            user: owner.map_or(Looked::NotAsked, |_| Looked::of(user.map(|_| ()))),
            settled_until_ms: Some(audit.scope.until_ms),
            row: Row::of(stored, audit.scope.now_ms, i64::MAX),
            ..Case::default()
        });
    }
    Ok(cases)
}

/// Whether it is, as far as this build knows its type.
pub(crate) fn is_registration(row: &onboard_outbox::Row) -> bool {
    row.known_type().is_none_or(onboard_events::is_registration)
}

async fn look_into_the_inbox(audit: &Audit<'_>, cases: &mut [Case]) -> Result<(), AuditError> {
    let owed = cases.iter().filter(|case| case.is_registration());
    let keys = owed.filter_map(|case| Some(stored(case.row.as_ref()?.registration_id.uuid())));
    let keys = keys.collect();
    let inbox = audit.sources.mongo.processed_events();
    let fields = doc! {
        "eventId": 1, "userId": 1, "todoId": 1, "processedAt": 1, "todoDeletedAt": 1,
        "conflicts": 1,
    };
    let found = lookup("find the inbox records", &inbox, "eventId", keys, fields).await?;
    // After the records: it covers every gap among them.
    let removed = Horizon::of_inbox(audit.sources).await?;
    let mut records: HashMap<EventId, Vec<InboxRecord>> = HashMap::new();
    for record in found.iter().map(|record| INBOX_NAMES.read(record)) {
        if let Field::Is(event) = record.event_id {
            records.entry(event).or_default().push(record);
        }
    }
    for case in cases.iter_mut().filter(|case| case.is_registration()) {
        let event = case.row.as_ref().map(|row| row.registration_id);
        case.inbox = Looked::of(event.and_then(|event| records.remove(&event)));
        case.removed.inbox_before_ms = removed.ms();
    }
    Ok(())
}

/// The users of these ids, by their id.
pub(crate) async fn find_users(
    audit: &Audit<'_>,
    ids: Vec<Bson>,
) -> Result<HashMap<Uuid, User>, AuditError> {
    let users = audit.sources.mongo.users();
    let found = lookup("find the users", &users, "_id", ids, User::projection()).await?;
    Ok(found.iter().filter_map(User::read).map(|user| (user.id, user)).collect())
}
