//! Every todo has its user. How many welcome todos a user has is the users
//! pass's; todos under other titles are the user's own.

use mongodb::bson::{Document, doc};

use crate::audit::Audit;
use crate::document::{id, name, stored, time};
use crate::outbox::find_users;
use crate::page::Pages;
use crate::progress::Pass;
use crate::{AuditError, Kind};

/// Judges all todos.
pub(crate) async fn judge(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    let todos = audit.sources.mongo.todos();
    let fields = doc! { "userId": 1, "createdAt": 1 };
    let mut pages = Pages::of("read the todos", todos, fields).await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        let judged = page.iter().filter(|todo| audit.scope.judges(time(todo, "createdAt").ms()));
        let todos: Vec<&Document> = judged.collect();
        judge_page(audit, &todos).await?;
        audit.tell(Pass::Todos, pages.done, pages.total);
    }
}

async fn judge_page(audit: &mut Audit<'_>, todos: &[&Document]) -> Result<(), AuditError> {
    let owners = todos.iter().filter_map(|todo| id(todo, "userId")).map(stored).collect();
    let owners = find_users(audit, owners).await?;
    for todo in todos {
        let owner = id(todo, "userId");
        if owner.is_none_or(|owner| !owners.contains_key(&owner)) {
            let owner = owner.map_or_else(|| "that it names".to_owned(), |id| id.to_string());
            let detail = format!("there is no user {owner}");
            audit.report.violation(Kind::TodoUnexpected, name(todo), detail);
        }
    }
    Ok(())
}
