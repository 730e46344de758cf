//! The process dies, stalls or goes unheard at a commit that many messages share.

use mongodb::bson::doc;
use onboard_fault::{Side, Step};
use onboard_stack::Server;

use super::{bodies, end_as_they_should, events, records};
use crate::harness::{App, Options, eventually, with_own};

const EVENTS: usize = 400;

/// A queue full of events, and a service that acts at one of its first large
/// groups: the first ones are small.
async fn hit(side: Side, act: &str) -> (App, Vec<super::Event>, tempfile::TempDir) {
    hit_on(side, act, App::start_with).await
}

async fn hit_on(
    side: Side,
    act: &str,
    start: impl AsyncFnOnce(Options) -> App,
) -> (App, Vec<super::Event>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "").unwrap();
    let point = Step("inbox.commit").point(side);
    let armed = format!("{point}=3*off->return({act}@{})", token.display());
    let options = Options::only(&[]).failing("todo").with_for("todo", "FAILPOINTS", &armed);
    let app = start(options).await;
    let all = events(EVENTS);
    app.publish_all(&bodies(&all)).await;
    app.component("todo").request_start().await.unwrap();
    eventually(
        "the point is reached",
        async || {
            if token.exists() { Err("not yet") } else { Ok(()) }
        },
    )
    .await;
    (app, all, dir)
}

/// The group is rolled back, but MongoDB knows only after a minute: until then
/// its members wait, and nobody else does. It has a mongod of its own, since the
/// one of all tests knows sooner.
#[tokio::test]
async fn a_crash_before_a_groups_commit_leaves_nothing_and_holds_up_no_others() {
    let mut own = None;
    let start = async |options| {
        let (app, servers) = with_own(Server::Mongo, options).await;
        own = Some(servers);
        app
    };
    let (app, all, _dir) = hit_on(Side::Before, "crash", start).await;
    others_go_on(&app).await;
    assert!(app.end_orphans().await > 0, "a transaction is open");
    end_as_they_should(&app, &all).await;
    app.remove().await;
}

#[tokio::test]
async fn a_crash_after_a_groups_commit_makes_duplicates_of_all_its_messages() {
    let (app, all, _dir) = hit(Side::After, "crash").await;
    // The other transaction may have been open.
    others_go_on(&app).await;
    app.end_orphans().await;
    end_as_they_should(&app, &all).await;
    let duplicates = app.counter("todo", "todo_duplicates_total", "").await;
    assert!(duplicates > 10, "it was a group: {duplicates}");
    app.remove().await;
}

#[tokio::test]
async fn a_groups_commit_whose_answer_is_lost_is_found_by_each_of_its_members() {
    let (app, all, _dir) = hit(Side::After, "lost").await;
    app.acked(EVENTS as u64).await;
    end_as_they_should(&app, &all).await;
    let duplicates = app.counter("todo", "todo_duplicates_total", "").await;
    assert!(duplicates > 10, "it was a group: {duplicates}");
    app.remove().await;
}

#[tokio::test]
async fn a_slow_commit_of_a_group_holds_up_its_members_only() {
    let (app, all, _dir) = hit(Side::Before, "slow:3000").await;
    app.acked(EVENTS as u64).await;
    end_as_they_should(&app, &all).await;
    assert_eq!(app.counter("todo", "todo_duplicates_total", "").await, 0);
    app.remove().await;
}

/// Two transactions of 64 at most were open.
async fn others_go_on(app: &App) {
    eventually("others go on", async || match records(app, doc! {}).await {
        found if found >= (EVENTS - 128) as u64 => Ok(()),
        found => Err(found),
    })
    .await;
}
