//! How many sessions a user has.

use futures::future::join_all;
use mongodb::bson::{Document, doc};

use crate::harness::{Account, App, Options, binary};

/// The sessions of a user that go on.
async fn open(app: &App, account: &Account) -> u64 {
    let sessions = app.auth_database().await.collection::<Document>("sessions");
    let user = binary(account.user_id.parse().unwrap());
    let going_on = doc! { "userId": user, "revokedAt": { "$exists": false } };
    sessions.count_documents(going_on).await.unwrap()
}

#[tokio::test]
async fn one_session_too_many_ends_the_oldest_and_logins_at_once_end_within_the_limit() {
    let options = Options::only(&["auth"]).and("second", "auth").with("SESSIONS_PER_USER_MAX", "3");
    let app = App::start_with(options).await;
    let (ada, bob) = (app.account().await, app.account().await);
    let of_bob = app.log_in(&bob).await;
    let mut tokens = Vec::new();
    for _ in 0..5 {
        tokens.push(app.log_in(&ada).await);
    }
    assert_eq!(open(&app, &ada).await, 3);
    for (n, token) in tokens.iter().enumerate() {
        let (status, answer) = app.refresh(&token.refresh).await;
        assert_eq!(status, if n < 2 { 401 } else { 200 }, "{n}: {answer}");
    }
    let at_once = (0..24).map(|n| app.log_in_at(["auth", "second"][n % 2], &ada));
    join_all(at_once).await;
    let last = app.log_in(&ada).await;
    assert_eq!(app.refresh(&last.refresh).await.0, 200);
    let left = open(&app, &ada).await;
    assert!((1..=3).contains(&left), "the next login brings it within the limit: {left}");
    assert_eq!(app.refresh(&of_bob.refresh).await.0, 200, "another user's go on");
    app.remove().await;
}
