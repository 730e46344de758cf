//! Networks as settings name them, and the network a client counts as.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// How much of an IPv6 address tells clients apart: one line is given a whole
/// /64 and may use any address in it.
const IPV6_PREFIX: u32 = 64;

/// A list of networks: `10.0.0.0/8, 2001:db8::/32, 192.0.2.7`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// A text is not a list of networks.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network; write for example 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7")]
pub struct NetworkError(String);

impl FromStr for Networks {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(network).collect::<Result<_, _>>().map(Self)
    }
}

fn network(text: &str) -> Result<IpNet, NetworkError> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or_else(|_| address()).map_err(|_| NetworkError(text.to_owned()))
}

impl Networks {
    /// Whether the address is in one of them. An IPv4 address in its IPv6
    /// form is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether one of them is the whole Internet.
    #[must_use]
    pub fn has_everyone(&self) -> bool {
        self.0.iter().any(|network| network.prefix_len() == 0)
    }
}

/// Who shares a limit: one IPv4 address, or one IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientNetwork(IpAddr);

impl ClientNetwork {
    /// The network of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(address)),
            IpAddr::V6(address) => {
                let mask = u128::MAX << (128 - IPV6_PREFIX);
                Self(IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_list_holds_networks_and_addresses_of_both_families() {
        let networks: Networks = "10.0.0.0/8, 2001:db8::/32,192.0.2.7,".parse().unwrap();
        for inside in ["10.1.2.3", "2001:db8:1::1", "192.0.2.7", "::ffff:10.1.2.3"] {
            assert!(networks.contains(ip(inside)), "{inside}");
        }
        for outside in ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::1"] {
            assert!(!networks.contains(ip(outside)), "{outside}");
        }
        assert_eq!("".parse(), Ok(Networks::default()));
        for junk in ["10.0.0.0/33", "localhost", "10.0.0.0/8;", "1.2.3"] {
            assert!(junk.parse::<Networks>().unwrap_err().to_string().contains(junk), "{junk}");
        }
        assert!("10.0.0.0/8,::/0".parse::<Networks>().unwrap().has_everyone());
        assert!(!networks.has_everyone());
    }

    #[test]
    fn an_ipv6_client_is_its_64_and_an_ipv4_client_its_address() {
        let of = |text| ClientNetwork::of(ip(text));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
