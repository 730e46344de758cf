//! Reads containers and ports out of the files of the deployment, in a form that
//! the table of services can be compared with.

use std::collections::{BTreeMap, BTreeSet};

use onboard::services::{Entry, SERVICES};
use serde_json::{Value, json};

use super::manifests::Manifests;

pub(super) const COMPOSE: &str = include_str!("../../../docker-compose.yml");
const DOCKERFILE: &str = include_str!("../../../Dockerfile");
const PROMETHEUS: &str = include_str!("../../../deploy/observability/prometheus.yml");

/// Each container of the image in a compose file, `setup` apart, by its name.
pub(super) fn of_compose(text: &str) -> BTreeMap<String, Value> {
    let compose: Value = serde_saphyr::from_str(text).unwrap();
    let all = compose["services"].as_object().unwrap().iter();
    all.filter(|(name, one)| one["image"] == "onboard:local" && *name != "setup")
        .map(|(name, one)| {
            let said = json!({
                "container": one["container_name"],
                "command": one["command"],
                "address": one["environment"]["ONBOARD_HTTP_ADDRESS"],
                "ports": one["ports"],
                "healthcheck": one["healthcheck"]["test"],
            });
            (name.clone(), said)
        })
        .collect()
}

/// The same, as the services want it.
pub(super) fn wanted_of_compose() -> BTreeMap<String, Value> {
    let one = |Entry { container, name, port, .. }: &Entry| {
        let probed = format!("http://127.0.0.1:{port}/readyz");
        let said = json!({
            "container": container,
            "command": [name],
            "address": format!("0.0.0.0:{port}"),
            "ports": [format!("127.0.0.1:{port}:{port}")],
            "healthcheck": ["CMD", "onboard", "probe", probed],
        });
        ((*container).to_owned(), said)
    };
    SERVICES.iter().map(one).collect()
}

/// The ports on the `EXPOSE` line of the image.
pub(super) fn exposed() -> BTreeSet<u16> {
    let line = DOCKERFILE.lines().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap();
    line.split(' ').map(|port| port.parse().unwrap()).collect()
}

/// Each Deployment of the cluster with the ports of its containers.
pub(super) fn of_kubernetes(manifests: &Manifests) -> BTreeMap<String, Vec<u64>> {
    let ports = |name: &str| {
        let ports = manifests.container(name)["ports"].as_array().unwrap().iter();
        ports.map(|port| port["containerPort"].as_u64().unwrap()).collect()
    };
    manifests.names("Deployment").map(|name| (name.to_owned(), ports(name))).collect()
}

/// What Prometheus scrapes, with the label `service`.
pub(super) fn scraped() -> BTreeSet<(String, String)> {
    let prometheus: Value = serde_saphyr::from_str(PROMETHEUS).unwrap();
    let targets = prometheus["scrape_configs"][0]["static_configs"].as_array().unwrap().iter();
    let of = |one: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&one["targets"][0]), text(&one["labels"]["service"]))
    };
    targets.map(of).collect()
}
