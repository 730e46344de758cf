//! Who is registered cannot be found out: by a login never, by a registration
//! not in silent mode.

mod statistics;

use std::time::{Duration, Instant};

use mongodb::bson::doc;
use serde_json::json;

use crate::harness::{App, Heard, Options, PASSWORD};

/// Everything of an answer but what differs between any two.
fn shape(heard: &Heard, email: &str) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<(String, String)> = heard
        .headers
        .iter()
        .filter(|(name, _)| *name != "date" && *name != "traceresponse")
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (heard.status, headers, heard.body.to_string().replace(email, "<email>"))
}

async fn silent(quantum: &str) -> App {
    let options = Options::only(&["auth"])
        .with("REGISTRATION_MODE", "silent")
        .with("REGISTRATION_QUANTUM", quantum);
    App::start_with(options).await
}

#[tokio::test]
async fn a_taken_address_is_answered_like_a_free_one() {
    let app = silent("100ms").await;
    // As long as the addresses that are free.
    let taken = app.address();
    let first = app.register_with("auth", None, &taken, PASSWORD).await.unwrap();
    assert_eq!((first.status, first.body.as_object().unwrap().len()), (202, 1), "{first:?}");
    assert_eq!(first.header("location"), None);
    for known in [taken.clone(), taken.to_uppercase()] {
        let free = app.address();
        let free_answer = app.register_with("auth", None, &free, PASSWORD).await.unwrap();
        let taken_answer = app.register_with("auth", None, &known, PASSWORD).await.unwrap();
        assert_eq!(shape(&taken_answer, &known), shape(&free_answer, &free));
        assert_eq!(shape(&free_answer, &free), shape(&first, &taken));
    }
    let users = app.users().await.count_documents(doc! {}).await.unwrap();
    assert_eq!(users, 3, "silence registers nobody twice");
    app.remove().await;
}

/// With a key too: the repeat, another request with the same key, and a repeat
/// after that are answered the same.
#[tokio::test]
async fn a_key_does_not_tell_a_taken_address_either() {
    let app = silent("100ms").await;
    let taken = app.address();
    app.register_with("auth", None, &taken, PASSWORD).await.unwrap();
    let free = app.address();
    let other = "another password";
    for (known_key, free_key, password) in [
        ("k1", "f1", PASSWORD),
        ("k1", "f1", PASSWORD),
        ("k1", "f1", other),
        ("k1", "f1", PASSWORD),
        ("k2", "f2", other),
        ("k2", "f2", other),
    ] {
        let known = app.keyed(known_key, &taken, password).await;
        let fresh = app.keyed(free_key, &free, password).await;
        let differing = |heard: &Heard, email: &str| {
            let (status, headers, body) = shape(heard, email);
            let trace = heard.body["traceId"].as_str().unwrap_or("<no trace>").to_owned();
            (status, headers, body.replace(&trace, "<trace>"))
        };
        assert_eq!(differing(&known, &taken), differing(&fresh, &free), "{known_key} {password}");
    }
    app.remove().await;
}

/// Explicit is the default, and a key that met a taken address in silence is
/// told the truth when the mode is changed.
#[tokio::test]
async fn the_mode_is_a_setting_and_explicit_is_the_default() {
    let options = Options::only(&["auth"])
        .and("auth-2", "auth")
        .with_for("auth-2", "REGISTRATION_MODE", "silent")
        .with_for("auth-2", "REGISTRATION_QUANTUM", "50ms");
    let app = App::start_with(options).await;
    let taken = app.address();
    assert_eq!(app.post_register(&taken).await.status(), 201);
    assert_eq!(app.post_register(&taken).await.status(), 409);
    let silent = app.register_with("auth-2", Some("k"), &taken, PASSWORD).await.unwrap();
    assert_eq!(silent.status, 202);
    let told = app.register_with("auth", Some("k"), &taken, PASSWORD).await.unwrap();
    assert_eq!((told.status, told.problem()), (409, "email-taken"));
    app.remove().await;
}

/// Free and taken addresses in turns. A rank test finds no difference, and the
/// medians differ by less than a quarter of what one hash takes here.
#[tokio::test]
async fn the_time_of_an_answer_does_not_tell_a_taken_address() {
    let app = silent("300ms").await;
    let taken = app.address();
    app.register_with("auth", None, &taken, PASSWORD).await.unwrap();
    let (mut of_free, mut of_taken) = (Vec::new(), Vec::new());
    for turn in 0..30 {
        let free = app.address();
        let mut order = [(&free, &mut of_free), (&taken, &mut of_taken)];
        if turn % 2 == 1 {
            order.reverse();
        }
        for (email, times) in order {
            let began = Instant::now();
            let heard = app.register_with("auth", None, email, PASSWORD).await.unwrap();
            times.push(began.elapsed().as_secs_f64());
            assert_eq!(heard.status, 202);
        }
    }
    let hash_s = floor_hash_s();
    let apart = (statistics::median(&of_free) - statistics::median(&of_taken)).abs();
    assert!(apart < hash_s / 4.0, "{apart} s between the medians; a hash takes {hash_s} s");
    let least = of_free.iter().chain(&of_taken).copied().fold(f64::MAX, f64::min);
    assert!(least >= Duration::from_millis(299).as_secs_f64(), "no answer leaves early: {least}");
    let z = statistics::rank_sum_z(&of_free, &of_taken);
    assert!(z.abs() < 4.0, "z = {z}: {of_free:?} {of_taken:?}");
    app.remove().await;
}

/// Known, unknown and malformed addresses in turns, each with a wrong password
/// and hashed at the default cost. No rank test finds a difference, and the
/// medians differ by less than a half of what one hash takes here: skipping
/// the hash where there is no account would differ by a whole one.
#[tokio::test]
async fn a_login_does_not_tell_who_is_registered_in_words_or_in_time() {
    const ROUNDS: usize = 24;
    let options = Options::only(&["auth"])
        .with("ONBOARD_INSECURE_HASHING", "no")
        .with("ARGON2_MEMORY_KIB", "19456")
        .with("ARGON2_ITERATIONS", "2");
    let app = App::start_with(options).await;
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut shapes = Vec::new();
    for round in 0..ROUNDS {
        let known = app.account().await.email;
        let addresses = [known, app.address(), app.address().replace('@', "-")];
        for turn in 0..addresses.len() {
            let kind = (round + turn) % addresses.len();
            let body = json!({ "email": addresses[kind], "password": "not the password" });
            let began = Instant::now();
            let answer = app.try_post("auth", "/api/v1/auth/login", &body).await.unwrap();
            let mut heard = Heard::of(answer).await.unwrap();
            times[kind].push(began.elapsed().as_secs_f64());
            assert_eq!(heard.status, 401, "{heard:?}");
            heard.body["traceId"].take();
            shapes.push(shape(&heard, &addresses[kind]));
        }
    }
    shapes.dedup();
    assert_eq!(shapes.len(), 1, "{shapes:?}");
    let hash_s = floor_hash_s();
    let [known, unknown, malformed] = &times;
    for (name, other) in [("unknown", unknown), ("malformed", malformed)] {
        let apart = (statistics::median(known) - statistics::median(other)).abs();
        assert!(apart < hash_s / 2.0, "{name}: {apart} s apart; a hash takes {hash_s} s");
        let z = statistics::rank_sum_z(known, other);
        assert!(z.abs() < 4.0, "{name}: z = {z}: {known:?} {other:?}");
    }
    app.remove().await;
}

/// The time of a hash with the default parameters, the median of some.
fn floor_hash_s() -> f64 {
    let times: Vec<f64> = (0..9)
        .map(|_| {
            let (began, mut tag) = (Instant::now(), [0; 32]);
            let argon2 = argon2::Argon2::default();
            argon2.hash_password_into(b"correct horse", &[7; 16], &mut tag).unwrap();
            began.elapsed().as_secs_f64()
        })
        .collect();
    statistics::median(&times)
}
