//! Every todo has its user, and is the welcome todo or one of the user's own.
//! Whether the welcome todo is there is the users pass's.

use mongodb::bson::{Document, doc};
use onboard_contract::UserId;
use onboard_events::TodoId;
use onboard_events::todo::WELCOME_TITLE;
use onboard_todo::todos::{CREATED_BY_USER, check_todo};
use uuid::Uuid;

use crate::audit::document::{id, name, stored, text, time};
use crate::audit::outbox::find_users;
use crate::audit::page::Pages;
use crate::audit::passes::Audit;
use crate::audit::progress::Pass;
use crate::audit::{AuditError, Kind};

/// Judges all todos.
pub(crate) async fn judge(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    let todos = audit.sources.mongo.todos();
    let mut pages = Pages::of("read the todos", todos, doc! {}).await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        let judged = page.iter().filter(|todo| audit.scope.judges(time(todo, "createdAt")));
        let todos: Vec<&Document> = judged.collect();
        judge_page(audit, &todos).await?;
        audit.tell(Pass::Todos, pages.done, pages.total);
    }
}

async fn judge_page(audit: &mut Audit<'_>, todos: &[&Document]) -> Result<(), AuditError> {
    let owners = todos.iter().filter_map(|todo| id(todo, "userId")).map(stored).collect();
    let owners = find_users(audit, owners).await?;
    for todo in todos {
        match id(todo, "userId") {
            Some(owner) if owners.contains_key(&owner) => judge_origin(audit, todo, owner),
            owner => {
                let owner = owner.map_or_else(|| "that it names".to_owned(), |id| id.to_string());
                let detail = format!("there is no user {owner}");
                audit.report.violation(Kind::TodoUnexpected, name(todo), detail);
            }
        }
    }
    Ok(())
}

/// The todo service makes the welcome todo, and what the user asks for, which
/// may have any title.
fn judge_origin(audit: &mut Audit<'_>, todo: &Document, owner: Uuid) {
    let is_welcome = id(todo, "_id") == Some(TodoId::welcome(UserId::from(owner)).uuid());
    if is_welcome {
        return;
    }
    if text(todo, "createdBy") == Some(CREATED_BY_USER) {
        if let Err(malformed) = check_todo(todo) {
            audit.report.violation(Kind::TodoAltered, name(todo), malformed.to_string());
        }
        return;
    }
    if text(todo, "title") == Some(WELCOME_TITLE) {
        let detail = format!("user {owner} has another welcome todo");
        audit.report.violation(Kind::TodoDuplicated, name(todo), detail);
    } else {
        let detail = format!("it is not the welcome todo of user {owner}, who did not make it");
        audit.report.violation(Kind::TodoUnexpected, name(todo), detail);
    }
}
