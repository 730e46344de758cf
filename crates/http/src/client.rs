//! Where a request comes from.
//!
//! The peer of the connection, unless that is a proxy of ours
//! (`TRUSTED_PROXIES`): then the right-most address that its `X-Forwarded-For`
//! or `Forwarded` (RFC 7239) names and that is no proxy of ours. The client
//! wrote the addresses further left, which do not count.
//!
//! A proxy of ours that names no such address leaves its client unnamed: all unnamed
//! clients of that proxy share the limits of one address. They are counted, and the
//! log says it.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::Response;

use onboard_runtime::clock::{millis, now_ms};

use crate::health;
use crate::network::{ClientNetwork, Networks};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// How often the log says that clients are unnamed.
const WARN_EVERY: Duration = Duration::from_mins(10);

/// The other end of the connection; set for every request of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The client of a request; handlers take it as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    address: IpAddr,
    /// Not so when a proxy of ours did not say who its client is.
    is_known: bool,
}

impl Client {
    /// A client at this address.
    #[must_use]
    pub const fn at(address: IpAddr) -> Self {
        Self { address, is_known: true }
    }

    /// A proxy of ours that does not say for whom it asks. No exemption holds
    /// for it: anyone can send it a header that is junk.
    const fn unnamed(proxy: IpAddr) -> Self {
        Self { address: proxy, is_known: false }
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Whom it shares limits with.
    #[must_use]
    pub const fn network(&self) -> ClientNetwork {
        ClientNetwork::of(self.address)
    }

    /// Whether it is in one of these networks, and surely so.
    #[must_use]
    pub fn is_in(&self, networks: &Networks) -> bool {
        self.is_known && networks.contains(self.address)
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let nowhere = Self::unnamed(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(parts.extensions.get().copied().unwrap_or(nowhere))
    }
}

/// Our proxies, and when the log last said that one of them names no client.
#[derive(Debug)]
pub(crate) struct Proxies {
    networks: Networks,
    warned_at_ms: AtomicI64,
}

impl Proxies {
    pub(crate) const fn new(networks: Networks) -> Self {
        Self { networks, warned_at_ms: AtomicI64::new(0) }
    }

    fn tell(&self, why: Unnamed, proxy: IpAddr) {
        metrics::counter!("unnamed_clients_total", "why" => why.as_str()).increment(1);
        let (now_ms, last_ms) = (now_ms(), self.warned_at_ms.load(Ordering::Relaxed));
        if now_ms.saturating_sub(last_ms) >= millis(WARN_EVERY) {
            self.warned_at_ms.store(now_ms, Ordering::Relaxed);
            tracing::warn!(
                %proxy,
                why = why.as_str(),
                "a trusted proxy does not say who its client is: all such clients share the \
                 limits of one address; see TRUSTED_PROXIES in docs/security.md"
            );
        }
    }
}

/// Why a proxy of ours leaves its client unnamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unnamed {
    /// It sends neither header.
    NoHeader,
    /// It sends both, and only one can be its own.
    TwoHeaders,
    /// The header names no address.
    Unreadable,
    /// Every address that the header names is in `TRUSTED_PROXIES`.
    AllTrusted,
}

impl Unnamed {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NoHeader => "no_header",
            Self::TwoHeaders => "two_headers",
            Self::Unreadable => "unreadable",
            Self::AllTrusted => "all_trusted",
        }
    }
}

/// Finds out who the client is, for every layer and handler within.
pub(crate) async fn resolve(
    State(proxies): State<Arc<Proxies>>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(Peer(peer)) = request.extensions().get().copied() {
        let client = client(peer.ip(), request.headers(), &proxies.networks);
        let client = client.unwrap_or_else(|why| {
            // Machines of ours ask for health and metrics without a proxy.
            let path = request.extensions().get().map_or("", MatchedPath::as_str);
            if !health::is_watched(path) {
                proxies.tell(why, peer.ip());
            }
            Client::unnamed(peer.ip())
        });
        request.extensions_mut().insert(client);
    }
    next.run(request).await
}

fn client(peer: IpAddr, headers: &HeaderMap, proxies: &Networks) -> Result<Client, Unnamed> {
    if !proxies.contains(peer) {
        return Ok(Client::at(peer.to_canonical()));
    }
    let forwarded = headers.contains_key(header::FORWARDED);
    let hops = match (headers.contains_key(X_FORWARDED_FOR), forwarded) {
        (true, false) => hops(headers, &X_FORWARDED_FOR, |hop| address(hop.trim())),
        (false, true) => hops(headers, &header::FORWARDED, forwarded_for),
        // A proxy writes one of the two and may pass the other on unseen.
        (true, true) => return Err(Unnamed::TwoHeaders),
        (false, false) => return Err(Unnamed::NoHeader),
    };
    nearest(&hops.ok_or(Unnamed::Unreadable)?, proxies).map(Client::at)
}

/// Right-most first; an entry that is no address ends what can be believed.
fn hops(
    headers: &HeaderMap,
    name: &HeaderName,
    parse: fn(&str) -> Option<IpAddr>,
) -> Option<Vec<Option<IpAddr>>> {
    let lines: Result<Vec<&str>, _> = headers.get_all(name).iter().map(|l| l.to_str()).collect();
    let lines = lines.ok()?;
    Some(lines.iter().rev().flat_map(|line| line.rsplit(',')).map(parse).collect())
}

fn nearest(hops: &[Option<IpAddr>], proxies: &Networks) -> Result<IpAddr, Unnamed> {
    let mut stranger = hops.iter().skip_while(|hop| hop.is_some_and(|hop| proxies.contains(hop)));
    stranger.next().map_or(Err(Unnamed::AllTrusted), |hop| hop.ok_or(Unnamed::Unreadable))
}

/// `for=192.0.2.60;proto=https`, `for="[2001:db8::1]:4711"`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    address(quoted.unwrap_or(value))
}

/// An address, with a port or without one.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse().ok().or_else(with_port).or_else(bracketed);
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lines<'a> = &'a [(&'static str, &'static str)];

    const OTHER: &str = "198.51.100.9";
    const PROXY: &str = "10.0.0.1";

    fn found(peer: &str, headers: Lines<'_>) -> Result<String, Unnamed> {
        let proxies = "10.0.0.0/8,2001:db8:aaaa::/48".parse().unwrap();
        let headers = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()));
        let found = client(peer.parse().unwrap(), &headers.collect(), &proxies)?;
        Ok(found.address().to_string())
    }

    #[test]
    fn the_client_is_the_nearest_address_that_is_no_proxy_of_ours() {
        const X: &str = "x-forwarded-for";
        const F: &str = "forwarded";
        let table: &[(&str, Lines<'_>, &str)] = &[
            (OTHER, &[], OTHER),
            (OTHER, &[(X, "192.0.2.1")], OTHER),
            (OTHER, &[(F, "for=192.0.2.1")], OTHER),
            ("::ffff:198.51.100.9", &[], OTHER),
            (PROXY, &[(X, "192.0.2.1")], "192.0.2.1"),
            (PROXY, &[(X, "203.0.113.7, 192.0.2.1")], "192.0.2.1"),
            (PROXY, &[(X, "junk, 192.0.2.1")], "192.0.2.1"),
            (PROXY, &[(X, "203.0.113.7"), (X, "192.0.2.1")], "192.0.2.1"),
            (PROXY, &[(X, "192.0.2.1, 10.0.0.2 ,10.0.0.3")], "192.0.2.1"),
            (PROXY, &[(X, "192.0.2.1:4711")], "192.0.2.1"),
            (PROXY, &[(X, "2001:db8::5")], "2001:db8::5"),
            (PROXY, &[(X, "[2001:db8::5]:80")], "2001:db8::5"),
            (PROXY, &[(X, "::ffff:192.0.2.1")], "192.0.2.1"),
            ("2001:db8:aaaa::1", &[(X, "192.0.2.1")], "192.0.2.1"),
            (PROXY, &[(F, "for=192.0.2.1")], "192.0.2.1"),
            (PROXY, &[(F, "for=203.0.113.7, For=\"[2001:db8::5]:80\";proto=https")], "2001:db8::5"),
            (PROXY, &[(F, "proto=https;for=\"192.0.2.1:99\";by=10.0.0.1")], "192.0.2.1"),
        ];
        for (peer, headers, expected) in table {
            assert_eq!(found(peer, headers).as_deref(), Ok(*expected), "{peer} {headers:?}");
        }
    }

    #[test]
    fn when_a_proxy_names_nobody_the_client_is_unnamed_and_no_exemption_holds() {
        const X: &str = "x-forwarded-for";
        const F: &str = "forwarded";
        let table: &[(Lines<'_>, Unnamed)] = &[
            (&[], Unnamed::NoHeader),
            (&[(X, "")], Unnamed::Unreadable),
            (&[(X, "192.0.2.1, junk")], Unnamed::Unreadable),
            (&[(X, "192.0.2.1, 10.0.0.2, unknown")], Unnamed::Unreadable),
            (&[(X, "192.0.2.256")], Unnamed::Unreadable),
            (&[(X, "192.0.2.1"), (F, "for=203.0.113.7")], Unnamed::TwoHeaders),
            (&[(F, "for=_hidden")], Unnamed::Unreadable),
            (&[(F, "for=\"192.0.2.1")], Unnamed::Unreadable),
            (&[(F, "by=192.0.2.1")], Unnamed::Unreadable),
            (&[(X, "10.0.0.9, 10.0.0.2")], Unnamed::AllTrusted),
            (&[(F, "for=10.0.0.9, for=\"[2001:db8:aaaa::1]\"")], Unnamed::AllTrusted),
        ];
        for (headers, why) in table {
            assert_eq!(found(PROXY, headers), Err(*why), "{headers:?}");
        }
        let everywhere = "0.0.0.0/0".parse().unwrap();
        assert!(!Client::unnamed(PROXY.parse().unwrap()).is_in(&everywhere));
        assert!(Client::at(PROXY.parse().unwrap()).is_in(&everywhere));
    }
}
