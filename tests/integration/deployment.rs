//! The files of the deployment against the program that they run.
//!
//! `.ci/kubernetes` holds the manifests against Kubernetes' schemas; what only we
//! know is held here: settings, ports, paths, times, the version.

mod confined;
mod containers;
mod manifests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onboard::services::{Entry, SERVICES, names};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use self::manifests::Manifests;
use crate::harness::{ONBOARD, text};

/// What the Secrets of a cluster might hold; nothing answers there.
const SECRETS: [(&str, &str); 4] = [
    ("mongodb-uri", "mongodb://onboard:hunter2@127.0.0.1:1/?replicaSet=rs0&tls=true"),
    ("amqp-url", "amqps://onboard:hunter2@127.0.0.1:1/%2f"),
    ("auth-secret", "0123456789abcdef0123456789abcdef"),
    ("temporal-api-key", "hunter2"),
];

/// The memory limit of a service's pod, in bytes, and its settings.
pub(crate) fn shipped(name: &str) -> (u64, BTreeMap<String, String>) {
    let manifests = Manifests::read();
    let limit = manifests.container(name)["resources"]["limits"]["memory"].as_str().unwrap();
    let mib: u64 = limit.strip_suffix("Mi").unwrap().parse().unwrap();
    (mib << 20, manifests.settings(name))
}

#[tokio::test]
async fn every_setting_of_a_pod_is_one_of_its_program() {
    let manifests = Manifests::read();
    for name in names().into_iter().chain(["setup"]) {
        let help = Command::new(ONBOARD).args([name, "--help"]).output().await.unwrap();
        // Without the breaks that wrap it.
        let help = text(&help).split_whitespace().collect::<Vec<_>>().join(" ");
        let known = |setting: &str| {
            ["=", "]"].iter().any(|end| help.contains(&format!("[env: {setting}{end}")))
        };
        let settings = manifests.settings(name);
        let unknown: Vec<&String> = settings.keys().filter(|setting| !known(setting)).collect();
        assert_eq!(unknown, Vec::<&String>::new(), "{name}");
    }
}

#[tokio::test]
async fn the_proxies_of_the_production_overlay_are_a_placeholder_that_must_be_set() {
    let manifests = Manifests::read();
    let placeholder = manifests.of_production("TRUSTED_PROXIES");
    for name in ["auth", "todo"] {
        let output = Command::new(ONBOARD)
            .arg(name)
            .env_clear()
            .envs(manifests.settings(name))
            .env("TRUSTED_PROXIES", placeholder)
            .output()
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(64), "{}", text(&output));
        assert!(text(&output).contains(&format!("TRUSTED_PROXIES: {placeholder:?}")), "{name}");
    }
}

#[tokio::test]
async fn in_production_every_service_starts_with_the_settings_of_its_pod() {
    let manifests = Manifests::read();
    let mounted = tempfile::tempdir().unwrap();
    for (key, secret) in SECRETS {
        std::fs::write(mounted.path().join(key), secret).unwrap();
    }
    for name in names() {
        let mut settings = manifests.settings(name);
        settings.extend(Manifests::of_temporal_api_key(name));
        assert!(!settings.contains_key("ONBOARD_ENVIRONMENT"), "{name} is in production");
        let allowed = settings.get("ALLOW_UNPROTECTED").map(String::as_str);
        assert_eq!(allowed, (name == "todo").then_some("jwks"), "{name}");
        let here = mounted.path().display().to_string();
        let mut running = Command::new(ONBOARD)
            .arg(name)
            .env_clear()
            .envs(settings.iter().map(|(k, v)| (k, v.replace("/run/secrets/onboard", &here))))
            .env("ONBOARD_HTTP_ADDRESS", "127.0.0.1:0")
            .env("ONBOARD_MANAGEMENT_ADDRESS", "127.0.0.1:0")
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let listens = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                said.push_str(&line);
                if line.contains("listening for HTTP") {
                    return true;
                }
            }
            false
        };
        let listens = tokio::time::timeout(Duration::from_mins(1), listens).await;
        assert_eq!(listens, Ok(true), "{name}: {said}");
        running.kill().await.unwrap();
    }
}

#[test]
fn ports_and_paths_are_those_of_the_services() {
    let manifests = Manifests::read();
    for entry in &SERVICES {
        let (name, port, second) = (entry.name, entry.port, entry.management_port);
        let container = manifests.container(name);
        assert_eq!(container["args"], json!([name]));
        let http = second.map(|_| json!({ "name": "http", "containerPort": port }));
        let management = json!({ "name": "management", "containerPort": entry.health_port() });
        let ports: Vec<_> = http.into_iter().chain([management]).collect();
        assert_eq!(container["ports"], json!(ports));
        // Of the manifests, so that the try on one machine has it, too.
        let address = manifests.settings(name).remove("ONBOARD_MANAGEMENT_ADDRESS");
        assert_eq!(address, second.map(|port| format!("0.0.0.0:{port}")), "{name}");
        for (probe, path) in [
            ("startupProbe", "/healthz"),
            ("livenessProbe", "/healthz"),
            ("readinessProbe", "/readyz"),
        ] {
            let asked = &container[probe]["httpGet"];
            assert_eq!(asked["port"], "management", "{name} {probe}");
            let asked = asked["path"].as_str().unwrap();
            assert_eq!(asked.split('?').next(), Some(path), "{name} {probe}");
        }
        // A check of readiness may take two seconds.
        assert!(container["readinessProbe"]["timeoutSeconds"].as_u64() > Some(2), "{name}");
        let service = manifests.find("Service", name);
        assert_eq!(service.is_some(), ["auth", "todo"].contains(&name), "{name}");
        if let Some(service) = service {
            let ports = json!([{ "name": "http", "port": port, "targetPort": "http" }]);
            assert_eq!(service["spec"]["ports"], ports, "{name}: no health, no metrics");
        }
        opens_to_whom_it_concerns(&manifests, entry);
    }
    // Todos are there while the broker is away.
    let asked = &manifests.container("todo")["readinessProbe"]["httpGet"]["path"];
    assert_eq!(asked, "/readyz?exclude=rabbitmq&exclude=temporal");
    let jwks = &manifests.settings("todo")["JWKS_URL"];
    assert_eq!(jwks, "http://auth:4001/.well-known/jwks.json");
}

/// Prometheus reaches health and metrics and not the API; who asks the API does not reach
/// health and metrics.
fn opens_to_whom_it_concerns(manifests: &Manifests, service: &Entry) {
    let policy = manifests.find("NetworkPolicy", service.name).unwrap();
    for rule in policy["spec"]["ingress"].as_array().unwrap() {
        let watches = rule["from"].to_string().contains(r#""monitoring""#);
        let port = if watches { service.health_port() } else { service.port };
        let open = json!([{ "protocol": "TCP", "port": port }]);
        assert_eq!(rule["ports"], open, "{}: {rule}", service.name);
        assert!(!watches || rule["from"].as_array().unwrap().len() == 1, "{rule}");
    }
}

#[test]
fn containers_and_their_ports_are_those_of_the_services() {
    assert_eq!(containers::of_compose(containers::COMPOSE), containers::wanted_of_compose());
    let ports = SERVICES.iter().flat_map(|service| [Some(service.port), service.management_port]);
    let ports: BTreeSet<u16> = ports.flatten().collect();
    assert_eq!(containers::exposed(), ports, "EXPOSE");
    let pods = SERVICES.iter().map(|one| {
        let ports = [Some(one.port), one.management_port].into_iter().flatten();
        (one.name.to_owned(), ports.map(u64::from).collect())
    });
    let pods: BTreeMap<String, Vec<u64>> = pods.collect();
    assert_eq!(containers::of_kubernetes(&Manifests::read()), pods);
    let target = |one: &Entry| (format!("{}:{}", one.container, one.port), one.name.to_owned());
    let targets: BTreeSet<_> = SERVICES.iter().map(target).collect();
    assert_eq!(containers::scraped(), targets);
}

#[test]
fn a_container_that_differs_from_its_service_is_seen() {
    for (right, wrong) in [
        ("127.0.0.1:4003:4003", "127.0.0.1:4005:4003"),
        ("ONBOARD_HTTP_ADDRESS: 0.0.0.0:4004", "ONBOARD_HTTP_ADDRESS: 0.0.0.0:4001"),
        ("http://127.0.0.1:4002/readyz", "http://127.0.0.1:4002/healthz"),
        ("  auth-service:\n", "  auth:\n"),
        ("command: [worker]", "command: [relay]"),
    ] {
        let changed = containers::COMPOSE.replace(right, wrong);
        assert_ne!(changed, containers::COMPOSE, "{right}");
        assert_ne!(containers::of_compose(&changed), containers::wanted_of_compose(), "{wrong}");
    }
}

#[test]
fn a_pod_has_longer_to_end_than_its_service_may_take() {
    let manifests = Manifests::read();
    for (name, most) in SERVICES.iter().map(|service| (service.name, service.stop_max)) {
        let delay = manifests.settings(name).get("SHUTDOWN_DELAY").map_or(0, |delay| {
            let seconds = delay.strip_suffix('s').expect("in seconds");
            seconds.parse().unwrap()
        });
        let given = manifests.pod(name)["terminationGracePeriodSeconds"].as_u64().unwrap();
        // Five seconds for a machine that is busy.
        let most = most + Duration::from_secs(delay + 5);
        assert!(Duration::from_secs(given) >= most, "{name}: {given} s, may take {most:?}");
        // Those that others call say first that they go.
        assert_eq!(delay > 0, manifests.find("Service", name).is_some(), "{name}");
    }
}

/// Each package of the program, with a manifest of each that Cargo.lock names.
#[test]
fn the_image_is_built_with_every_package() {
    let sent: Vec<&str> = include_str!("../../.dockerignore").lines().collect();
    let workspace = include_str!("../../Cargo.toml").lines();
    let paths = workspace.filter_map(|line| line.split_once("path = \"")?.1.split('"').next());
    let mut packages = 0;
    for path in paths {
        let top = path.split('/').next().unwrap();
        let is_sent = |part: &str| sent.contains(&format!("!{part}").as_str());
        assert!(is_sent(top) && (top != "examples" || is_sent(path)), "{path} is not sent");
        packages += 1;
    }
    assert!(packages > 20, "{packages}");
}

#[test]
fn the_image_is_of_this_version() {
    let manifests = Manifests::read();
    let version = format!("tag: {}", env!("CARGO_PKG_VERSION"));
    for (file, kustomization) in manifests.kustomizations() {
        for image in kustomization["images"].as_array().unwrap() {
            assert_eq!(image["name"], "onboard");
            let tag = image["newTag"].as_str().unwrap();
            let local = file.ends_with("kind/kustomization.yaml") && tag == "local";
            assert!(local || format!("tag: {tag}") == version, "{file}: {tag}");
        }
    }
}

#[test]
fn no_pod_can_do_more_than_its_work() {
    let manifests = Manifests::read();
    let mut accounts = BTreeSet::new();
    for name in names().into_iter().chain(["setup"]) {
        let (pod, container) = (manifests.pod(name), manifests.container(name));
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        assert_eq!(pod["enableServiceLinks"], false, "{name}");
        let account = pod["serviceAccountName"].as_str().unwrap();
        assert!(accounts.insert(account), "{name} has its own");
        let user = &pod["securityContext"];
        assert_eq!(user["runAsNonRoot"], true, "{name}");
        assert_eq!((&user["runAsUser"], &user["runAsGroup"]), (&json!(10001), &json!(10001)));
        assert_eq!(user["seccompProfile"], json!({ "type": "RuntimeDefault" }), "{name}");
        let locked = json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        });
        assert_eq!(container["securityContext"], locked, "{name}");
        for bound in ["requests", "limits"] {
            let bound = &container["resources"][bound];
            assert!(bound["cpu"].is_string() && bound["memory"].is_string(), "{name}");
        }
        // A secret is a file, never a variable, and is its service's own.
        let secret = &pod["volumes"][0]["secret"];
        assert_eq!(secret["secretName"], format!("onboard-{name}"));
        for (setting, value) in manifests.settings(name) {
            let is_file = setting.ends_with("_FILE");
            assert_eq!(is_file, value.starts_with("/run/secrets/"), "{name}: {setting}");
        }
    }
    assert_eq!(manifests.find("Secret", ""), None, "no secret is in the repository");
    let dockerfile = include_str!("../../Dockerfile");
    assert!(dockerfile.contains("\nUSER 10001:10001\n"), "the user of the image");
}

/// What a person reads first is what is there.
#[test]
fn the_readme_names_every_secret_and_its_keys() {
    let manifests = Manifests::read();
    let readme = include_str!("../../deploy/kubernetes/README.md");
    for name in names().into_iter().chain(["setup"]) {
        let secret = &manifests.pod(name)["volumes"][0]["secret"];
        let keys = secret["items"].as_array().unwrap().iter();
        let keys: Vec<String> =
            keys.map(|item: &Value| format!("`{}`", item["key"].as_str().unwrap())).collect();
        let row = format!("| `onboard-{name}` | {} |", keys.join(", "));
        assert!(readme.contains(&row), "{row}");
    }
}

/// The alerts and the dashboard ask for `up{job="onboard",service="auth"}`; the
/// operator's own `job` would be another.
#[test]
fn the_pods_have_the_labels_that_the_alerts_ask_for() {
    let monitor = Manifests::pod_monitor();
    let endpoints = monitor["spec"]["podMetricsEndpoints"].as_array().unwrap();
    let label = "__meta_kubernetes_pod_label_app_kubernetes_io_name";
    let wanted = serde_json::json!([
        { "targetLabel": "job", "replacement": "onboard" },
        { "sourceLabels": [label], "targetLabel": "service" },
    ]);
    for endpoint in endpoints {
        assert_eq!(endpoint["port"], "management");
        assert_eq!(endpoint["relabelings"], wanted);
    }
    let scraped = &monitor["spec"]["selector"]["matchExpressions"][0];
    assert_eq!(scraped["key"], "app.kubernetes.io/name");
    let alerts = include_str!("../../deploy/observability/alerts.yml");
    for name in names() {
        assert!(scraped["values"].as_array().unwrap().contains(&name.into()), "{name}");
        let asked = format!("absent(up{{job=\"onboard\",service=\"{name}\"}})");
        assert!(alerts.contains(&asked), "{asked}");
    }
}
