//! `onboard setup` and the configuration of every command.

use std::process::Output;

use onboard::services::names;
use onboard_stack::Server;

use crate::harness::{App, ONBOARD, Options, own_servers, text};

#[tokio::test]
async fn setup_may_be_repeated_and_run_twice_at_once() {
    let app = App::prepare_on_shared(Options::default()).await;
    let (one, two) = tokio::join!(app.onboard(&["setup"]), app.onboard(&["setup"]));
    for output in [one, two, app.onboard(&["setup"]).await] {
        assert!(output.status.success(), "{}", text(&output));
    }
    app.remove().await;
}

#[tokio::test]
async fn setup_may_run_twice_at_once_on_new_servers() {
    let own = own_servers(&Server::ALL).await;
    let env = own.env();
    let env: Vec<(&str, &str)> = env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let (one, two) = tokio::join!(bare(&["setup"], &env), bare(&["setup"], &env));
    for output in [one, two] {
        assert!(output.status.success(), "{}", text(&output));
    }
}

#[tokio::test]
async fn setup_that_cannot_reach_a_server_exits_with_69_and_names_it() {
    let output = bare(
        &["setup", "--wait", "0s"],
        &[
            ("MONGODB_URI", "mongodb://127.0.0.1:1/?replicaSet=rs0"),
            ("AMQP_URL", "amqp://guest:guest@127.0.0.1:1/%2f"),
            ("TEMPORAL_ADDRESS", "127.0.0.1:1"),
            ("AUTH_SECRET", "of this test alone, and long enough"),
            ("ONBOARD_ENVIRONMENT", "local"),
        ],
    )
    .await;
    assert_eq!(output.status.code(), Some(69), "{}", text(&output));
    for server in ["mongo", "rabbitmq", "temporal"] {
        assert!(text(&output).contains(&format!("{server} ")), "{}", text(&output));
    }
    assert!(!text(&output).contains("guest:guest"), "no password is printed");
}

#[tokio::test]
async fn bad_configuration_is_named_all_at_once_and_exits_with_64() {
    for command in names().into_iter().chain(["setup"]) {
        let output = bare(
            &[command],
            &[
                ("ONBOARD_HTTP_ADDRESS", "nowhere"),
                ("ONBOARD_LOG_FORMAT", "loud"),
                ("SETUP_WAIT", "soon"),
            ],
        )
        .await;
        assert_eq!(output.status.code(), Some(64), "{command}: {}", text(&output));
        let said = text(&output);
        assert!(said.contains("MONGODB_URI") && said.contains("ONBOARD_LOG_FORMAT"), "{said}");
        let third = if command == "setup" { "SETUP_WAIT" } else { "ONBOARD_HTTP_ADDRESS" };
        assert!(said.contains(third), "{command}: {said}");
    }
}

#[tokio::test]
async fn wrong_usage_exits_with_2() {
    let output = bare(&["auth", "--no-such-flag"], &[]).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
}

/// The program with nothing but these variables.
async fn bare(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = tokio::process::Command::new(ONBOARD);
    command.args(args).env_clear().envs(env.iter().copied()).kill_on_drop(true);
    command.output().await.unwrap()
}
