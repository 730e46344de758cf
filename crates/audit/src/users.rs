//! Every user has one outbox row and one welcome todo.

use std::collections::HashMap;

use mongodb::bson::{Bson, Document, doc};
use onboard_contract::names::WELCOME_TITLE;
use onboard_contract::{TodoId, UserId};
use uuid::Uuid;

use crate::audit::Audit;
use crate::document::{id, name, stored, text, time};
use crate::horizon::Horizon;
use crate::page::{Pages, lookup, read};
use crate::progress::Pass;
use crate::scope::Age;
use crate::user::User;
use crate::{AuditError, Kind};

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
    let fields = doc! { "aggregateId": 1, "createdAt": 1, "acknowledgedAt": 1 };
    let rows = lookup("find the users' rows", &outbox, "aggregateId", ids.clone(), fields).await?;
    let rows = by(rows, "aggregateId");
    // After the rows: it covers every gap among them.
    let removed = Horizon::of_outbox(audit.sources).await?;
    // After the rows: who is acknowledged has the todo by then.
    let welcome = welcome_todos(audit, users).await?;
    let titled = by(titled_welcome(audit, ids).await?, "userId");
    for user in users {
        let rows = rows.get(&user.id).map_or(&[][..], Vec::as_slice);
        let owed = judge_rows(audit, user, rows, removed);
        let todo = TodoId::welcome(UserId::from(user.id)).uuid();
        judge_todo(audit, user, todo, welcome.get(&todo), owed);
        for other in titled.get(&user.id).into_iter().flatten() {
            if id(other, "_id") != Some(todo) {
                let detail = format!("user {} has another welcome todo", user.id);
                audit.report.violation(Kind::TodoDuplicated, name(other), detail);
            }
        }
    }
    Ok(())
}

/// Judges a user's rows; whether a welcome todo is owed.
fn judge_rows(audit: &mut Audit<'_>, user: &User, rows: &[Document], removed: Horizon) -> bool {
    let report = &mut audit.report;
    report.attempted += 1;
    let gone = rows.is_empty() && removed.covers(user.created_at_ms);
    if rows.is_empty() && !gone {
        report.violation(Kind::UserWithoutRow, user.id, "no outbox row has this aggregateId");
    }
    let mut rows: Vec<&Document> = rows.iter().collect();
    rows.sort_by_cached_key(|row| (time(row, "createdAt").ms(), id(row, "_id")));
    for row in rows.iter().skip(1) {
        let detail = format!("user {} has an older row", user.id);
        report.violation(Kind::RowDuplicated, name(row), detail);
    }
    // Only acknowledged rows are ever removed.
    let owed = gone || rows.iter().any(|row| time(row, "acknowledgedAt").ms().is_some());
    report.acknowledged += u64::from(owed);
    owed
}

fn judge_todo(
    audit: &mut Audit<'_>,
    user: &User,
    todo: Uuid,
    found: Option<&Document>,
    owed: bool,
) {
    let report = &mut audit.report;
    match found {
        Some(found) => {
            if let Some(why) = altered(found, user.id) {
                report.violation(Kind::TodoAltered, todo, why);
            }
        }
        None if owed => {
            let detail = format!("user {} was acknowledged and has no welcome todo", user.id);
            report.violation(Kind::TodoMissing, todo, detail);
        }
        None => (),
    }
}

/// The user may complete it; owner, title and birth are ours.
fn altered(todo: &Document, user: Uuid) -> Option<String> {
    if id(todo, "userId") != Some(user) {
        return Some(format!("it is the welcome todo of user {user} and belongs to another"));
    }
    if text(todo, "title") != Some(WELCOME_TITLE) {
        return Some("the title is another".to_owned());
    }
    if time(todo, "createdAt").ms().is_none() || todo.get_bool("completed").is_err() {
        return Some("a field is missing or of another type".to_owned());
    }
    None
}

async fn welcome_todos(
    audit: &Audit<'_>,
    users: &[User],
) -> Result<HashMap<Uuid, Document>, AuditError> {
    let ids = users.iter().map(|user| stored(TodoId::welcome(UserId::from(user.id)).uuid()));
    let fields = doc! { "userId": 1, "title": 1, "completed": 1, "createdAt": 1 };
    let todos = audit.sources.mongo.todos();
    let found = lookup("find the welcome todos", &todos, "_id", ids.collect(), fields).await?;
    Ok(found.into_iter().filter_map(|todo| Some((id(&todo, "_id")?, todo))).collect())
}

async fn titled_welcome(audit: &Audit<'_>, users: Vec<Bson>) -> Result<Vec<Document>, AuditError> {
    let todos = audit.sources.mongo.todos();
    let find = todos
        .find(doc! { "userId": { "$in": users }, "title": WELCOME_TITLE })
        .projection(doc! { "userId": 1 });
    read("find the users' todos", async { futures::TryStreamExt::try_collect(find.await?).await })
        .await
}

fn by(documents: Vec<Document>, field: &str) -> HashMap<Uuid, Vec<Document>> {
    let mut grouped: HashMap<Uuid, Vec<Document>> = HashMap::new();
    for document in documents {
        if let Some(key) = id(&document, field) {
            grouped.entry(key).or_default().push(document);
        }
    }
    grouped
}
