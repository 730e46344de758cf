//! The change stream ends for real: its collection is renamed away and back,
//! or its cursor is killed. With the sweep a minute away only a stream opened anew can be quick, and
//! only the wake-up on opening finds what was inserted meanwhile.

use std::time::{Duration, Instant};

use mongodb::bson::doc;

use crate::harness::{App, Options, eventually};

const SWEEP: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_change_stream_that_is_invalidated_is_opened_anew() {
    let options = Options::default().with("RELAY_SWEEP_INTERVAL", "1m");
    let app = App::start_with(options).await;
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;

    let begun = Instant::now();
    rename(&app, "outbox", "outbox_away").await;
    rename(&app, "outbox_away", "outbox").await;
    for _ in 0..3 {
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    assert!(begun.elapsed() < SWEEP * 3 / 4, "the sweep was waited for: {:?}", begun.elapsed());
    app.finish().await;
}

#[tokio::test]
async fn a_change_stream_whose_cursor_is_killed_is_opened_anew() {
    let options = Options::default().with("RELAY_SWEEP_INTERVAL", "1m");
    let app = App::start_with(options).await;
    let begun = Instant::now();
    for _ in 0..3 {
        eventually("a cursor is killed", async || match kill_cursors(&app).await {
            0 => Err("there is none"),
            _ => Ok(()),
        })
        .await;
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    assert!(begun.elapsed() < SWEEP * 3 / 4, "the sweep was waited for: {:?}", begun.elapsed());
    app.finish().await;
}

async fn rename(app: &App, from: &str, to: &str) {
    let database = app.auth_database().await;
    let name = database.name();
    let rename =
        doc! { "renameCollection": format!("{name}.{from}"), "to": format!("{name}.{to}") };
    database.client().database("admin").run_command(rename).await.unwrap();
}

/// Kills every cursor on the outbox; how many there were.
async fn kill_cursors(app: &App) -> usize {
    let database = app.auth_database().await;
    let admin = database.client().database("admin");
    let of_outbox = doc! { "$match": { "ns": format!("{}.outbox", database.name()) } };
    let ask = [doc! { "$currentOp": { "idleCursors": true, "localOps": true } }, of_outbox];
    let found = admin
        .run_command(doc! { "aggregate": 1, "pipeline": ask.to_vec(), "cursor": {} })
        .await
        .unwrap();
    let batch = found.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
    let cursors: Vec<i64> = batch
        .iter()
        .filter_map(|op| op.as_document()?.get_document("cursor").ok()?.get_i64("cursorId").ok())
        .collect();
    for cursor in &cursors {
        let kill = doc! { "killCursors": "outbox", "cursors": [cursor] };
        database.run_command(kill).await.unwrap();
    }
    cursors.len()
}
