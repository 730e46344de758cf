//! A registration as its outbox row tells it, a damaged one too.
//!
//! A field that cannot be read is named and counts for nothing; a row is never
//! refused for it. When the process dies here nothing has changed.

use std::collections::HashMap;

use mongodb::bson::{Bson, doc};
use onboard_contract::{EventId, OutboxStatus, Stage, StageFacts};
use onboard_mongo::bson_time::{born_ms, id};
use onboard_mongo::field::{self, Malformed};
use onboard_mongo::{Raw, StoreError, ask};
use onboard_outbox::Row;

use super::Registrations;

/// One registration as its outbox row tells it. No personal data.
#[derive(Debug, Clone, Default)]
pub struct RegistrationRow {
    /// The row's status, if it can be read.
    pub status: Option<OutboxStatus>,
    /// When the user registered, in ms. Where the row does not say it, the id does.
    pub created_at_ms: i64,
    /// When the relay noted the workflow, in ms.
    pub started_at_ms: Option<i64>,
    /// When the broker's confirm was noted, in ms.
    pub sent_at_ms: Option<i64>,
    /// When the acknowledgement was recorded, in ms.
    pub acknowledged_at_ms: Option<i64>,
    /// The fields of the row that cannot be read.
    pub unreadable: Vec<&'static str>,
}

impl RegistrationRow {
    fn of(event: EventId, row: &Row) -> Self {
        let mut unreadable = Vec::new();
        let status = noted(row.status(), &mut unreadable);
        let created_at_ms = noted(row.created_at(), &mut unreadable);
        let started_at_ms = noted(row.started_at(), &mut unreadable).flatten();
        let sent_at_ms = noted(row.sent_at(), &mut unreadable).flatten();
        let acknowledged_at_ms = noted(row.acknowledged_at(), &mut unreadable).flatten();
        let born_ms = || born_ms(event.uuid()).unwrap_or_default();
        let created_at_ms = created_at_ms.unwrap_or_else(born_ms);
        Self { status, created_at_ms, started_at_ms, sent_at_ms, acknowledged_at_ms, unreadable }
    }

    /// The stage. A row whose stage cannot be told goes on when somebody has mended
    /// it: until then it is STALLED.
    #[must_use]
    pub fn stage(&self, now_ms: i64, overdue_ms: i64) -> Stage {
        let acknowledged = self.acknowledged_at_ms.is_some();
        let undecided = self.unreadable.iter().any(|field| *field != "createdAt");
        match self.status {
            _ if acknowledged => Stage::Acknowledged,
            Some(status) if !undecided => {
                let (started, sent_at_ms) = (self.started_at_ms.is_some(), self.sent_at_ms);
                let facts = StageFacts { status, started, sent_at_ms, acknowledged };
                Stage::derive(facts, now_ms, overdue_ms)
            }
            Some(_) | None => Stage::Stalled,
        }
    }
}

/// The value of a field; a field that cannot be read is named.
fn noted<T>(read: Result<T, Malformed>, unreadable: &mut Vec<&'static str>) -> Option<T> {
    read.map_err(|malformed| unreadable.push(malformed.field)).ok()
}

impl Registrations {
    /// Looks a registration up.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(&self, event: EventId) -> Result<Option<RegistrationRow>, StoreError> {
        let outbox = self.outbox.rows().clone_with_type::<Raw>();
        let find = outbox
            .find_one(doc! { "_id": id(event.uuid()) })
            .projection(doc! { "payload": 0, "lastError": 0 });
        let found = ask("look up the registration", find).await?;
        Ok(found.map(|Raw(row)| RegistrationRow::of(event, &Row::read(&row))))
    }

    /// Looks several registrations up; those that are not there are left out.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find_all(
        &self,
        events: &[EventId],
    ) -> Result<HashMap<EventId, RegistrationRow>, StoreError> {
        let outbox = self.outbox.rows().clone_with_type::<Raw>();
        let ids: Vec<Bson> = events.iter().map(|event| id(event.uuid())).collect();
        let find = outbox
            .find(doc! { "_id": { "$in": ids } })
            .projection(doc! { "payload": 0, "lastError": 0 });
        let found = ask("look up the registrations", find).await?;
        let read = |Raw(row): Raw| {
            let event = EventId::from(field::id(&row, "_id").known()?);
            Some((event, RegistrationRow::of(event, &Row::read(&row))))
        };
        Ok(found.into_iter().filter_map(read).collect())
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::Document;
    use onboard_mongo::bson_time::date;

    use super::*;

    const NOW_MS: i64 = 1_767_323_050_000;

    fn read(change: Document) -> RegistrationRow {
        let mut row = doc! { "status": "SENT", "createdAt": date(7), "startedAt": date(8),
        "sentAt": date(NOW_MS - 1), "acknowledgedAt": null };
        row.extend(change);
        let event = "019b7c5f-3a4e-7000-8000-000000000001".parse().unwrap();
        RegistrationRow::of(event, &Row::read(&row))
    }

    #[test]
    fn a_row_is_told_as_far_as_it_can_be_read() {
        let text = || Bson::from("noon");
        let table: [(Document, &[&str], Stage); 8] = [
            (doc! {}, &[], Stage::Sent),
            (doc! { "status": "LOST" }, &["status"], Stage::Stalled),
            (doc! { "status": null }, &["status"], Stage::Stalled),
            (doc! { "createdAt": text() }, &["createdAt"], Stage::Sent),
            (doc! { "startedAt": text() }, &["startedAt"], Stage::Stalled),
            (doc! { "sentAt": text() }, &["sentAt"], Stage::Stalled),
            (doc! { "acknowledgedAt": text() }, &["acknowledgedAt"], Stage::Stalled),
            (doc! { "acknowledgedAt": date(9), "status": 5 }, &["status"], Stage::Acknowledged),
        ];
        for (change, unreadable, stage) in table {
            let row = read(change.clone());
            assert_eq!(row.unreadable, unreadable, "{change}");
            assert_eq!(row.stage(NOW_MS, 30_000), stage, "{change}");
        }
    }

    #[test]
    fn the_id_says_when_the_user_registered_where_the_row_does_not() {
        assert_eq!(read(doc! { "createdAt": 5 }).created_at_ms, 0x019b_7c5f_3a4e);
    }
}
