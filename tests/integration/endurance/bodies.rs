//! Bodies that no consumer can hold, on a broker that takes them.

use onboard_stack::Server;

use crate::harness::{Options, whole_machine, with_own};

const LARGE: usize = 80 * 1024 * 1024;
const COUNT: u32 = 8;
/// Half of the todo service's memory limit in `deploy/kubernetes`.
const LIMIT_KIB: u64 = 128 * 1024;

#[tokio::test]
async fn eight_bodies_of_80_mb_stay_under_the_memory_limit() {
    let _machine = whole_machine().await;
    let (app, own) = with_own(Server::Rabbitmq, Options::only(&["todo"]).apart(&["todo"])).await;
    own.rabbitmqctl(&["eval", "application:set_env(rabbit, max_message_size, 536870912)."]).await;
    app.ready("todo").await;
    let body = vec![b'x'; LARGE];
    for _ in 0..COUNT {
        assert!(app.publish_bytes(&body).await.unwrap());
        app.publish_event_by_hand().await;
    }
    app.acked(COUNT.into()).await;
    app.dead_letters_are(COUNT).await;
    let peak = peak_kib(app.component("todo").status().pid.unwrap());
    eprintln!("the todo service's peak: {} MiB", peak / 1024);
    assert!(peak < LIMIT_KIB, "{peak} KiB");

    let examined = app.tool(&["doctor"]).await.json;
    let largest = |one: &&serde_json::Value| one["check"] == "largest message";
    let largest = examined["findings"].as_array().unwrap().iter().find(largest).cloned();
    assert_eq!(largest.unwrap()["verdict"], "warn", "{examined}");
    let listed = app.tool(&["list"]).await.yes();
    assert_eq!(listed["deadLetters"]["byReason"]["too_large"], COUNT, "{listed}");
    // The letters that were looked at are back in their queue.
    app.dead_letters_are(COUNT).await;
    let order = ["redrive", "--dead-letters", "--discard", "--reason", "nobody sends films"];
    let done = app.tool(&order).await.yes();
    assert_eq!(done["acts"]["discard"], COUNT, "{done}");
    app.remove().await;
}

/// The largest resident set of a process so far.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}
