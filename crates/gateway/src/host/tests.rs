use proptest::prelude::*;

use super::*;

fn host(text: &str) -> Result<String, Invalid> {
    text.parse::<Host>().map(|host| host.to_string())
}

#[test]
fn names_have_one_spelling() {
    let same = ["example.com", "EXAMPLE.com", "example.com.", "Example.Com.", "ｅｘａｍｐｌｅ.com", "example。com"];
    for text in same {
        assert_eq!(host(text), Ok("example.com".into()), "{text}");
    }
    assert_eq!(host("bücher.example"), Ok("xn--bcher-kva.example".into()));
    assert_eq!(host("XN--BCHER-KVA.example"), Ok("xn--bcher-kva.example".into()));
    assert_eq!(host("_dmarc.example.com"), Ok("_dmarc.example.com".into()));
    assert_eq!(host("localhost"), Ok("localhost".into()));
}

#[test]
fn plain_addresses_are_addresses() {
    assert_eq!(host("127.0.0.1"), Ok("127.0.0.1".into()));
    assert_eq!(host("[::1]"), Ok("::1".into()));
    assert_eq!(host("[::ffff:127.0.0.1]"), Ok("127.0.0.1".into()));
    assert_eq!(host("[2001:DB8::1]"), Ok("2001:db8::1".into()));
}

#[test]
fn other_spellings_of_addresses_are_refused() {
    let spellings = [
        "0x7f.1",
        "0x7f.0.0.1",
        "0X7F.0.0.0x1",
        "0x7f000001",
        "0x",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "127.0.0.01",
        "127.0.0.0x1",
        "1.2.3.4.5",
        "256.256.256.256",
        "１２７.0.0.1",
        "127。0。0。1",
        "[127.0.0.1]",
        "[::1",
        "[fe80::1%lo]",
        "[::1]x",
        "foo.0x1f",
        "foo.1",
    ];
    for text in spellings {
        assert_eq!(host(text), Err(Invalid::Address), "{text}");
    }
}

#[test]
fn what_is_no_name_is_refused() {
    for text in ["a..b", ".a", "a b", "a/b", "user@host", "a:b", "::1", "a%41", "xn--a", "a\0b", "a\nb", "*.a", "a#b"] {
        assert_eq!(host(text), Err(Invalid::Name), "{text:?}");
    }
    assert_eq!(host(""), Err(Invalid::Empty));
    assert_eq!(host("."), Err(Invalid::Empty));
    assert_eq!(host(&format!("{}.com", "a".repeat(64))), Err(Invalid::Name));
    assert_eq!(host(&["a".repeat(60).as_str(); 5].join(".")), Err(Invalid::Name));
}

#[test]
fn an_authority_is_a_host_and_perhaps_a_port() {
    let of = |text: &str| text.parse::<Authority>().map(|authority| (authority.host.to_string(), authority.port));
    assert_eq!(of("example.com"), Ok(("example.com".into(), None)));
    assert_eq!(of("example.com:"), Ok(("example.com".into(), None)));
    assert_eq!(of("example.com:8080"), Ok(("example.com".into(), Some(8080))));
    assert_eq!(of("[::1]:443"), Ok(("::1".into(), Some(443))));
    assert_eq!(of("[::1]"), Ok(("::1".into(), None)));
    for port in ["example.com:+80", "example.com:80:80", "example.com:65536", "example.com:8o"] {
        assert_eq!(of(port), Err(Invalid::Port), "{port}");
    }
    for none in ["user@example.com", "[::1]x:80", "::1", "example.com/path", ":80", "[]"] {
        assert!(of(none).is_err(), "{none}");
    }
}

#[test]
fn a_pattern_is_a_host_or_all_names_below_one() {
    let matches =
        |pattern: &str, host: &str| pattern.parse::<HostPattern>().unwrap().matches(&host.parse::<Host>().unwrap());
    assert!(matches("example.com", "EXAMPLE.com."));
    assert!(!matches("example.com", "www.example.com"));
    assert!(matches("*.example.com", "www.example.com"));
    assert!(matches("*.example.com", "a.b.example.com"));
    assert!(!matches("*.example.com", "example.com"));
    assert!(!matches("*.example.com", "badexample.com"));
    assert!(!matches("*.example.com", "example.com.evil.com"));
    assert!(matches("*.bücher.example", "www.xn--bcher-kva.example"));
    assert!(matches("192.0.2.1", "192.0.2.1"));
    assert!(matches("2001:db8::1", "[2001:db8::1]"));
    assert!(matches("[2001:db8::1]", "[2001:db8:0::1]"));
    for wrong in ["*", "*.", "a.*.com", "https://example.com", "example.com:80", "example.com/x", "*.1", ""] {
        assert!(wrong.parse::<HostPattern>().is_err(), "{wrong}");
    }
}

#[test]
fn a_pattern_survives_its_text() {
    for text in ["example.com", "*.example.com", "192.0.2.1", "2001:db8::1"] {
        let pattern: HostPattern = serde_json::from_value(text.into()).unwrap();
        assert_eq!(serde_json::to_value(&pattern).unwrap(), text);
    }
}

proptest! {
    #[test]
    fn any_text_is_a_host_or_refused_and_a_host_is_its_own_spelling(text in "\\PC*|[0-9a-fx.:\\[\\]]*") {
        if let Ok(Host::Name(name)) = text.parse::<Host>() {
            prop_assert_eq!(name.as_str().parse::<Name>(), Ok(name.clone()));
            prop_assert!(name.as_str().parse::<IpAddr>().is_err());
        }
        let _ = text.parse::<Authority>();
        let _ = text.parse::<HostPattern>();
    }

    #[test]
    fn numbers_are_plain_addresses_or_nothing(text in "(0x|0)?[0-9a-f]{1,10}(\\.(0x|0)?[0-9]{1,10}){0,4}\\.?") {
        if let Ok(host) = text.parse::<Host>() {
            let plain = text.parse::<Ipv4Addr>().is_ok_and(|address| Host::from(IpAddr::from(address)) == host);
            let has_letters = text.bytes().any(|byte| byte.is_ascii_lowercase() && byte != b'x');
            let is_name = has_letters && matches!(host, Host::Name(_));
            prop_assert!(plain || is_name, "{} was taken for {}", text, host);
        }
    }
}
