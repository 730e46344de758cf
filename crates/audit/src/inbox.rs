//! Every inbox record has its outbox row.

use std::collections::HashSet;

use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

use crate::audit::Audit;
use crate::document::{as_uuid, id, name, stored, time};
use crate::horizon::Horizon;
use crate::outbox::find_users;
use crate::page::{Pages, lookup};
use crate::progress::Pass;
use crate::{AuditError, Kind};

/// Judges all records. What of them disagrees with a row is the outbox pass's.
pub(crate) async fn judge(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    let inbox = audit.sources.mongo.processed_events();
    let fields = doc! { "eventId": 1, "userId": 1, "processedAt": 1 };
    let mut pages = Pages::of("read the inbox", inbox, fields).await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        let judged = page.iter().filter(|one| audit.scope.judges(time(one, "processedAt").ms()));
        let records: Vec<&Document> = judged.collect();
        judge_page(audit, &records).await?;
        audit.tell(Pass::Inbox, pages.done, pages.total);
    }
}

async fn judge_page(audit: &mut Audit<'_>, records: &[&Document]) -> Result<(), AuditError> {
    let events = records.iter().filter_map(|record| id(record, "eventId")).collect();
    let known = existing_rows(audit, events).await?;
    let mut without = Vec::new();
    for record in records {
        match id(record, "eventId") {
            Some(event) if known.contains(&event) => (),
            Some(event) => without.push((event, id(record, "userId"))),
            None => {
                audit.report.violation(Kind::InboxAltered, name(record), "eventId is no UUID");
            }
        }
    }
    for event in unexplained(audit, without).await? {
        let detail = "no outbox row has this event";
        audit.report.violation(Kind::InboxUnexpected, event, detail);
    }
    Ok(())
}

/// Which of these events have a row.
pub(crate) async fn existing_rows(
    audit: &Audit<'_>,
    events: Vec<Uuid>,
) -> Result<HashSet<Uuid>, AuditError> {
    let keys: Vec<Bson> = events.into_iter().map(stored).collect();
    let outbox = audit.sources.mongo.outbox();
    let found = lookup("find the rows", &outbox, "_id", keys, doc! { "_id": 1 }).await?;
    Ok(found.iter().filter_map(|row| row.get("_id").and_then(as_uuid)).collect())
}

/// Of what has no row, with its user: what neither retention nor the scope
/// explains.
pub(crate) async fn unexplained<T>(
    audit: &Audit<'_>,
    without: Vec<(T, Option<Uuid>)>,
) -> Result<Vec<T>, AuditError> {
    if without.is_empty() {
        return Ok(Vec::new());
    }
    // After the rows: it covers every gap among them.
    let removed = Horizon::of_outbox(audit.sources).await?;
    let users = without.iter().filter_map(|(_, user)| *user).map(stored).collect();
    let users = find_users(audit, users).await?;
    let explained = |user: &Option<Uuid>| {
        let user = user.and_then(|user| users.get(&user));
        user.is_some_and(|user| {
            removed.covers(user.created_at_ms) || !audit.scope.judges(user.created_at_ms)
        })
    };
    Ok(without.into_iter().filter(|(_, user)| !explained(user)).map(|(one, _)| one).collect())
}
