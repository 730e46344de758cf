//! The ports of one stack: the documented ones, or free ones.
//!
//! A free port is leased: a file lock on this machine keeps two stacks that
//! start at the same time from choosing the same one, until the process ends.
//! Free ports lie below the range the kernel takes client ports from, so a
//! connection cannot snatch one between the choice and the start.

use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

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
    /// The auth service.
    pub auth: u16,
    /// The todo service.
    pub todo: u16,
    /// The relay's health and metrics.
    pub relay: u16,
    /// The worker's health and metrics.
    pub worker: u16,
}

/// The documented ports.
pub const DOCUMENTED: Ports = Ports {
    mongo: 27017,
    amqp: 5672,
    management: 15672,
    erlang: 25672,
    epmd: 14369,
    temporal: 7233,
    temporal_ui: 8233,
    temporal_http: 7243,
    temporal_metrics: 7244,
    auth: 4001,
    todo: 4002,
    relay: 4003,
    worker: 4004,
};

impl Ports {
    /// Chooses ports; `memory` is the file that remembers the last choice.
    /// Keep the leases for as long as the ports are used.
    ///
    /// # Errors
    /// When documented ports are taken, or no free ones are found.
    pub fn choose(choice: Choice, memory: &Path) -> anyhow::Result<(Self, Vec<Lease>)> {
        let mut leases = Vec::new();
        let ports = match choice {
            Choice::Default => documented(&mut leases)?,
            Choice::Free => free(Self::last(memory).as_ref(), &mut leases)?,
        };
        let text = serde_json::to_string_pretty(&ports)?;
        std::fs::write(memory, text)
            .with_context(|| format!("{} cannot be written", memory.display()))?;
        Ok((ports, leases))
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

    fn each(&mut self) -> [(&'static str, &mut u16); 13] {
        [
            ("mongo", &mut self.mongo),
            ("rabbitmq", &mut self.amqp),
            ("rabbitmq management", &mut self.management),
            ("erlang", &mut self.erlang),
            ("epmd", &mut self.epmd),
            ("temporal", &mut self.temporal),
            ("temporal web UI", &mut self.temporal_ui),
            ("temporal HTTP", &mut self.temporal_http),
            ("temporal metrics", &mut self.temporal_metrics),
            ("auth", &mut self.auth),
            ("todo", &mut self.todo),
            ("relay", &mut self.relay),
            ("worker", &mut self.worker),
        ]
    }
}

/// Ports nobody outside knows by number: another one does as well.
const INTERNAL: [&str; 4] = ["erlang", "epmd", "temporal HTTP", "temporal metrics"];

fn documented(leases: &mut Vec<Lease>) -> anyhow::Result<Ports> {
    let mut ports = DOCUMENTED.clone();
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

fn free(last: Option<&Ports>, leases: &mut Vec<Lease>) -> anyhow::Result<Ports> {
    let mut ports = last.unwrap_or(&DOCUMENTED).clone();
    for (_, port) in ports.each() {
        let again = last.and_then(|_| Lease::of(*port));
        *port = keep(again.map_or_else(Lease::any, Ok)?, leases);
    }
    Ok(ports)
}

fn keep(lease: Lease, leases: &mut Vec<Lease>) -> u16 {
    let port = lease.port();
    leases.push(lease);
    port
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ_from_each_other_and_are_chosen_again_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let memory = dir.path().join("ports.json");
        let (mut first, leases) = Ports::choose(Choice::Free, &memory).unwrap();
        let mut numbers: Vec<u16> = first.each().iter().map(|(_, port)| **port).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 13);
        drop(leases);
        let (again, _leases) = Ports::choose(Choice::Free, &memory).unwrap();
        assert_eq!(again, first);
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
