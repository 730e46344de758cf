//! What a clean system is told, and what is told when there is no verdict.

use crate::harness::{App, text};

#[tokio::test]
async fn a_finished_system_is_clean() {
    let app = App::start().await;
    app.finished(6).await;
    app.is_clean().await;
    let (code, report) = app.audit(&["--grace", "0s"]).await;
    assert_eq!(code, 0);
    for (field, count) in [
        ("attempted", 6),
        ("acknowledged", 6),
        ("lost", 0),
        ("duplicated", 0),
        ("unexpected", 0),
        ("unfinished", 0),
        ("inFlight", 0),
        ("histories", 6),
    ] {
        assert_eq!(report[field], count, "{field}: {report:#}");
    }
    let printed = text(&app.onboard(&["audit", "--grace", "0s"]).await);
    assert!(printed.contains("Nothing is lost"), "{printed}");
    assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
    app.finish().await;
}

#[tokio::test]
async fn without_one_of_the_servers_there_is_no_verdict() {
    let app = App::prepare_on_shared(crate::harness::Options::only(&[])).await;
    for (server, option, nowhere) in [
        ("MongoDB", "--mongodb-uri", "mongodb://127.0.0.1:1/?directConnection=true"),
        ("RabbitMQ", "--amqp-url", "amqp://guest:guest@127.0.0.1:1/nowhere"),
        ("Temporal", "--temporal-address", "127.0.0.1:1"),
    ] {
        let output = app.onboard(&["audit", option, nowhere]).await;
        assert_eq!(output.status.code(), Some(69), "{server}: {}", text(&output));
        assert!(output.stdout.is_empty(), "{server}: {}", text(&output));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(server), "{said}");
    }
    let output = app.onboard(&["audit", "--grace", "soon"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    app.remove().await;
}
