//! Networks as settings name them, and the network a client counts as.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// How many times as much as a single client network the clients of a network around it
/// may have together: of itself, of an IPv6 /56, and of an IPv6 /48 or an IPv4 /24. One
/// customer is commonly given a /56 or a /48, which is 256 or 65,536 client networks.
pub(crate) const SHARES: [u32; 3] = [1, 4, 16];

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

/// Who shares a limit: one IPv4 address, or one IPv6 /64, since one line is given a whole
/// /64 and may use any address in it. Also a wider network around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientNetwork {
    address: IpAddr,
    prefix: u8,
}

impl ClientNetwork {
    /// The network of an address. An IPv4 address in its IPv6 form is the IPv4 address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::v4(address, 32),
            IpAddr::V6(address) => Self::v6(address, 64),
        }
    }

    /// What tells it from every other network.
    #[must_use]
    pub fn octets(self) -> Vec<u8> {
        let mut octets = match self.address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        octets.push(self.prefix);
        octets
    }

    /// Itself and the networks around it, in the order of [`SHARES`]. IPv4 has no second.
    pub(crate) const fn around(self) -> [Option<Self>; SHARES.len()] {
        match self.address {
            IpAddr::V4(address) => [Some(self), None, Some(Self::v4(address, 24))],
            IpAddr::V6(address) => {
                [Some(self), Some(Self::v6(address, 56)), Some(Self::v6(address, 48))]
            }
        }
    }

    const fn v4(address: Ipv4Addr, prefix: u8) -> Self {
        let mask = u32::MAX << (32 - prefix);
        let address = IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask));
        Self { address, prefix }
    }

    const fn v6(address: Ipv6Addr, prefix: u8) -> Self {
        let mask = u128::MAX << (128 - prefix);
        let address = IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask));
        Self { address, prefix }
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

    #[test]
    fn the_networks_around_a_client_are_its_56_and_48_or_its_24() {
        let around = |text| ClientNetwork::of(ip(text)).around();
        let [own, site, region] = around("2001:db8:1:2ff::1");
        let [_, same_site, same_region] = around("2001:db8:1:200::1");
        assert!(site == same_site && region == same_region && site != region);
        let [_, other_site, same_region] = around("2001:db8:1:300::1");
        assert!(site != other_site && region == same_region);
        assert_ne!(region, around("2001:db8:2:200::1")[2]);
        assert_ne!(own, around("2001:db8:1:200::1")[0]);
        let first = around("2001:db8:1::1");
        assert!(first[0] != first[1] && first[1] != first[2], "of one address, and not the same");
        let [_, none, region] = around("192.0.2.1");
        assert!(none.is_none() && region == around("::ffff:192.0.2.255")[2]);
        assert_ne!(region, around("192.0.3.1")[2]);
    }
}
