//! The owner of an account that is attacked from many networks, with a device token.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use reqwest::{Client, Response};
use serde_json::json;

use super::{client_at, header};
use crate::harness::{App, Options, eventually};

const RIGHT: &str = "correct horse battery";

async fn login(
    app: &App,
    component: &str,
    client: &Client,
    (email, password): (&str, &str),
    cookie: Option<&str>,
) -> Response {
    let url = format!("{}/api/v1/auth/login", app.url(component));
    let body = json!({ "email": email, "password": password });
    let request = client.post(url).json(&body);
    let request = match cookie {
        Some(cookie) => request.header("cookie", cookie),
        None => request,
    };
    request.send().await.unwrap()
}

/// The cookie of an answer as a client sends it back.
fn cookie_of(answer: &Response) -> String {
    let set = header(answer.headers(), "set-cookie");
    assert!(set.starts_with("onboard_device="), "{set}");
    set.split(';').next().unwrap().to_owned()
}

/// Fails at the account from a network, until it is over; counts the answers.
async fn attack(app: &App, component: &str, n: usize, email: &str, seen: &Seen) {
    // Each in a /24 of its own.
    let clients: Vec<Client> =
        (0..8).map(|network| client_at(&format!("127.{}.{network}.1", 10 + n))).collect();
    for client in clients.iter().cycle() {
        if seen.over.load(Ordering::SeqCst) {
            return;
        }
        let answer = login(app, component, client, (email, "wrong"), None).await;
        match answer.status().as_u16() {
            401 => seen.failed.fetch_add(1, Ordering::SeqCst),
            429 => seen.refused.fetch_add(1, Ordering::SeqCst),
            other => panic!("{other}"),
        };
    }
}

#[derive(Default)]
struct Seen {
    over: AtomicBool,
    failed: AtomicUsize,
    refused: AtomicUsize,
}

/// The attacked process has never seen the owner: it has started after the owner's login at
/// another one, and the owner comes from a network that nobody knows.
#[tokio::test]
async fn an_owner_with_a_device_token_logs_in_while_the_account_is_attacked() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let ada = "ada@example.com";
    assert_eq!(app.post_register(ada).await.status(), 201);
    let answer = login(&app, "auth", &app.http, (ada, RIGHT), None).await;
    assert_eq!(answer.status(), 200);
    let cookie = cookie_of(&answer);
    let set = header(answer.headers(), "set-cookie");
    for attribute in ["; Path=/api/v1/auth", "; Max-Age=7776000", "; HttpOnly", "; SameSite=Strict"]
    {
        assert!(set.contains(attribute), "{attribute}: {set}");
    }
    assert!(!set.contains("ada"), "{set}");
    let bob = "bob@example.com";
    assert_eq!(app.post_register(bob).await.status(), 201);
    let of_bob = cookie_of(&login(&app, "auth", &app.http, (bob, RIGHT), None).await);
    app.component("auth").kill().await.unwrap();
    app.ready("auth").await;

    let seen = Seen::default();
    let owner = async {
        eventually("strangers are refused", async || {
            let refused = seen.refused.load(Ordering::SeqCst);
            if refused > 20 { Ok(()) } else { Err(refused) }
        })
        .await;
        let home = client_at("127.99.1.1");
        for n in 0..10 {
            let answer = login(&app, "auth", &home, (ada, RIGHT), Some(&cookie)).await;
            assert_eq!(answer.status(), 200, "{n}");
        }
        // It is of this account alone, and a bent one is none.
        let bent = cookie.replace('=', "=A");
        for (net, other) in [(98, &bent), (97, &of_bob)] {
            let mut refused = 0;
            for n in 1..=10 {
                let client = client_at(&format!("127.{net}.{n}.1"));
                let answer = login(&app, "auth", &client, (ada, RIGHT), Some(other)).await;
                refused += u32::from(answer.status() == 429);
            }
            assert!(refused > 0, "without a token of this user it is a stranger: {net}");
        }
        seen.over.store(true, Ordering::SeqCst);
    };
    let attackers = join_all((0..12).map(|n| attack(&app, "auth", n, ada, &seen)));
    let both = async { tokio::join!(owner, attackers) };
    tokio::time::timeout(Duration::from_mins(3), both).await.expect("the owner gets in");
    assert!(seen.failed.load(Ordering::SeqCst) > 10);
    app.remove().await;
}
