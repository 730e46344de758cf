//! The welcome todo of every user: there, or deleted by the user.
//!
//! The todo service notes a deletion on the inbox record in the transaction
//! that deletes. So a note is read before the todo it contradicts, and after
//! the gap it explains: the system may run meanwhile.

use std::collections::{HashMap, HashSet};

use mongodb::bson::{Bson, Document, doc};
use onboard_contract::{EventId, UserId};
use onboard_events::TodoId;
use onboard_events::todo::WELCOME_TITLE;
use onboard_todo::INBOX_NAMES;
use onboard_todo::todos::check_todo;
use uuid::Uuid;

use crate::audit::document::{id, stored, text, time};
use crate::audit::horizon::Horizon;
use crate::audit::page::lookup;
use crate::audit::passes::Audit;
use crate::audit::{AuditError, Kind};
use crate::user::User;

/// Whose welcome todo is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) user: &'a User,
    /// The registration; none where its row is gone.
    pub(crate) event: Option<EventId>,
}

impl Owner<'_> {
    /// In words, as `onboard show` can be asked.
    fn words(self) -> String {
        let of = self.event.map(|event| format!(" (registration {event})"));
        format!("user {}{}", self.user.id, of.unwrap_or_default())
    }
}

/// The welcome todos of a page of users, and the notes of their deletion.
pub(crate) struct Welcome {
    noted: HashSet<Uuid>,
    found: HashMap<Uuid, Document>,
}

impl Welcome {
    /// Reads them.
    pub(crate) async fn of(audit: &Audit<'_>, users: &[User]) -> Result<Self, AuditError> {
        let ids: Vec<Bson> = users.iter().map(|user| stored(todo_of(user))).collect();
        let noted = records(audit, ids.clone()).await?.noted;
        let fields = doc! {
            "userId": 1, "title": 1, "completed": 1, "createdAt": 1, "updatedAt": 1,
            "version": 1, "createdBy": 1,
        };
        let todos = audit.sources.mongo.todos();
        let found = lookup("find the welcome todos", &todos, "_id", ids, fields).await?;
        let found = found.into_iter().filter_map(|todo| Some((id(&todo, "_id")?, todo))).collect();
        Ok(Self { noted, found })
    }

    /// Judges what is there; whether the user's todo is missing.
    pub(crate) fn judge(&self, audit: &mut Audit<'_>, owner: Owner<'_>, owed: bool) -> bool {
        let todo = todo_of(owner.user);
        let Some(found) = self.found.get(&todo) else { return owed };
        if let Some(why) = altered(found, owner) {
            audit.report.violation(Kind::TodoAltered, todo, why);
        }
        if self.noted.contains(&todo) {
            let detail = "it is there, and an inbox record notes that the user deleted it";
            audit.report.violation(Kind::TodoReturned, todo, detail);
        }
        false
    }
}

/// Of the users whose todo is missing, names those who did not delete it.
pub(crate) async fn judge_missing(
    audit: &mut Audit<'_>,
    owners: &[Owner<'_>],
) -> Result<(), AuditError> {
    if owners.is_empty() {
        return Ok(());
    }
    let ids = owners.iter().map(|owner| stored(todo_of(owner.user))).collect();
    let Records { noted, known } = records(audit, ids).await?;
    // After the records: it covers every gap among them.
    let removed = Horizon::of_inbox(audit.sources).await?;
    for owner in owners {
        let todo = todo_of(owner.user);
        // Nothing was left to note the deletion on.
        let unnotable = !known.contains(&todo) && removed.covers(owner.user.created_at_ms);
        if !noted.contains(&todo) && !unnotable {
            let owner = owner.words();
            let detail = format!("{owner} was acknowledged, has no welcome todo, and deleted none");
            audit.report.violation(Kind::TodoMissing, todo, detail);
        }
    }
    Ok(())
}

fn todo_of(user: &User) -> Uuid {
    TodoId::welcome(UserId::from(user.id)).uuid()
}

/// The user may complete and rename it, which leaves its traces; owner and
/// birth are ours.
fn altered(todo: &Document, owner: Owner<'_>) -> Option<String> {
    if id(todo, "userId") != Some(owner.user.id) {
        let owner = owner.words();
        return Some(format!("it is the welcome todo of {owner} and belongs to another"));
    }
    if text(todo, "title") != Some(WELCOME_TITLE) && !was_changed(todo) {
        return Some("the title is another, and the todo service has not changed it".to_owned());
    }
    if text(todo, "title").is_none() || todo.contains_key("createdBy") {
        return Some("it is not what the todo service makes".to_owned());
    }
    check_todo(todo).err().map(|malformed| malformed.to_string())
}

/// Every change by its user raises the version and lies after the birth.
fn was_changed(todo: &Document) -> bool {
    let version = todo.get_i64("version").or_else(|_| todo.get_i32("version").map(i64::from));
    let (born, changed) = (time(todo, "createdAt"), time(todo, "updatedAt"));
    version.is_ok_and(|version| version > 1) && born.zip(changed).is_some_and(|(b, c)| c > b)
}

/// What the inbox says about some welcome todos.
struct Records {
    /// Those with a record.
    known: HashSet<Uuid>,
    /// Those whose deletion a record notes.
    noted: HashSet<Uuid>,
}

async fn records(audit: &Audit<'_>, todos: Vec<Bson>) -> Result<Records, AuditError> {
    let inbox = audit.sources.mongo.processed_events();
    let fields = doc! { "todoId": 1, "todoDeletedAt": 1, "conflicts": 1 };
    let (own, of_conflicts) = ("todoId", "conflicts.todoId");
    let what = "find the todos' records";
    let mut found = lookup(what, &inbox, own, todos.clone(), fields.clone()).await?;
    found.extend(lookup(what, &inbox, of_conflicts, todos, fields).await?);
    let (mut known, mut noted) = (HashSet::new(), HashSet::new());
    for record in found.iter().map(|record| INBOX_NAMES.read(record)) {
        for (todo, deleted) in record.made() {
            known.insert(todo);
            if deleted {
                noted.insert(todo);
            }
        }
    }
    Ok(Records { known, noted })
}

#[cfg(test)]
mod tests {
    use mongodb::bson::DateTime;

    use super::*;

    #[test]
    fn only_a_change_that_left_its_traces_renames_the_welcome_todo() {
        let user = Uuid::from_u128(1);
        let known = User { id: user, created_at_ms: None, email: None, altered: None };
        let owner = Owner { user: &known, event: None };
        let todo = |title: &str, version: Option<i64>, updated: i64| {
            let mut todo = doc! {
                "_id": stored(Uuid::from_u128(2)), "userId": stored(user), "title": title, "completed": false,
                "createdAt": DateTime::from_millis(1_000),
                "updatedAt": DateTime::from_millis(updated),
            };
            if let Some(version) = version {
                todo.insert("version", version);
            }
            todo
        };
        for (title, version, updated, sound) in [
            (WELCOME_TITLE, None, 1_000, true),
            (WELCOME_TITLE, Some(3), 2_000, true),
            ("Mine", Some(2), 1_001, true),
            ("Mine", Some(2), 1_000, false),
            ("Mine", Some(1), 2_000, false),
            ("Mine", None, 2_000, false),
        ] {
            let found = altered(&todo(title, version, updated), owner);
            assert_eq!(found.is_none(), sound, "{title} {version:?} {updated}: {found:?}");
        }
        let mut claimed = todo(WELCOME_TITLE, None, 1_000);
        claimed.insert("createdBy", "user");
        assert!(altered(&claimed, owner).is_some());
        let mut renamed = todo("Mine", Some(2), 1_001);
        renamed.insert("version", 2_i32);
        assert_eq!(altered(&renamed, owner), None, "an int is as good as a long");
    }
}
