//! Workflows on the task queue that nobody owns, or that no worker can go on with, are
//! named by `list`, `audit` and a metric, with the command that ends them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{App, Options, eventually, text};

async fn gauge_is(app: &App, name: &str, expected: u64) {
    eventually(&format!("{name} is {expected}"), async || {
        match app.counter("relay", name, "").await {
            seen if seen == expected => Ok(()),
            seen => Err(seen),
        }
    })
    .await;
}

/// What `list` says about strangers: id, why, command, by id.
async fn listed(app: &App, expected: usize) -> Vec<Value> {
    let listing = eventually("list names each stranger", async || {
        let listing = app.tool(&["list"]).await.yes();
        let found = listing["strangers"].as_array().unwrap().len();
        if found == expected { Ok(listing) } else { Err(listing) }
    })
    .await;
    assert_eq!(listing["moreStrangers"], false);
    let mut strangers = listing["strangers"].as_array().unwrap().clone();
    strangers.sort_by_key(|one| one["workflowId"].as_str().unwrap().to_owned());
    strangers
}

#[tokio::test]
async fn workflows_that_nobody_owns_or_that_cannot_go_on_are_named_until_they_are_ended() {
    let app = App::start_with(Options::default()).await;
    let healthy = app.register().await;
    app.reaches(healthy, "ACKNOWLEDGED").await;
    app.nothing_is_left().await;
    gauge_is(&app, "workflows_unknown{why=\"type\"}", 0).await;

    let (orphan, own) = (Uuid::now_v7(), app.register().await);
    app.reaches(own, "ACKNOWLEDGED").await;
    let unknown = format!("a-unknown {}", app.id);
    let (junk, orphan) = (format!("b-junk-{}", app.id), format!("registration-{orphan}"));
    app.start_stranger("NoSuchWorkflow", &unknown, json!({})).await;
    app.start_stranger("UserRegistration", &junk, json!(7)).await;
    app.start_stranger("UserRegistration", &orphan, json!("junk")).await;

    let strangers = listed(&app, 3).await;
    for (one, (id, why)) in
        strangers.iter().zip([(&unknown, "unknown_type"), (&junk, "no_row"), (&orphan, "no_row")])
    {
        assert_eq!((&one["workflowId"], &one["why"]), (&json!(id), &json!(why)), "{one}");
        let end = one["next"].as_str().unwrap();
        assert!(end.starts_with("temporal workflow terminate --workflow-id "), "{one}");
        assert_eq!(
            end.contains('\''),
            *id == unknown,
            "only what the shell splits is quoted: {end}"
        );
    }
    let printed = text(&app.onboard(&["list"]).await);
    assert!(printed.contains("3 workflows that do not belong here"), "{printed}");
    gauge_is(&app, "workflows_unknown{why=\"type\"}", 1).await;
    gauge_is(&app, "workflows_unknown{why=\"no_row\"}", 2).await;
    // Temporal says so after some tries.
    gauge_is(&app, "workflows_task_failing", 3).await;
    let failing = listed(&app, 3).await;
    let detail = failing[1]["detail"].as_str().unwrap();
    assert!(detail.contains("its workflow task fails (try "), "{failing:?}");

    app.finds(&[
        ("workflow_unexpected", &unknown),
        ("workflow_unexpected", &junk),
        ("workflow_unexpected", &orphan),
        ("workflow_task_fails", &unknown),
        ("workflow_task_fails", &junk),
        ("workflow_task_fails", &orphan),
    ])
    .await;
    for id in [&unknown, &junk, &orphan] {
        app.terminate_workflow(id).await;
    }
    assert!(listed(&app, 0).await.is_empty());
    for gauge in [
        "workflows_unknown{why=\"type\"}",
        "workflows_unknown{why=\"no_row\"}",
        "workflows_task_failing",
    ] {
        gauge_is(&app, gauge, 0).await;
    }
    for id in [&unknown, &junk, &orphan] {
        app.delete_workflow(id).await;
    }
    app.is_clean().await;
    app.finish().await;
}

/// The id of a registration is taken by a workflow that cannot go on.
#[tokio::test]
async fn a_registration_whose_workflow_has_other_input_goes_on_when_that_is_ended() {
    let options = Options::only(&["auth", "worker", "todo"])
        .with("RELAY_REBUILD_AFTER", "1s")
        .with("REGISTRATION_OVERDUE", "1s");
    let app = App::start_with(options).await;
    let id = app.register().await;
    let workflow = format!("registration-{id}");
    app.start_stranger("UserRegistration", &workflow, json!([])).await;
    app.component("relay").start().await.unwrap();
    app.reaches(id, "STARTED").await;
    let record = eventually("show names the failing task", async || {
        let record = app.tool(&["show", &id.to_string()]).await.no();
        let named = record["missing"].to_string().contains("its workflow task fails (try ");
        if named { Ok(record) } else { Err(record) }
    })
    .await;
    let end = format!("temporal workflow terminate --workflow-id {workflow}");
    assert_eq!(record["next"][0], end, "{record}");
    assert!(record["workflow"]["lastFailure"].is_string(), "{record}");
    // The start is noted up to a second later, and counts as stuck a second after that.
    eventually("list names it, too", async || {
        let listing = app.tool(&["list", "--stuck"]).await.yes();
        if listing["registrations"][0]["next"] == end { Ok(()) } else { Err(listing) }
    })
    .await;
    let left = app.tool(&["redrive", &id.to_string()]).await.no();
    assert!(left["left"][0]["why"].as_str().unwrap().contains("workflow task fails"), "{left}");
    app.terminate_workflow(&workflow).await;
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}
