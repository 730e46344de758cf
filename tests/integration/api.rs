//! The API describes itself, and what it describes is what is there.

use onboard::services::names;
use serde_json::Value;

use crate::harness::{App, Options};
use crate::schemas::gate;

/// The services with an API of their own.
const DESCRIBED: [&str; 2] = ["auth", "todo"];

#[tokio::test]
async fn the_services_describe_themselves_and_show_it_without_help_from_elsewhere() {
    let app = App::start_with(Options::only(&DESCRIBED)).await;
    for service in DESCRIBED {
        let (status, kind, text) = read(&app, service, "/openapi.json").await;
        assert_eq!((status, kind.as_str()), (200, "application/json"), "{service}");
        let description: Value = serde_json::from_str(&text).unwrap();
        assert!(description["openapi"].as_str().unwrap().starts_with("3.1"), "{service}");
        assert!(!description["paths"].as_object().unwrap().is_empty(), "{service}");
        gate::hold_api(&format!("openapi-{service}"), &description);
        for name in references(&description) {
            assert!(description.pointer(&name[1..]).is_some(), "{service}: {name} leads nowhere");
        }
        let (status, kind, page) = read(&app, service, "/docs").await;
        assert_eq!((status, kind.as_str()), (200, "text/html; charset=utf-8"), "{service}");
        for part in page.split('"').filter(|part| part.starts_with('/')) {
            assert_eq!(read(&app, service, part).await.0, 200, "{service}: {part}");
        }
    }
    app.remove().await;
}

#[tokio::test]
async fn every_problem_type_leads_to_its_explanation() {
    let app = App::start().await;
    for service in names() {
        for kind in onboard_http::Kind::ALL {
            let path = format!("/problems/{}", kind.slug());
            let (status, _, text) = read(&app, service, &path).await;
            let explained: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(status, 200, "{service}: {path}");
            assert_eq!(explained["type"], path, "{service}");
            assert_eq!(explained["status"], kind.status().as_u16(), "{service}: {path}");
        }
        assert_eq!(read(&app, service, "/problems/none").await.0, 404, "{service}");
    }
    app.finish().await;
}

/// Status, media type and body.
async fn read(app: &App, service: &str, path: &str) -> (u16, String, String) {
    let answer = app.http.get(format!("{}{path}", app.url(service))).send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (answer.status().as_u16(), kind, answer.text().await.unwrap())
}

/// Every `$ref` of a description.
fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(text) if name == "$ref" => vec![text.as_str()],
                other => references(other),
            })
            .collect(),
        Value::Array(array) => array.iter().flat_map(references).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
