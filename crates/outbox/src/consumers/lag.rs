//! How many unfinished rows await each consumer and how old the oldest is, in one
//! bounded look for all consumers: the metrics of the relay are made from it.
//!
//! The look reads at most [`COUNT_MAX`] rows of each status, the oldest ones in the
//! order of the index over unfinished rows. So its cost has a bound even when few
//! of a million unfinished rows await a consumer. The look writes nothing, so a
//! process that dies here has changed nothing.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::Hint;
use onboard_contract::ConsumerName;
use onboard_mongo::{StoreError, ask, field};

use super::AwaitedBy;
use super::change::awaiting;
use crate::stages::{COUNT_MAX, order};
use crate::{Outbox, PENDING, SENT, date_or};

impl Outbox {
    /// Looks who waits for each of the consumers, among the oldest [`COUNT_MAX`]
    /// rows of each status. The age leaves quarantined rows out: such a row waits
    /// for a reason of its own.
    ///
    /// # Errors
    /// The store failed.
    pub async fn awaited_by_each(
        &self,
        consumers: &BTreeSet<ConsumerName>,
    ) -> Result<BTreeMap<ConsumerName, AwaitedBy>, StoreError> {
        if consumers.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (pending, sent) =
            tokio::try_join!(self.look(consumers, PENDING), self.look(consumers, SENT))?;
        let of =
            |name: &ConsumerName| AwaitedBy::read(&pending, name).and(AwaitedBy::read(&sent, name));
        Ok(consumers.iter().map(|name| (name.clone(), of(name))).collect())
    }

    async fn look(
        &self,
        consumers: &BTreeSet<ConsumerName>,
        status: &str,
    ) -> Result<Document, StoreError> {
        let outbox: Collection<Document> = self.rows();
        let look = outbox.aggregate(pipeline(consumers, status)).hint(Hint::Keys(order()));
        let found = ask("look who waits for each consumer", look).await?;
        Ok(found.into_iter().next().unwrap_or_default())
    }
}

impl AwaitedBy {
    fn read(found: &Document, consumer: &ConsumerName) -> Self {
        let group = found.get_array(consumer.as_str()).ok().and_then(|groups| groups.first());
        let Some(group) = group.and_then(Bson::as_document) else {
            return Self { rows: 0, oldest_ms: None };
        };
        let rows = field::count(group, "rows").known().map_or(0, u64::from);
        Self { rows, oldest_ms: field::time(group, "oldest").known() }
    }

    fn and(self, other: Self) -> Self {
        let rows = self.rows.saturating_add(other.rows).min(COUNT_MAX);
        let oldest_ms = self.oldest_ms.into_iter().chain(other.oldest_ms).min();
        Self { rows, oldest_ms }
    }
}

/// One document with a field for each consumer: a list with the group of the rows
/// that await it, empty when there is no such row.
fn pipeline(consumers: &BTreeSet<ConsumerName>, status: &str) -> Vec<Document> {
    // A row that says it was created in the future counts from when that was seen.
    let since = date_or("aheadSeenAt", date_or("createdAt", Bson::Null));
    let group = doc! { "$group": {
        "_id": Bson::Null,
        "rows": { "$sum": 1 },
        // `$min` ignores null; a field that is missing is less than null.
        "oldest": { "$min": {
            "$cond": [{ "$gt": ["$quarantinedAt", Bson::Null] }, Bson::Null, since],
        } },
    } };
    let rows = |name| Bson::from(vec![doc! { "$match": awaiting(name) }, group.clone()]);
    let each: Document =
        consumers.iter().map(|name| (name.as_str().to_owned(), rows(name))).collect();
    vec![
        doc! { "$match": { "acknowledgedAt": null, "status": status } },
        doc! { "$sort": order() },
        doc! { "$limit": i64::try_from(COUNT_MAX).unwrap_or(i64::MAX) },
        doc! { "$project": {
            "_id": 0, "acknowledgedAt": 1, "eventType": 1, "expects": 1, "acknowledgements": 1,
            "waived": 1, "createdAt": 1, "quarantinedAt": 1, "aheadSeenAt": 1,
        } },
        doc! { "$facet": each },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_mongo::bson_time::date;

    fn crm() -> ConsumerName {
        "crm".parse().unwrap()
    }

    #[test]
    fn rows_are_limited_before_anybody_looks_whom_they_await() {
        let stages = pipeline(&BTreeSet::from([onboard_events::TODO, crm()]), SENT);
        let at = |name: &str| stages.iter().position(|stage| stage.contains_key(name)).unwrap();
        assert!(at("$sort") < at("$limit") && at("$limit") < at("$facet"), "{stages:?}");
        let each = stages[at("$facet")].get_document("$facet").unwrap();
        assert_eq!(each.keys().collect::<Vec<_>>(), ["crm", "todo"]);
    }

    #[test]
    fn the_rows_of_both_statuses_count_and_the_oldest_of_both_is_the_oldest() {
        let found = |rows: i32, oldest: Bson| doc! { "crm": [{ "rows": rows, "oldest": oldest }] };
        let pending = AwaitedBy::read(&found(2, date(7_000).into()), &crm());
        let sent = AwaitedBy::read(&found(3, date(5_000).into()), &crm());
        assert_eq!(pending.and(sent), AwaitedBy { rows: 5, oldest_ms: Some(5_000) });
        let quarantined = AwaitedBy::read(&found(1, Bson::Null), &crm());
        assert_eq!(quarantined.and(pending), AwaitedBy { rows: 3, oldest_ms: Some(7_000) });
        let none = AwaitedBy::read(&doc! { "crm": [] }, &crm());
        assert_eq!(none, AwaitedBy { rows: 0, oldest_ms: None });
    }
}
