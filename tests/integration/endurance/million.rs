//! With a million finished rows the queries that run all day examine what they
//! return and little more.

use mongodb::bson::{Bson, DateTime, Document, doc};
use onboard_contract::Stage;
use onboard_outbox::claim::{by_id, claim_filter};
use onboard_outbox::due::{due_filter, due_order};
use onboard_outbox::outcome::note_filter;
use onboard_outbox::stages::{aging, filter, order};

use crate::harness::{App, Options, binary, whole_machine};

/// Documents and keys the server looked at, and how it found them.
#[derive(Debug)]
struct Cost {
    returned: i64,
    documents: i64,
    keys: i64,
    plan: String,
}

async fn explain(app: &App, filter: Document, sort: Document, limit: i64) -> Cost {
    cost(app, doc! { "find": "outbox", "filter": filter, "sort": sort, "limit": limit }).await
}

async fn cost(app: &App, find: Document) -> Cost {
    let explain = doc! { "explain": find, "verbosity": "executionStats" };
    let answer = app.auth_database().await.run_command(explain).await.unwrap();
    let stats = answer.get_document("executionStats").unwrap();
    let number = |name: &str| {
        stats.get_i64(name).unwrap_or_else(|_| i64::from(stats.get_i32(name).unwrap()))
    };
    Cost {
        returned: number("nReturned"),
        documents: number("totalDocsExamined"),
        keys: number("totalKeysExamined"),
        plan: answer.get_document("queryPlanner").unwrap().get("winningPlan").unwrap().to_string(),
    }
}

/// A million rows that are done. Made by the server; their ids are strings,
/// since it cannot make UUIDs, and no query here reads them.
async fn fill(app: &App) {
    let number =
        |n: i32| doc! { "$map": { "input": { "$range": [0, n] }, "in": { "i": "$$this" } } };
    let old = DateTime::from_millis(0);
    let pipeline = [
        doc! { "$documents": number(1_000) },
        doc! { "$set": { "j": { "$range": [0, 1_000] } } },
        doc! { "$unwind": "$j" },
        doc! { "$project": {
            "_id": { "$concat": [{ "$toString": "$i" }, "-", { "$toString": "$j" }] },
            "aggregateId": { "$add": [{ "$multiply": ["$i", 1_000] }, "$j"] },
            "status": "SENT", "createdAt": old, "startedAt": old, "sentAt": old,
            "acknowledgedAt": old, "attempts": { "$literal": 1 },
        } },
        doc! { "$out": "outbox" },
    ];
    let database = app.auth_database().await;
    database.aggregate(pipeline).bypass_document_validation(true).await.unwrap();
    let rows = database.collection::<Document>("outbox").estimated_document_count().await.unwrap();
    assert_eq!(rows, 1_000_000);
}

#[tokio::test]
async fn claims_and_alarms_stay_indexed_at_a_million_rows() {
    let _machine = whole_machine().await;
    let app = App::prepare_on_shared(Options::only(&["auth"])).await;
    fill(&app).await;
    app.component("auth").start().await.unwrap();
    for _ in 0..20 {
        app.register().await;
    }
    let (now, before) = (DateTime::now(), DateTime::from_millis(0));
    let due = explain(&app, due_filter(now), due_order(), 256).await;
    assert_eq!((due.returned, due.documents), (20, 20), "{due:?}");
    assert!(due.keys <= 21 && !due.plan.contains("COLLSCAN"), "{due:?}");
    assert!(!due.plan.contains("\"SORT\""), "sorted by the index: {due:?}");
    let rows = app.mongo().await.deliveries().due(256).await.unwrap().rows;
    let ids: Vec<Bson> = rows.iter().map(|row| binary(row.event_id.uuid()).into()).collect();
    let of_rows = doc! { "_id": { "$in": ids.clone() } };
    let seen = app.outbox().await.distinct("nextAttemptAt", of_rows).await.unwrap();
    let seen = seen.iter().map(|at| *at.as_datetime().unwrap()).collect();
    for filter in [claim_filter(ids.clone(), seen), note_filter(ids)] {
        let of_ids = cost(&app, doc! { "find": "outbox", "filter": filter, "hint": by_id() }).await;
        assert_eq!((of_ids.returned, of_ids.documents), (20, 20), "{of_ids:?}");
        assert!(of_ids.keys <= 2 * 20, "a seek for each: {of_ids:?}");
    }
    for (stage, rows) in
        [(Stage::Pending, 20), (Stage::Started, 0), (Stage::Sent, 0), (Stage::Stalled, 0)]
    {
        for filter in [filter(stage, before), aging(stage, before)] {
            let cost = explain(&app, filter, order(), 1).await;
            assert_eq!(cost.returned, i64::min(rows, 1), "{stage}: {cost:?}");
            assert!(cost.documents <= 1 && cost.keys <= 2, "{stage}: {cost:?}");
            assert!(!cost.plan.contains("\"SORT\""), "{stage}: {cost:?}");
        }
    }
    app.remove().await;
}
