//! Limits by client address and by account, and what bounds connections.
//!
//! Clients come from other loopback addresses where a test needs several.

mod connections;
mod devices;
mod headers;
mod logins;
mod prefixes;

use reqwest::header::HeaderMap;
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::harness::{App, Options};

/// A client with an address of its own.
pub(crate) fn client_at(address: &str) -> Client {
    Client::builder().local_address(Some(address.parse().unwrap())).build().unwrap()
}

/// Auth alone, with no address exempt.
fn limited() -> Options {
    Options::only(&["auth"]).with("RATE_LIMIT_EXEMPT", "")
}

async fn register(app: &App, client: &Client, email: &str) -> Response {
    let url = format!("{}/api/v1/auth/register", app.url("auth"));
    let body = json!({ "email": email, "password": "correct horse battery" });
    client.post(url).json(&body).send().await.unwrap()
}

async fn statuses(requests: impl Iterator<Item = impl Future<Output = Response>>) -> Vec<u16> {
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(request.await.status().as_u16());
    }
    statuses
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn an_address_that_registers_too_often_hears_when_to_come_back() {
    let app = App::start_with(limited().with("RATE_LIMIT_REGISTER", "3/1h")).await;
    for (left, most) in [(2, 1200), (1, 2400), (0, 1200)] {
        let answer = register(&app, &app.http, &app.address()).await;
        assert_eq!(answer.status(), 201);
        let headers = answer.headers();
        assert_eq!(header(headers, "ratelimit-policy"), r#""register-address";q=3;w=3600"#);
        let standing = header(headers, "ratelimit");
        let reset = standing.strip_prefix(&format!("\"register-address\";r={left};t="));
        let reset: u32 = reset.unwrap_or_else(|| panic!("{standing}")).parse().unwrap();
        // The bucket has refilled since the first registration.
        assert!((most - 100..=most).contains(&reset), "{standing}");
    }
    let refused = register(&app, &app.http, &app.address()).await;
    assert_eq!(refused.status(), 429);
    let headers = refused.headers().clone();
    let retry_after: u32 = header(&headers, "retry-after").parse().unwrap();
    assert!((1100..=1200).contains(&retry_after), "{retry_after}");
    let standing = format!("\"register-address\";r=0;t={retry_after}");
    assert_eq!(header(&headers, "ratelimit"), standing);
    assert_eq!(header(&headers, "ratelimit-policy"), r#""register-address";q=3;w=3600"#);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/rate-limited");

    let other = register(&app, &client_at("127.0.0.2"), &app.address()).await;
    assert_eq!(other.status(), 201, "another address has a bucket of its own");
    let limited = app.counter("auth", "rate_limited_total", "register-address").await;
    assert_eq!(limited, 1);
    let elsewhere = app.http.get(format!("{}/api/v1/registrations/x", app.url("auth")));
    assert_eq!(elsewhere.send().await.unwrap().status(), 404, "the rest has its own limit");
    app.remove().await;
}

#[tokio::test]
async fn logging_in_and_refreshing_share_a_limit_and_the_rest_shares_another() {
    let options = limited().with("RATE_LIMIT_LOGIN", "4/1h").with("RATE_LIMIT_API", "3/1h");
    let app = App::start_with(options).await;
    let post = |path: &str| {
        let url = format!("{}/api/v1/auth/{path}", app.url("auth"));
        let body = json!({ "email": "a@example.com", "password": "x", "refreshToken": "x" });
        app.http.post(url).json(&body).send()
    };
    for path in ["login", "refresh", "login", "refresh"] {
        assert_ne!(post(path).await.unwrap().status(), 429, "{path}");
    }
    for path in ["login", "refresh"] {
        assert_eq!(post(path).await.unwrap().status(), 429, "{path}");
    }
    let read = |path: &'static str| {
        let request = app.http.get(format!("{}{path}", app.url("auth"))).send();
        async { request.await.unwrap() }
    };
    let rest = ["/api/v1/registrations/x", "/api/v1/users/me", "/nothing", "/problems/internal"];
    let answers = statuses(rest.into_iter().map(read)).await;
    assert_eq!(answers[3], 429, "{answers:?}");
    assert!(!answers[..3].contains(&429), "{answers:?}");
    for watched in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(read(watched).await.status(), 200, "{watched} is never limited");
    }
    assert_eq!(register(&app, &app.http, &app.address()).await.status(), 201);
    app.remove().await;
}

#[tokio::test]
async fn the_todo_service_is_limited_too_and_off_means_off() {
    let options = Options::only(&["auth", "todo"])
        .with("RATE_LIMIT_EXEMPT", "")
        .with_for("todo", "RATE_LIMIT_API", "2/1h")
        .with_for("auth", "RATE_LIMIT_API", "off")
        .with_for("auth", "RATE_LIMIT_REGISTER", "off")
        .with_for("auth", "RATE_LIMIT_LOGIN", "off");
    let app = App::start_with(options).await;
    let read = |service: &'static str| {
        let request = app.http.get(format!("{}/api/v1/todos/x", app.url(service))).send();
        async { request.await.unwrap() }
    };
    let todo = statuses((0..4).map(|_| read("todo"))).await;
    assert!(todo[1] != 429 && todo[2..] == [429, 429], "{todo:?}");
    let auth = statuses((0..320).map(|_| read("auth"))).await;
    assert!(auth.iter().all(|status| *status == 404), "{auth:?}");
    app.remove().await;
}

#[tokio::test]
async fn an_exempt_network_has_no_limit_by_address_and_every_account_has_one() {
    let options = Options::only(&["auth"])
        .with("RATE_LIMIT_EXEMPT", "127.0.0.1,10.0.0.0/8")
        .with("RATE_LIMIT_REGISTER", "1/1h");
    let app = App::start_with(options).await;
    for _ in 0..3 {
        let answer = register(&app, &app.http, &app.address()).await;
        assert_eq!(answer.status(), 201);
        assert!(!answer.headers().contains_key("ratelimit"), "{:?}", answer.headers());
    }
    let other = client_at("127.0.0.2");
    let answers = statuses((0..2).map(|_| register(&app, &other, "twice@example.com"))).await;
    assert_eq!(answers, [201, 429], "not exempt");

    let spellings = ["One@example.com", "one@example.com"];
    let tries = (0..110).map(|n| register(&app, &app.http, spellings[n % 2]));
    let answers = statuses(tries).await;
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!(count(201), 1, "{answers:?}");
    let (taken, limited) = (count(409), count(429));
    assert!(taken >= 99 && limited >= 1 && taken + limited == 109, "{answers:?}");
    let counted = app.counter("auth", "rate_limited_total", "register-account").await;
    assert_eq!(counted, limited as u64);
    app.remove().await;
}

#[tokio::test]
async fn clients_that_a_trusted_proxy_does_not_name_share_one_limit_and_are_counted() {
    let options = limited()
        .with("RATE_LIMIT_REGISTER", "1/1h")
        .with("RATE_LIMIT_EXEMPT", "127.0.0.9")
        .with("TRUSTED_PROXIES", "127.0.0.9,10.42.0.0/16");
    let app = App::start_with(options).await;
    let proxy = client_at("127.0.0.9");
    let mut answers = Vec::new();
    // Two clients in a network that is trusted as a whole, and one that is not named.
    for chain in [Some("10.42.0.7"), Some("10.42.0.8, 10.42.0.1"), None] {
        let url = format!("{}/api/v1/auth/register", app.url("auth"));
        let body = json!({ "email": app.address(), "password": "correct horse battery" });
        let request = proxy.post(url).json(&body);
        let request = match chain {
            Some(chain) => request.header("x-forwarded-for", chain),
            None => request,
        };
        answers.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(answers, [201, 429, 429], "the exemption of the proxy holds for none of them");
    let counted = async |why| app.counter("auth", "unnamed_clients_total", why).await;
    assert_eq!((counted("all_trusted").await, counted("no_header").await), (2, 1));
    app.remove().await;
}

#[tokio::test]
async fn who_the_client_is_is_believed_from_a_trusted_proxy_alone() {
    let options =
        limited().with("RATE_LIMIT_REGISTER", "1/1h").with("TRUSTED_PROXIES", "127.0.0.9/32");
    let app = App::start_with(options).await;
    let (proxy, stranger) = (client_at("127.0.0.9"), client_at("127.0.0.2"));
    let from = |client: &Client, name: &'static str, value: &'static str| {
        let url = format!("{}/api/v1/auth/register", app.url("auth"));
        let body = json!({ "email": app.address(), "password": "correct horse battery" });
        let request = client.post(url).json(&body).header(name, value);
        async { request.send().await.unwrap().status().as_u16() }
    };
    let table = [
        (&proxy, "x-forwarded-for", "192.0.2.1", 201),
        (&proxy, "x-forwarded-for", "203.0.113.1, 192.0.2.1", 429),
        (&proxy, "forwarded", "for=192.0.2.1;proto=https", 429),
        (&proxy, "x-forwarded-for", "192.0.2.2", 201),
        (&proxy, "forwarded", "for=\"[2001:db8::1]:4711\"", 201),
        (&proxy, "x-forwarded-for", "2001:db8::2", 429),
        (&proxy, "x-forwarded-for", "junk", 201),
        (&proxy, "x-forwarded-for", "192.0.2.3, unknown", 429),
        (&stranger, "x-forwarded-for", "192.0.2.4", 201),
        (&stranger, "x-forwarded-for", "192.0.2.5", 429),
        (&stranger, "forwarded", "for=192.0.2.6", 429),
    ];
    for (client, name, value, expected) in table {
        assert_eq!(from(client, name, value).await, expected, "{name}: {value}");
    }
    app.remove().await;
}
