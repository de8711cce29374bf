//! Which addresses a sandbox may reach: public ones, and those that the operator allows besides.

mod own;

pub(crate) use own::is_own;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Why an address is not a public one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Unspecified,
    Loopback,
    LinkLocal,
    /// Where clouds hand out credentials to whoever asks from inside a machine.
    Metadata,
    Private,
    /// Carrier-grade NAT.
    Shared,
    Multicast,
    Broadcast,
    Reserved,
    Documentation,
    Benchmarking,
    /// Leads through a translator or a tunnel to an address that cannot be judged from here.
    Tunnel,
    /// Public, but this machine's own: its firewall does not stand between the machine and itself.
    Own,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata",
            Self::Private => "private",
            Self::Shared => "carrier-grade NAT",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Reserved => "reserved",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::Tunnel => "tunnelled",
            Self::Own => "gateway-owned",
        })
    }
}

/// The first that holds an address decides. From IANA's registry of special-purpose addresses, and the clouds'
/// documents.
const IPV4: &[(Ipv4Addr, u8, Class)] = &[
    (Ipv4Addr::new(169, 254, 169, 254), 32, Class::Metadata),
    (Ipv4Addr::new(169, 254, 170, 2), 32, Class::Metadata),
    (Ipv4Addr::new(100, 100, 100, 200), 32, Class::Metadata),
    (Ipv4Addr::new(169, 254, 170, 23), 32, Class::Metadata),
    (Ipv4Addr::new(169, 254, 42, 42), 32, Class::Metadata),
    (Ipv4Addr::new(192, 0, 0, 192), 32, Class::Metadata),
    (Ipv4Addr::new(168, 63, 129, 16), 32, Class::Metadata),
    (Ipv4Addr::new(0, 0, 0, 0), 8, Class::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Class::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Class::Shared),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Class::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Class::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Class::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Class::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Class::Documentation),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Class::Tunnel),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Class::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Class::Benchmarking),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Class::Documentation),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Class::Documentation),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Class::Multicast),
    (Ipv4Addr::BROADCAST, 32, Class::Broadcast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Class::Reserved),
];

/// What none of these holds is public if it lies in [`GLOBAL`], and reserved otherwise.
const IPV6: &[(Ipv6Addr, u8, Class)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, Class::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, Class::Loopback),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128, Class::Metadata),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23), 128, Class::Metadata),
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128, Class::Metadata),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128, Class::Metadata),
    // Addresses of the other version, as nobody writes them any more.
    (Ipv6Addr::UNSPECIFIED, 96, Class::Tunnel),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, Class::Tunnel),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, Class::Tunnel),
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48, Class::Benchmarking),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Class::Reserved),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, Class::Documentation),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, Class::Tunnel),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, Class::Documentation),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Class::Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, Class::LinkLocal),
    // Site-local, which came before the private ones.
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, Class::Private),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, Class::Multicast),
];

/// The only part of IPv6 that has been given out for general use.
const GLOBAL: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The well-known prefix under which networks without IPv4 translate to it.
const TRANSLATED: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// What keeps an address from being a public one, if anything does.
pub(crate) fn class(address: IpAddr) -> Option<Class> {
    match address.to_canonical() {
        IpAddr::V4(address) => class_of_v4(address),
        IpAddr::V6(address) if holds_v6(TRANSLATED, address) => class_of_v4(embedded(address)),
        IpAddr::V6(address) => IPV6
            .iter()
            .find(|(base, length, _)| holds_v6((*base, *length), address))
            .map(|(_, _, class)| *class)
            .or_else(|| (!holds_v6(GLOBAL, address)).then_some(Class::Reserved)),
    }
}

/// Whether the operator's list opens an address of this class.
///
/// A wide range opens no metadata service inside it, nor this machine itself: those are to be listed one by one. What is no machine's address is
/// never opened.
pub(crate) fn is_opened(address: IpAddr, class: Class, allowed: &[IpNet]) -> bool {
    let (address, judged) = (address.to_canonical(), judged(address));
    let lists = |range: &IpNet| range.contains(&address) || range.contains(&judged);
    match class {
        Class::Unspecified | Class::Multicast | Class::Broadcast => false,
        Class::Metadata | Class::Own => {
            allowed.iter().any(|range| lists(range) && range.prefix_len() == range.max_prefix_len())
        }
        // Not by a range so wide that whoever wrote it was thinking of something else.
        Class::Loopback | Class::LinkLocal => {
            allowed.iter().any(|range| lists(range) && self::class(range.network()) == Some(class))
        }
        _ => allowed.iter().any(lists),
    }
}

/// The address that packets to this one end at.
pub(crate) fn judged(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(translated) if holds_v6(TRANSLATED, translated) => IpAddr::V4(embedded(translated)),
        address => address,
    }
}

fn class_of_v4(address: Ipv4Addr) -> Option<Class> {
    let holds = |base: Ipv4Addr, length: u8| {
        let mask = u32::MAX << (32 - u32::from(length));
        address.to_bits() & mask == base.to_bits()
    };
    IPV4.iter().find(|(base, length, _)| holds(*base, *length)).map(|(_, _, class)| *class)
}

fn holds_v6((base, length): (Ipv6Addr, u8), address: Ipv6Addr) -> bool {
    let mask = u128::MAX << (128 - u32::from(length));
    address.to_bits() & mask == base.to_bits()
}

fn embedded(address: Ipv6Addr) -> Ipv4Addr {
    Ipv4Addr::from_bits(address.to_bits() as u32)
}

#[cfg(test)]
mod tests;
