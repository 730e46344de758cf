//! Every user has one outbox row and one welcome todo.

use std::collections::HashMap;

use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

use crate::audit::document::{name, stored};
use crate::audit::horizon::Horizon;
use crate::audit::outbox::is_registration;
use crate::audit::page::{Pages, lookup};
use crate::audit::passes::Audit;
use crate::audit::progress::Pass;
use crate::audit::scope::Age;
use crate::audit::welcome::{Owner, Welcome, judge_missing};
use crate::audit::{AuditError, Kind};
use crate::user::User;

/// Judges all users.
pub(crate) async fn judge(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    let users = audit.sources.mongo.users();
    let mut pages = Pages::of("read the users", users, User::projection()).await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        let users = judged(audit, &page);
        judge_page(audit, &users).await?;
        audit.tell(Pass::Users, pages.done, pages.total);
    }
}

/// Those of the page to be judged; what is wrong with a user alone is named.
fn judged(audit: &mut Audit<'_>, page: &[Document]) -> Vec<User> {
    let mut users = Vec::with_capacity(page.len());
    for document in page {
        let Some(user) = User::read(document) else {
            audit.report.violation(Kind::UserAltered, name(document), "its id is no UUID");
            continue;
        };
        match audit.scope.age(user.created_at_ms) {
            Age::Before => (),
            Age::InFlight => audit.report.in_flight += 1,
            Age::Judged => {
                if let Some(why) = user.altered {
                    audit.report.violation(Kind::UserAltered, user.id, why);
                }
                users.push(user);
            }
        }
    }
    users
}

async fn judge_page(audit: &mut Audit<'_>, users: &[User]) -> Result<(), AuditError> {
    let ids: Vec<Bson> = users.iter().map(|user| stored(user.id)).collect();
    let outbox = audit.sources.mongo.outbox();
    let fields = doc! { "aggregateId": 1, "createdAt": 1, "acknowledgedAt": 1, "eventType": 1 };
    let rows = lookup("find the users' rows", &outbox, "aggregateId", ids, fields).await?;
    let rows = by_user(rows);
    // After the rows: it covers every gap among them.
    let removed = Horizon::of_outbox(audit.sources).await?;
    // After the rows: who is acknowledged has the todo by then.
    let welcome = Welcome::of(audit, users).await?;
    let mut missing = Vec::new();
    for user in users {
        let rows = rows.get(&user.id).map_or(&[][..], Vec::as_slice);
        let owed = judge_rows(audit, user, rows, removed);
        let owner = Owner { user, event: rows.first().and_then(|(row, _)| row.id.known()) };
        if welcome.judge(audit, owner, owed) {
            missing.push(owner);
        }
    }
    judge_missing(audit, &missing).await
}

/// Judges a user's rows; whether a welcome todo is owed.
fn judge_rows(
    audit: &mut Audit<'_>,
    user: &User,
    rows: &[(onboard_outbox::Row, Document)],
    removed: Horizon,
) -> bool {
    let report = &mut audit.report;
    report.attempted += 1;
    let gone = rows.is_empty() && removed.covers(user.created_at_ms);
    if rows.is_empty() && !gone {
        report.violation(Kind::UserWithoutRow, user.id, "no outbox row has this aggregateId");
    }
    let mut rows: Vec<&(onboard_outbox::Row, Document)> = rows.iter().collect();
    rows.sort_by_key(|(row, _)| (row.created_at.known(), row.id.known()));
    for (_, document) in rows.iter().skip(1) {
        let detail = format!("user {} has an older row", user.id);
        report.violation(Kind::RowDuplicated, name(document), detail);
    }
    // Only acknowledged rows are ever removed.
    let owed = gone || rows.iter().any(|(row, _)| row.acknowledged_at.known().is_some());
    report.acknowledged += u64::from(owed);
    owed
}

/// Rows as they were read and as they are stored, by the id of their user.
fn by_user(documents: Vec<Document>) -> HashMap<Uuid, Vec<(onboard_outbox::Row, Document)>> {
    let mut grouped: HashMap<Uuid, Vec<(onboard_outbox::Row, Document)>> = HashMap::new();
    for document in documents {
        let row = onboard_outbox::Row::read(&document);
        // Other events may be about the user, too.
        if let Some(user) = row.aggregate_id.known().filter(|_| is_registration(&row)) {
            grouped.entry(user.uuid()).or_default().push((row, document));
        }
    }
    grouped
}
