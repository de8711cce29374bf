//! Extended header records: a decimal length, a space, a key, `=`, a value and a newline. The length counts all of it,
//! its own digits too. By it alone a record ends: a value may hold any bytes, as names of files do.

use std::{iter, str};

use rustix::fs::Timespec;

pub(super) const PATH: &[u8] = b"path";
pub(super) const LINK: &[u8] = b"linkpath";
pub(super) const TIME: &[u8] = b"mtime";
/// Would be another length than the header's: two readers could see two archives in one.
pub(super) const SIZE: &[u8] = b"size";
/// Before the name of an extended attribute.
pub(super) const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";
/// Of a sparse file: how long it is, how many stretches of data the archive has of it, and where each belongs.
pub(super) const SPARSE_SIZE: &[u8] = b"GNU.sparse.size";
pub(super) const SPARSE_COUNT: &[u8] = b"GNU.sparse.numblocks";
pub(super) const SPARSE_MAP: &[u8] = b"GNU.sparse.map";

/// The longest length, in digits.
const DIGITS: usize = 20;

const NANOSECONDS: i64 = 1_000_000_000;

pub(super) fn push(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while rest + digits(length) > length {
        length = rest + digits(length);
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// Keys and values, in their order. None if these are no records.
pub(super) fn parse(mut records: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut found = Vec::new();
    while !records.is_empty() {
        let space = records.iter().take(DIGITS + 1).position(|byte| *byte == b' ')?;
        let length: usize = str::from_utf8(records.get(..space)?).ok()?.parse().ok()?;
        let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        found.push((record.get(..equals)?, record.get(equals + 1..)?));
        records = records.get(length..)?;
    }
    Some(found)
}

/// Seconds with nine decimals.
pub(super) fn written(time: Timespec) -> String {
    let Timespec { tv_sec, tv_nsec } = time;
    if tv_sec < 0 && tv_nsec > 0 {
        // Nanoseconds count upwards also before 1970; decimals then count downwards.
        format!("-{}.{:09}", -(tv_sec + 1), NANOSECONDS - tv_nsec)
    } else {
        format!("{tv_sec}.{tv_nsec:09}")
    }
}

pub(super) fn time(text: &[u8]) -> Option<Timespec> {
    let text = str::from_utf8(text).ok()?;
    let (is_before, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !seconds.bytes().chain(decimals.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = seconds.parse().ok()?;
    let decimals = decimals.bytes().chain(iter::repeat(b'0')).take(9);
    let nanoseconds = decimals.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some(match (is_before, nanoseconds) {
        (false, _) => Timespec { tv_sec: seconds, tv_nsec: nanoseconds },
        (true, 0) => Timespec { tv_sec: -seconds, tv_nsec: 0 },
        (true, _) => Timespec { tv_sec: -seconds - 1, tv_nsec: NANOSECONDS - nanoseconds },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_counts_its_own_digits() {
        for (value, record) in [("1", "8 key=1\n"), ("12", "9 key=12\n"), ("123", "11 key=123\n")] {
            let mut records = Vec::new();
            push(&mut records, b"key", value.as_bytes());
            assert_eq!(String::from_utf8(records).unwrap(), record);
        }
        for length in [0, 1, 2, 3, 89, 90, 91, 92, 93, 990, 991, 992, 993, 9_989, 9_990, 9_991] {
            let (mut records, value) = (Vec::new(), vec![b'\n'; length]);
            push(&mut records, b"key", &value);
            push(&mut records, b"path", b"a=b\n");
            let pairs: [(&[u8], &[u8]); 2] = [(b"key", &value), (b"path", b"a=b\n")];
            assert_eq!(parse(&records).unwrap(), pairs, "{length}");
        }
    }

    #[test]
    fn what_is_no_record_is_none() {
        let endless = format!("{} key=1\n", "9".repeat(23));
        for records in ["x", "8 key=1", "7 key=1\n", "9 key=1\n", "2 \n", "6 key\n", &endless] {
            assert_eq!(parse(records.as_bytes()), None, "{records}");
        }
        assert!(parse(b"").unwrap().is_empty());
    }

    #[test]
    fn times_survive_the_round_trip_also_before_1970() {
        for (tv_sec, tv_nsec, text) in [
            (1_700_000_000, 123_456_789, "1700000000.123456789"),
            (0, 0, "0.000000000"),
            (-1, 500_000_000, "-0.500000000"),
            (-2, 0, "-2.000000000"),
            (-2, 1, "-1.999999999"),
        ] {
            let moment = Timespec { tv_sec, tv_nsec };
            assert_eq!(written(moment), text);
            assert_eq!(time(text.as_bytes()), Some(moment));
        }
        assert_eq!(time(b"7"), Some(Timespec { tv_sec: 7, tv_nsec: 0 }));
        assert_eq!(time(b"7.5"), Some(Timespec { tv_sec: 7, tv_nsec: 500_000_000 }));
        for wrong in ["", "--1", "1.x", "+1", "1e9", "9999999999999999999"] {
            assert_eq!(time(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
