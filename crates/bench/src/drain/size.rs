//! Bytes that the stores hold.

use std::path::Path;

use anyhow::Context as _;
use mongodb::Database;
use mongodb::bson::{Bson, doc};
use onboard_ops::Databases;

use crate::Bed;

/// Data and indexes in MongoDB, not compressed; the database file of Temporal
/// with its write-ahead log. RabbitMQ keeps nothing of what is acknowledged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) auth: u64,
    pub(super) todo: u64,
    pub(super) temporal: u64,
}

impl Size {
    pub(super) async fn read(bed: &Bed, mongo: &Databases) -> anyhow::Result<Self> {
        let (auth, todo) = (database(mongo.auth()).await?, database(mongo.todo()).await?);
        Ok(Self { auth, todo, temporal: Self::temporal(bed)? })
    }

    pub(super) fn temporal(bed: &Bed) -> anyhow::Result<u64> {
        let dir = bed.stage().stack().servers().home().data("temporal")?;
        let size = |file: &str| file_size(&dir.join(file));
        Ok(size("temporal.db").context("Temporal has no database file")?
            + size("temporal.db-wal").unwrap_or_default())
    }

    /// What has been added.
    pub(super) fn since(self, before: &Self) -> Self {
        Self {
            auth: self.auth.saturating_sub(before.auth),
            todo: self.todo.saturating_sub(before.todo),
            temporal: self.temporal.saturating_sub(before.temporal),
        }
    }

    pub(super) fn stores(self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self { auth, todo, temporal } = self;
        [("MongoDB auth", auth), ("MongoDB todo", todo), ("Temporal", temporal)].into_iter()
    }
}

fn file_size(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|file| file.len())
}

async fn database(database: &Database) -> anyhow::Result<u64> {
    let stats = database.run_command(doc! { "dbStats": 1 }).await?;
    let number = |field| stats.get(field).and_then(number).context("dbStats says no size");
    Ok(number("dataSize")? + number("indexSize")?)
}

/// MongoDB answers with whichever type of number the value fits in.
fn number(value: &Bson) -> Option<u64> {
    match value {
        Bson::Int32(value) => u64::try_from(*value).ok(),
        Bson::Int64(value) => u64::try_from(*value).ok(),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a size in bytes, far below 2^52"
        )]
        Bson::Double(value) => Some(*value as u64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_whatever_number_it_is() {
        let values = [Bson::Int32(7), Bson::Int64(7), Bson::Double(7.0)];
        assert!(values.iter().all(|value| number(value) == Some(7)));
        assert_eq!(number(&Bson::Null), None);
    }
}
