//! This machine's loopback, asked for in every spelling of an address and by names that lead there.

use gateway::Policy;

use super::house::{CANARY, House, Server};

const VERSION_4: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0x0.0x0.0x1",
    "0x7f.1",
    "0177.0.0.1",
    "00000177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "127.000.000.001",
    "127.0.0.1.",
    "127.0.0.01",
    "127.255.255.254",
    "6425673729",
    "0x17f000001",
    "127.0.0.1%00",
    "127.0.0.1%20",
    "127.0.0.1%2e",
    "%31%32%37.0.0.1",
    "127。0。0。1",
    "１２７.0.0.1",
    "①②⑦.⓪.⓪.①",
    "１２７．０．０．１",
    "127.0.0.1\t",
];

const VERSION_6: &[&str] = &[
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:127.0.0.1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[::1%25lo]",
    "[::1%lo]",
    "[fe80::1%25lo]",
    "[::ffff:0.0.0.0]",
    "::1",
    "[::1",
    "::1]",
    "[[::1]]",
    "[127.0.0.1]",
];

/// With what each is resolved to.
const NAMES: &[(&str, &str)] = &[
    ("localhost", "127.0.0.1"),
    ("localhost.", "127.0.0.1"),
    ("LOCALHOST", "127.0.0.1"),
    ("ｌｏｃａｌｈｏｓｔ", "127.0.0.1"),
    ("local\u{ad}host", "127.0.0.1"),
    ("four.example", "127.0.0.1"),
    ("any.example", "0.0.0.0"),
    ("six.example", "::1"),
    ("none.example", "::"),
    ("mapped.example", "::ffff:127.0.0.1"),
    ("translated.example", "64:ff9b::7f00:1"),
    ("tunnelled.example", "2002:7f00:1::"),
    ("metadata.example", "169.254.169.254"),
];

/// What a gateway says that has understood, and refuses.
const REFUSALS: [&str; 4] = ["address_forbidden", "host_invalid", "request_malformed", "protocol_unsupported"];

async fn servers() -> (Server, Server) {
    let four = Server::at("127.0.0.1:0", CANARY).await;
    let six = Server::at(&format!("[::1]:{}", four.port()), CANARY).await;
    (four, six)
}

async fn house(allow_private: &[&str]) -> House {
    let house = House::with(allow_private).await;
    for (name, address) in NAMES {
        // As the gateway spells it.
        if let Ok(name) = name.parse::<gateway::Name>() {
            house.liar.set(name.as_str(), &[&[address]]);
        }
    }
    house
}

#[tokio::test]
async fn no_spelling_of_an_address_is_a_way_to_it() {
    let (four, six) = servers().await;
    let house = house(&[]).await;
    let program = house.attach("sbx_1", Policy::Unrestricted).await;
    let port = four.port();
    let names = NAMES.iter().map(|(name, _)| name);
    for host in VERSION_4.iter().chain(VERSION_6).chain(names) {
        for told in [program.asks(host, port).await, program.tunnels(host, port).await] {
            let is_known = REFUSALS.iter().any(|code| told.contains(&format!("x-stead-refused: {code}\r\n")));
            // What is no HTTP at all is answered by the parser.
            assert!(is_known || told.starts_with("HTTP/1.1 400 "), "{host}: {told}");
        }
        let told = program.socks(host, port).await;
        // The answer to the greeting, then a refusal: never a success.
        assert!(told.as_bytes().get(3).is_some_and(|code| *code != 0), "{host}: {told:?}");
        assert_eq!((four.heard(), six.heard()), (vec![], vec![]), "{host}");
    }
}

#[tokio::test]
async fn where_the_operator_opens_them_they_are_reached() {
    let (four, six) = servers().await;
    let house = house(&["127.0.0.0/8", "::1/128"]).await;
    let program = house.attach("sbx_1", Policy::Unrestricted).await;
    let hosts =
        ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "four.example", "six.example", "mapped.example"];
    for host in hosts {
        let port = four.port();
        assert!(program.asks(host, port).await.contains(CANARY), "{host}");
        assert!(program.tunnels(host, port).await.contains(CANARY), "a tunnel to {host}");
        assert!(program.socks(host, port).await.contains(CANARY), "{host} by SOCKS");
    }
    assert_eq!((four.heard().len(), six.heard().len()), (15, 6));
}
