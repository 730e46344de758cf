//! The tools on a terminal of 80 columns and in a pipe: exit codes, width, and no line
//! that is not a sentence or a table.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::harness::{App, ONBOARD, Operated, Options, PASSWORD, Printed, eventually};

const COLUMNS: u16 = 80;

/// `onboard` as a person calls it beside the running `up`.
fn onboard(operated: &Operated, args: &[&str]) -> Command {
    let mut command = Command::new(ONBOARD);
    command.args(args).current_dir(operated.dir()).env_remove("ONBOARD_HOME").kill_on_drop(true);
    command
}

async fn on_terminal(operated: &Operated, args: &[&str]) -> Printed {
    Printed::on_terminal(onboard(operated, args), COLUMNS, &[]).await
}

/// On the terminal and in the pipe: this exit code, and sentences that fit.
async fn is_fine(operated: &Operated, args: &[&str], code: i32) {
    let shown = on_terminal(operated, args).await;
    assert_eq!(shown.code, Some(code), "{args:?}: {}", shown.text);
    assert!(shown.fits(COLUMNS.into()), "{args:?}: {}", shown.text);
    assert!(shown.is_plain(), "{args:?}: {}", shown.text);
    let piped = Printed::in_pipe(onboard(operated, args)).await;
    assert_eq!(piped.code, Some(code), "{args:?}: {}", piped.text);
    assert!(piped.is_plain(), "{args:?}: {}", piped.text);
}

/// Registers with the password in a pipe; the one line that is printed.
async fn register(operated: &Operated, email: &str) -> String {
    let mut command = onboard(operated, &["register", email]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let line = format!("{PASSWORD}\n");
    child.stdin.take().unwrap().write_all(line.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

async fn a_registration_is_followed_on_one_line(operated: &Operated) {
    let said = register(operated, "ada@example.com").await;
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!((said.lines().count(), words.last()), (1, Some(&"ACKNOWLEDGED")), "{said}");
    assert!(words[0].parse::<uuid::Uuid>().is_ok(), "{said}");

    let args = ["register", "grace.hopper.with.a.rather.long.name@navy.example.com"];
    let typed = [("Password: ", PASSWORD), ("Password again: ", PASSWORD)];
    let shown = Printed::on_terminal(onboard(operated, &args), COLUMNS, &typed).await;
    assert_eq!(shown.code, Some(0), "{}", shown.text);
    assert!(!shown.text.contains(PASSWORD), "no echo: {}", shown.text);
    assert!(shown.text.trim_end().ends_with(" ACKNOWLEDGED"), "{}", shown.text);
    assert!(shown.fits(COLUMNS.into()), "{}", shown.text);

    let differs = [("Password: ", PASSWORD), ("Password again: ", "another one")];
    let shown = Printed::on_terminal(onboard(operated, &args), COLUMNS, &differs).await;
    assert_eq!(shown.code, Some(2), "{}", shown.text);
    let again = Printed::on_terminal(onboard(operated, &args), COLUMNS, &typed).await;
    assert_eq!(again.code, Some(1), "the address is taken: {}", again.text);
    assert!(again.is_plain() && again.text.contains("taken"), "{}", again.text);
}

async fn redrive_all_asks_first(operated: &Operated) {
    let args = ["redrive", "--all"];
    let piped = Printed::in_pipe(onboard(operated, &args)).await;
    assert_eq!(piped.code, Some(2), "{}", piped.text);
    assert!(piped.text.contains("--reason, or --yes"), "{}", piped.text);
    for (answer, code) in [("n", 1), ("", 1), ("y", 0)] {
        let typed = [("[y/N] ", answer)];
        let shown = Printed::on_terminal(onboard(operated, &args), COLUMNS, &typed).await;
        assert_eq!(shown.code, Some(code), "{answer:?}: {}", shown.text);
        assert!(shown.fits(COLUMNS.into()), "{}", shown.text);
    }
    for said in [&["redrive", "--all", "--yes"][..], &["redrive", "--all", "--reason", "a test"]] {
        is_fine(operated, said, 0).await;
    }
}

async fn completions_are_printed(operated: &Operated) {
    for shell in ["bash", "zsh", "fish"] {
        let printed = Printed::in_pipe(onboard(operated, &["completions", shell])).await;
        assert_eq!(printed.code, Some(0), "{}", printed.text);
        assert!(printed.text.contains("consumers"), "{}", printed.text);
        assert!(printed.text.contains("events"), "{}", printed.text);
    }
}

/// A component that waits for another one says so at once, and `list` shows the cause.
async fn what_waits_says_for_what(operated: &Operated) {
    for component in ["rabbitmq", "todo"] {
        is_fine(operated, &["stop", component], 0).await;
    }
    let begun = Instant::now();
    let started = on_terminal(operated, &["start", "todo"]).await;
    assert_eq!(started.code, Some(1), "{}", started.text);
    let said = started.words();
    assert!(said.contains("todo runs and waits for rabbitmq, which is stopped"), "{said}");
    assert!(said.contains("`onboard start rabbitmq`"), "{said}");
    assert!(begun.elapsed() < Duration::from_mins(1), "it waited for {:?}", begun.elapsed());
    assert!(started.fits(COLUMNS.into()) && started.is_plain(), "{}", started.text);

    let mut waiting = onboard(operated, &["register", "eve@example.com", "--wait", "2s"]);
    let mut waiting = waiting.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let line = format!("{PASSWORD}\n");
    waiting.stdin.take().unwrap().write_all(line.as_bytes()).await.unwrap();
    assert_eq!(waiting.wait().await.unwrap().code(), Some(1), "it is not at its end");
    eventually("the cause of the failed publish is shown", async || {
        let shown = on_terminal(operated, &["list"]).await;
        assert!(shown.fits(COLUMNS.into()) && shown.is_plain(), "{}", shown.text);
        // RabbitMQ cannot be asked for dead letters either.
        assert_eq!(shown.code, Some(69), "{}", shown.text);
        if shown.words().contains("RabbitMq: ") { Ok(()) } else { Err(shown.text) }
    })
    .await;
    let piped = Printed::in_pipe(onboard(operated, &["list"])).await;
    let row = piped.text.lines().find(|line| line.contains(" STARTED "));
    assert!(row.is_some_and(|row| row.contains("RabbitMq: ")), "one line: {}", piped.text);
    is_fine(operated, &["start", "rabbitmq"], 0).await;
    operated.all_ready().await;
    eventually("it is acknowledged", async || {
        let shown = on_terminal(operated, &["show", "eve@example.com"]).await;
        if shown.code == Some(0) { Ok(()) } else { Err(shown.text) }
    })
    .await;
}

#[tokio::test]
async fn every_command_says_sentences_and_tables_that_fit_a_terminal() {
    let operated = Operated::up(&[]).await;
    a_registration_is_followed_on_one_line(&operated).await;
    let commands: [(&[&str], i32); 27] = [
        (&["status"], 0),
        (&["list"], 0),
        (&["list", "--stage", "ACKNOWLEDGED"], 0),
        (&["show", "ada@example.com"], 0),
        (&["show", "nobody@example.com"], 1),
        (&["audit", "--grace", "1h"], 0),
        (&["users", "list"], 0),
        (&["users", "list", "--limit", "1"], 0),
        (&["users", "show", "grace.hopper.with.a.rather.long.name@navy.example.com"], 0),
        (&["keys", "rotate", "--after", "1h"], 0),
        (&["keys", "list"], 0),
        (&["events"], 0),
        (&["events", "--user", "ada@example.com", "--since", "24h"], 0),
        (&["events", "--kind", "nothing"], 2),
        (&["events", "--kind", "registered"], 2),
        (&["events", "--kind", "registered", "--user", "ada@example.com"], 0),
        (&["consumers", "list"], 0),
        (&["doctor"], 0),
        (&["redrive", "--all", "--dry-run"], 0),
        (&["redrive"], 2),
        (&["setup"], 0),
        (&["config"], 0),
        (&["env"], 0),
        (&["--help"], 0),
        (&["redrive", "--help"], 0),
        (&["chaos", "--minutes", "1", "--seed", "1", "--plan"], 0),
        (&["consumers", "retire"], 2),
    ];
    for (args, code) in commands {
        is_fine(&operated, args, code).await;
    }
    let usage = Printed::in_pipe(onboard(&operated, &["show"])).await;
    assert_eq!(usage.code, Some(2), "{}", usage.text);
    assert!(usage.text.contains("show [OPTIONS] <ID or E-MAIL>"), "{}", usage.text);
    let registered =
        Printed::in_pipe(onboard(&operated, &["events", "--kind", "registered"])).await;
    assert!(registered.text.contains("--user <ID or E-MAIL>"), "{}", registered.text);
    redrive_all_asks_first(&operated).await;
    completions_are_printed(&operated).await;
    what_waits_says_for_what(&operated).await;
    operated.down().await;
}

/// A server, what names it, and the words that a reader needs.
const UNUSABLE: [(&str, &str, &str); 4] = [
    (
        "MONGODB_URI",
        "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=500",
        "MongoDB does not answer",
    ),
    ("AMQP_URL", "amqp://guest:guest@127.0.0.1:1/x", "RabbitMQ does not answer"),
    ("AMQP_URL", "amqp://guest:wrong@{amqp}/x", "RabbitMQ refuses the user or the password"),
    ("TEMPORAL_ADDRESS", "127.0.0.1:1", "Temporal does not answer"),
];

#[tokio::test]
async fn a_server_that_cannot_be_used_is_named_in_a_sentence_and_the_chain_is_behind_verbose() {
    let app = App::prepare_on_shared(Options::only(&[])).await;
    for (variable, place, words) in UNUSABLE {
        let place = place.replace("{amqp}", &app.places.amqp_address);
        let command = |args: &[&str]| {
            let mut command = app.command(args);
            command.env(variable, &place).env_remove("RUST_LOG");
            command
        };
        let all: [&[&str]; 3] = [&["list"], &["doctor"], &["setup", "--wait", "0s"]];
        for args in all {
            let printed = Printed::on_terminal(command(args), COLUMNS, &[]).await;
            assert!(printed.words().contains(words), "{args:?} {place}: {}", printed.text);
            let fits = printed.fits(COLUMNS.into());
            assert!(printed.is_plain() && fits, "{args:?} {place}: {}", printed.text);
            assert_ne!(printed.code, Some(0), "{args:?} {place}");
            let piped = Printed::in_pipe(command(args)).await;
            assert!(piped.is_plain() && piped.text.contains(words), "{args:?}: {}", piped.text);
        }
        let verbose = Printed::in_pipe(command(&["list", "--verbose"])).await;
        assert!(!verbose.is_plain() && verbose.text.contains(words), "{}", verbose.text);
    }
    app.remove().await;
}
