//! Connections to any address but the loopback ones end up at one port. In the words of `nft`:
//!
//! ```text
//! table inet gate {
//!     chain out {
//!         type nat hook output priority -100
//!         meta l4proto tcp meta nfproto ipv4 ip daddr & 255.0.0.0 != 127.0.0.0 redirect to :port
//!         meta l4proto tcp meta nfproto ipv6 ip6 daddr != ::1 redirect to :port
//!     }
//! }
//! ```

use std::{io, net::Ipv6Addr};

use rustix::net::netlink;

use super::netlink::Messages;

/// From `linux/netfilter/nf_tables.h`, which libc does not have.
mod attribute {
    pub(super) const TABLE_NAME: u16 = 1;
    pub(super) const CHAIN_TABLE: u16 = 1;
    pub(super) const CHAIN_NAME: u16 = 3;
    pub(super) const CHAIN_HOOK: u16 = 4;
    pub(super) const CHAIN_TYPE: u16 = 7;
    pub(super) const HOOK_HOOKNUM: u16 = 1;
    pub(super) const HOOK_PRIORITY: u16 = 2;
    pub(super) const RULE_TABLE: u16 = 1;
    pub(super) const RULE_CHAIN: u16 = 2;
    pub(super) const RULE_EXPRESSIONS: u16 = 4;
    pub(super) const LIST_ELEM: u16 = 1;
    pub(super) const EXPR_NAME: u16 = 1;
    pub(super) const EXPR_DATA: u16 = 2;
    pub(super) const IMMEDIATE_DREG: u16 = 1;
    pub(super) const IMMEDIATE_DATA: u16 = 2;
    pub(super) const DATA_VALUE: u16 = 1;
    pub(super) const REDIR_REG_PROTO_MIN: u16 = 1;
    pub(super) const REDIR_FLAGS: u16 = 3;
    pub(super) const META_DREG: u16 = 1;
    pub(super) const META_KEY: u16 = 2;
    pub(super) const PAYLOAD_DREG: u16 = 1;
    pub(super) const PAYLOAD_BASE: u16 = 2;
    pub(super) const PAYLOAD_OFFSET: u16 = 3;
    pub(super) const PAYLOAD_LEN: u16 = 4;
    pub(super) const CMP_SREG: u16 = 1;
    pub(super) const CMP_OP: u16 = 2;
    pub(super) const CMP_DATA: u16 = 3;
}

/// `NF_NAT_RANGE_PROTO_SPECIFIED`.
const PORT_IS_GIVEN: u32 = 2;

const TABLE: &str = "gate";
const CHAIN: &str = "out";

/// The priority at which destinations are translated.
const PRIORITY: i32 = -100;

/// A 16-byte register that rules compute in.
const REGISTER: u32 = libc::NFT_REG_1 as u32;

const REQUIRED: u16 = (libc::NLM_F_ACK | libc::NLM_F_CREATE) as u16;

pub(super) fn install(port: u16) -> io::Result<()> {
    let mut messages = Messages::default();
    let batch = generic(libc::AF_UNSPEC, libc::NFNL_SUBSYS_NFTABLES as u16);
    messages.begin(libc::NFNL_MSG_BATCH_BEGIN as u16, 0, &batch);
    message(&mut messages, libc::NFT_MSG_NEWTABLE).text(attribute::TABLE_NAME, TABLE);
    message(&mut messages, libc::NFT_MSG_NEWCHAIN)
        .text(attribute::CHAIN_TABLE, TABLE)
        .text(attribute::CHAIN_NAME, CHAIN)
        .nested(attribute::CHAIN_HOOK | NESTED, |hook| {
            hook.number(attribute::HOOK_HOOKNUM, libc::NF_INET_LOCAL_OUT as u32)
                .number(attribute::HOOK_PRIORITY, PRIORITY as u32);
        })
        .text(attribute::CHAIN_TYPE, "nat");
    rule(&mut messages, &[tcp, ipv4, beyond_loopback4], port);
    rule(&mut messages, &[tcp, ipv6, beyond_loopback6], port);
    messages.begin(libc::NFNL_MSG_BATCH_END as u16, 0, &batch);
    messages.send(Some(netlink::NETFILTER))
}

const NESTED: u16 = libc::NLA_F_NESTED as u16;

/// `nfgenmsg`.
fn generic(family: i32, resource: u16) -> [u8; 4] {
    let resource = resource.to_be_bytes();
    [family as u8, libc::NFNETLINK_V0 as u8, resource[0], resource[1]]
}

fn message(messages: &mut Messages, kind: i32) -> &mut Messages {
    let kind = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8 | kind as u16;
    messages.begin(kind, REQUIRED, &generic(libc::NFPROTO_INET, 0))
}

type Part = fn(&mut Messages);

fn rule(messages: &mut Messages, conditions: &[Part], port: u16) {
    message(messages, libc::NFT_MSG_NEWRULE)
        .text(attribute::RULE_TABLE, TABLE)
        .text(attribute::RULE_CHAIN, CHAIN)
        .nested(attribute::RULE_EXPRESSIONS | NESTED, |expressions| {
            conditions.iter().for_each(|condition| condition(expressions));
            expression(expressions, "immediate", |data| {
                data.number(attribute::IMMEDIATE_DREG, REGISTER);
                value(data, attribute::IMMEDIATE_DATA, &port.to_be_bytes());
            });
            expression(expressions, "redir", |data| {
                data.number(attribute::REDIR_REG_PROTO_MIN, REGISTER).number(attribute::REDIR_FLAGS, PORT_IS_GIVEN);
            });
        });
}

fn expression(messages: &mut Messages, name: &str, fill: impl FnOnce(&mut Messages)) {
    messages.nested(attribute::LIST_ELEM | NESTED, |element| {
        element.text(attribute::EXPR_NAME, name).nested(attribute::EXPR_DATA | NESTED, fill);
    });
}

fn value(messages: &mut Messages, kind: u16, bytes: &[u8]) {
    messages.nested(kind | NESTED, |data| {
        data.attribute(attribute::DATA_VALUE, bytes);
    });
}

fn tcp(rule: &mut Messages) {
    meta(rule, libc::NFT_META_L4PROTO);
    compare(rule, libc::NFT_CMP_EQ, &[libc::IPPROTO_TCP as u8]);
}

fn ipv4(rule: &mut Messages) {
    meta(rule, libc::NFT_META_NFPROTO);
    compare(rule, libc::NFT_CMP_EQ, &[libc::NFPROTO_IPV4 as u8]);
}

fn ipv6(rule: &mut Messages) {
    meta(rule, libc::NFT_META_NFPROTO);
    compare(rule, libc::NFT_CMP_EQ, &[libc::NFPROTO_IPV6 as u8]);
}

/// The first byte of the destination, which an IPv4 header has at 16.
fn beyond_loopback4(rule: &mut Messages) {
    load(rule, 16, 1);
    compare(rule, libc::NFT_CMP_NEQ, &[127]);
}

/// The destination, which an IPv6 header has at 24.
fn beyond_loopback6(rule: &mut Messages) {
    load(rule, 24, 16);
    compare(rule, libc::NFT_CMP_NEQ, &Ipv6Addr::LOCALHOST.octets());
}

fn meta(rule: &mut Messages, key: i32) {
    expression(rule, "meta", |data| {
        data.number(attribute::META_DREG, REGISTER).number(attribute::META_KEY, key as u32);
    });
}

fn load(rule: &mut Messages, offset: u32, length: u32) {
    expression(rule, "payload", |data| {
        data.number(attribute::PAYLOAD_DREG, REGISTER)
            .number(attribute::PAYLOAD_BASE, libc::NFT_PAYLOAD_NETWORK_HEADER as u32)
            .number(attribute::PAYLOAD_OFFSET, offset)
            .number(attribute::PAYLOAD_LEN, length);
    });
}

fn compare(rule: &mut Messages, how: i32, with: &[u8]) {
    expression(rule, "cmp", |data| {
        data.number(attribute::CMP_SREG, REGISTER).number(attribute::CMP_OP, how as u32);
        value(data, attribute::CMP_DATA, with);
    });
}
