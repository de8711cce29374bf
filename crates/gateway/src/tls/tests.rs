use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;

/// What OpenSSL 3 sends to `www.example.com`, but for the zeroes that it pads with.
const BY_OPENSSL: &[&str] = &[
    "1603010200010001fc0303dea738d04ea5203c8ffc9daafcc847c6ad9526ca2e578c3208c0a3a90821457b200a5f4472ba18",
    "cdb8aa88ded3b59c73b19990d5425561326439e214791848937e0024130213031301c02cc030c02bc02fcca9cca8c024c028",
    "c023c027009f009e006b006700ff0100018f00000014001200000f7777772e6578616d706c652e636f6d000b000403000102",
    "000a00160014001d0017001e0019001801000101010201030104002300000016000000170000000d002a0028040305030603",
    "080708080809080a080b080408050806040105010601030303010302040205020602002b00050403040303002d0002010100",
    "3300260024001d0020609af709e18acbfce1df6971ded8f24cc970e638514dfe3a77467385392be10e001500de",
];
const PADDING: usize = 222;

fn by_openssl() -> Vec<u8> {
    let digits = BY_OPENSSL.concat();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    let mut bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
    bytes.resize(bytes.len() + PADDING, 0);
    bytes
}

fn long(content: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(content.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), long(content)].concat()
}

fn server_name(name: &str) -> Vec<u8> {
    extension(0, &long(&[vec![0], long(name.as_bytes())].concat()))
}

/// A whole message without its records.
fn message(extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend(long(&[0x13, 0x01]));
    body.extend([1, 0]);
    if !extensions.is_empty() {
        body.extend(long(&extensions.concat()));
    }
    let mut message = vec![1, 0];
    message.extend(long(&body));
    message
}

fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|part| [vec![22, 3, 1], long(part)].concat()).collect()
}

fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    records(&message(extensions), 1 << 14)
}

/// For tests of what is done with it.
pub(crate) fn hello_for(name: &str) -> Vec<u8> {
    hello(&[server_name(name)])
}

fn named(name: &str) -> Parsed {
    Parsed::Hello(Hello { server_name: Some(name.into()), is_encrypted: false })
}

#[test]
fn a_real_one_is_understood_and_each_beginning_of_it_is_one() {
    let bytes = by_openssl();
    assert_eq!(bytes.len(), 517);
    assert_eq!(parse(&bytes), named("www.example.com"));
    for length in 0..bytes.len() {
        assert_eq!(parse(&bytes[..length]), Parsed::Partial, "{length}");
    }
}

#[test]
fn it_may_come_in_many_records_and_with_more_behind_it() {
    for size in [1, 2, 3, 5, 40, 1_000] {
        let mut bytes = records(&message(&[server_name("example.com")]), size);
        assert_eq!(parse(&bytes), named("example.com"), "{size}");
        bytes.extend(b"\x14\x03\x03\0\x01\x01");
        assert_eq!(parse(&bytes), named("example.com"), "{size}");
    }
}

#[test]
fn without_a_name_it_is_still_one() {
    let nameless = Parsed::Hello(Hello { server_name: None, is_encrypted: false });
    assert_eq!(parse(&hello(&[])), nameless);
    assert_eq!(parse(&hello(&[extension(43, &[2, 3, 4])])), nameless);
}

#[test]
fn encrypted_hello_is_seen() {
    for kind in [0xfe0d, 0xffce] {
        let bytes = hello(&[server_name("example.com"), extension(kind, &[1, 2, 3])]);
        let expected = Hello { server_name: Some("example.com".into()), is_encrypted: true };
        assert_eq!(parse(&bytes), Parsed::Hello(expected));
    }
}

#[test]
fn what_has_two_readings_is_malformed() {
    let twice = hello(&[server_name("example.com"), server_name("evil.example")]);
    assert_eq!(parse(&twice), Parsed::Malformed);
    let entry = |name: &str| [vec![0], long(name.as_bytes())].concat();
    let both = hello(&[extension(0, &long(&[entry("example.com"), entry("evil.example")].concat()))]);
    assert_eq!(parse(&both), Parsed::Malformed);
    let trailing = hello(&[extension(0, &[long(&entry("example.com")), vec![0]].concat())]);
    assert_eq!(parse(&trailing), Parsed::Malformed);
    let not_text = hello(&[extension(0, &long(&[0, 0, 2, 0xff, 0xfe]))]);
    assert_eq!(parse(&not_text), Parsed::Malformed);
    let mut behind = message(&[server_name("example.com")]);
    behind.push(0);
    let length = u16::try_from(behind.len() - 4).unwrap().to_be_bytes();
    behind[2..4].copy_from_slice(&length);
    assert_eq!(parse(&records(&behind, 1 << 14)), Parsed::Malformed);
}

#[test]
fn other_protocols_are_told_at_their_first_bytes() {
    let others: [&[u8]; 4] = [b"G", b"SSH-2.0", b"\x16\x02", b"\x80\x2e\x01"];
    for bytes in others {
        assert_eq!(parse(bytes), Parsed::Other, "{bytes:?}");
    }
    let malformed: [&[u8]; 3] = [b"\x16\x03\x01\0\0", b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\0\x01\x02"];
    for bytes in malformed {
        assert_eq!(parse(bytes), Parsed::Malformed, "{bytes:?}");
    }
    assert_eq!(parse(b""), Parsed::Partial);
}

#[test]
fn the_name_must_be_that_of_the_host() {
    let hello = |server_name: Option<&str>| Hello { server_name: server_name.map(Into::into), is_encrypted: false };
    let check = |name, host: &str| agrees(&hello(name), &host.parse().unwrap(), false);
    assert_eq!(check(Some("example.com"), "example.com"), Ok(()));
    assert_eq!(check(Some("EXAMPLE.com"), "example.com"), Ok(()));
    assert_eq!(check(Some("www.example.com"), "example.com"), Err(Code::SniMismatch));
    assert_eq!(check(Some("192.0.2.1"), "example.com"), Err(Code::SniMismatch));
    assert_eq!(check(None, "example.com"), Err(Code::SniMissing));
    assert_eq!(check(None, "192.0.2.1"), Ok(()));
    assert_eq!(check(Some("example.com"), "192.0.2.1"), Err(Code::SniMismatch));
    let encrypted = Hello { is_encrypted: true, ..hello(Some("example.com")) };
    assert_eq!(agrees(&encrypted, &"example.com".parse().unwrap(), false), Err(Code::SniEncrypted));
    assert_eq!(agrees(&encrypted, &"example.com".parse().unwrap(), true), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn one_who_sends_it_byte_by_byte_is_not_waited_for_for_ever() {
    let (mut ours, mut theirs) = duplex(64);
    let trickle = async {
        for byte in by_openssl() {
            theirs.write_all(&[byte]).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        read = read(&mut ours, Duration::from_secs(10)) => assert_eq!(read, Err(Code::Timeout)),
        () = trickle => panic!("nobody gave up"),
    }
}

#[tokio::test]
async fn one_that_is_too_long_is_not_read_to_its_end() {
    let (mut ours, mut theirs) = duplex(1 << 20);
    theirs.write_all(&records(&message(&[extension(21, &[0; 40_000])]), 1_000)).await.unwrap();
    assert_eq!(read(&mut ours, Duration::from_secs(10)).await, Err(Code::NotTls));
}

fn guarded(first: &[u8], host: &str) -> Guard<tokio::io::Join<std::io::Cursor<Vec<u8>>, tokio::io::Sink>> {
    let stream = tokio::io::join(std::io::Cursor::new(first.to_vec()), tokio::io::sink());
    Guard::new(stream, host.parse().unwrap(), false)
}

#[tokio::test]
async fn a_guard_passes_what_is_not_tls_and_what_names_its_host() {
    let passes = [b"SSH-2.0-client\r\n".to_vec(), by_openssl(), Vec::new()];
    for first in passes {
        let mut read = Vec::new();
        guarded(&first, "www.example.com").read_to_end(&mut read).await.unwrap();
        assert_eq!(read, first);
    }
}

#[tokio::test]
async fn a_guard_lets_no_byte_of_another_hello_through() {
    let malformed = hello(&[server_name("other.example"), server_name("www.example.com")]);
    for (first, code) in [(by_openssl(), Code::SniMismatch), (malformed, Code::NotTls)] {
        let mut read = Vec::new();
        let error = guarded(&first, "other.example").read_to_end(&mut read).await.unwrap_err();
        let denied = error.get_ref().and_then(|error| error.downcast_ref::<Denied>()).unwrap();
        assert_eq!(denied.0, code);
        assert!(read.is_empty());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = parse(&bytes);
        let _ = parse(&records(&bytes, 100));
        let _ = parse(&hello(&[bytes]));
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0..517_usize, with in any::<u8>(), cut in 0..517_usize) {
        let mut bytes = by_openssl();
        bytes[at] = with;
        let _ = parse(&bytes);
        bytes.remove(cut);
        let _ = parse(&bytes);
    }
}
