//! No address belongs to two users.
//!
//! The unique index sees to it. Only where somebody has dropped the index is
//! every address compared with its neighbour, in the server's order.

use futures::TryStreamExt;
use mongodb::IndexModel;
use mongodb::bson::{Document, doc};

use crate::audit::document::{id, name, text, time};
use crate::audit::page::read;
use crate::audit::passes::Audit;
use crate::audit::{AuditError, Kind};

const WHAT: &str = "compare the users' addresses";

/// Names the later users of every address.
pub(crate) async fn judge(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    let users = audit.sources.mongo.users();
    let indexes = users.list_indexes();
    let indexes: Vec<IndexModel> = read(WHAT, async { indexes.await?.try_collect().await }).await?;
    if indexes.iter().any(guarantees) {
        return Ok(());
    }
    let find = users
        .find(doc! {})
        .projection(doc! { "emailCanonical": 1, "createdAt": 1 })
        .sort(doc! { "emailCanonical": 1, "createdAt": 1, "_id": 1 })
        .allow_disk_use(true);
    let mut sorted = read(WHAT, async { find.await }).await?;
    let mut first: Option<Document> = None;
    while let Some(user) = read(WHAT, sorted.try_next()).await? {
        match &first {
            Some(first) if same(first, &user) => name_later(audit, first, &user),
            Some(_) | None => first = Some(user),
        }
    }
    Ok(())
}

fn guarantees(index: &IndexModel) -> bool {
    let options = index.options.as_ref();
    let unique = options.and_then(|options| options.unique).unwrap_or_default();
    let whole = options.is_none_or(|options| {
        options.partial_filter_expression.is_none() && options.sparse != Some(true)
    });
    unique && whole && index.keys.len() == 1 && index.keys.contains_key("emailCanonical")
}

fn same(one: &Document, other: &Document) -> bool {
    text(one, "emailCanonical").is_some_and(|one| text(other, "emailCanonical") == Some(one))
}

fn name_later(audit: &mut Audit<'_>, first: &Document, later: &Document) {
    if id(later, "_id").is_some() && audit.scope.judges(time(later, "createdAt")) {
        let detail = format!("the same address as user {}", name(first));
        audit.report.violation(Kind::UserDuplicated, name(later), detail);
    }
}
