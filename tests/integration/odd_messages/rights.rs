//! Users of RabbitMQ with the rights of the page and no others.

use reqwest::Method;
use serde_json::json;

use crate::harness::{App, Options, Places, shared_servers};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/security.md"));
/// The processes that connect to RabbitMQ.
const PROCESSES: [&str; 2] = ["worker", "todo"];

#[tokio::test]
async fn each_process_works_with_the_rights_of_the_page_alone() {
    let amqp = Places::of(shared_servers().await).amqp_address;
    let mut options = Options::default().each_apart();
    for process in PROCESSES {
        let url = format!("amqp://{process}-{{id}}:secret@{amqp}/{{names}}");
        options = options.with_for(process, "AMQP_URL", &url);
    }
    let app = App::prepare_on_shared(options).await;
    for process in PROCESSES {
        allow(&app, process).await;
    }
    for component in ["auth", "relay", "worker", "todo"] {
        app.component(component).start().await.unwrap();
    }
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    assert!(app.publish_by_hand("junk").await);
    app.dead_letters_are(1).await;
    app.purge_dead_letters().await;
    app.give_up_an_acknowledgement().await;

    // What it may not declare stays away, and comes back by those that may.
    app.delete_queue().await;
    let waiting = app.register().await;
    app.reaches(waiting, "STARTED").await;
    assert!(app.onboard(&["setup"]).await.status.success());
    app.reaches(waiting, "ACKNOWLEDGED").await;
    for process in PROCESSES {
        app.management(Method::DELETE, &format!("users/{}", user(&app, process)), None).await;
    }
    app.finish().await;
}

fn user(app: &App, process: &str) -> String {
    format!("{process}-{}", app.id)
}

/// Makes the user of a process with what `rabbitmqctl` is given on the page.
async fn allow(app: &App, process: &str) {
    let (user, begin) = (user(app, process), format!("rabbitmqctl set_permissions {process} "));
    let line = PAGE.lines().find_map(|line| line.trim().strip_prefix(&begin)).unwrap();
    let rights: Vec<&str> = line.split(' ').map(|word| word.trim_matches('\'')).collect();
    let [configure, write, read] = rights[..] else { panic!("{line}") };
    let password = json!({ "password": "secret", "tags": "" });
    app.management(Method::PUT, &format!("users/{user}"), Some(password)).await;
    let rights = json!({ "configure": configure, "write": write, "read": read });
    let path = format!("permissions/{}/{user}", app.names);
    app.management(Method::PUT, &path, Some(rights)).await;
}

impl App {
    /// An acknowledgement of nobody's event, which the worker gives up.
    async fn give_up_an_acknowledgement(&self) {
        let body = json!({ "eventId": uuid::Uuid::now_v7(), "consumer": "crm" });
        let message = json!({ "properties": {}, "routing_key": "crm",
            "payload": body.to_string(), "payload_encoding": "string" });
        let path = format!("exchanges/{}/acknowledgements/publish", self.names);
        self.management(Method::POST, &path, Some(message)).await;
        crate::harness::eventually("it is a dead letter", async || {
            match self.peek("acknowledgements.dlq").await.len() {
                1 => Ok(()),
                letters => Err(letters),
            }
        })
        .await;
        let path = format!("queues/{}/acknowledgements.dlq/contents", self.names);
        self.management(Method::DELETE, &path, None).await;
    }
}
