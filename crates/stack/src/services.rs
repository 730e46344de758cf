//! The four services as processes of their own, each `onboard <name>`.

use std::time::Duration;

use crate::component::{Component, Spec};
use crate::event::Events;
use crate::probe::Probe;
use crate::servers::Servers;

/// The services in the order they are started.
pub const NAMES: [&str; 4] = ["auth", "relay", "worker", "todo"];
/// Those for whose answer nobody waits.
const BACKGROUND: [&str; 2] = ["relay", "worker"];

/// Every service, under supervision, not started yet.
///
/// # Errors
/// When they cannot be put under supervision.
pub fn supervise_all(servers: &Servers, events: &Events) -> anyhow::Result<Vec<Component>> {
    let ports = servers.ports();
    [ports.auth, ports.relay, ports.worker, ports.todo]
        .into_iter()
        .zip(NAMES)
        .map(|(port, name)| supervise(servers, name, (name, port), &[], events))
        .collect()
}

/// One service under the name `component` on a port, with more variables.
///
/// # Errors
/// When it cannot be put under supervision.
pub fn supervise(
    servers: &Servers,
    component: &str,
    (service, port): (&str, u16),
    env: &[(&str, &str)],
    events: &Events,
) -> anyhow::Result<Component> {
    let address = format!("127.0.0.1:{port}");
    let mut all = vec![("ONBOARD_HTTP_ADDRESS", address.as_str())];
    all.extend(env);
    let mut launch = servers.launch(component, &[service], &all);
    if BACKGROUND.contains(&service) {
        launch.priority = servers.background();
    }
    let spec = Spec {
        name: component.to_owned(),
        launch,
        probe: Probe::Service { port },
        port,
        ready_within: Duration::from_mins(1),
        stop_within: Duration::from_secs(30),
    };
    Component::supervise(spec, servers.exe().to_owned(), events.clone())
}
