//! ICMP through the translation: queries, and errors about flows in both directions (RFC 5508; RFC 4787 REQ-12).

use super::super::ground::{C1, E, Ground, R};
use super::super::probe::{
    ANY, comes, comes_within, error, heard, icmp_id, icmp_kind, query, quoted, told, until,
};
use super::super::row::{
    Level::{May, Must, Should},
    Row, Seen, judge,
};
use crate::frames::checksum;
use crate::net::sockets;
use crate::net::wire::{Packet, Tap};
use anyhow::{Context, Result};
use std::net::{SocketAddrV4, UdpSocket};

pub const ROWS: &[Row] = &[
    Row::new(
        "icmp_does_not_end_mappings",
        "RFC 4787 REQ-12",
        Must,
        "errors of type 3, whatever their code and sender, reach the inside host and end nothing",
        every_code,
    ),
    Row::new(
        "udp_refusal_is_heard",
        "RFC 5382 REQ-9",
        Must,
        "a closed port outside is heard of as a refusal inside",
        refusal,
    ),
    Row::new(
        "echo_and_timestamp_pass",
        "RFC 5508 REQ-1",
        Must,
        "queries of types 8 and 13 get their replies",
        queries,
    ),
    Row::new(
        "errors_with_a_wrong_checksum_are_dropped",
        "RFC 5508 REQ-3",
        Must,
        "an error whose ICMP checksum is wrong does not get in",
        |ground| forged(ground, Forgery::Sum, false),
    ),
    Row::new(
        "errors_quoting_a_wrong_header_are_dropped",
        "RFC 5508 REQ-3a",
        Should,
        "an error that quotes an IP header with a wrong checksum does not get in",
        |ground| forged(ground, Forgery::InnerHeader, false),
    )
    .linux_breaks("gets in 1 times"),
    Row::new(
        "errors_quoting_options_pass",
        "RFC 5508 REQ-3b",
        Must,
        "IP options of the quoted packet are passed over",
        |ground| forged(ground, Forgery::Options, true),
    ),
    Row::new(
        "errors_quoting_a_wrong_udp_sum_pass",
        "RFC 5508 REQ-3c",
        Must,
        "the quoted packet's transport checksum is not looked at",
        |ground| forged(ground, Forgery::InnerSum, true),
    ),
    Row::new(
        "errors_with_extensions_pass",
        "RFC 5508 REQ-3d",
        Should,
        "an error with extensions (RFC 4884) gets in, the extensions as they were",
        |ground| forged(ground, Forgery::Extension, true),
    ),
    Row::new(
        "inbound_errors_are_reverted",
        "RFC 5508 REQ-4",
        Must,
        "type, code and sender stay; what is quoted is what the inside host sent",
        reverted,
    ),
    Row::new(
        "errors_about_nothing_are_dropped",
        "RFC 5508 REQ-4",
        Must,
        "an error about no mapping does not get in",
        |ground| forged(ground, Forgery::Stranger, false),
    ),
    Row::new(
        "outbound_errors_are_translated",
        "RFC 5508 REQ-5",
        Must,
        "an inside host's refusal comes from the NAT address and quotes the outside form",
        outbound,
    ),
    Row::new(
        "other_errors_are_translated",
        "RFC 5508 REQ-10",
        May,
        "time exceeded (both codes) and parameter problem get in",
        others,
    ),
];

/// An inside socket that has spoken to an outside one, and as whom it was seen.
struct Flow {
    inside: UdpSocket,
    outside: UdpSocket,
    port: u16,
    seen: SocketAddrV4,
    tap: Tap,
}

fn flow(ground: &Ground, port: u16) -> Result<Flow> {
    let outside = sockets::udp(&ground.e, E, 8080)?;
    let inside = sockets::udp(&ground.c1, ANY, port)?;
    let seen = told(&inside, (E, 8080), &outside)?;
    let tap = Tap::open(&ground.c1)?;
    Ok(Flow {
        inside,
        outside,
        port,
        seen,
        tap,
    })
}

impl Flow {
    /// What the inside host sent, as it is outside.
    fn packet(&self) -> Result<Packet> {
        Packet::parse(&format!("udp {} > {E}:8080 len=8 ttl=62", self.seen))
    }

    /// Whether it still carries inward.
    fn lives(&self) -> Result<bool> {
        self.outside.send_to(b"alive", self.seen)?;
        // The errors are the socket's, too; it tells them one by one.
        for _ in 0..40 {
            match heard(&self.inside) {
                Ok(Some((bytes, _))) => return Ok(bytes == b"alive"),
                Ok(None) => return Ok(false),
                Err(_) => {}
            }
        }
        Ok(false)
    }

    /// Whether that quotes what the inside host sent, in its own form.
    fn quoted_by(&self, packet: &Packet) -> bool {
        let inner = quoted(packet);
        inner.0.len() >= 28
            && (inner.source(), inner.destination()) == (C1, E)
            && inner.ports() == (self.port, 8080)
            && packet.destination() == C1
            && packet.header_sum() == "right"
            && packet.icmp_sum() == "right"
    }
}

fn every_code(ground: &Ground) -> Seen {
    let flow = flow(ground, 44_000)?;
    let mut missing = Vec::new();
    for code in 0..16 {
        let rest = if code == 4 { 1400 } else { 0 };
        error((3, code), rest, R, ground.x(), &flow.packet()?.0).send(&ground.r)?;
        let kind = |packet: &Packet| icmp_kind(packet) == Some((3, code)) && flow.quoted_by(packet);
        if comes(&flow.tap, kind)?.is_none() {
            missing.push(code);
        }
    }
    let lives = flow.lives()?;
    judge(
        missing.is_empty() && lives,
        format!("codes that do not get in: {missing:?}; the mapping lives: {lives}"),
    )
}

fn others(ground: &Ground) -> Seen {
    let flow = flow(ground, 44_010)?;
    let mut missing = Vec::new();
    for kind in [(11, 0), (11, 1), (12, 0)] {
        error(kind, 0, R, ground.x(), &flow.packet()?.0).send(&ground.r)?;
        let is = |packet: &Packet| icmp_kind(packet) == Some(kind) && flow.quoted_by(packet);
        if comes(&flow.tap, is)?.is_none() {
            missing.push(kind);
        }
    }
    let lives = flow.lives()?;
    judge(
        missing.is_empty() && lives,
        format!("types that do not get in: {missing:?}; the mapping lives: {lives}"),
    )
}

fn reverted(ground: &Ground) -> Seen {
    let flow = flow(ground, 44_020)?;
    error((3, 1), 0, R, ground.x(), &flow.packet()?.0).send(&ground.r)?;
    let Some(seen) = comes(&flow.tap, |packet| icmp_kind(packet) == Some((3, 1)))? else {
        return judge(false, "it does not get in");
    };
    let inner = quoted(&seen);
    judge(
        flow.quoted_by(&seen) && seen.source() == R && inner.header_sum() == "right",
        format!(
            "3/1 from {} about {inner:?}, header sum {}",
            seen.source(),
            inner.header_sum()
        ),
    )
}

/// What is wrong, or only unusual, with an error.
#[derive(Clone, Copy, Debug)]
enum Forgery {
    Sum,
    InnerHeader,
    Options,
    InnerSum,
    Extension,
    Stranger,
}

/// Whether it gets in, before an error that is as it should be.
fn forged(ground: &Ground, forgery: Forgery, wanted: bool) -> Seen {
    let flow = flow(ground, 44_100 + forgery as u16)?;
    forge(&flow, ground, forgery)?.send(&ground.r)?;
    error((3, 9), 0, R, ground.x(), &flow.packet()?.0).send(&ground.r)?;
    let before = until(&flow.tap, |packet| icmp_kind(packet) == Some((3, 9)))?;
    let come: Vec<&Packet> = before
        .iter()
        .filter(|packet| icmp_kind(packet) == Some((3, 13)))
        .collect();
    let whole = come.iter().all(|packet| match forgery {
        Forgery::Extension => packet.transport().ends_with(&extension()),
        Forgery::Sum | Forgery::InnerHeader | Forgery::Stranger => true,
        Forgery::Options | Forgery::InnerSum => {
            let inner = quoted(packet);
            (inner.source(), inner.ports()) == (C1, (flow.port, 8080))
        }
    });
    let lives = flow.lives()?;
    judge(
        come.is_empty() != wanted && whole && lives,
        format!(
            "{forgery:?}: gets in {} times; the mapping lives: {lives}",
            come.len()
        ),
    )
}

fn forge(flow: &Flow, ground: &Ground, forgery: Forgery) -> Result<Packet> {
    let mut inner = flow.packet()?;
    let mut rest = 0;
    match forgery {
        Forgery::Sum => {}
        Forgery::InnerHeader => inner.0[10] ^= 0x55,
        Forgery::Options => inner = inner.with_options(&[1, 1, 1, 1, 1, 1, 1, 1]),
        Forgery::InnerSum => inner.0[26] ^= 0x55,
        Forgery::Extension => {
            // The quoted packet is 128 bytes (32 words), the extension follows.
            rest = 32 << 16;
            inner.0.resize(128, 0);
            inner.0.extend(extension());
        }
        Forgery::Stranger => {
            let stranger = format!("udp {}:64999 > {E}:8080 len=8", ground.x());
            inner = Packet::parse(&stranger)?;
        }
    }
    let mut packet = error((3, 13), rest, R, ground.x(), &inner.0);
    if matches!(forgery, Forgery::Sum) {
        packet.0[22] ^= 0x55;
    }
    Ok(packet)
}

/// RFC 4884 7 and 8: version 2, a checksum, one object of eight bytes.
fn extension() -> Vec<u8> {
    let mut bytes = vec![0x20, 0, 0, 0, 0, 8, 1, 1, 1, 2, 3, 4];
    let check = checksum(&bytes);
    bytes[2..4].copy_from_slice(&check.to_be_bytes());
    bytes
}

fn refusal(ground: &Ground) -> Seen {
    let inside = sockets::udp(&ground.c1, ANY, 44_200)?;
    inside.connect((E, 8089))?;
    inside.send(b"question")?;
    let error = inside.recv(&mut [0; 10]).err().map(|error| error.kind());
    judge(
        error == Some(std::io::ErrorKind::ConnectionRefused),
        format!("a datagram to a closed port: {error:?}"),
    )
}

fn queries(ground: &Ground) -> Seen {
    let mut evidence = Vec::new();
    for (kind, reply, payload) in [(8, 0, &[5u8; 40][..]), (13, 14, &[0; 12])] {
        let tap = Tap::open(&ground.c1)?;
        query(kind, 790, C1, E, payload).send(&ground.c1)?;
        let back = comes(&tap, |packet| icmp_kind(packet) == Some((reply, 0)))?;
        evidence.push((
            kind,
            back.map(|packet| (packet.source(), icmp_id(&packet), packet.icmp_sum())),
        ));
    }
    let kept = evidence
        .iter()
        .all(|(_, back)| *back == Some((E, 790, "right")));
    judge(
        kept,
        format!("type, and from whom and with which identifier the reply comes: {evidence:?}"),
    )
}

fn outbound(ground: &Ground) -> Seen {
    let flow = flow(ground, 44_210)?;
    let tap = Tap::open(&ground.e)?;
    drop(flow.inside);
    flow.outside.send_to(b"late", flow.seen)?;
    let limit = crate::net::LIMIT;
    let error = comes_within(&tap, limit, |packet| icmp_kind(packet) == Some((3, 3)))?;
    let error = error.context("nobody refuses")?;
    let inner = quoted(&error);
    let right = error.source() == ground.x()
        && SocketAddrV4::new(inner.destination(), inner.ports().1) == flow.seen
        && inner.source() == E
        && error.icmp_sum() == "right"
        && inner.header_sum() == "right";
    judge(
        right,
        format!("{} says 3/3 about {inner:?}", error.source()),
    )
}
