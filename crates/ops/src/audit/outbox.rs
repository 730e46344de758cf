//! Every outbox row has a user, comes to its end, and has left an inbox record
//! and a completed workflow.

use std::collections::HashMap;

use mongodb::bson::{Bson, Document, doc};
use onboard_contract::{ConsumerName, EventId, OutboxStatus, TodoId, UserId};
use onboard_store::{Conflict, Field, InboxRecord};
use uuid::Uuid;

use crate::audit::document::{name, stored};
use crate::audit::horizon::Horizon;
use crate::audit::page::{Pages, lookup};
use crate::audit::passes::Audit;
use crate::audit::progress::Pass;
use crate::audit::row::Row;
use crate::audit::scope::Age;
use crate::audit::user::User;
use crate::audit::{AuditError, Kind, workflow};

/// Judges all rows.
pub(crate) async fn judge(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    let outbox = audit.sources.mongo.outbox();
    let mut pages = Pages::of("read the outbox", outbox, Row::projection()).await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        let rows = readable(audit, &page);
        let rows = judge_users(audit, rows).await?;
        judge_inbox(audit, &rows).await?;
        workflow::judge(audit, &rows).await?;
        audit.tell(Pass::Outbox, pages.done, pages.total);
    }
}

fn readable(audit: &mut Audit<'_>, page: &[Document]) -> Vec<Row> {
    let mut rows = Vec::with_capacity(page.len());
    for document in page {
        match Row::read(document) {
            Some(row) => rows.push(row),
            None => {
                audit.report.violation(Kind::RowAltered, name(document), "its id is no UUID");
            }
        }
    }
    rows
}

/// Judges the rows themselves and against their users; those of which the
/// rest can be judged.
async fn judge_users(audit: &mut Audit<'_>, rows: Vec<Row>) -> Result<Vec<Row>, AuditError> {
    let users = users_of(audit, &rows).await?;
    let mut judged = Vec::with_capacity(rows.len());
    for row in rows {
        let user = row.user.and_then(|user| users.get(&user.uuid()));
        let created = user.map_or(row.created_at.known(), |user| user.created_at_ms);
        if audit.scope.age(created) != Age::Judged {
            continue;
        }
        let report = &mut audit.report;
        let alone = row.altered();
        if let Some(why) = alone.or_else(|| row.disagrees_with(user?)) {
            report.violation(Kind::RowAltered, row.event, why);
        }
        let Some(id) = row.user else { continue };
        if user.is_none() {
            report.violation(Kind::RowWithoutUser, row.event, format!("there is no user {id}"));
            report.attempted += 1;
            report.acknowledged += u64::from(row.acknowledged_at_ms().is_some());
        }
        if let Some((kind, detail)) = unfinished(&row).filter(|_| alone.is_none()) {
            report.violation(kind, row.event, detail);
        }
        for consumer in row.forgotten().iter().filter(|_| alone.is_none()) {
            let detail = format!("it counts as acknowledged, and {consumer} has not acknowledged");
            report.violation(Kind::ConsumerUnacknowledged, row.event, detail);
        }
        judged.push(row);
    }
    Ok(judged)
}

/// Where a row stands that should have come to its end by now.
fn unfinished(row: &Row) -> Option<(Kind, String)> {
    if row.acknowledged_at_ms().is_some() {
        return None;
    }
    let (kind, detail) = match row.status? {
        OutboxStatus::Sent => (Kind::RowUnacknowledged, "SENT and not acknowledged"),
        OutboxStatus::Pending if row.was_started() => {
            (Kind::RowUnsent, "its workflow was started and it is not SENT")
        }
        OutboxStatus::Pending => (Kind::RowPending, "it waits for the relay"),
    };
    let awaited = row.awaited().map(|awaited| format!("; it awaits {awaited}"));
    Some((kind, format!("{detail}{}", awaited.unwrap_or_default())))
}

async fn judge_inbox(audit: &mut Audit<'_>, rows: &[Row]) -> Result<(), AuditError> {
    let keys = rows.iter().map(|row| stored(row.event.uuid())).collect();
    let inbox = audit.sources.mongo.processed_events();
    let fields = doc! {
        "eventId": 1, "userId": 1, "todoId": 1, "processedAt": 1, "todoDeletedAt": 1,
        "conflicts": 1,
    };
    let found = lookup("find the inbox records", &inbox, "eventId", keys, fields).await?;
    // After the records: it covers every gap among them.
    let removed = Horizon::of_inbox(audit.sources).await?;
    let mut records: HashMap<EventId, Vec<InboxRecord>> = HashMap::new();
    for record in found.iter().map(InboxRecord::read) {
        if let Field::Is(event) = record.event_id {
            records.entry(event).or_default().push(record);
        }
    }
    for row in rows {
        let records = records.get(&row.event).map_or(&[][..], Vec::as_slice);
        judge_records(audit, row, records, removed);
    }
    Ok(())
}

fn judge_records(audit: &mut Audit<'_>, row: &Row, records: &[InboxRecord], removed: Horizon) {
    let report = &mut audit.report;
    if records.len() > 1 {
        let detail = format!("there are {} records", records.len());
        report.violation(Kind::InboxDuplicated, row.event, detail);
    }
    if let Some(why) = row.user.and_then(|user| records.iter().find_map(|one| altered(one, user))) {
        report.violation(Kind::InboxAltered, row.event, why);
    }
    // Between start and acknowledgement the record was written: a horizon
    // behind the start may have passed it, one before cannot.
    let gone = removed.covers(row.started_at.known());
    let owed = row.acknowledged_at_ms().is_some() && row.expects.contains(&ConsumerName::TODO);
    if records.is_empty() && owed && !gone {
        report.violation(Kind::InboxMissing, row.event, "acknowledged, and no inbox record");
    }
}

/// What is wrong with the record of a user's event. A message with the same
/// event id and another user may have come before the user's own, which is a
/// conflict then (the inbox pass names it).
fn altered(record: &InboxRecord, user: UserId) -> Option<&'static str> {
    if record.user_id != Field::Is(user) && record.conflict_of(user).is_none() {
        return Some("userId is not the row's");
    }
    if !is_welcome(record.todo_id, record.user_id) {
        return Some("todoId is not the user's welcome todo");
    }
    let sound = |one: &Conflict| {
        let times = one.at.known().is_some() && !one.todo_deleted_at.is_other();
        times && is_welcome(one.todo_id, one.user_id)
    };
    if record.conflicts.is_other() || !record.conflicts().iter().all(sound) {
        return Some("conflicts is not a list of users with their welcome todos");
    }
    if record.todo_deleted_at.is_other() {
        return Some("todoDeletedAt is not a date");
    }
    record.processed_at.known().is_none().then_some("processedAt is not a date")
}

fn is_welcome(todo: Field<TodoId>, user: Field<UserId>) -> bool {
    todo.known().is_some() && todo.known() == user.known().map(TodoId::welcome)
}

async fn users_of(audit: &Audit<'_>, rows: &[Row]) -> Result<HashMap<Uuid, User>, AuditError> {
    let keys: Vec<Bson> =
        rows.iter().filter_map(|row| row.user).map(|user| stored(user.uuid())).collect();
    find_users(audit, keys).await
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
