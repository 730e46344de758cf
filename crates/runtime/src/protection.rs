//! Which servers a process may reach without authentication or without TLS: in the local
//! environment each of them, in production those that `ALLOW_UNPROTECTED` names.
//!
//! The address does not count: `127.0.0.1` and a Unix socket are judged like any other
//! place, since every program of the same machine reaches them.

use std::collections::BTreeSet;
use std::fmt;

use crate::{Environment, Problems};

/// The setting that names the exceptions.
pub const SETTING: &str = "ALLOW_UNPROTECTED";

/// A server that connections of a process lead to. A new one is a line in each function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerKind {
    /// MongoDB.
    MongoDb,
    /// RabbitMQ, over AMQP.
    RabbitMq,
    /// The management API of RabbitMQ, over HTTP.
    RabbitMqManagement,
    /// Temporal's frontend.
    Temporal,
    /// Whoever publishes the keys that check access tokens.
    Jwks,
}

impl ServerKind {
    /// Every server.
    pub const ALL: [Self; 5] =
        [Self::MongoDb, Self::RabbitMq, Self::RabbitMqManagement, Self::Temporal, Self::Jwks];

    /// As the setting names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MongoDb => "mongodb",
            Self::RabbitMq => "rabbitmq",
            Self::RabbitMqManagement => "rabbitmq-management",
            Self::Temporal => "temporal",
            Self::Jwks => "jwks",
        }
    }

    /// As a sentence names it.
    const fn called(self) -> &'static str {
        match self {
            Self::MongoDb => "MongoDB",
            Self::RabbitMq => "RabbitMQ",
            Self::RabbitMqManagement => "the management API of RabbitMQ",
            Self::Temporal => "Temporal",
            Self::Jwks => "the key set of access tokens",
        }
    }
}

/// What a connection lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Whoever forwards what is sent can read and alter it.
    Tls,
    /// The connection is encrypted, and any server is taken for the right one.
    VerifiedCertificate,
    /// The server does not learn who connects, or learns a name that everybody knows.
    Authentication,
}

impl Lack {
    const fn words(self) -> &'static str {
        match self {
            Self::Tls => "without TLS",
            Self::VerifiedCertificate => "without verifying its certificate",
            Self::Authentication => "without authentication",
        }
    }
}

/// A connection that lacks something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    server: ServerKind,
    setting: &'static str,
    lacks: Vec<Lack>,
    advice: &'static str,
    refused_anyway: bool,
}

impl Exposure {
    /// Of the connection that `setting` describes, if it lacks anything. `advice` says
    /// what to write instead.
    #[must_use]
    pub fn of(
        server: ServerKind,
        setting: &'static str,
        lacks: Vec<Lack>,
        advice: &'static str,
    ) -> Option<Self> {
        let refused_anyway = false;
        let lacking = !lacks.is_empty();
        lacking.then_some(Self { server, setting, lacks, advice, refused_anyway })
    }

    /// One that services refuse in production whatever `ALLOW_UNPROTECTED` says: nobody is
    /// told to name it there.
    #[must_use]
    pub fn refused_anyway(self) -> Self {
        Self { refused_anyway: true, ..self }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lacks: Vec<&str> = self.lacks.iter().map(|lack| lack.words()).collect();
        write!(f, "{} is reached {}", self.server.called(), lacks.join(" and "))
    }
}

/// What the environment says of connections that lack something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    /// Nothing is refused.
    Local,
    /// All are refused but those to these servers.
    Demanded(BTreeSet<ServerKind>),
}

impl Protection {
    /// Reads the names of the servers that are excepted, separated by commas.
    pub fn read(environment: Environment, allowed: Option<&str>, problems: &mut Problems) -> Self {
        let names = allowed.unwrap_or_default().split(',').map(str::trim);
        let mut excepted = BTreeSet::new();
        for name in names.filter(|name| !name.is_empty()) {
            let server = ServerKind::ALL.into_iter().find(|server| server.name() == name);
            if server.is_none() {
                problems.push(SETTING, unknown(name));
            }
            excepted.extend(server);
        }
        match environment {
            Environment::Production => Self::Demanded(excepted),
            Environment::Local => Self::Local,
        }
    }

    /// Notes a problem for each of these that is not allowed, and a warning for each
    /// that is.
    pub fn demand(
        &self,
        exposures: impl IntoIterator<Item = Option<Exposure>>,
        problems: &mut Problems,
    ) {
        let Self::Demanded(excepted) = self else { return };
        let mut told = Vec::new();
        for exposure in exposures.into_iter().flatten() {
            if told.contains(&exposure) {
                continue;
            }
            let Exposure { server, setting, advice, .. } = &exposure;
            let name = server.name();
            if excepted.contains(server) {
                problems.warn(setting, format!("{exposure}, which {SETTING} allows for {name}"));
            } else {
                let mut why = format!("{exposure}, which production refuses: {advice}");
                if !exposure.refused_anyway {
                    let where_to = format!("add {name} to {SETTING}");
                    why.push_str("; where the network itself protects this connection, ");
                    why.push_str(&where_to);
                }
                problems.push(setting, why);
            }
            told.push(exposure);
        }
    }
}

fn unknown(name: &str) -> String {
    let known = ServerKind::ALL.map(ServerKind::name).join(", ");
    format!("{name:?} is no server; write some of {known}, separated by commas")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposure(server: ServerKind, lacks: &[Lack]) -> Option<Exposure> {
        Exposure::of(server, "SERVER_URL", lacks.to_vec(), "write tls")
    }

    fn judged(
        environment: Environment,
        allowed: Option<&str>,
        exposures: &[Option<Exposure>],
    ) -> (Vec<String>, String) {
        let mut problems = Problems::default();
        let protection = Protection::read(environment, allowed, &mut problems);
        protection.demand(exposures.to_vec(), &mut problems);
        let warnings = problems.take_warnings();
        let said =
            problems.finish(Some(())).map_or_else(|error| error.to_string(), |()| String::new());
        (warnings, said)
    }

    #[test]
    fn production_refuses_what_lacks_protection_unless_the_server_is_named() {
        let both = exposure(ServerKind::MongoDb, &[Lack::Tls, Lack::Authentication]);
        let plain = exposure(ServerKind::RabbitMq, &[Lack::Tls]);
        let all = [both.clone(), plain.clone(), None, both];
        let (warnings, said) = judged(Environment::Production, None, &all);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(said.matches("\n  - ").count(), 2, "{said}");
        let first = "SERVER_URL: MongoDB is reached without TLS and without authentication, which \
                     production refuses: write tls; where the network itself protects this \
                     connection, add mongodb to ALLOW_UNPROTECTED";
        assert!(said.contains(first), "{said}");
        let (warnings, said) = judged(Environment::Production, Some(" mongodb ,"), &all);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("which ALLOW_UNPROTECTED allows for mongodb"));
        assert!(said.contains("RabbitMQ is reached without TLS,") && !said.contains("MongoDB"));
        let anyway = exposure(ServerKind::RabbitMq, &[Lack::Tls]).map(Exposure::refused_anyway);
        let (_, said) = judged(Environment::Production, None, &[anyway]);
        assert!(said.contains("write tls") && !said.contains("ALLOW_UNPROTECTED"), "{said}");
        assert_eq!(judged(Environment::Local, None, &all), (Vec::new(), String::new()));
        assert_eq!(judged(Environment::Production, None, &[None]).1, "");
    }

    #[test]
    fn every_server_can_be_named_and_nothing_else_can() {
        for server in ServerKind::ALL {
            let one = [exposure(server, &[Lack::VerifiedCertificate])];
            assert_eq!(judged(Environment::Production, Some(server.name()), &one).1, "");
            assert_ne!(judged(Environment::Production, Some(""), &one).1, "");
        }
        for odd in ["all", "*", "MongoDB", "mongodb;rabbitmq", "mongodb rabbitmq", "true"] {
            for environment in [Environment::Production, Environment::Local] {
                let (_, said) = judged(environment, Some(odd), &[]);
                assert!(
                    said.contains(&format!("ALLOW_UNPROTECTED: {odd:?} is no server")),
                    "{said}"
                );
            }
        }
    }
}
