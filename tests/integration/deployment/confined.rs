//! What the containers of the compose files may do, and who can reach them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::containers::COMPOSE;

const ON_POSTGRESQL: &str = include_str!("../../../deploy/temporal-postgresql/docker-compose.yml");
const DIGESTS: &str = include_str!("../../../deploy/local/digests.yml");
const DOCKERFILE: &str = include_str!("../../../Dockerfile");
const ABOUT_DOCKER: &str = include_str!("../../../docs/docker.md");

/// Every port that is published, by file and container: number here, number in the container.
const ALLOWED: [(&str, &str, &[&str]); 15] = [
    ("docker-compose.yml", "rabbitmq", &["15672:15672"]),
    ("docker-compose.yml", "temporal", &["8233:8233"]),
    ("docker-compose.yml", "auth-service", &["4001:4001"]),
    ("docker-compose.yml", "todo-service", &["4002:4002"]),
    ("docker-compose.yml", "relay", &["4003:4003"]),
    ("docker-compose.yml", "worker", &["4004:4004"]),
    ("docker-compose.yml", "prometheus", &["9090:9090"]),
    ("docker-compose.yml", "grafana", &["3000:3000"]),
    ("docker-compose.yml", "otel-collector", &["4317:4317", "4318:4318"]),
    ("docker-compose.yml", "jaeger", &["16686:16686"]),
    ("deploy/local/published.yml", "mongo", &["27017:27017"]),
    ("deploy/local/published.yml", "rabbitmq", &["5672:5672"]),
    ("deploy/local/published.yml", "temporal", &["7233:7233"]),
    ("deploy/temporal-postgresql/docker-compose.yml", "temporal", &["7233:7233", "8000:8000"]),
    ("deploy/temporal-postgresql/docker-compose.yml", "ui", &["8233:8080"]),
];

/// Images of others that `deploy/local/digests.yml` does not name; docs/docker.md says why.
const BY_TAG_ALONE: [&str; 8] = [
    "prom/prometheus:v3.5.0",
    "grafana/grafana:12.1.1",
    "otel/opentelemetry-collector:0.135.0",
    "jaegertracing/jaeger:2.10.0",
    "postgres:16.10",
    "temporalio/admin-tools:1.31.0",
    "temporalio/server:1.31.0",
    "temporalio/ui:2.49.1",
];

/// Every compose file of the repository, found by its contents, with its text.
fn compose_files() -> Vec<(String, String)> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let listed = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-z", "*.yml", "*.yaml"])
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let read = |name: &str| std::fs::read_to_string(root.join(name)).ok();
    let files = listed.split('\0').filter_map(|name| Some((name.to_owned(), read(name)?)));
    files.filter(|(_, text)| text.contains("\nservices:\n")).collect()
}

fn services(text: &str) -> Vec<(String, Value)> {
    let compose: Value = serde_saphyr::from_str(text).unwrap();
    let all = compose["services"].as_object().unwrap().clone();
    all.into_iter().collect()
}

fn ports(one: &Value) -> Vec<String> {
    let ports = one["ports"].as_array().cloned().unwrap_or_default();
    ports.iter().map(|port| port.as_str().unwrap().to_owned()).collect()
}

/// An image as a compose file names it, without a digest.
fn tagged(image: &str) -> String {
    image.split('@').next().unwrap().to_owned()
}

#[test]
fn no_container_has_a_capability_or_can_get_one() {
    let mut seen = 0;
    for (name, one) in [services(COMPOSE), services(ON_POSTGRESQL)].concat() {
        assert_eq!(one["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(one["security_opt"], json!(["no-new-privileges:true"]), "{name}");
        seen += 1;
    }
    // Nor by an overlay.
    for (file, text) in compose_files() {
        for (name, one) in services(&text) {
            for more in ["cap_add", "privileged", "devices", "network_mode", "pid", "ipc"] {
                assert_eq!(one.get(more), None, "{file}: {name}: {more}");
            }
        }
    }
    assert!(seen > 12, "{seen}");
}

#[test]
fn each_published_port_of_each_compose_file_is_one_of_the_list_and_on_loopback() {
    let mut published = BTreeMap::new();
    for (file, text) in compose_files() {
        for (name, one) in services(&text) {
            let ports = ports(&one);
            if !ports.is_empty() {
                published.insert((file.clone(), name), ports);
            }
        }
    }
    let allowed = ALLOWED.map(|(file, name, ports)| {
        let on_loopback = ports.iter().map(|port| format!("127.0.0.1:{port}"));
        ((file.to_owned(), name.to_owned()), on_loopback.collect::<Vec<_>>())
    });
    assert_eq!(published, BTreeMap::from(allowed));
}

#[test]
fn the_credentials_of_the_compose_file_can_be_this_machines_own() {
    let password = "${RABBITMQ_PASSWORD:-guest}";
    let all = services(COMPOSE);
    for (name, one) in all {
        for (setting, value) in one["environment"].as_object().into_iter().flatten() {
            let value = value.to_string();
            match setting.as_str() {
                "AMQP_URL" | "RABBITMQ_DEFAULT_PASS" => {
                    assert!(value.contains(password), "{name}: {setting}");
                }
                "AUTH_SECRET" => assert!(value.contains("${AUTH_SECRET:-"), "{name}"),
                _ => assert!(!value.contains("guest:"), "{name}: {setting}"),
            }
        }
    }
}

/// Each image of others, in every compose file and in the Dockerfile.
fn images() -> BTreeSet<String> {
    let bases = DOCKERFILE.lines().filter_map(|line| line.strip_prefix("ARG ")?.split_once('='));
    let mut images: BTreeSet<String> = bases.map(|(_, image)| image.to_owned()).collect();
    for (_, text) in compose_files() {
        let named = services(&text).into_iter().filter_map(|(_, one)| {
            one["image"].as_str().filter(|image| *image != "onboard:local").map(tagged)
        });
        images.extend(named);
    }
    images
}

#[test]
fn every_image_of_others_has_a_digest_or_is_named_as_one_without() {
    let mut pinned = BTreeSet::new();
    for word in DIGESTS.split_whitespace() {
        let Some((image, digest)) = word.split_once("@sha256:") else { continue };
        let is_hex = digest.chars().all(|char| char.is_ascii_hexdigit());
        assert!(digest.len() == 64 && is_hex, "{word}");
        assert!(pinned.insert(image.to_owned()), "{image} twice");
    }
    let by_tag = BTreeSet::from(BY_TAG_ALONE.map(str::to_owned));
    assert_eq!(pinned.intersection(&by_tag).count(), 0);
    let known: BTreeSet<String> = pinned.union(&by_tag).cloned().collect();
    assert_eq!(images(), known, "under the tags in use");
    for image in BY_TAG_ALONE {
        assert!(ABOUT_DOCKER.contains(&format!("`{image}`")), "docs/docker.md names {image}");
    }
}

#[test]
fn the_digests_reach_every_container_and_both_bases() {
    let all = services(COMPOSE);
    for (_, one) in all.iter().filter(|(_, one)| one["profiles"].is_null()) {
        let image = one["image"].as_str().unwrap();
        let pinned = DIGESTS.contains(&format!(" image: {image}@sha256:"));
        assert!(pinned || image == "onboard:local", "{image}");
    }
    let bases = DOCKERFILE.lines().filter_map(|line| line.strip_prefix("ARG ")?.split_once('='));
    for (name, image) in bases {
        assert!(DOCKERFILE.contains(&format!("FROM ${{{name}}}")), "{name}");
        assert!(DIGESTS.contains(&format!(" {name}: {image}@sha256:")), "{name}");
    }
    let built = all.iter().filter(|(_, one)| one["image"] == "onboard:local").map(|(name, _)| name);
    for name in built {
        assert!(DIGESTS.contains(&format!("\n  {name}: *onboard\n")), "{name}");
    }
}

/// Of all containers `setup` alone has every server's address, the secret and the consumers.
#[test]
fn the_documents_name_one_way_to_run_a_tool_and_its_container_knows_every_server() {
    let (_, setup) = services(COMPOSE).into_iter().find(|(name, _)| name == "setup").unwrap();
    for setting in ["MONGODB_URI", "AMQP_URL", "TEMPORAL_ADDRESS", "AUTH_SECRET", "EXTRA_CONSUMERS"]
    {
        assert!(setup["environment"].get(setting).is_some(), "{setting}");
    }
    for (name, text) in [
        ("README.md", include_str!("../../../README.md")),
        ("docs/docker.md", ABOUT_DOCKER),
        ("docs/runbook.md", include_str!("../../../docs/runbook.md")),
        ("0067", include_str!("../../../docs/adr/0067-containers-that-can-do-little.md")),
    ] {
        assert!(text.contains("`docker compose run --rm --no-deps setup "), "{name}");
        for container in ["todo-service", "auth-service", "worker", "relay"] {
            let other = format!("docker compose exec {container} onboard");
            assert!(!text.contains(&other), "{name}: {other}");
        }
    }
}
