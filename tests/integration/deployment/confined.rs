//! What the containers of the compose files may do, and who can reach them.

use serde_json::{Value, json};

use super::containers::COMPOSE;

const ON_POSTGRESQL: &str = include_str!("../../../deploy/temporal-postgresql/docker-compose.yml");
const DIGESTS: &str = include_str!("../../../deploy/local/digests.yml");
const PUBLISHED: &str = include_str!("../../../deploy/local/published.yml");
const DOCKERFILE: &str = include_str!("../../../Dockerfile");

fn services(text: &str) -> Vec<(String, Value)> {
    let compose: Value = serde_saphyr::from_str(text).unwrap();
    let all = compose["services"].as_object().unwrap().clone();
    all.into_iter().collect()
}

fn ports(one: &Value) -> Vec<String> {
    let ports = one["ports"].as_array().cloned().unwrap_or_default();
    ports.iter().map(|port| port.as_str().unwrap().to_owned()).collect()
}

#[test]
fn no_container_has_a_capability_or_can_get_one() {
    let mut seen = 0;
    for (name, one) in [services(COMPOSE), services(ON_POSTGRESQL)].concat() {
        assert_eq!(one["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(one["security_opt"], json!(["no-new-privileges:true"]), "{name}");
        for more in ["cap_add", "privileged", "devices", "network_mode", "pid", "ipc"] {
            assert_eq!(one.get(more), None, "{name}: {more}");
        }
        seen += 1;
    }
    assert!(seen > 12, "{seen}");
}

#[test]
fn what_asks_for_no_password_is_not_published_and_all_else_on_loopback_alone() {
    let all = services(COMPOSE);
    let of = |name: &str| ports(&all.iter().find(|(found, _)| found == name).unwrap().1);
    assert_eq!(of("mongo"), Vec::<String>::new());
    assert_eq!(of("rabbitmq"), ["127.0.0.1:15672:15672"]);
    assert_eq!(of("temporal"), ["127.0.0.1:8233:8233"]);
    let everything = [all.clone(), services(ON_POSTGRESQL), services(PUBLISHED)].concat();
    for (name, one) in everything {
        for port in ports(&one) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
    }
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

/// Each image of others, under the tag that is used without the digests.
#[test]
fn the_digests_are_of_the_tags_in_use() {
    let all = services(COMPOSE);
    let wanted = all.iter().filter(|(_, one)| one["profiles"].is_null());
    let wanted = wanted.map(|(_, one)| one["image"].as_str().unwrap());
    let mut wanted: Vec<&str> = wanted.filter(|image| *image != "onboard:local").collect();
    let bases = DOCKERFILE.lines().filter_map(|line| line.strip_prefix("ARG ")?.split_once('='));
    let bases: Vec<(&str, &str)> = bases.collect();
    wanted.extend(bases.iter().map(|(_, image)| *image));
    assert_eq!(wanted.len(), 5, "{wanted:?}");
    for image in wanted {
        let pinned = DIGESTS.split_once(&format!(" {image}@sha256:")).map(|(_, rest)| rest);
        let digest = pinned.and_then(|rest| rest.split_whitespace().next());
        let digest = digest.unwrap_or_else(|| panic!("{image} has no digest"));
        let is_hex = digest.chars().all(|char| char.is_ascii_hexdigit());
        assert!(digest.len() == 64 && is_hex, "{image}: {digest}");
    }
    for (name, _) in bases {
        assert!(
            DOCKERFILE.contains(&format!("FROM ${{{name}}}")) && DIGESTS.contains(name),
            "{name}"
        );
    }
    let built = all.iter().filter(|(_, one)| one["image"] == "onboard:local").map(|(name, _)| name);
    for name in built {
        assert!(DIGESTS.contains(&format!("\n  {name}: *onboard\n")), "{name}");
    }
}
