//! Indexes that hold a list, or have held one, where no sound document has one.
//!
//! MongoDB marks such an index for good, also after the list is gone, and sorts in memory
//! from then on where it followed the order of the index before. Only an index that is
//! built anew is without the mark. A unique index has a copy that guards it meanwhile; a
//! process that dies in between leaves the copy, and the index to the next setup.

use std::fmt;
use std::time::Duration;

use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::CommitQuorum;
use tokio::time::timeout;

use super::collections::{find_index, step};
use super::{Definition, Index, SetupError};
use crate::error::code;
use crate::mongo::Read;
use crate::{OPERATION_DEADLINE, name};

const INDEX_NOT_FOUND: i32 = 27;
/// How long whoever builds indexes anew looks for the list: it is a walk over all documents.
const SEARCH_MAX: Duration = Duration::from_mins(10);
/// How the copy of an index begins that guards it while it is built anew.
const GUARD: &str = "guard_of_";

/// Who holds a list in the field of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// This document, maybe others too.
    Document(String),
    /// Nobody any more.
    Nobody,
    /// It was not found out in time.
    Unknown,
}

/// An index that holds a list, or has held one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoiled {
    /// Its collection.
    pub collection: String,
    /// Its fields.
    pub fields: String,
    /// Which document has the list.
    pub holder: Holder,
}

impl fmt::Display for Spoiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { collection, fields, holder, .. } = self;
        write!(f, "the index of {collection} over {fields} ")?;
        match holder {
            Holder::Document(name) => write!(f, "holds a list of the document {name}"),
            Holder::Nobody => f.write_str("has held a list, and no document has it any more"),
            Holder::Unknown => f.write_str("has held a list; whose it is was not found in time"),
        }
    }
}

/// The indexes of these collections that hold a list, or have held one.
///
/// # Errors
/// See [`SetupError`].
pub async fn spoiled(
    database: &Database,
    wanted: &[Definition],
) -> Result<Vec<Spoiled>, SetupError> {
    let mut spoiled = Vec::new();
    for (collection, index, name) in checked(database, wanted).await? {
        spoiled.extend(look(database, collection, index, name, OPERATION_DEADLINE).await?);
    }
    Ok(spoiled)
}

/// Builds those of these indexes anew in which nobody has a list any more; returns all of
/// them, as they were.
///
/// # Errors
/// See [`SetupError`].
pub async fn rebuild_spoiled(
    database: &Database,
    wanted: &[Definition],
) -> Result<Vec<Spoiled>, SetupError> {
    let mut all = Vec::new();
    for (collection, index, name) in checked(database, wanted).await? {
        match look(database, collection, index, name.clone(), SEARCH_MAX).await? {
            None => drop_index(database, collection, &format!("{GUARD}{name}")).await?,
            Some(one) => {
                // Another setup may have built it anew while this one looked for the list.
                if one.holder == Holder::Nobody
                    && list_paths(database, collection, index, &name).await?.is_some()
                {
                    rebuild(database, collection, index, &name).await?;
                }
                all.push(one);
            }
        }
    }
    Ok(all)
}

/// The indexes that are there and that no list belongs in, with their collections and names.
async fn checked<'a>(
    database: &Database,
    wanted: &'a [Definition],
) -> Result<Vec<(&'a str, &'a Index, String)>, SetupError> {
    let all = wanted.iter().flat_map(|of| of.indexes.iter().map(|index| (&*of.name, index)));
    let mut there = Vec::new();
    for (collection, index) in all.filter(|(_, index)| !index.of_lists) {
        let name = find_index(database, collection, index).await?;
        there.extend(name.map(|name| (collection, index, name)));
    }
    Ok(there)
}

async fn look(
    database: &Database,
    collection: &str,
    index: &Index,
    name: String,
    limit: Duration,
) -> Result<Option<Spoiled>, SetupError> {
    let Some(paths) = list_paths(database, collection, index, &name).await? else {
        return Ok(None);
    };
    let (collection, fields) = (collection.to_owned(), index.fields());
    let holder = holder(database, &collection, &paths, limit).await;
    Ok(Some(Spoiled { collection, fields, holder }))
}

async fn rebuild(
    database: &Database,
    collection: &str,
    index: &Index,
    name: &str,
) -> Result<(), SetupError> {
    let rows = database.collection::<Document>(collection);
    let guard = index.options.unique.unwrap_or(false).then(|| guard_of(index, name));
    if let Some(guard) = &guard {
        step(
            "guard the index",
            rows.create_index(guard.model()).commit_quorum(CommitQuorum::Majority),
        )
        .await?;
    }
    drop_index(database, collection, name).await?;
    step(
        "create the index",
        rows.create_index(index.model()).commit_quorum(CommitQuorum::Majority),
    )
    .await?;
    match guard {
        Some(_) => drop_index(database, collection, &format!("{GUARD}{name}")).await,
        None => Ok(()),
    }
}

/// The same index under another name. MongoDB takes two over the same keys only when
/// they are over other documents by their filters: every document has an id.
fn guard_of(index: &Index, name: &str) -> Index {
    let mut guard = index.clone();
    let filter = guard.options.partial_filter_expression.get_or_insert_default();
    filter.insert("_id", doc! { "$exists": true });
    guard.options.name = Some(format!("{GUARD}{name}"));
    guard
}

/// Drops an index that need not be there.
async fn drop_index(database: &Database, collection: &str, name: &str) -> Result<(), SetupError> {
    let rows = database.collection::<Document>(collection);
    match step("drop the index", rows.drop_index(name)).await {
        Err(SetupError::Step { source, .. }) if code(&source) == Some(INDEX_NOT_FOUND) => Ok(()),
        done => done,
    }
}

/// The fields in which the index holds lists or has held some; none for one without the
/// mark.
async fn list_paths(
    database: &Database,
    collection: &str,
    index: &Index,
    name: &str,
) -> Result<Option<Vec<String>>, SetupError> {
    let filter = index.options.partial_filter_expression.clone().unwrap_or_default();
    let find = doc! { "find": collection, "filter": filter, "hint": name };
    let explain = doc! { "explain": find, "verbosity": "queryPlanner" };
    let plan = step("explain a query", database.run_command(explain)).await?;
    Ok(marked(&Bson::Document(plan)))
}

/// The paths of the first stage that has the mark.
fn marked(plan: &Bson) -> Option<Vec<String>> {
    match plan {
        Bson::Document(stage) if stage.get_bool("isMultiKey").is_ok_and(|is| is) => {
            let paths = stage.get_document("multiKeyPaths").into_iter().flatten();
            let paths = paths.filter_map(|(_, paths)| paths.as_array()).flatten();
            Some(paths.filter_map(Bson::as_str).map(str::to_owned).collect())
        }
        Bson::Document(stage) => stage.values().find_map(marked),
        Bson::Array(stages) => stages.iter().find_map(marked),
        _ => None,
    }
}

async fn holder(
    database: &Database,
    collection: &str,
    paths: &[String],
    limit: Duration,
) -> Holder {
    let lists: Vec<Document> =
        paths.iter().map(|path| doc! { path: { "$type": "array" } }).collect();
    if lists.is_empty() {
        return Holder::Unknown;
    }
    let rows = database.collection::<Document>(collection);
    let find = rows.find_one(doc! { "$or": lists }).projection(doc! { "_id": 1 });
    match timeout(limit, find.read(limit)).await {
        Ok(Ok(Some(document))) => Holder::Document(name(&document)),
        Ok(Ok(None)) => Holder::Nobody,
        Ok(Err(_)) | Err(_) => Holder::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_found_wherever_it_stands_in_a_plan() {
        let scan = |is: bool| {
            doc! { "stage": "IXSCAN", "isMultiKey": is,
            "multiKeyPaths": { "createdAt": ["createdAt"], "_id": [] } }
        };
        let plan = |is| doc! { "queryPlanner": { "winningPlan": { "inputStage": scan(is) } } };
        assert_eq!(marked(&plan(false).into()), None);
        assert_eq!(marked(&plan(true).into()), Some(vec!["createdAt".to_owned()]));
        let stages = doc! { "shards": [plan(false), plan(true)] };
        assert_eq!(marked(&stages.into()), Some(vec!["createdAt".to_owned()]));
    }

    #[test]
    fn a_guard_is_the_same_index_of_all_documents() {
        let guard = guard_of(&Index::unique(doc! { "a": 1 }), "a_1");
        let guarded = (guard.options.name.as_deref(), guard.options.unique);
        assert_eq!(guarded, (Some("guard_of_a_1"), Some(true)));
        let all = doc! { "_id": { "$exists": true } };
        assert_eq!(guard.options.partial_filter_expression, Some(all));
        let first = guard_of(&Index::one(doc! { "b": 1 }, doc! { "b": true }), "b_1");
        let filter = doc! { "b": true, "_id": { "$exists": true } };
        assert_eq!(first.options.partial_filter_expression, Some(filter));
    }
}
