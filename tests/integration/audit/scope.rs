//! What is judged, and what is not yet or no longer.

use std::time::{Duration, Instant};

use mongodb::bson::{DateTime, doc};

use crate::harness::{App, Finished, Options, eventually};

#[tokio::test]
async fn what_is_in_flight_is_not_judged() {
    let app = App::start_with(Options::default().apart(&["todo"])).await;
    app.finished(1).await;
    app.component("todo").stop().await.unwrap();
    let begun = Instant::now();
    let late = app.register().await;
    app.reaches(late, "SENT").await;
    let (code, report) = app.audit(&["--grace", "1h"]).await;
    assert_eq!((code, &report["inFlight"]), (0, &2.into()), "{report:#}");
    assert_eq!(report["attempted"], 0, "{report:#}");
    // The message waits for its consumer: it is not left over.
    app.finds(&[("row_unacknowledged", late)]).await;

    // A grace ends.
    eventually("the grace is over", async || match app.audit(&["--grace", "3s"]).await {
        (1, report) if report["kinds"]["row_unacknowledged"] == 1 => Ok(()),
        (_, report) => Err(report),
    })
    .await;
    assert!(begun.elapsed() >= Duration::from_secs(3));
    app.component("todo").start().await.unwrap();
    app.reaches(late, "ACKNOWLEDGED").await;
    app.finish().await;
}

#[tokio::test]
async fn only_what_was_created_since_is_judged() {
    let app = App::start().await;
    let all = app.finished(2).await;
    let (old, young) = (all[0], all[1]);
    let (users, outbox, todos) = (app.users().await, app.outbox().await, app.todos().await);
    let week_ago = DateTime::from_millis(DateTime::now().timestamp_millis() - 7 * 86_400_000);
    for (documents, id) in
        [(&users, old.user.uuid()), (&outbox, old.event.uuid()), (&todos, old.todo.uuid())]
    {
        app.set(documents, Finished::by_id(id), doc! { "createdAt": week_ago }).await;
    }
    app.is_clean().await;
    // Both lose row and todo. What is left of the old one is younger than it.
    for one in [old, young] {
        app.take(&outbox, Finished::by_id(one.event.uuid())).await;
        app.take(&todos, Finished::by_id(one.todo.uuid())).await;
    }
    let week_ago = week_ago.try_to_rfc3339_string().unwrap();
    for (since, users) in [
        ("1d", vec![young.user]),
        ("8d", vec![young.user, old.user]),
        (&week_ago, vec![young.user, old.user]),
    ] {
        let (code, report) = app.audit(&["--grace", "0s", "--since", since]).await;
        assert_eq!(code, 1);
        for kind in ["user_without_row", "inbox_unexpected", "workflow_unexpected"] {
            assert_eq!(report["kinds"][kind], users.len(), "{since} {kind}: {report:#}");
        }
        assert_eq!(report["attempted"], users.len(), "{since}: {report:#}");
        for user in users {
            assert!(report.to_string().contains(&user.to_string()), "{since}: {report:#}");
        }
    }
    app.remove().await;
}
