//! `Idempotency-Key`: whoever repeats a request hears what became of the first
//! one, and nothing happens twice.

use std::time::Duration;

use futures::future::join_all;
use mongodb::bson::{self, DateTime, Document, doc};
use onboard_fault::{Side, Step};

use crate::harness::{App, Heard, Options, PASSWORD, binary, eventually};
use crate::kill_points::tokens::Tokens;

const KEY: &str = "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"";

fn is_repeat_of(first: &Heard, repeat: &Heard) {
    assert_eq!((first.status, repeat.status), (201, 201), "{repeat:?}");
    assert_eq!(repeat.body, first.body);
    assert_eq!(repeat.header("location"), first.header("location"));
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(repeat.header("idempotency-replayed"), Some("true"));
}

#[tokio::test]
async fn a_repeat_hears_the_first_answer_and_another_request_is_refused() {
    let app = App::start().await;
    let email = app.address();
    let first = app.keyed(KEY, &email, PASSWORD).await;
    for key in [KEY, KEY.trim_matches('"'), &format!("{KEY};v=1")] {
        is_repeat_of(&first, &app.keyed(key, &email, PASSWORD).await);
    }
    for (email, password) in [
        (email.as_str(), "correct horse batterz"),
        (&email.to_uppercase(), PASSWORD),
        (&app.address(), PASSWORD),
    ] {
        let other = app.keyed(KEY, email, password).await;
        assert_eq!((other.status, other.problem()), (422, "idempotency-key-reused"), "{other:?}");
    }
    let plain = app.register_with("auth", None, &email, PASSWORD).await.unwrap();
    assert_eq!((plain.status, plain.problem()), (409, "email-taken"));
    assert_eq!(app.counts().await, (1, 1, 1));
    app.finish().await;
}

#[tokio::test]
async fn only_a_success_is_remembered() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let taken = app.address();
    assert_eq!(app.keyed("first", &taken, PASSWORD).await.status, 201);
    for _ in 0..2 {
        let refused = app.keyed(KEY, &taken, PASSWORD).await;
        assert_eq!((refused.status, refused.problem()), (409, "email-taken"), "{refused:?}");
        assert_eq!(refused.header("idempotency-replayed"), None);
    }
    assert_eq!(app.keyed(KEY, "nobody", PASSWORD).await.status, 422);
    let free = app.keyed(KEY, &app.address(), PASSWORD).await;
    assert_eq!(free.status, 201, "the key was not used up: {free:?}");
    assert_eq!(free.header("idempotency-replayed"), None);
    assert_eq!(app.counts().await, (2, 2, 2));
    app.remove().await;
}

/// Whether a key's request is a repeat tells whether the password is the account's.
#[tokio::test]
async fn another_password_with_the_key_counts_as_a_failed_login() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let email = app.address();
    assert_eq!(app.keyed(KEY, &email, PASSWORD).await.status, 201);
    for repeat in 0..30 {
        let heard = app.keyed(KEY, &email, PASSWORD).await;
        assert_eq!(heard.status, 201, "repeats count for nothing: {repeat}");
    }
    let mut guesses = Vec::new();
    for guess in 0..22 {
        guesses.push(app.keyed(KEY, &email, &format!("guess number {guess}")).await.status);
    }
    assert_eq!(guesses[..20], [422; 20], "{guesses:?}");
    assert_eq!(guesses[20..], [429; 2], "{guesses:?}");
    let listed = app.tool(&["events", "--user", &email, "--kind", "login_failed"]).await.yes();
    assert_eq!(listed["events"].as_array().unwrap().len(), 20, "each is recorded: {listed}");
    assert!(listed["events"][0]["network"].is_string(), "{listed}");
    let url = format!("{}/api/v1/auth/login", app.url("auth"));
    let body = serde_json::json!({ "email": email, "password": PASSWORD });
    let login = app.http.post(url).json(&body).send().await.unwrap();
    assert_eq!(login.status(), 429, "the guesses were counted for logins");
    let other = app.address();
    assert_eq!(app.keyed("another-key", &other, PASSWORD).await.status, 201, "others go on");
    app.remove().await;
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_refused_before_anything_happens() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let email = app.address();
    for key in ["", "\"", "\"\"", "a b", "\"a\", \"b\"", "a,b", &"k".repeat(256)] {
        let refused = app.keyed(key, &email, PASSWORD).await;
        assert_eq!(
            (refused.status, refused.problem()),
            (400, "idempotency-key-malformed"),
            "{key}"
        );
    }
    let url = format!("{}/api/v1/auth/register", app.url("auth"));
    let twice = app.http.post(url).header("idempotency-key", "a").header("idempotency-key", "a");
    let body = serde_json::json!({ "email": email, "password": PASSWORD });
    assert_eq!(twice.json(&body).send().await.unwrap().status(), 400, "two of them");
    assert_eq!(app.counts().await, (0, 0, 0));
    app.remove().await;
}

#[tokio::test]
async fn of_fifty_requests_at_once_with_one_key_one_registers() {
    let app = App::start_with(Options::default().and("auth-2", "auth")).await;
    let email = app.address();
    let services = ["auth", "auth-2"];
    let all = (0..50).map(|n| app.register_with(services[n % 2], Some(KEY), &email, PASSWORD));
    let heard: Vec<Heard> = join_all(all).await.into_iter().map(Result::unwrap).collect();
    let made: Vec<&Heard> = heard.iter().filter(|one| one.status == 201).collect();
    let body = &made.first().expect("somebody is registered").body;
    assert!(made.iter().all(|one| one.body == *body), "all hear of one registration: {made:?}");
    let first = |one: &&&Heard| one.header("idempotency-replayed").is_none();
    assert_eq!(made.iter().filter(first).count(), 1, "one of them was the first");
    for other in heard.iter().filter(|one| one.status != 201) {
        assert_eq!(
            (other.status, other.problem()),
            (409, "idempotency-key-in-flight"),
            "{other:?}"
        );
        assert!(other.header("retry-after").is_some());
    }
    assert_eq!(app.counts().await, (1, 1, 1));
    app.nothing_is_left().await;
    app.is_clean().await;
    app.finish().await;
}

/// While one process commits slowly, a second one gets the same request: it
/// meets the other's transaction, waits, and hears what became of it.
#[tokio::test]
async fn a_request_in_flight_in_another_process_is_waited_for() {
    let tokens = Tokens::new([Step("register.commit").point(Side::Before)].into_iter());
    let options = Options::only(&["auth"]).and("auth-2", "auth").with_for(
        "auth",
        "FAILPOINTS",
        &tokens.armed("slow:3000"),
    );
    let app = App::start_with(options).await;
    let email = app.address();
    let second = async {
        eventually("the first is about to commit", async || match tokens.left() {
            left if left.is_empty() => Ok(()),
            left => Err(left),
        })
        .await;
        let here = app.keyed(KEY, &email, PASSWORD).await;
        assert_eq!((here.status, here.problem()), (409, "idempotency-key-in-flight"), "{here:?}");
        let began = tokio::time::Instant::now();
        let other = app.register_with("auth-2", Some(KEY), &email, "another password").await;
        assert_eq!(other.unwrap().problem(), "idempotency-key-reused", "no 201 for another body");
        assert!(began.elapsed() > Duration::from_millis(100), "it waited: {:?}", began.elapsed());
        app.register_with("auth-2", Some(KEY), &email, PASSWORD).await.unwrap()
    };
    let (first, second) = tokio::join!(app.keyed(KEY, &email, PASSWORD), second);
    is_repeat_of(&first, &second);
    assert_eq!(app.counts().await, (1, 1, 1));
    app.remove().await;
}

/// The client never sees the answer: the process dies, or the answer of the
/// commit is lost and the client runs into a 503. It repeats, with the key.
#[tokio::test]
async fn whoever_saw_no_answer_repeats_and_there_is_one_user() {
    let acts = [
        (Side::Before, "crash"),
        (Side::After, "crash"),
        (Side::After, "lost"),
        (Side::Before, "lost"),
    ];
    join_all(acts.map(async |(side, word)| {
        let tokens = Tokens::new([Step("register.commit").point(side)].into_iter());
        let options = Options::default().with_for("auth", "FAILPOINTS", &tokens.armed(word));
        let app = App::start_with(options).await;
        let email = app.address();
        let unheard = app.register_with("auth", Some(KEY), &email, PASSWORD).await;
        match &unheard {
            Err(_) => assert_eq!(word, "crash", "{unheard:?}"),
            Ok(heard) => assert_eq!((heard.status, word), (503, "lost"), "{heard:?}"),
        }
        assert_eq!(tokens.left(), Vec::<String>::new(), "the point was reached");
        let repeat = eventually("the repeat is answered", async || {
            match app.register_with("auth", Some(KEY), &email, PASSWORD).await {
                Ok(heard) if heard.status == 201 => Ok(heard),
                other => Err(format!("{side:?} {word}: {other:?}")),
            }
        })
        .await;
        if side == Side::After {
            assert_eq!(repeat.header("idempotency-replayed"), Some("true"), "{repeat:?}");
        }
        let again = app.keyed(KEY, &email, PASSWORD).await;
        assert_eq!((again.status, &again.body), (201, &repeat.body));
        assert_eq!(app.counts().await, (1, 1, 1), "{side:?} {word}");
        app.nothing_is_left().await;
        app.is_clean().await;
        app.finish().await;
    }))
    .await;
}

/// MongoDB commits and then answers that the transaction should be repeated:
/// the driver's own repeat meets the key that the first try has written.
#[tokio::test]
async fn a_commit_that_is_repeated_by_the_driver_is_no_repeat_of_the_client() {
    let app = App::start_with(Options::only(&["auth"]).failing("auth")).await;
    let label = ["TransientTransactionError"];
    let concern = doc! { "code": 64, "errmsg": "made up", "errorLabels": label.as_slice() };
    let data = doc! { "failCommands": ["commitTransaction"], "writeConcernError": concern,
    "errorLabels": label.as_slice() };
    let point = app.fail_commands(doc! { "times": 1 }, data).await;
    let before = point.hits().await;
    let email = app.address();
    let first = app.keyed(KEY, &email, PASSWORD).await;
    assert!(point.hits().await > before, "the commit was hit");
    point.off().await;
    is_repeat_of(&first, &app.keyed(KEY, &email, PASSWORD).await);
    assert_eq!(app.counts().await, (1, 1, 1));
    app.remove().await;
}

#[tokio::test]
async fn an_expired_key_counts_for_nothing_whether_or_not_it_is_there() {
    let options = Options::only(&["auth"]).with("IDEMPOTENCY_KEY_LIFETIME", "2h");
    let app = App::start_with(options).await;
    let first = app.address();
    assert_eq!(app.keyed(KEY, &first, PASSWORD).await.status, 201);
    let keys = app.keys().await;
    let lifetime = |record: &Document| {
        let at = |field| record.get_datetime(field).unwrap().timestamp_millis();
        at("expiresAt") - at("createdAt")
    };
    let record = keys.find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(lifetime(&record), 2 * 60 * 60 * 1000, "the setting");

    let past = doc! { "$set": { "expiresAt": DateTime::from_millis(1) } };
    keys.update_one(doc! {}, past).await.unwrap();
    let taken = app.keyed(KEY, &first, PASSWORD).await;
    assert_eq!((taken.status, taken.problem()), (409, "email-taken"), "as without a key");
    let second = app.address();
    let made = app.keyed(KEY, &second, PASSWORD).await;
    assert_eq!(made.status, 201, "another request may use it: {made:?}");
    is_repeat_of(&made, &app.keyed(KEY, &second, PASSWORD).await);
    assert_eq!(app.counts().await, (2, 2, 1));
    assert_eq!(lifetime(&keys.find_one(doc! {}).await.unwrap().unwrap()), 2 * 60 * 60 * 1000);
    app.remove().await;
}

#[tokio::test]
async fn the_audit_names_a_key_whose_registration_is_not_there() {
    let app = App::start().await;
    let made = app.keyed(KEY, &app.address(), PASSWORD).await;
    app.nothing_is_left().await;
    app.is_clean().await;
    let (keys, nobody) = (app.keys().await, uuid::Uuid::new_v4());
    let row = doc! { "registrationId": binary(nobody) };
    let before = app.set(&keys, doc! {}, row).await;
    app.finds(&[("key_without_registration", nobody)]).await;
    app.put_back(&keys, &before).await;
    let before = app.set(&keys, doc! {}, doc! { "userId": binary(nobody) }).await;
    let event = made.body["registrationId"].as_str().unwrap();
    app.finds(&[("key_without_registration", event)]).await;
    app.put_back(&keys, &before).await;
    app.is_clean().await;
    app.finish().await;
}

#[tokio::test]
async fn neither_key_nor_address_nor_password_is_in_the_record() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let (key, email, password) = ("needle-of-key", "needle-of-address@example.com", "needle-of-pw");
    assert_eq!(app.keyed(key, email, password).await.status, 201);
    let record = app.keys().await.find_one(doc! {}).await.unwrap().unwrap();
    let bytes = bson::serialize_to_vec(&record).unwrap();
    let found = bytes.windows(6).any(|window| window == b"needle");
    assert!(!found, "{record}");
    app.remove().await;
}

/// The service dies, or hears nothing, when it remembers silently that an
/// address was taken: the client's repeat is answered like any other.
#[tokio::test]
async fn a_silent_refusal_survives_the_death_of_the_service() {
    let acts = [(Side::Before, "crash"), (Side::After, "crash"), (Side::After, "lost")];
    join_all(acts.map(async |(side, word)| {
        let tokens = Tokens::new([Step("refusal.keep").point(side)].into_iter());
        let options = Options::only(&["auth"]).with("REGISTRATION_MODE", "silent").with_for(
            "auth",
            "FAILPOINTS",
            &tokens.armed(word),
        );
        let app = App::start_with(options).await;
        let email = app.address();
        assert_eq!(app.keyed("first", &email, PASSWORD).await.status, 202);
        let unheard = app.register_with("auth", Some(KEY), &email, PASSWORD).await;
        assert!(unheard.as_ref().map_or(word == "crash", |one| one.status == 503), "{unheard:?}");
        assert_eq!(tokens.left(), Vec::<String>::new(), "the point was reached");
        let repeat = eventually("the repeat is answered", async || {
            match app.register_with("auth", Some(KEY), &email, PASSWORD).await {
                Ok(heard) if heard.status == 202 => Ok(heard),
                other => Err(format!("{side:?} {word}: {other:?}")),
            }
        })
        .await;
        let replayed = (side == Side::After).then_some("true");
        assert_eq!(repeat.header("idempotency-replayed"), replayed, "{side:?} {word}");
        assert_eq!(app.counts().await, (1, 1, 2), "{side:?} {word}");
        app.remove().await;
    }))
    .await;
}
