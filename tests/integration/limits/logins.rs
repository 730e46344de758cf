//! Failed logins: they slow down whoever fails, and lock nobody out. The
//! tests' own address is exempt from limits by address all the while.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::{client_at, header};
use crate::harness::{App, Options};

const RIGHT: &str = "correct horse battery";

async fn login(app: &App, client: &Client, email: &str, password: &str) -> Response {
    let url = format!("{}/api/v1/auth/login", app.url("auth"));
    let body = json!({ "email": email, "password": password });
    client.post(url).json(&body).send().await.unwrap()
}

async fn status(app: &App, client: &Client, email: &str, password: &str) -> u16 {
    login(app, client, email, password).await.status().as_u16()
}

/// Fails until it is refused; how often that was, and the refusal.
async fn exhaust(app: &App, client: &Client, email: &str) -> (usize, Response) {
    for n in 0..40 {
        let answer = login(app, client, email, "wrong").await;
        if answer.status() == 429 {
            return (n, answer);
        }
        assert_eq!(answer.status(), 401, "{n}");
    }
    panic!("never refused");
}

#[tokio::test]
async fn twenty_failures_are_followed_by_a_wait_and_never_by_a_lockout() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let (ada, nobody) = ("ada@example.com", "nobody@example.com");
    assert_eq!(app.post_register(ada).await.status(), 201);
    let here = client_at("127.0.0.1");
    assert_eq!(status(&app, &here, ada, RIGHT).await, 200);

    let (failures, refused) = exhaust(&app, &here, ada).await;
    // One more may have come back meanwhile.
    assert!((20..=22).contains(&failures), "{failures}");
    let retry_after: u64 = header(refused.headers(), "retry-after").parse().unwrap();
    assert!((1..=15).contains(&retry_after), "{retry_after}");
    let policy = r#""login-account";q=20;w=300"#;
    assert_eq!(header(refused.headers(), "ratelimit-policy"), policy);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/rate-limited");

    let elsewhere = client_at("127.0.0.3");
    assert_eq!(status(&app, &elsewhere, ada, RIGHT).await, 200, "its owner, elsewhere");
    assert_eq!(status(&app, &here, "ADA@example.com", RIGHT).await, 429, "one account");
    let (unknown, _) = exhaust(&app, &here, nobody).await;
    assert!((20..=22).contains(&unknown), "an unknown address is counted alike: {unknown}");
    let (malformed, _) = exhaust(&app, &here, "no address").await;
    assert!((20..=22).contains(&malformed), "and so is what is none: {malformed}");
    assert!(app.counter("auth", "rate_limited_total", "login-account").await >= 4);

    // The time in Retry-After is what is tested here.
    tokio::time::sleep(Duration::from_secs(retry_after)).await;
    assert_eq!(status(&app, &here, ada, RIGHT).await, 200, "after the wait");
    let (again, _) = exhaust(&app, &here, ada).await;
    assert!((20..=22).contains(&again), "a success begins anew: {again}");
    app.remove().await;
}

#[tokio::test]
async fn many_networks_that_guess_at_one_account_come_to_wait_and_its_owner_does_not() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let ada = "ada@example.com";
    assert_eq!(app.post_register(ada).await.status(), 201);
    let home = client_at("127.0.0.1");
    assert_eq!(status(&app, &home, ada, RIGHT).await, 200);
    let mut last = Duration::ZERO;
    for n in 1..=45 {
        let begun = Instant::now();
        let from = client_at(&format!("127.0.1.{n}"));
        assert_eq!(status(&app, &from, ada, "wrong").await, 401, "nobody is refused");
        last = begun.elapsed();
    }
    assert!(last >= Duration::from_millis(900), "strangers wait by now: {last:?}");
    let stranger = client_at("127.0.2.1");
    let (home, stranger) = tokio::join!(timed(&app, &home, ada), timed(&app, &stranger, ada));
    assert!(home < stranger, "home does not wait: {home:?}, {stranger:?}");
    assert!(stranger >= Duration::from_millis(900), "{stranger:?}");
    app.remove().await;
}

/// Whom the queue of the hasher refuses has used a try: nobody keeps it full for nothing.
#[tokio::test]
async fn a_login_that_the_full_queue_refuses_has_cost_its_network_a_try() {
    let options = Options::only(&["auth"])
        .with("ARGON2_MEMORY_KIB", "65536")
        .with("ARGON2_ITERATIONS", "4")
        .with("HASH_THREADS", "1")
        .with("HASH_QUEUE", "0");
    let app = App::start_with(options).await;
    let (ada, here) = ("ada@example.com", client_at("127.0.0.1"));
    assert_eq!(app.post_register(ada).await.status(), 201);
    assert_eq!(status(&app, &here, ada, RIGHT).await, 200, "it is known from now on");
    let at_once = join_all((0..40).map(|_| status(&app, &here, ada, "wrong"))).await;
    let count = |status: u16| at_once.iter().filter(|found| **found == status).count();
    assert!(count(503) > 0 && count(401) > 0, "{at_once:?}");
    let tried = count(503) + count(401);
    // One more may have come back meanwhile.
    assert!((20..=22).contains(&tried), "{at_once:?}");
    app.remove().await;
}

/// How long a login with the right password takes.
async fn timed(app: &App, client: &Client, email: &str) -> Duration {
    let begun = Instant::now();
    assert_eq!(status(app, client, email, RIGHT).await, 200);
    begun.elapsed()
}
