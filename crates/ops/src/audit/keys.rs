//! What an idempotency key remembers is there: its user, and the row of its
//! registration. Written in one transaction, so one without the other is a
//! defect. A record without a user remembers a silent refusal and promises
//! nothing.

use mongodb::Collection;
use mongodb::bson::{Document, doc};

use crate::audit::document::{id, stored, time};
use crate::audit::horizon::Horizon;
use crate::audit::inbox::existing_rows;
use crate::audit::outbox::find_users;
use crate::audit::page::Pages;
use crate::audit::passes::Audit;
use crate::audit::progress::Pass;
use crate::audit::{AuditError, Kind};

/// Judges all records of keys.
pub(crate) async fn judge(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    let keys: Collection<Document> = audit.sources.mongo.auth().collection("idempotency_keys");
    let fields = doc! { "userId": 1, "registrationId": 1, "createdAt": 1 };
    let mut pages = Pages::of("read the idempotency keys", keys, fields).await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        let judged = page.iter().filter(|key| {
            audit.scope.judges(time(key, "createdAt")) && id(key, "userId").is_some()
        });
        let judged: Vec<&Document> = judged.collect();
        judge_page(audit, &judged).await?;
        audit.tell(Pass::Keys, pages.done, pages.total);
    }
}

async fn judge_page(audit: &mut Audit<'_>, keys: &[&Document]) -> Result<(), AuditError> {
    let all = |field: &'static str| keys.iter().filter_map(move |key| id(key, field));
    let users = find_users(audit, all("userId").map(stored).collect()).await?;
    let rows = existing_rows(audit, all("registrationId").collect()).await?;
    // After the rows: it covers every gap among them.
    let removed = Horizon::of_outbox(audit.sources).await?;
    for key in keys {
        let (user, row) = (id(key, "userId"), id(key, "registrationId"));
        let gone = removed.covers(time(key, "createdAt"));
        let missing = if user.is_none_or(|user| !users.contains_key(&user)) {
            "user"
        } else if row.is_none_or(|row| !rows.contains(&row)) && !gone {
            "outbox row"
        } else {
            continue;
        };
        let name = row.or(user).map_or_else(|| "?".to_owned(), |id| id.to_string());
        let detail = format!("an idempotency key promises it, and there is no such {missing}");
        audit.report.violation(Kind::KeyWithoutRegistration, name, detail);
    }
    Ok(())
}
