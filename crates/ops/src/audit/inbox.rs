//! Every inbox record has its outbox row, and is about one user.

use std::collections::HashSet;

use mongodb::bson::{Bson, Document, doc};
use onboard_contract::EventId;
use onboard_inbox::InboxRecord;
use onboard_todo::INBOX_NAMES;
use uuid::Uuid;

use crate::audit::document::{name, stored};
use crate::audit::horizon::Horizon;
use crate::audit::outbox::find_users;
use crate::audit::page::{Pages, lookup};
use crate::audit::passes::Audit;
use crate::audit::progress::Pass;
use crate::audit::{AuditError, Kind};

/// Judges all records. What of them disagrees with a row is the outbox pass's.
pub(crate) async fn judge(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    let inbox = audit.sources.mongo.processed_events();
    let fields = doc! { "eventId": 1, "userId": 1, "processedAt": 1, "conflicts": 1 };
    let mut pages = Pages::of("read the inbox", inbox, fields).await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        let read = page.iter().map(|record| (record, INBOX_NAMES.read(record)));
        let judged = read.filter(|(_, one)| audit.scope.judges(one.processed_at.known()));
        let records: Vec<(&Document, InboxRecord)> = judged.collect();
        judge_page(audit, &records).await?;
        audit.tell(Pass::Inbox, pages.done, pages.total);
    }
}

async fn judge_page(
    audit: &mut Audit<'_>,
    records: &[(&Document, InboxRecord)],
) -> Result<(), AuditError> {
    let events = records.iter().filter_map(|(_, record)| record.event_id.known());
    let known = existing_rows(audit, events.map(EventId::uuid).collect()).await?;
    let mut without = Vec::new();
    for (document, record) in records {
        judge_conflicts(audit, record);
        match record.event_id.known() {
            Some(event) if known.contains(&event.uuid()) => (),
            Some(event) => {
                let user = record.aggregate_id.known();
                without.push((event, Origin::User(user)));
            }
            None => {
                audit.report.violation(Kind::InboxAltered, name(document), "eventId is no UUID");
            }
        }
    }
    for event in unexplained(audit, without).await? {
        let detail = "no outbox row has this event";
        audit.report.violation(Kind::InboxUnexpected, event, detail);
    }
    Ok(())
}

/// Names an event id that came for several users.
fn judge_conflicts(audit: &mut Audit<'_>, record: &InboxRecord) {
    let others = record.conflicts().len();
    if let Some(event) = record.event_id.known().filter(|_| others > 0) {
        let detail = format!("its id came for {others} other users, too; each has the effect");
        audit.report.violation(Kind::EventConflict, event, detail);
    }
}

/// Which of these events have a row.
pub(crate) async fn existing_rows(
    audit: &Audit<'_>,
    events: Vec<Uuid>,
) -> Result<HashSet<Uuid>, AuditError> {
    let keys: Vec<Bson> = events.into_iter().map(stored).collect();
    let outbox = audit.sources.mongo.outbox();
    let found = lookup("find the rows", &outbox, "_id", keys, doc! { "_id": 1 }).await?;
    let event = |row| onboard_outbox::Row::read(row).id.known().map(EventId::uuid);
    Ok(found.iter().filter_map(event).collect())
}

/// What tells how old the row was that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The user who registered with it.
    User(Option<Uuid>),
    /// A time between its creation and its end, in Unix ms.
    At(Option<i64>),
}

/// Of what has no row: what neither retention nor the scope explains.
pub(crate) async fn unexplained<T>(
    audit: &Audit<'_>,
    without: Vec<(T, Origin)>,
) -> Result<Vec<T>, AuditError> {
    if without.is_empty() {
        return Ok(Vec::new());
    }
    // After the rows: it covers every gap among them.
    let removed = Horizon::of_outbox(audit.sources).await?;
    let users = without.iter().filter_map(|(_, origin)| match origin {
        Origin::User(user) => user.map(stored),
        Origin::At(_) => None,
    });
    let users = find_users(audit, users.collect()).await?;
    let explained = |origin: &Origin| match origin {
        Origin::User(user) => user.and_then(|user| users.get(&user)).is_some_and(|user| {
            removed.covers(user.created_at_ms) || !audit.scope.judges(user.created_at_ms)
        }),
        Origin::At(at) => removed.covers(*at),
    };
    Ok(without.into_iter().filter(|(_, of)| !explained(of)).map(|(one, _)| one).collect())
}
