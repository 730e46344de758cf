//! The ports of one stack: the documented ones, or free ones.
//!
//! A free port is leased: a file lock on this machine keeps two stacks that
//! start at the same time from choosing the same one, until the process ends.
//! Free ports lie below the range the kernel takes client ports from, so a
//! connection cannot snatch one between the choice and the start.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tokio::net::TcpSocket;

use crate::services::Service;

mod holder;
mod lease;

pub use lease::Lease;

/// How ports are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The documented ports; an error names every taken one with its holder.
    Default,
    /// Free ones; those of the last run again where possible.
    Free,
}

/// Every port a stack listens on, all on 127.0.0.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// `MongoDB`.
    pub mongo: u16,
    /// AMQP.
    pub amqp: u16,
    /// `RabbitMQ`'s management UI and API.
    pub management: u16,
    /// Erlang distribution of the `RabbitMQ` node.
    pub erlang: u16,
    /// The private Erlang port mapper.
    pub epmd: u16,
    /// Temporal's gRPC frontend.
    pub temporal: u16,
    /// Temporal's web UI.
    pub temporal_ui: u16,
    /// Temporal's HTTP API.
    pub temporal_http: u16,
    /// Temporal's metrics.
    pub temporal_metrics: u16,
    /// Each service's, by its name.
    #[serde(flatten)]
    pub services: BTreeMap<String, u16>,
}

/// The documented ports of the servers.
const OF_SERVERS: Ports = Ports {
    mongo: 27017,
    amqp: 5672,
    management: 15672,
    erlang: 25672,
    epmd: 14369,
    temporal: 7233,
    temporal_ui: 8233,
    temporal_http: 7243,
    temporal_metrics: 7244,
    services: BTreeMap::new(),
};

impl Ports {
    /// Chooses ports for the servers and these services; `memory` is the file
    /// that remembers the last choice. Keep the leases for as long as the ports
    /// are used.
    ///
    /// # Errors
    /// When documented ports are taken, or no free ones are found.
    pub fn choose(
        choice: Choice,
        services: &[Service],
        memory: &Path,
    ) -> anyhow::Result<(Self, Vec<Lease>)> {
        let mut leases = Vec::new();
        let documented = Self::documented(services);
        let ports = match choice {
            Choice::Default => unless_taken(documented, &mut leases)?,
            Choice::Free => free(documented, Self::last(memory), &mut leases)?,
        };
        let text = serde_json::to_string_pretty(&ports)?;
        std::fs::write(memory, text)
            .with_context(|| format!("{} cannot be written", memory.display()))?;
        Ok((ports, leases))
    }

    /// The documented ports of the servers and these services.
    pub(crate) fn documented(services: &[Service]) -> Self {
        let services = services.iter().map(|service| (service.name.to_owned(), service.port));
        Self { services: services.collect(), ..OF_SERVERS }
    }

    /// The port of a service; `None` when the stack has no such service.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<u16> {
        self.services.get(name).copied()
    }

    /// The ports of the last choice that `memory` remembers.
    #[must_use]
    pub fn last(memory: &Path) -> Option<Self> {
        std::fs::read(memory).ok().and_then(|text| serde_json::from_slice(&text).ok())
    }

    /// `mongodb://…/?replicaSet=rs0`.
    #[must_use]
    pub fn mongodb_uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?replicaSet=rs0", self.mongo)
    }

    /// `amqp://guest:guest@…/%2f`.
    #[must_use]
    pub fn amqp_url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.amqp)
    }

    /// `RabbitMQ`'s management API, with user and password.
    #[must_use]
    pub fn management_url(&self) -> String {
        format!("http://guest:guest@127.0.0.1:{}", self.management)
    }

    /// Temporal's gRPC address, `host:port`.
    #[must_use]
    pub fn temporal_address(&self) -> String {
        format!("127.0.0.1:{}", self.temporal)
    }

    fn each(&mut self) -> impl Iterator<Item = (&str, &mut u16)> {
        let services = self.services.iter_mut().map(|(name, port)| (name.as_str(), port));
        let servers = [
            ("mongo", &mut self.mongo),
            ("rabbitmq", &mut self.amqp),
            ("rabbitmq management", &mut self.management),
            ("erlang", &mut self.erlang),
            ("epmd", &mut self.epmd),
            ("temporal", &mut self.temporal),
            ("temporal web UI", &mut self.temporal_ui),
            ("temporal HTTP", &mut self.temporal_http),
            ("temporal metrics", &mut self.temporal_metrics),
        ];
        servers.into_iter().chain(services)
    }
}

/// Ports nobody outside knows by number: another one does as well.
const INTERNAL: [&str; 4] = ["erlang", "epmd", "temporal HTTP", "temporal metrics"];

fn unless_taken(mut ports: Ports, leases: &mut Vec<Lease>) -> anyhow::Result<Ports> {
    let mut taken = Vec::new();
    for (name, port) in ports.each() {
        if is_free(*port) {
            continue;
        }
        if INTERNAL.contains(&name) {
            *port = keep(Lease::any()?, leases);
        } else {
            taken.push(format!("  {port:<6} {name:<20} {}", holder::describe(*port)));
        }
    }
    if !taken.is_empty() {
        bail!(
            "these ports are taken:\n{}\nstop what holds them, or run `onboard up --ports free`",
            taken.join("\n")
        );
    }
    Ok(ports)
}

/// The last ports again where possible. Those of a stack with other services do
/// not count.
fn free(documented: Ports, last: Option<Ports>, leases: &mut Vec<Lease>) -> anyhow::Result<Ports> {
    let last = last.filter(|last| last.services.keys().eq(documented.services.keys()));
    let known = last.is_some();
    let mut ports = last.unwrap_or(documented);
    for (_, port) in ports.each() {
        let again = if known { Lease::of(*port) } else { None };
        *port = keep(again.map_or_else(Lease::any, Ok)?, leases);
    }
    Ok(ports)
}

fn keep(lease: Lease, leases: &mut Vec<Lease>) -> u16 {
    let port = lease.port();
    leases.push(lease);
    port
}

/// Whether nobody listens there. The socket that finds out does not listen: a child that is
/// being started has a copy of it until it executes its program, and would hold the port.
fn is_free(port: u16) -> bool {
    let bind = || {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, port).into())
    };
    bind().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Priority;
    use std::net::TcpListener;

    const SERVICES: [Service; 2] = [
        Service { name: "desk", port: 4005, priority: Priority::Foreground },
        Service { name: "mail", port: 4006, priority: Priority::Background },
    ];

    #[test]
    fn free_ports_differ_from_each_other_and_are_chosen_again_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let memory = dir.path().join("ports.json");
        let (mut first, leases) = Ports::choose(Choice::Free, &SERVICES, &memory).unwrap();
        let mut numbers: Vec<u16> = first.each().map(|(_, port)| *port).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 11);
        drop(leases);
        let (again, _leases) = Ports::choose(Choice::Free, &SERVICES, &memory).unwrap();
        assert_eq!(again, first);
    }

    /// Who reads the file finds a service as any server.
    #[test]
    fn in_the_file_a_services_port_stands_beside_those_of_the_servers() {
        let ports = Ports::documented(&SERVICES);
        let json = serde_json::to_value(&ports).unwrap();
        assert_eq!((&json["mongo"], &json["desk"]), (&27017.into(), &4005.into()));
        assert_eq!(json.as_object().unwrap().len(), 11);
        assert_eq!(serde_json::from_value::<Ports>(json).unwrap(), ports);
        assert_eq!((ports.service("desk"), ports.service("none")), (Some(4005), None));
    }

    #[test]
    fn a_leased_port_is_not_leased_twice() {
        let lease = Lease::any().unwrap();
        assert!(Lease::of(lease.port()).is_none());
    }

    #[test]
    fn a_port_somebody_listens_on_is_described_by_its_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        let words = holder::describe(port);
        assert!(words.contains(&format!("process {}", std::process::id())), "{words}");
    }
}
