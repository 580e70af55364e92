//! Fragments that come by themselves: in order and not, from many sources, more than anybody would send
//! (RFC 4787 REQ-14; RFC 6864).

use super::super::ground::{C1, C2, E, Ground};
use super::super::probe::{ANY, comes_within, heard, query, told};
use super::super::row::{
    Level::{Must, Should},
    Row, Seen, judge,
};
use crate::net::LIMIT;
use crate::net::flood::Flood;
use crate::net::sockets;
use crate::net::wire::{Packet, Tap};
use anyhow::Result;
use std::net::UdpSocket;
use std::time::Duration;

pub const ROWS: &[Row] = &[
    Row::new(
        "fragments_in_order",
        "RFC 4787 REQ-14",
        Must,
        "fragments in order arrive as a datagram, both ways",
        |ground| order(ground, 44_400, [0, 1]),
    ),
    Row::new(
        "fragments_out_of_order",
        "RFC 4787 REQ-14",
        Must,
        "so do fragments whose first one comes last",
        |ground| order(ground, 44_410, [1, 0]),
    ),
    Row::new(
        "datagrams_larger_than_frames",
        "RFC 4787 REQ-14",
        Must,
        "what hosts' own kernels fragment arrives, both ways",
        large,
    ),
    Row::new(
        "echo_larger_than_frames",
        "RFC 5508 REQ-1",
        Must,
        "an echo in fragments gets its reply, in fragments too",
        echo,
    ),
    Row::new(
        "fragments_with_equal_ids",
        "RFC 7857 9",
        Should,
        "two inside hosts' fragments with one identification are not mixed (RFC 6864 5.3.1)",
        equal_ids,
    ),
];

/// Last of all: what a kernel has to remember of a flood it forgets after half a minute.
pub const FLOOD: &[Row] = &[
    Row::new(
        "fragment_flood",
        "RFC 4787 REQ-14a",
        Must,
        "ten thousand lone fragments cost no whole datagram",
        flood,
    ),
    Row::new(
        "fragments_pass_after_a_flood",
        "RFC 4787 REQ-14a",
        Should,
        "and two that belong together pass right afterwards",
        after_a_flood,
    )
    .linux_breaks("None"),
];

/// How long after one fragment the other comes.
const GAP: Duration = Duration::from_millis(50);

/// A datagram of 600 bytes cut in two; whether it arrives.
fn arrives(
    from: &crate::net::namespace::Namespace,
    whole: &str,
    order: [usize; 2],
    at: &UdpSocket,
) -> Result<Option<usize>> {
    let whole = Packet::parse(&format!("{whole} len=600"))?;
    for part in order {
        whole.fragment_of(400, part).send(from)?;
        std::thread::sleep(GAP);
    }
    Ok(heard(at)?.map(|(bytes, _)| bytes.len()))
}

fn order(ground: &Ground, port: u16, order: [usize; 2]) -> Seen {
    let server = sockets::udp(&ground.e, E, 8080)?;
    let inside = sockets::udp(&ground.c1, ANY, port)?;
    let out = format!("udp {C1}:{port} > {E}:8080 id={port}");
    // As the very first packet of its flow, and again.
    let first = arrives(&ground.c1, &out, order, &server)?;
    let seen = told(&inside, (E, 8080), &server)?;
    let again = arrives(
        &ground.c1,
        &out.replace(&format!("id={port}"), "id=99"),
        order,
        &server,
    )?;
    let back = arrives(
        &ground.e,
        &format!("udp {E}:8080 > {seen} id={port}"),
        order,
        &inside,
    )?;
    let ways = [first, again, back];
    judge(
        ways == [Some(600); 3],
        format!("opening, out and back, parts {order:?}: bytes {ways:?}"),
    )
}

fn large(ground: &Ground) -> Seen {
    let server = sockets::udp(&ground.e, E, 8080)?;
    let inside = sockets::udp(&ground.c1, ANY, 44_420)?;
    let mut lengths = Vec::new();
    for length in [2000, 9000, 60_000] {
        inside.send_to(&vec![7; length], (E, 8080))?;
        let Some((bytes, from)) = heard(&server)? else {
            return judge(false, format!("{length} bytes do not arrive"));
        };
        server.send_to(&bytes, from)?;
        lengths.push(heard(&inside)?.map(|(bytes, _)| bytes.len()));
    }
    judge(
        lengths == [Some(2000), Some(9000), Some(60_000)],
        format!("there and back: {lengths:?}"),
    )
}

fn echo(ground: &Ground) -> Seen {
    let tap = Tap::open(&ground.c1)?;
    let mut whole = query(8, 792, C1, E, &[9; 1992]);
    whole.0[4..6].copy_from_slice(&792u16.to_be_bytes());
    for part in [0, 1] {
        whole.fragment_of(1400, part).send(&ground.c1)?;
    }
    let from_e = |packet: &Packet| packet.protocol() == 1 && packet.source() == E;
    let mut bytes = 0;
    let last = comes_within(&tap, LIMIT, |packet| {
        if from_e(packet) {
            bytes += packet.transport().len();
        }
        bytes >= 2000
    })?;
    judge(
        last.is_some() && bytes == 2000,
        format!("2000 bytes there, {bytes} back"),
    )
}

fn flood(ground: &Ground) -> Seen {
    const LONE: usize = 10_000;
    const PROBES: usize = 200;
    let server = sockets::udp(&ground.e, E, 8080)?;
    let inside = sockets::udp(&ground.c1, ANY, 44_430)?;
    let seen = told(&inside, (E, 8080), &server)?;
    let floods = [Flood::from(&ground.c1)?, Flood::from(&ground.e)?];
    let lone = |text: String| -> Result<Packet> { Ok(Packet::parse(&text)?.fragment_of(400, 1)) };
    let patterns = [
        lone(format!("udp {C1}:44431 > {E}:8080 len=600"))?,
        lone(format!("udp {E}:8080 > {seen} len=600"))?,
    ];
    let mut lost = 0;
    for probe in 0..PROBES {
        let (flood, pattern) = (&floods[probe % 2], &patterns[probe % 2]);
        flood.send((0..LONE / PROBES).map(|number| {
            let id = (probe * (LONE / PROBES) + number) as u16;
            let mut packet = pattern.0.clone();
            packet[4..6].copy_from_slice(&id.max(1).to_be_bytes());
            packet
        }))?;
        inside.send_to(b"question", (E, 8080))?;
        let answered = match heard(&server)? {
            Some((_, from)) => {
                server.send_to(b"answer", from)?;
                heard(&inside)?.is_some()
            }
            None => false,
        };
        lost += usize::from(!answered);
    }
    judge(
        lost == 0,
        format!("{LONE} lone fragments, {lost} of {PROBES} datagrams lost"),
    )
}

fn after_a_flood(ground: &Ground) -> Seen {
    let server = sockets::udp(&ground.e, E, 8080)?;
    let out = format!("udp {C1}:44432 > {E}:8080 id=54321");
    let after = arrives(&ground.c1, &out, [0, 1], &server)?;
    judge(after == Some(600), format!("bytes that arrive: {after:?}"))
}

fn equal_ids(ground: &Ground) -> Seen {
    let server = sockets::udp(&ground.e, E, 8080)?;
    let one = Packet::parse(&format!("udp {C1}:44440 > {E}:8080 id=4440 len=600"))?;
    let other = Packet::parse(&format!("udp {C2}:44441 > {E}:8080 id=4440 len=700"))?;
    for part in [0, 1] {
        one.fragment_of(400, part).send(&ground.c1)?;
        other.fragment_of(400, part).send(&ground.c2)?;
    }
    let mut lengths = Vec::new();
    while let (Some((bytes, _)), true) = (heard(&server)?, lengths.len() < 2) {
        lengths.push(bytes.len());
        if lengths.len() == 2 {
            break;
        }
    }
    lengths.sort_unstable();
    judge(
        lengths == [600, 700],
        format!("datagrams of 600 and 700 bytes, interleaved; what arrives: {lengths:?}"),
    )
}
