use hickory_proto::rr;
use proptest::prelude::*;

use super::*;
use crate::bench::Bench;

fn query(name: &str, kind: RecordType) -> Message {
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(rr::Name::from_ascii(name).unwrap(), kind));
    query
}

fn asked(bench: &Bench, query: &Message) -> Message {
    let bytes = answer(&bench.shared, &bench.sandbox, &query.to_vec().unwrap()).unwrap();
    assert!(bytes.len() <= 512);
    let response = Message::from_vec(&bytes).unwrap();
    assert_eq!(response.metadata.id, query.metadata.id);
    assert_eq!(response.metadata.message_type, MessageType::Response);
    assert_eq!(response.queries, query.queries);
    response
}

fn addresses(response: &Message) -> Vec<IpAddr> {
    response.answers.iter().filter_map(|record| record.data.ip_addr()).collect()
}

#[tokio::test]
async fn a_name_that_may_be_reached_has_an_address_that_stands_for_it() {
    let bench = Bench::limited(&["example.com", "*.example.org"]);
    let first = asked(&bench, &query("Example.COM.", RecordType::A));
    assert_eq!(first.metadata.response_code, ResponseCode::NoError);
    let [IpAddr::V4(address)] = addresses(&first)[..] else { panic!("{first:?}") };
    assert!(bench.shared.names.contains(&address));
    assert_eq!(bench.sandbox.names.lock().name_of(address), Some("example.com".parse().unwrap()));
    assert_eq!(addresses(&asked(&bench, &query("example.com.", RecordType::A))), [IpAddr::V4(address)]);
    let below = addresses(&asked(&bench, &query("a.example.org.", RecordType::A)));
    assert!(below.len() == 1 && below != [IpAddr::V4(address)]);
    assert_eq!(bench.resolver.asked(), 0, "no query leaves");
}

#[tokio::test]
async fn other_names_do_not_exist_and_are_recorded() {
    let bench = Bench::limited(&["example.com"]);
    for name in ["secret.evil.example.", "www.example.com.", "127.0.0.1.", "."] {
        for kind in [RecordType::A, RecordType::AAAA] {
            let response = asked(&bench, &query(name, kind));
            assert_eq!(response.metadata.response_code, ResponseCode::NXDomain, "{name}");
            assert!(response.answers.is_empty());
        }
    }
    assert_eq!(bench.resolver.asked(), 0, "no query leaves");
    let records = bench.records().await;
    assert_eq!(records.len(), 8);
    assert_eq!(records[0]["protocol"], "dns");
    assert_eq!(records[0]["host"], "secret.evil.example");
    assert_eq!(records[0]["verdict"], "deny");
    assert_eq!(records[0]["code"], "host_not_allowed");
}

#[tokio::test]
async fn bytes_that_no_name_has_are_no_name() {
    let bench = Bench::unrestricted();
    let labels: [&[u8]; 6] = [b"a b", b"a.b", b"\xff\xfe", b"\0", b"a\\b", b"1"];
    for label in labels {
        let mut query = Message::query();
        let name = rr::Name::from_labels([label, b"x".as_slice(), label]).unwrap();
        query.add_query(Query::query(name, RecordType::A));
        assert_eq!(asked(&bench, &query).metadata.response_code, ResponseCode::NXDomain, "{label:?}");
    }
}

#[tokio::test]
async fn only_addresses_of_version_4_are_told() {
    let bench = Bench::unrestricted();
    let kinds = [
        RecordType::AAAA,
        RecordType::PTR,
        RecordType::SRV,
        RecordType::TXT,
        RecordType::MX,
        RecordType::HTTPS,
        RecordType::NS,
        RecordType::ANY,
    ];
    for kind in kinds {
        let response = asked(&bench, &query("example.com.", kind));
        assert_eq!(response.metadata.response_code, ResponseCode::NoError, "{kind}");
        assert!(response.answers.is_empty());
    }
    assert_eq!(bench.resolver.asked(), 0, "no query leaves");
}

#[tokio::test]
async fn localhost_is_the_sandbox_itself() {
    let bench = Bench::limited(&[]);
    let v4 = asked(&bench, &query("localhost.", RecordType::A));
    assert_eq!(addresses(&v4), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
    let v6 = asked(&bench, &query("app.localhost.", RecordType::AAAA));
    assert_eq!(addresses(&v6), [IpAddr::from(Ipv6Addr::LOCALHOST)]);
}

#[tokio::test]
async fn an_extended_query_has_an_extended_answer() {
    let bench = Bench::unrestricted();
    let mut extended = query("example.com.", RecordType::A);
    extended.edns = Some(Edns::new());
    assert!(asked(&bench, &extended).edns.is_some());
    assert!(asked(&bench, &query("example.com.", RecordType::A)).edns.is_none());
}

#[tokio::test]
async fn what_is_no_query_is_told_so_or_not_answered() {
    let bench = Bench::unrestricted();
    let answered = |bytes: &[u8]| answer(&bench.shared, &bench.sandbox, bytes);
    let code = |bytes: &[u8]| Message::from_vec(&answered(bytes).unwrap()).unwrap().metadata.response_code;
    assert_eq!(answered(b""), None);
    assert_eq!(answered(b"\x00\x01"), None);
    assert_eq!(code(b"\x00\x01\x01\x00\xff\xff\xff"), ResponseCode::FormErr);
    let response = Message::response(7, OpCode::Query).to_vec().unwrap();
    assert_eq!(answered(&response), None);
    assert_eq!(code(&Message::query().to_vec().unwrap()), ResponseCode::FormErr);
    let mut two = query("a.example.", RecordType::A);
    two.add_query(Query::query(rr::Name::from_ascii("b.example.").unwrap(), RecordType::A));
    assert_eq!(code(&two.to_vec().unwrap()), ResponseCode::FormErr);
    let mut chaos = query("version.bind.", RecordType::TXT);
    chaos.queries[0].query_class = DNSClass::CH;
    assert_eq!(code(&chaos.to_vec().unwrap()), ResponseCode::FormErr);
    let mut update = query("example.com.", RecordType::A);
    update.metadata.op_code = OpCode::Update;
    assert_eq!(code(&update.to_vec().unwrap()), ResponseCode::NotImp);
}

#[tokio::test]
async fn queries_over_a_stream_are_answered_in_turn() {
    let bench = Bench::unrestricted();
    let (mut ours, theirs) = tokio::io::duplex(4_096);
    let asking = async {
        for name in ["a.example.", "b.example."] {
            let bytes = query(name, RecordType::A).to_vec().unwrap();
            ours.write_u16(bytes.len().try_into().unwrap()).await.unwrap();
            ours.write_all(&bytes).await.unwrap();
            let mut answer = vec![0; ours.read_u16().await.unwrap().into()];
            ours.read_exact(&mut answer).await.unwrap();
            assert_eq!(addresses(&Message::from_vec(&answer).unwrap()).len(), 1);
        }
        drop(ours);
    };
    let connection = bench.connection();
    tokio::join!(asking, serve(&connection, theirs));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_names_that_are_not_allowed_is_answered_less_and_less() {
    let bench = Bench::limited(&[]);
    let flood = (0..5_000).filter(|n| {
        let query = query(&format!("n{n}.example."), RecordType::A).to_vec().unwrap();
        answer(&bench.shared, &bench.sandbox, &query).is_some()
    });
    assert!(flood.count() <= 1_001);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::limited(&[]);
            let _ = answer(&bench.shared, &bench.sandbox, &bytes);
            let whole = [b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".as_slice(), &bytes].concat();
            let _ = answer(&bench.shared, &bench.sandbox, &whole);
        });
    }
}
