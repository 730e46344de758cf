//! The nodes of RabbitMQ that `AMQP_URL` names, and which of their addresses is asked next.
//!
//! A node that accepts connections and does not answer must not be the only one that is
//! ever asked: a connection begins with the address behind the one that the connection
//! before it asked last. A process that dies begins anew with the first address.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use lapin::uri::AMQPUri;
use tokio::net::lookup_host;
use tokio::time::timeout;

/// How long the look-up of a host name may take: longer than a resolver waits for its
/// first name server.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(6);

/// A host and its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Reads a URL that may name several hosts: `amqp://user:password@a:5672,b:5672/vhost`.
/// The URI is that of the first.
pub(crate) fn parse(url: &str) -> Option<(AMQPUri, Vec<Node>)> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let uri = |host: &str| -> Option<AMQPUri> {
        let mut uri: AMQPUri = format!("{scheme}://{user}{host}{path}").parse().ok()?;
        // The parser takes no name, and an IPv6 address, for localhost.
        if host.is_empty() || host.starts_with(':') {
            return None;
        }
        if let Some((address, _)) = host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            address.clone_into(&mut uri.authority.host);
        }
        Some(uri)
    };
    let uris: Vec<AMQPUri> = hosts.split(',').map(uri).collect::<Option<_>>()?;
    let node = |uri: &AMQPUri| Node { host: uri.authority.host.clone(), port: uri.authority.port };
    let nodes = uris.iter().map(node).collect();
    Some((uris.into_iter().next()?, nodes))
}

/// An address of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    /// The place of the node in the URL.
    node: usize,
    pub(crate) at: SocketAddr,
}

/// The nodes, and the address that was asked last.
#[derive(Debug, Clone)]
pub(crate) struct Nodes {
    all: Arc<[Node]>,
    asked: Arc<Mutex<Option<Address>>>,
}

impl Nodes {
    pub(crate) fn new(all: &[Node]) -> Self {
        Self { all: all.into(), asked: Arc::default() }
    }

    /// The addresses, in the order in which a new connection is to ask them; the first
    /// one counts as asked. A name that cannot be looked up is left out, unless there
    /// is no other.
    pub(crate) async fn addresses(&self) -> io::Result<Vec<Address>> {
        let look_up = async |(node, Node { host, port }): (usize, &Node)| {
            let found = timeout(LOOKUP_TIMEOUT, lookup_host((host.as_str(), *port))).await??;
            Ok(found.map(|at| Address { node, at }).collect::<Vec<_>>())
        };
        let looked_up = join_all(self.all.iter().enumerate().map(look_up)).await;
        let (mut found, mut failed) = (Vec::new(), None);
        for one in looked_up {
            match one {
                Ok(addresses) => found.extend(addresses),
                Err(error) => failed = Some(error),
            }
        }
        if let (true, Some(error)) = (found.is_empty(), failed) {
            return Err(error);
        }
        let found = in_turn(found, *self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(first) = found.first() {
            self.asks(*first);
        }
        Ok(found)
    }

    /// Notes that this address is asked now.
    pub(crate) fn asks(&self, address: Address) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// The name of the host with this address.
    pub(crate) fn host(&self, address: Address) -> &str {
        self.all.get(address.node).map_or("", |node| &node.host)
    }
}

/// The first time as they were found. Then in an order of their own, since a name server
/// may answer in another order each time, from the one behind the last one on.
fn in_turn(mut found: Vec<Address>, asked: Option<Address>) -> Vec<Address> {
    if let Some(asked) = asked {
        found.sort_unstable();
        let next = found.partition_point(|address| *address <= asked);
        found.rotate_left(next);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(url: &str) -> Option<Vec<(String, u16)>> {
        let (_, nodes) = parse(url)?;
        Some(nodes.into_iter().map(|node| (node.host, node.port)).collect())
    }

    #[test]
    fn a_url_names_one_node_or_several() {
        let expected = |nodes: &[(&str, u16)]| {
            Some(nodes.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect())
        };
        assert_eq!(named("amqp://rabbit"), expected(&[("rabbit", 5672)]));
        let addresses = "amqp://[2001:db8::1],[2001:db8::2]:7,10.0.0.1/v";
        let expected_of_addresses = [("2001:db8::1", 5672), ("2001:db8::2", 7), ("10.0.0.1", 5672)];
        assert_eq!(named(addresses), expected(&expected_of_addresses));
        let several = "amqps://u:p,w@a,b:1,c:2/%2f?heartbeat=3";
        assert_eq!(named(several), expected(&[("a", 5671), ("b", 1), ("c", 2)]));
        let (uri, _) = parse(several).unwrap();
        assert_eq!(uri.authority.userinfo.password, "p,w");
        assert_eq!((uri.vhost.as_str(), uri.query.heartbeat), ("/", Some(3)));
        for odd in [
            "amqp://u:p@a,/v",
            "amqp://,a",
            "amqp:///v",
            "amqp://u:p@:5672/v",
            "amqp://[::1/v",
            "amqp://a,b:x/v",
            "a,b",
            "http://a,b",
        ] {
            assert_eq!(named(odd), None, "{odd}");
        }
    }

    fn address(node: usize, last: u8) -> Address {
        Address { node, at: SocketAddr::from(([10, 0, 0, last], 5672)) }
    }

    #[test]
    fn every_address_is_asked_in_turn_in_whatever_order_they_are_found() {
        let [a, b, c] = [address(0, 2), address(0, 7), address(1, 1)];
        assert_eq!(in_turn(vec![b, a, c], None), [b, a, c]);
        assert_eq!(in_turn(vec![b, a, c], Some(b)), [c, a, b]);
        assert_eq!(in_turn(vec![a, b, c], Some(c)), [a, b, c]);
        assert_eq!(in_turn(vec![c, b, a], Some(a)), [b, c, a]);
        // The one that was asked last has another address now.
        assert_eq!(in_turn(vec![c, a], Some(b)), [c, a]);
        assert_eq!(in_turn(Vec::new(), Some(b)), []);
    }

    #[tokio::test]
    async fn a_name_that_is_not_found_is_left_out_unless_there_is_no_other() {
        let node = |host: &str| Node { host: host.to_owned(), port: 5672 };
        let found = Nodes::new(&[node("no.such.host.invalid"), node("127.0.0.1")]);
        let addresses = found.addresses().await.unwrap();
        assert_eq!(addresses, [Address { node: 1, at: ([127, 0, 0, 1], 5672).into() }]);
        assert_eq!(found.host(addresses[0]), "127.0.0.1");
        assert!(Nodes::new(&[node("no.such.host.invalid")]).addresses().await.is_err());
    }
}
