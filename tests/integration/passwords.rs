//! Passwords: what is accepted, and that they are kept exactly.

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use mongodb::bson::doc;

use crate::harness::{App, Heard, Options};

async fn register(app: &App, email: &str, password: &str) -> Heard {
    app.register_with("auth", None, email, password).await.unwrap()
}

#[tokio::test]
async fn what_is_guessed_first_is_refused_with_words_that_help() {
    let app = App::start_with(Options::only(&["auth"])).await;
    for (password, words) in [
        ("sevench", "at least 8 characters"),
        ("password", "most common"),
        ("PassWord1", "most common"),
        ("12345678", "most common"),
        ("Grace.Hopper@Compiler.example", "e-mail address"),
        ("grace.hopper", "e-mail address"),
        ("compiler", "e-mail address"),
        ("OnBoard2026", "name of this service"),
        (&"x".repeat(1025), "at most 1024 bytes"),
    ] {
        let refused = register(&app, "Grace.Hopper@Compiler.example", password).await;
        assert_eq!((refused.status, refused.problem()), (422, "validation-failed"), "{password}");
        assert_eq!(refused.body["errors"][0]["pointer"], "#/password", "{}", refused.body);
        let detail = refused.body["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{password}: {detail}");
        let repeated = refused.body.to_string().replace("#/password", "").contains(password);
        assert!(!repeated || password == "password", "it is repeated: {password}");
    }
    assert_eq!(app.counts().await, (0, 0, 0));
    app.remove().await;
}

/// The hash of a password as it is typed, as released builds have made it.
fn hash_as_typed(password: &str) -> String {
    let params = argon2::Params::new(8, 1, 1, None).unwrap();
    let hasher = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hash: argon2::password_hash::phc::PasswordHash =
        hasher.hash_password(password.as_bytes()).unwrap();
    hash.to_string()
}

async fn log_in(app: &App, email: &str, password: &str) -> u16 {
    let body = serde_json::json!({ "email": email, "password": password });
    app.post("auth", "/api/v1/auth/login", &body).await.0
}

#[tokio::test]
async fn one_password_typed_composed_and_decomposed_logs_in() {
    let app = App::start_with(Options::only(&["auth"])).await;
    for (one, other) in [
        ("caf\u{e9} au lait", "cafe\u{301} au lait"),
        ("cafe\u{301} au lait", "caf\u{e9} au lait"),
        ("\u{ac01} and more", "\u{1100}\u{1161}\u{11a8} and more"),
        ("with a\u{3000}blank", "with a blank"),
        ("with a blank", "with\u{a0}a\u{2003}blank"),
    ] {
        let email = app.address();
        assert_eq!(register(&app, &email, one).await.status, 201, "{one:?}");
        assert_eq!(log_in(&app, &email, one).await, 200, "{one:?}");
        assert_eq!(log_in(&app, &email, other).await, 200, "{one:?} typed as {other:?}");
        assert_eq!(log_in(&app, &email, "something else \u{e9}").await, 401);
        assert_eq!(log_in(&app, &email, "something else e\u{301}").await, 401);
    }
    app.remove().await;
}

#[tokio::test]
async fn a_hash_of_what_was_typed_still_logs_in_and_is_replaced() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let (email, typed, other) = (app.address(), "cafe\u{301} au lait", "caf\u{e9} au lait");
    assert_eq!(register(&app, &email, "another password").await.status, 201);
    let (users, this) = (app.users().await, doc! { "email": &email });
    let old = hash_as_typed(typed);
    let set = doc! { "$set": { "passwordHash": &old } };
    users.update_one(this.clone(), set).await.unwrap();
    assert_eq!(log_in(&app, &email, other).await, 401, "nobody has typed it so before");
    assert_eq!(log_in(&app, &email, typed).await, 200);
    let user = users.find_one(this).await.unwrap().unwrap();
    let new = user.get_str("passwordHash").unwrap();
    assert_ne!(new, old);
    assert!(Argon2::default().verify_password(other.as_bytes(), new).is_ok());
    assert_eq!(log_in(&app, &email, other).await, 200);
    assert_eq!(log_in(&app, &email, typed).await, 200);
    app.remove().await;
}

/// Nothing is cut, trimmed or folded: each differs from the other only where
/// something that does so would not look.
#[tokio::test]
async fn a_password_is_kept_exactly() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let long = |bytes: usize, last: &str| format!("{}{last}", "p".repeat(bytes));
    let pairs = [
        (long(72, "a"), long(72, "b")),
        (long(128, "a"), long(128, "b")),
        (long(1000, "a"), long(1000, "b")),
        (long(1023, "a"), long(1023, "b")),
        ("full width \u{ff21}".into(), "full width A".into()),
        ("with a blank ".into(), "with a blank".into()),
        ("nul\0 and after".into(), "nul\0 and other".into()),
        ("Upper and lower".into(), "upper and lower".into()),
        ("four 🐎🐎🐎🐎".into(), "four 🐎🐎🐎🐴".into()),
    ];
    for (password, other) in pairs {
        let email = app.address();
        let made = register(&app, &email, &password).await;
        assert_eq!(made.status, 201, "{password}: {}", made.body);
        let user = app.users().await.find_one(doc! { "email": &email }).await.unwrap().unwrap();
        let hash = user.get_str("passwordHash").unwrap();
        let verify = |text: &str| Argon2::default().verify_password(text.as_bytes(), hash).is_ok();
        assert!(verify(&password), "{password:?}");
        assert!(!verify(&other), "{password:?} is not {other:?}");
    }
    app.remove().await;
}

#[tokio::test]
async fn calibration_proposes_settings_that_the_service_accepts() {
    let app = App::prepare_on_shared(Options::only(&["auth"])).await;
    let args = ["calibrate", "--json", "--target", "20ms", "--threads", "1"];
    let output = app.onboard(&args).await;
    assert!(output.status.success(), "{}", crate::harness::text(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let proposed = &report["proposed"];
    let (memory, iterations) =
        (proposed["memoryKib"].as_u64().unwrap(), proposed["iterations"].as_u64().unwrap());
    let floor = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];
    assert!(floor.iter().any(|&(m, t)| memory >= m && iterations >= t), "{report:#}");
    let rows = report["measured"].as_array().unwrap();
    assert!(rows.len() >= 3 && rows.iter().all(|row| row["p50Ms"].as_f64().unwrap() > 0.0));

    let table = app.onboard(&["calibrate", "--target", "20ms", "--threads", "1"]).await;
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(
        table.contains("ARGON2_MEMORY_KIB=") && table.contains("ARGON2_ITERATIONS="),
        "{table}"
    );
    let wrong = app.onboard(&["calibrate", "--target", "soon"]).await;
    assert_eq!(wrong.status.code(), Some(64), "{}", crate::harness::text(&wrong));
    app.remove().await;
}
