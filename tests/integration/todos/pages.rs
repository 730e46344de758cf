//! Pages stay whole while todos come and go.

use std::collections::BTreeSet;

use mongodb::bson::{DateTime, Document, doc};
use onboard_runtime::clock;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reqwest::StatusCode;
use uuid::Uuid;

use crate::harness::{App, Desk, Person, binary};

/// What happens between two pages.
#[derive(Debug, Clone)]
enum Between {
    /// Somebody creates one through the API.
    Create,
    /// Another service, whose clock is off, creates one of this age.
    Insert(i64),
    /// One of those there at the beginning is deleted.
    Delete(usize),
    Nothing,
}

#[derive(Debug, Clone)]
struct Plan {
    /// The ages of those there at the beginning, in ms; many are the same.
    ages: Vec<i64>,
    limit: usize,
    between: Vec<Between>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let between = prop_oneof![
        Just(Between::Create),
        (0..6_i64).prop_map(Between::Insert),
        any::<usize>().prop_map(Between::Delete),
        Just(Between::Nothing),
    ];
    (vec(0..6_i64, 0..24), 1..7_usize, vec(between, 24)).prop_map(|(ages, limit, between)| Plan {
        ages,
        limit,
        between,
    })
}

async fn insert(app: &App, person: &Person, age_ms: i64) -> String {
    // Old enough to lie behind everything that the API creates meanwhile.
    let at = DateTime::from_millis(clock::now_ms() / 1_000 * 1_000 - 60_000 - age_ms);
    let id = Uuid::new_v4();
    let todo = doc! { "_id": binary(id), "userId": binary(person.id.uuid()), "title": "x",
    "completed": false, "createdAt": at, "updatedAt": at, "version": 1_i64, "createdBy": "user" };
    app.todos().await.insert_one(todo).await.unwrap();
    id.to_string()
}

/// Every todo that is there all the while is on exactly one page; no todo is on
/// two; and the newest come first.
#[tokio::test]
async fn no_todo_is_skipped_or_shown_twice_whatever_happens_meanwhile() {
    let desk = Desk::start().await;
    let mut runner = TestRunner::deterministic();
    for _ in 0..40 {
        let plan = plans().new_tree(&mut runner).unwrap().current();
        follow(&desk, &plan).await;
    }
    desk.app.remove().await;
}

async fn follow(desk: &Desk, plan: &Plan) {
    let person = desk.somebody();
    let mut all_the_while = Vec::new();
    for age in &plan.ages {
        all_the_while.push(insert(&desk.app, &person, *age).await);
    }
    let (mut shown, mut query) = (Vec::new(), format!("?limit={}", plan.limit));
    let mut between = plan.between.iter();
    loop {
        let page = person.list(&query).await;
        assert_eq!(page.status, StatusCode::OK, "{plan:?}");
        let items = page.json["items"].as_array().unwrap();
        assert!(items.len() <= plan.limit, "{plan:?}");
        shown.extend(items.iter().map(|item| {
            let text = |name: &str| item[name].as_str().unwrap().to_owned();
            (text("createdAt"), text("id"))
        }));
        let Some(next) = page.json["nextCursor"].as_str() else { break };
        assert_eq!(items.len(), plan.limit, "only the last page is short: {plan:?}");
        query = format!("?limit={}&cursor={next}", plan.limit);
        match between.next().unwrap_or(&Between::Nothing) {
            Between::Create => drop(person.add("meanwhile").await),
            Between::Insert(age) => drop(insert(&desk.app, &person, *age).await),
            Between::Delete(which) if !all_the_while.is_empty() => {
                let id = all_the_while.remove(which % all_the_while.len());
                assert_eq!(person.delete(id).await.status, StatusCode::NO_CONTENT);
            }
            Between::Delete(_) | Between::Nothing => (),
        }
    }
    let mut sorted = shown.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    assert_eq!(shown, sorted, "the newest first: {plan:?}");
    let ids: BTreeSet<&String> = shown.iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), shown.len(), "none twice: {plan:?}");
    for id in &all_the_while {
        assert!(ids.contains(id), "{id} was skipped: {plan:?}");
    }
}

#[tokio::test]
async fn a_page_has_twenty_unless_told_otherwise_and_the_newest_first() {
    let desk = Desk::start().await;
    let ada = desk.somebody();
    let mut ids = Vec::new();
    for n in 0..21 {
        ids.push(ada.add(&n.to_string()).await.id());
    }
    ids.reverse();
    let page = ada.list("").await;
    assert_eq!(page.json["items"].as_array().unwrap().len(), 20);
    assert_eq!(page.json["items"][0]["title"], "20");
    let cursor = page.json["nextCursor"].as_str().unwrap();
    assert!(!cursor.contains("userId") && cursor.len() < 64, "{cursor}");
    let rest = ada.list(&format!("?cursor={cursor}")).await;
    assert_eq!(rest.json["items"][0]["title"], "0");
    assert!(rest.json["nextCursor"].is_null());
    // Just full is no reason for another page.
    assert!(ada.list("?limit=21").await.json["nextCursor"].is_null());
    let mut listed = ada.all(4).await;
    // Within one millisecond the ids decide, and those of UUIDv7 do not order
    // what two requests made: compare as sets there.
    assert_eq!(listed.len(), 21);
    listed.sort();
    ids.sort();
    assert_eq!(listed, ids);
    desk.app.remove().await;
}

#[tokio::test]
async fn a_page_reads_about_as_many_todos_as_it_shows() {
    let desk = Desk::start().await;
    let ada = desk.somebody();
    let todo = |n: i64| {
        let at = DateTime::from_millis(n / 10);
        doc! { "_id": binary(Uuid::new_v4()), "userId": binary(ada.id.uuid()), "title": "x",
        "completed": false, "createdAt": at, "updatedAt": at, "version": 1_i64, "createdBy": "user" }
    };
    desk.app.todos().await.insert_many((0..3_000).map(todo)).await.unwrap();
    let database = desk.app.todo_database().await;
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    assert_eq!(ada.all(100).await.len(), 3_000);
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = database.collection::<Document>("system.profile");
    let mut finds = profile.find(doc! { "command.find": "todos" }).await.unwrap();
    let mut pages = 0;
    while let Some(find) = futures::TryStreamExt::try_next(&mut finds).await.unwrap() {
        // Those of the page, one more, and the ten of its first millisecond.
        assert!(find.get_i32("docsExamined").unwrap() <= 111, "{find}");
        assert!(find.get_i32("keysExamined").unwrap() <= 115, "{find}");
        assert!(find.get("hasSortStage").is_none(), "{find}");
        pages += 1;
    }
    assert_eq!(pages, 30);
    desk.app.remove().await;
}
