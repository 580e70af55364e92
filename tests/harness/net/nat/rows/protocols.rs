//! Protocols that the translation does not know, payloads that it must not, and packets of no connection: whatever
//! leaves, leaves translated (the checklist's 1.5; RFC 4787 REQ-10, RFC 5382 REQ-6).

use super::super::ground::{C1, C2, E, Ground, OWN};
use super::super::probe::{ANY, bare, comes, icmp_kind, query, tcp, told, until};
use super::super::row::{
    Level::{Must, Should},
    Row, Seen, judge,
};
use super::super::subject::Setting;
use super::super::witness::from_the_box;
use crate::net::sockets;
use crate::net::wire::{Packet, Tap};
use anyhow::Result;
use std::io::Read;

pub const ROWS: &[Row] = &[
    Row::new(
        "protocol_200",
        "DESIGN 2.4",
        Must,
        "an unknown protocol is translated by address, both ways",
        |ground| unknown(ground, 200),
    ),
    Row::new("gre", "DESIGN 2.4", Must, "so is GRE", |ground| {
        unknown(ground, 47)
    }),
    Row::new(
        "unknown_protocols_have_one_host",
        "DESIGN 2.4",
        Should,
        "a second inside host that speaks it to the same host is told (3/13), and not mixed",
        second_host,
    )
    .linux_breaks("told: false"),
    Row::new(
        "sctp_does_not_leak",
        "DESIGN 2.4",
        Must,
        "SCTP is translated by address or dropped",
        |ground| sctp(ground, 47_000, true),
    ),
    Row::new(
        "sctp_with_a_wrong_checksum_does_not_leak",
        "DESIGN 2.4",
        Must,
        "so is SCTP whose checksum is wrong",
        |ground| sctp(ground, 47_001, false),
    )
    .linux_breaks("from 192.168.1.11")
    .linux_leaks(),
    Row::new(
        "strays_do_not_leak",
        "DESIGN 2.4",
        Must,
        "segments of no connection (RST, FIN+ACK, SYN+ACK, none) are translated or dropped",
        strays,
    )
    .linux_breaks("from 192.168.1.11")
    .linux_leaks(),
    Row::new(
        "a_standby_does_not_leak",
        "DESIGN 2.4",
        Must,
        "while another host has the VIP nothing of inside hosts leaves, translated or not",
        standby,
    )
    .under(Setting::Standby)
    .not_of_linux(),
    Row::new(
        "ftp_payload_is_untouched",
        "RFC 5382 REQ-6",
        Must,
        "no FTP ALG: a PORT command stays as it is",
        ftp,
    ),
    Row::new(
        "sip_payload_is_untouched",
        "RFC 4787 REQ-10",
        Must,
        "no SIP ALG: addresses in a datagram stay as they are",
        sip,
    ),
];

fn unknown(ground: &Ground, protocol: u8) -> Seen {
    let taps = [Tap::open(&ground.e)?, Tap::open(&ground.c1)?];
    // GRE's header: no flags, some protocol.
    bare(protocol, C1, E, &[0, 0, 8, 0, 1, 2, 3, 4]).send(&ground.c1)?;
    let there = comes(&taps[0], |packet| packet.protocol() == protocol)?;
    let Some(there) = there else {
        return judge(false, "it does not arrive");
    };
    bare(protocol, E, there.source(), &[0, 0, 8, 0, 5, 6, 7, 8]).send(&ground.e)?;
    let back = comes(&taps[1], |packet| packet.protocol() == protocol)?;
    let back = back.map(|packet| (packet.source(), packet.transport()[4..8].to_vec()));
    judge(
        there.source() == ground.x() && back == Some((E, vec![5, 6, 7, 8])),
        format!("E sees {}, the answer comes back: {back:?}", there.source()),
    )
}

fn second_host(ground: &Ground) -> Seen {
    const PROTOCOL: u8 = 201;
    let outside = Tap::open(&ground.e)?;
    bare(PROTOCOL, C1, E, &[1; 8]).send(&ground.c1)?;
    outside.next("the first", |packet| packet.protocol() == PROTOCOL)?;
    let told = Tap::open(&ground.c2)?;
    bare(PROTOCOL, C2, E, &[2; 8]).send(&ground.c2)?;
    let error = comes(&told, |packet| icmp_kind(packet) == Some((3, 13)))?;
    let mixed = outside
        .drain()?
        .iter()
        .any(|packet| packet.protocol() == PROTOCOL && packet.transport() == [2; 8]);
    judge(
        error.is_some() && !mixed,
        format!(
            "c2 is told: {}, its packet leaves: {mixed}",
            error.is_some()
        ),
    )
}

/// What E sees of what the inside host sends before a datagram that passes.
fn seen_of(ground: &Ground, port: u16, packets: &[Packet]) -> Result<Vec<Packet>> {
    let server = sockets::udp(&ground.e, E, 8080)?;
    let inside = sockets::udp(&ground.c1, ANY, port)?;
    told(&inside, (E, 8080), &server)?;
    let tap = Tap::open(&ground.e)?;
    for packet in packets {
        packet.send(&ground.c1)?;
    }
    told(&inside, (E, 8080), &server)?;
    let is_marker = |packet: &Packet| packet.protocol() == 17 && packet.ports().1 == 8080;
    let protocol = packets[0].protocol();
    let mut before = until(&tap, is_marker)?;
    before.retain(|packet| packet.protocol() == protocol);
    Ok(before)
}

/// That what is seen has left by the NAT address alone, if at all.
fn translated_or_dropped(ground: &Ground, seen: &[Packet]) -> Seen {
    let sources: Vec<String> = seen
        .iter()
        .map(|packet| format!("from {}", packet.source()))
        .collect();
    judge(
        !seen.iter().any(from_the_box) && seen.iter().all(|packet| packet.source() == ground.x()),
        format!("E sees {sources:?}"),
    )
}

fn strays(ground: &Ground) -> Seen {
    let mut packets = Vec::new();
    for (number, flags) in ["R", "FA", "SA", "RA", ""].iter().enumerate() {
        let port = 45_600 + number;
        packets.push(Packet::parse(&format!(
            "tcp {C1}:{port} > {E}:9061 {flags} seq=9 ack=9"
        ))?);
    }
    translated_or_dropped(ground, &seen_of(ground, 44_500, &packets)?)
}

fn sctp(ground: &Ground, port: u16, right: bool) -> Seen {
    let mut bytes = Vec::new();
    bytes.extend(port.to_be_bytes());
    bytes.extend([0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
    // INIT (RFC 9260 3.3.2): tag, window, streams, first sequence number.
    bytes.extend([1, 0, 0, 20, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
    let sum = if right { crc32c(&bytes) } else { 0xdead_beef };
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    let seen = seen_of(ground, port, &[bare(132, C1, E, &bytes)])?;
    translated_or_dropped(ground, &seen)
}

/// RFC 9260, appendix A.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc = (crc >> 1) ^ (0x82f6_3b78 * carry);
        }
    }
    !crc
}

fn standby(ground: &Ground) -> Seen {
    let tap = Tap::open(&ground.e)?;
    for packet in [
        Packet::parse(&format!("udp {C1}:44520 > {E}:8080 len=8"))?,
        Packet::parse(&format!("tcp {C1}:45610 > {E}:9062 S"))?,
        Packet::parse(&format!("tcp {C1}:45611 > {E}:9062 A"))?,
        query(8, 793, C1, E, &[0; 8]),
        bare(200, C1, E, &[0; 8]),
    ] {
        packet.send(&ground.c1)?;
    }
    // The gateway's own leaves all the same.
    let (server, own) = (
        sockets::udp(&ground.e, E, 8080)?,
        sockets::udp(ground.gw(), ANY, 0)?,
    );
    let from = told(&own, (E, 8080), &server)?;
    let is_own = |packet: &Packet| packet.source() == OWN && packet.ports() == (from.port(), 8080);
    let mut before = until(&tap, is_own)?;
    let insides = [44_520, 45_610, 45_611];
    before.retain(|packet| {
        from_the_box(packet)
            || packet.protocol() == 200
            || insides.contains(&packet.ports().0)
            || icmp_kind(packet) == Some((8, 0))
    });
    judge(
        before.is_empty(),
        format!("of five packets E sees {before:?}, and the gateway as {from}"),
    )
}

fn ftp(ground: &Ground) -> Seen {
    const COMMAND: &[u8] = b"PORT 192,168,1,11,160,40\r\n";
    let pair = tcp(ground, &ground.c1, 44_510, (E, 21))?;
    sockets::tell(&pair.client, COMMAND)?;
    let mut got = vec![0; COMMAND.len()];
    (&pair.backend).read_exact(&mut got)?;
    judge(
        got == COMMAND,
        String::from_utf8_lossy(&got).trim().to_owned(),
    )
}

fn sip(ground: &Ground) -> Seen {
    const REQUEST: &[u8] = b"REGISTER sip:10.9.0.100 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.168.1.11:5060\r\n\
        Contact: <sip:a@192.168.1.11:5060>\r\nContent-Length: 0\r\n\r\n";
    let server = sockets::udp(&ground.e, E, 5060)?;
    let inside = sockets::udp(&ground.c1, ANY, 5060)?;
    inside.send_to(REQUEST, (E, 5060))?;
    let mut buffer = [0; 500];
    let (length, from) = server.recv_from(&mut buffer)?;
    judge(
        &buffer[..length] == REQUEST,
        format!("{length} of {} bytes, from {from}", REQUEST.len()),
    )
}
