//! A customer with many networks is limited as one, and a flood of registrations leaves
//! places to logins.

use futures::future::join_all;
use serde_json::json;

use super::{client_at, limited};
use crate::harness::App;

/// Registers through a proxy, for a client.
async fn register(app: &App, client: &str) -> u16 {
    let url = format!("{}/api/v1/auth/register", app.url("auth"));
    let body = json!({ "email": app.address(), "password": "correct horse battery" });
    let request = client_at("127.0.0.9").post(url).json(&body).header("x-forwarded-for", client);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_customer_with_a_48_or_a_24_has_a_multiple_of_one_client() {
    let options = limited()
        .with("RATE_LIMIT_REGISTER", "1/1h")
        .with("RATE_LIMIT_EXEMPT", "2001:db8:5::/48")
        .with("TRUSTED_PROXIES", "127.0.0.9");
    let app = App::start_with(options).await;
    let count = async |clients: Vec<String>, status: u16| {
        let mut found = 0;
        for client in clients {
            found += usize::from(register(&app, &client).await == status);
        }
        found
    };
    let of_56 = (0..12).map(|n| format!("2001:db8:1:{n:x}::1")).collect();
    assert_eq!(count(of_56, 201).await, 4, "a /56");
    let of_48 = (1..24).map(|n| format!("2001:db8:1:{n:x}00::1")).collect();
    assert_eq!(count(of_48, 201).await, 12, "the rest of its /48");
    assert_eq!(register(&app, "2001:db8:2::1").await, 201, "another customer");
    let of_24 = (1..30).map(|n| format!("192.0.2.{n}")).collect();
    assert_eq!(count(of_24, 201).await, 16, "a /24");
    assert_eq!(register(&app, "::ffff:192.0.2.200").await, 429, "the same /24");
    assert_eq!(register(&app, "192.0.3.1").await, 201, "the next one");
    let exempt = (0..20).map(|n| format!("2001:db8:5:{n:x}::1")).collect();
    assert_eq!(count(exempt, 201).await, 20, "exempt");
    // Who is refused has taken nothing from its neighbours.
    let noisy = (0..40).map(|_| "198.51.100.1".to_owned()).collect();
    assert_eq!(count(noisy, 429).await, 39);
    assert_eq!(register(&app, "198.51.100.2").await, 201);
    app.remove().await;
}

#[tokio::test]
async fn logins_succeed_while_registrations_flood_the_hash_queue() {
    let options = limited()
        .with("RATE_LIMIT_EXEMPT", "127.0.0.0/8")
        .with("ARGON2_MEMORY_KIB", "16384")
        .with("ARGON2_ITERATIONS", "2")
        .with("HASH_THREADS", "1")
        .with("HASH_QUEUE", "4");
    let app = App::start_with(options).await;
    let account = app.account().await;
    let flood = async {
        let mut refused = 0;
        for _ in 0..10 {
            let addresses: Vec<String> = (0..24).map(|_| app.address()).collect();
            let answers = join_all(addresses.iter().map(|email| app.post_register(email))).await;
            refused += answers.iter().filter(|answer| answer.status() == 503).count();
        }
        refused
    };
    let logins = async {
        for _ in 0..20 {
            app.log_in(&account).await;
        }
    };
    let (refused, ()) = tokio::join!(flood, logins);
    assert!(refused > 100, "the queue was full: {refused}");
    app.remove().await;
}
