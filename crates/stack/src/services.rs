//! The services as processes of their own, each `onboard <name>`. Which
//! services there are is told by whoever runs the stack.
//!
//! When this process dies the kernel kills them; there is no state to recover.

use std::time::Duration;

use anyhow::Context as _;

use crate::component::{Component, Spec};
use crate::event::Events;
use crate::probe::Probe;
use crate::process::Priority;
use crate::servers::Servers;

/// A service of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// Its subcommand, and its component in `onboard status`.
    pub name: &'static str,
    /// The port of its HTTP: the documented one, until the stack has chosen.
    pub port: u16,
    /// Whether somebody waits for its answer.
    pub priority: Priority,
}

/// These services on the ports of the stack, with more variables: under
/// supervision, not started yet.
///
/// # Errors
/// When they cannot be put under supervision.
pub fn supervise_all(
    servers: &Servers,
    services: &[Service],
    env: &[(&str, &str)],
    events: &Events,
) -> anyhow::Result<Vec<Component>> {
    let supervised = services.iter().map(|service| {
        let port = servers.ports().service(service.name);
        let port = port.with_context(|| format!("no port is chosen for {}", service.name))?;
        supervise(servers, service.name, Service { port, ..*service }, env, events)
    });
    supervised.collect()
}

/// One service under the name `component` on its port, with more variables.
///
/// # Errors
/// When it cannot be put under supervision.
pub fn supervise(
    servers: &Servers,
    component: &str,
    service: Service,
    env: &[(&str, &str)],
    events: &Events,
) -> anyhow::Result<Component> {
    let Service { name, port, priority } = service;
    let address = format!("127.0.0.1:{port}");
    let mut all = vec![("ONBOARD_HTTP_ADDRESS", address.as_str())];
    all.extend(env);
    let mut launch = servers.launch(component, &[name], &all);
    if priority == Priority::Background {
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
