use proptest::prelude::*;

use super::*;

fn of(text: &str) -> Option<Class> {
    class(text.parse().unwrap())
}

#[test]
fn public_addresses_have_no_class() {
    let public = [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
        "2001:4860:4860::8888",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
    ];
    for address in public {
        assert_eq!(of(address), None, "{address}");
    }
}

#[test]
fn every_other_kind_is_known() {
    let known = [
        ("0.0.0.0", Class::Unspecified),
        ("0.1.2.3", Class::Unspecified),
        ("10.0.0.0", Class::Private),
        ("10.255.255.255", Class::Private),
        ("100.64.0.0", Class::Shared),
        ("100.127.255.255", Class::Shared),
        ("100.100.100.200", Class::Metadata),
        ("127.0.0.1", Class::Loopback),
        ("127.255.255.255", Class::Loopback),
        ("168.63.129.16", Class::Metadata),
        ("169.254.0.1", Class::LinkLocal),
        ("169.254.169.254", Class::Metadata),
        ("169.254.170.2", Class::Metadata),
        ("172.16.0.0", Class::Private),
        ("172.31.255.255", Class::Private),
        ("192.0.0.9", Class::Reserved),
        ("192.0.0.192", Class::Metadata),
        ("192.0.2.1", Class::Documentation),
        ("192.88.99.1", Class::Tunnel),
        ("192.168.1.1", Class::Private),
        ("198.18.0.0", Class::Benchmarking),
        ("198.19.255.255", Class::Benchmarking),
        ("198.51.100.7", Class::Documentation),
        ("203.0.113.7", Class::Documentation),
        ("224.0.0.1", Class::Multicast),
        ("239.255.255.255", Class::Multicast),
        ("240.0.0.1", Class::Reserved),
        ("255.255.255.254", Class::Reserved),
        ("255.255.255.255", Class::Broadcast),
        ("::", Class::Unspecified),
        ("::1", Class::Loopback),
        ("::2", Class::Tunnel),
        ("::127.0.0.1", Class::Tunnel),
        ("::1.1.1.1", Class::Tunnel),
        ("::ffff:127.0.0.1", Class::Loopback),
        ("::ffff:169.254.169.254", Class::Metadata),
        ("::ffff:10.0.0.1", Class::Private),
        ("64:ff9b::127.0.0.1", Class::Loopback),
        ("64:ff9b::10.0.0.1", Class::Private),
        ("64:ff9b::a9fe:a9fe", Class::Metadata),
        ("64:ff9b:1::1", Class::Tunnel),
        ("100::1", Class::Reserved),
        ("2001::1", Class::Tunnel),
        ("2001:2::1", Class::Benchmarking),
        ("2001:10::1", Class::Reserved),
        ("2001:20::1", Class::Reserved),
        ("2001:db8::1", Class::Documentation),
        ("2002:7f00:1::1", Class::Tunnel),
        ("3fff::1", Class::Documentation),
        ("5f00::1", Class::Reserved),
        ("fc00::1", Class::Private),
        ("fd00:ec2::254", Class::Metadata),
        ("fd20:ce::254", Class::Metadata),
        ("fdff::1", Class::Private),
        ("fe80::1", Class::LinkLocal),
        ("febf::1", Class::LinkLocal),
        ("fec0::1", Class::Private),
        ("ff02::1", Class::Multicast),
    ];
    for (address, class) in known {
        assert_eq!(of(address), Some(class), "{address}");
    }
}

#[test]
fn the_operator_opens_ranges_but_no_metadata_service_with_them() {
    let opened = |address: &str, allowed: &[&str]| {
        let address = address.parse().unwrap();
        let allowed: Vec<IpNet> = allowed.iter().map(|range| range.parse().unwrap()).collect();
        is_opened(address, class(address).unwrap(), &allowed)
    };
    assert!(opened("10.1.2.3", &["10.0.0.0/8"]));
    assert!(opened("::ffff:10.1.2.3", &["10.0.0.0/8"]));
    assert!(opened("64:ff9b::10.1.2.3", &["10.0.0.0/8"]));
    assert!(opened("fd12::1", &["192.168.0.0/16", "fd12::/16"]));
    assert!(!opened("10.1.2.3", &["192.168.0.0/16"]));
    assert!(!opened("169.254.169.254", &["169.254.0.0/16"]));
    assert!(!opened("64:ff9b::169.254.169.254", &["0.0.0.0/0", "::/0"]));
    assert!(opened("169.254.169.254", &["169.254.169.254/32"]));
    assert!(!opened("0.0.0.0", &["0.0.0.0/0"]));
    assert!(!opened("224.0.0.1", &["224.0.0.0/4"]));
    assert!(!opened("255.255.255.255", &["0.0.0.0/0"]));
}

proptest! {
    #[test]
    fn an_address_is_judged_alike_in_every_wrapping(bits: u32) {
        let plain = Ipv4Addr::from_bits(bits);
        let expected = class(plain.into());
        prop_assert_eq!(class(plain.to_ipv6_mapped().into()), expected);
        let translated = Ipv6Addr::from_bits(TRANSLATED.0.to_bits() | u128::from(bits));
        prop_assert_eq!(class(translated.into()), expected);
    }

    #[test]
    fn what_the_standard_library_knows_as_special_is_never_public(bits: u32) {
        let address = Ipv4Addr::from_bits(bits);
        let special = address.is_private()
            || address.is_loopback()
            || address.is_link_local()
            || address.is_multicast()
            || address.is_broadcast()
            || address.is_documentation()
            || address.is_unspecified();
        prop_assert!(!special || class(address.into()).is_some());
    }

    #[test]
    fn nothing_beyond_global_unicast_is_public(bits: u128) {
        let address = Ipv6Addr::from_bits(bits);
        let wraps = address.to_ipv4_mapped().is_some() || holds_v6(TRANSLATED, address);
        prop_assert!(wraps || holds_v6(GLOBAL, address) || class(address.into()).is_some());
    }
}
