//! Collections with `$jsonSchema` validators and indexes, each as its owner defines it.
//!
//! The validators are the last line: no code path inserts a document that its owner
//! cannot read, or makes one of a document that it could.

use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};

use super::SetupError;
use crate::error::code;

const NAMESPACE_NOT_FOUND: i32 = 26;
const NAMESPACE_EXISTS: i32 = 48;
const STEP_DEADLINE: Duration = Duration::from_mins(1);

/// A collection as its owner wants it.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// What each document must be.
    pub schema: Document,
    /// Its indexes beside that of the id.
    pub indexes: Vec<Index>,
}

/// An index of a collection.
#[derive(Debug, Clone)]
pub struct Index {
    pub(super) keys: Document,
    pub(super) options: IndexOptions,
    /// Whether a field of it is a list in a sound document.
    pub(super) of_lists: bool,
}

impl Index {
    /// Over these keys.
    #[must_use]
    pub fn plain(keys: Document) -> Self {
        Self::with(keys, IndexOptions::default())
    }

    /// No two documents have the same keys.
    #[must_use]
    pub fn unique(keys: Document) -> Self {
        Self::with(keys, IndexOptions::builder().unique(true).build())
    }

    /// Over the members of lists, without the documents that lack the keys.
    #[must_use]
    pub fn of_lists(keys: Document) -> Self {
        let options = IndexOptions::builder().sparse(true).build();
        Self { of_lists: true, ..Self::with(keys, options) }
    }

    /// Over the documents of the filter.
    #[must_use]
    pub fn partial(keys: Document, filter: Document) -> Self {
        let options = IndexOptions::builder().partial_filter_expression(filter).build();
        Self::with(keys, options)
    }

    /// At most one document of those in the filter.
    #[must_use]
    pub fn one(keys: Document, filter: Document) -> Self {
        let options = IndexOptions::builder().unique(true).partial_filter_expression(filter);
        Self::with(keys, options.build())
    }

    /// Documents are removed by the server once the time in the field has come. A
    /// document that has expired counts for nothing before that, too.
    #[must_use]
    pub fn expired(keys: Document) -> Self {
        Self::with(keys, IndexOptions::builder().expire_after(Duration::ZERO).build())
    }

    const fn with(keys: Document, options: IndexOptions) -> Self {
        Self { keys, options, of_lists: false }
    }

    /// Its fields, for people.
    pub(super) fn fields(&self) -> String {
        let fields: Vec<_> = self.keys.keys().map(String::as_str).collect();
        fields.join(", ")
    }

    pub(super) fn model(&self) -> IndexModel {
        IndexModel::builder().keys(self.keys.clone()).options(self.options.clone()).build()
    }
}

/// Creates or updates these collections of a database.
///
/// # Errors
/// See [`SetupError`].
pub async fn prepare_collections(
    database: &Database,
    wanted: &[Definition],
) -> Result<(), SetupError> {
    for Definition { name, schema, .. } in wanted {
        collection(database, name, schema.clone()).await?;
    }
    for Definition { name, indexes, .. } in wanted.iter().filter(|of| !of.indexes.is_empty()) {
        create(database, name, indexes).await?;
    }
    Ok(())
}

/// What [`prepare_collections`] would make or change, in words.
///
/// # Errors
/// See [`SetupError`].
pub async fn lacking(
    database: &Database,
    wanted: &[Definition],
) -> Result<Vec<String>, SetupError> {
    let mut lacking = Vec::new();
    for Definition { name, schema, .. } in wanted {
        let wanted = doc! { "$jsonSchema": schema.clone() };
        match validator(database, name).await? {
            None => lacking.push(format!("the collection {name} is missing")),
            Some(found) if found == wanted => (),
            Some(_) => lacking.push(format!("the validator of {name} is another")),
        }
    }
    for Definition { name, indexes, .. } in wanted {
        for index in indexes {
            if find_index(database, name, index).await?.is_none() {
                let fields = index.fields();
                lacking.push(format!("the index of {name} over {fields} is missing or another"));
            }
        }
    }
    Ok(lacking)
}

async fn validator(database: &Database, name: &str) -> Result<Option<Document>, SetupError> {
    let listing = database.run_command(doc! { "listCollections": 1, "filter": { "name": name } });
    let listed = step("list the collections", listing).await?;
    let first = listed.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    let found = first.ok().and_then(|batch| batch.first()).and_then(Bson::as_document);
    Ok(found.map(|found| {
        let options = found.get_document("options");
        options.and_then(|options| options.get_document("validator")).cloned().unwrap_or_default()
    }))
}

/// The name of an index that is there as it is wanted.
pub(super) async fn find_index(
    database: &Database,
    name: &str,
    Index { keys, options, .. }: &Index,
) -> Result<Option<String>, SetupError> {
    let rows = database.collection::<Document>(name);
    let listing = async {
        let cursor = rows.list_indexes().await?;
        cursor.try_collect::<Vec<IndexModel>>().await
    };
    let there = match step("list the indexes", listing).await {
        Ok(there) => there,
        Err(SetupError::Step { source, .. }) if code(&source) == Some(NAMESPACE_NOT_FOUND) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut as_wanted = there.into_iter().filter_map(|found| {
        let is = found.keys == *keys && is_as(found.options.as_ref(), options);
        found.options.and_then(|options| options.name).filter(|_| is)
    });
    Ok(as_wanted.next())
}

fn is_as(found: Option<&IndexOptions>, wanted: &IndexOptions) -> bool {
    found.is_some_and(|found| {
        found.unique.unwrap_or(false) == wanted.unique.unwrap_or(false)
            && found.sparse.unwrap_or(false) == wanted.sparse.unwrap_or(false)
            && found.expire_after == wanted.expire_after
            && found.partial_filter_expression == wanted.partial_filter_expression
    })
}

async fn collection(database: &Database, name: &str, schema: Document) -> Result<(), SetupError> {
    let validator = doc! { "$jsonSchema": schema };
    // Moderate: what was damaged by hand can still be updated, so that the
    // relay can put such a row off without the right to bypass validation.
    let level = "moderate";
    let create = doc! { "create": name, "validator": validator.clone(), "validationLevel": level };
    match step("create the collection", database.run_command(create)).await {
        Ok(_) => Ok(()),
        Err(SetupError::Step { source, .. }) if code(&source) == Some(NAMESPACE_EXISTS) => {
            let modify = doc! { "collMod": name, "validator": validator, "validationLevel": level };
            step("update the validator", database.run_command(modify)).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

/// Creates the indexes of a collection with one command.
async fn create(database: &Database, name: &str, indexes: &[Index]) -> Result<(), SetupError> {
    let models = indexes.iter().map(Index::model);
    let rows = database.collection::<Document>(name);
    step("create the indexes", rows.create_indexes(models)).await.map(drop)
}

/// Runs a step of the setup under its deadline.
///
/// # Errors
/// See [`SetupError`].
pub async fn step<T>(
    what: &'static str,
    action: impl IntoFuture<Output = mongodb::error::Result<T>>,
) -> Result<T, SetupError> {
    match tokio::time::timeout(STEP_DEADLINE, action.into_future()).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(SetupError::Step { what, source }),
        Err(_) => Err(SetupError::TimedOut(what)),
    }
}

/// An id.
#[must_use]
pub fn uuid() -> Document {
    doc! { "bsonType": "binData" }
}
