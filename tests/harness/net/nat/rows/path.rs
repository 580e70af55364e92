//! What a packet looks like once it is through, and what its path says of itself: time to live, traffic class,
//! options, checksums, traceroute, path MTU (RFC 4787 REQ-13; the checklist's 1.5).

use super::super::ground::{BOX, BOX_VIP, C1, E, E2, Ground, NARROW, R};
use super::super::probe::{ANY, comes, icmp_id, icmp_kind, query, quoted, told, until};
use super::super::row::{
    Level::{May, Must},
    Row, Seen, judge,
};
use crate::net::LIMIT;
use crate::net::namespace::output;
use crate::net::sockets::{self, carry};
use crate::net::wait::wait_for;
use crate::net::wire::{Packet, Tap};
use anyhow::{Context, Result, ensure};
use nix::sys::socket::{getsockopt, sockopt::IpMtu};
use std::net::{Ipv4Addr, SocketAddrV4};

pub const ROWS: &[Row] = &[
    Row::new(
        "ttl_falls_by_one",
        "RFC 791",
        Must,
        "time to live falls by one, both ways",
        time_to_live,
    ),
    Row::new(
        "ttl_ends_here",
        "RFC 1812 5.3.1",
        Must,
        "where it ends the gateway says so by its inside address, about the packet as it was sent",
        time_to_live_ends,
    ),
    Row::new(
        "dscp_and_ecn_stay",
        "RFC 2983",
        Must,
        "DSCP and ECN are not touched, both ways",
        class,
    ),
    Row::new(
        "ip_options_pass",
        "RFC 791",
        Must,
        "a packet with IP options is translated",
        options,
    ),
    Row::new(
        "record_route_passes",
        "RFC 791",
        May,
        "so is one that records its route",
        record_route,
    ),
    Row::new(
        "udp_without_checksum",
        "RFC 768",
        Must,
        "a UDP packet without checksum stays without one, both ways",
        no_checksum,
    ),
    Row::new(
        "udp_checksum_of_zero",
        "RFC 768",
        Must,
        "a UDP checksum that comes to zero is written as 0xffff, both ways",
        zero_checksum,
    ),
    Row::new(
        "traceroute_icmp",
        "RFC 5508 REQ-9",
        Must,
        "traceroute -I shows every hop",
        |ground| traceroute(ground, "-I"),
    ),
    Row::new(
        "traceroute_udp",
        "RFC 5508 REQ-9",
        Must,
        "traceroute -U shows every hop",
        |ground| traceroute(ground, "-U"),
    ),
    Row::new(
        "traceroute_tcp",
        "RFC 5508 REQ-9",
        Must,
        "traceroute -T shows every hop",
        |ground| traceroute(ground, "-T"),
    ),
    Row::new(
        "path_mtu_udp",
        "RFC 1191",
        Must,
        "a UDP socket learns the MTU of a router's link",
        mtu_of_datagrams,
    ),
    Row::new(
        "path_mtu_tcp",
        "RFC 1191",
        Must,
        "connections get through a router's narrow link",
        mtu_of_connections,
    ),
    Row::new(
        "path_mtu_icmp",
        "RFC 1191",
        Must,
        "\"too big\" about an echo reaches its sender",
        mtu_of_queries,
    ),
    Row::new(
        "too_big_for_the_gateway",
        "RFC 4787 REQ-13",
        Must,
        "\"don't fragment\" and too big: the gateway says so, with the MTU",
        too_big,
    ),
    Row::new(
        "fragmented_by_the_gateway",
        "RFC 4787 REQ-13a",
        Must,
        "else it is sent on in fragments, in order",
        fragmented,
    ),
];

/// The inside host sends this UDP packet to E; what E sees of it.
fn there(ground: &Ground, packet: Packet) -> Result<Packet> {
    let _sink = sockets::udp(&ground.e, E, 8080)?;
    let tap = Tap::open(&ground.e)?;
    packet.send(&ground.c1)?;
    tap.next("the packet", |packet| {
        packet.protocol() == 17 && packet.ports().1 == 8080
    })
}

/// E answers an inside port with this; what the inside host sees of it.
fn back(ground: &Ground, port: u16, settings: &str) -> Result<Packet> {
    let outside = sockets::udp(&ground.e, E, 8080)?;
    let inside = sockets::udp(&ground.c1, ANY, port)?;
    let seen = told(&inside, (E, 8080), &outside)?;
    let tap = Tap::open(&ground.c1)?;
    Packet::parse(&format!("udp {E}:8080 > {seen} {settings}"))?.send(&ground.e)?;
    tap.next("the answer", |packet| {
        packet.protocol() == 17 && packet.ports().1 == port
    })
}

fn out(port: u16, settings: &str) -> Result<Packet> {
    Packet::parse(&format!("udp {C1}:{port} > {E}:8080 {settings}"))
}

fn time_to_live(ground: &Ground) -> Seen {
    let ways = [
        there(ground, out(44_300, "ttl=33")?)?.ttl(),
        there(ground, out(44_301, "ttl=2")?)?.ttl(),
        back(ground, 44_302, "ttl=33")?.ttl(),
    ];
    judge(
        ways == [32, 1, 32],
        format!("33 and 2 out, 33 back become {ways:?}"),
    )
}

fn time_to_live_ends(ground: &Ground) -> Seen {
    let taps = [Tap::open(&ground.c1)?, Tap::open(&ground.e)?];
    out(44_303, "ttl=1")?.send(&ground.c1)?;
    out(44_304, "ttl=9 tos=4")?.send(&ground.c1)?;
    let error = comes(&taps[0], |packet| icmp_kind(packet) == Some((11, 0)))?;
    let through = until(&taps[1], |packet| packet.tos() == 4)?;
    let through = through.iter().any(|packet| packet.ports().0 == 44_303);
    let Some(error) = error else {
        return judge(false, format!("nobody says so; it gets through: {through}"));
    };
    let (from, inner) = (error.source(), quoted(&error));
    judge(
        [BOX, BOX_VIP].contains(&from)
            && inner.source() == C1
            && inner.ports().0 == 44_303
            && !through,
        format!("{from} says 11/0 about {inner:?}; it gets through: {through}"),
    )
}

fn class(ground: &Ground) -> Seen {
    let ways = [
        there(ground, out(44_310, "tos=185")?)?.tos(),
        there(ground, out(44_311, "tos=3")?)?.tos(),
        back(ground, 44_312, "tos=186")?.tos(),
        back(ground, 44_313, "tos=3")?.tos(),
    ];
    judge(
        ways == [185, 3, 186, 3],
        format!("185 and 3 out, 186 and 3 (congestion) back become {ways:?}"),
    )
}

fn options(ground: &Ground) -> Seen {
    let x = ground.x();
    let there = there(ground, out(44_320, "options=2 len=9")?)?;
    let back = back(ground, 44_321, "options=10 len=9")?;
    let right = |packet: &Packet| packet.udp_sum() == "right" && packet.header_sum() == "right";
    judge(
        there.source() == x
            && there.options() == [1; 8]
            && right(&there)
            && back.destination() == C1
            && back.options() == [1; 40]
            && right(&back),
        format!("8 bytes of them out: {there:?}; 40 back: {back:?}"),
    )
}

fn record_route(ground: &Ground) -> Seen {
    let packet = out(44_322, "len=9")?.with_options(&[7, 7, 4, 0, 0, 0, 0, 0]);
    let seen = there(ground, packet)?;
    judge(
        seen.source() == ground.x() && seen.udp_sum() == "right",
        format!("{seen:?} with {:?}", seen.options()),
    )
}

fn no_checksum(ground: &Ground) -> Seen {
    let ways = [
        there(ground, out(44_330, "nosum=1 len=5")?)?.udp_sum(),
        back(ground, 44_331, "nosum=1 len=5")?.udp_sum(),
    ];
    judge(ways == ["none"; 2], format!("out and back: {ways:?}"))
}

/// A packet whose last two bytes make the UDP checksum come to nothing once it is translated to these ends.
fn zero_sum(settings: &str, translated: (SocketAddrV4, SocketAddrV4)) -> Result<u16> {
    let (from, to) = translated;
    let packet = Packet::parse(&format!("udp {from} > {to} {settings}"))?;
    // As it would be summed with nothing in the checksum's place.
    Ok(u16::from_be_bytes([
        packet.transport()[6],
        packet.transport()[7],
    ]))
}

fn zero_checksum(ground: &Ground) -> Seen {
    let mut evidence = Vec::new();
    // Out: what X:44340 sends has to sum up to nothing.
    let outside = SocketAddrV4::new(ground.x(), 44_340);
    let sum = zero_sum("len=4", (outside, SocketAddrV4::new(E, 8080)))?;
    let packet = with_words(out(44_340, "len=4")?, sum);
    let seen = there(ground, packet)?;
    evidence.push((seen.udp_sum(), seen.transport()[6..8].to_vec()));
    let (server, inside) = (
        sockets::udp(&ground.e, E, 8080)?,
        sockets::udp(&ground.c1, ANY, 44_341)?,
    );
    let mapped = told(&inside, (E, 8080), &server)?;
    let sum = zero_sum(
        "len=4",
        (SocketAddrV4::new(E, 8080), SocketAddrV4::new(C1, 44_341)),
    )?;
    let tap = Tap::open(&ground.c1)?;
    with_words(
        Packet::parse(&format!("udp {E}:8080 > {mapped} len=4"))?,
        sum,
    )
    .send(&ground.e)?;
    let seen = tap.next("the answer", |packet| {
        packet.protocol() == 17 && packet.ports().1 == 44_341
    })?;
    evidence.push((seen.udp_sum(), seen.transport()[6..8].to_vec()));
    let right = evidence
        .iter()
        .all(|(sum, bytes)| *sum == "right" && bytes == &[0xff, 0xff]);
    judge(right, format!("out and back: {evidence:02x?}"))
}

/// The payload's first word grows by what the sum lacked; the packet's own checksum is made anew.
fn with_words(mut packet: Packet, sum: u16) -> Packet {
    let (source, port) = (packet.source(), packet.ports().0);
    let word = u16::from_be_bytes([packet.0[28], packet.0[29]]);
    // One's complement addition, as the checksum's own.
    let grown = u32::from(word) + u32::from(sum);
    let grown = (grown & 0xffff) as u16 + (grown >> 16) as u16;
    packet.0[28..30].copy_from_slice(&grown.to_be_bytes());
    packet.with_source(source, port)
}

fn traceroute(ground: &Ground, way: &str) -> Seen {
    let mut command = ground.c1.command("traceroute");
    command.args(["-n", "-q", "1", "-N", "1", "-w", "3", "-m", "5", way]);
    let text = output(command.arg(E2.to_string()))?;
    let hops: Vec<&str> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    let gateway = hops.first().and_then(|hop| hop.parse::<Ipv4Addr>().ok());
    let first = gateway.is_some_and(|hop| [BOX, BOX_VIP].contains(&hop));
    let rest = [R.to_string(), E2.to_string()];
    judge(first && hops[1..] == rest, format!("{hops:?}"))
}

/// Forgets what the inside host has learned of paths.
fn unlearn(ground: &Ground) -> Result<()> {
    ground.c1.run("ip", &["route", "flush", "cache"]).map(drop)
}

fn mtu_of_datagrams(ground: &Ground) -> Seen {
    unlearn(ground)?;
    let inside = sockets::udp(&ground.c1, ANY, 44_350)?;
    inside.connect((E2, 8080))?;
    inside.send(&[1; 1400])?;
    let learned = wait_for("the MTU", LIMIT, || {
        let mtu = getsockopt(&inside, IpMtu)?;
        ensure!(mtu < 1500, "it is {mtu}");
        Ok(mtu)
    });
    judge(
        learned.as_ref().ok() == Some(&i32::from(NARROW)),
        format!("after 1400 bytes to {E2}: {learned:?}"),
    )
}

fn mtu_of_connections(ground: &Ground) -> Seen {
    unlearn(ground)?;
    let listener = sockets::listen(&ground.e2, ANY, 8080)?;
    let pair = sockets::pair(&ground.c1, 44_351, SocketAddrV4::new(E2, 8080), &listener)?;
    let carried = carry(&pair.client, &pair.backend, &[3; 60_000])
        .and_then(|()| carry(&pair.backend, &pair.client, &[4; 60_000]));
    judge(carried.is_ok(), format!("60 kB each way: {carried:?}"))
}

fn mtu_of_queries(ground: &Ground) -> Seen {
    unlearn(ground)?;
    let tap = Tap::open(&ground.c1)?;
    let mut echo = query(8, 791, C1, E2, &[6; 1372]);
    echo.0[6] = 0x40;
    echo.send(&ground.c1)?;
    let Some(error) = comes(&tap, |packet| icmp_kind(packet) == Some((3, 4)))? else {
        return judge(false, "nobody says that it is too big");
    };
    let inner = quoted(&error);
    let mtu = u16::from_be_bytes([error.transport()[6], error.transport()[7]]);
    let right = inner.source() == C1 && inner.destination() == E2 && icmp_id(&inner) == 791;
    judge(
        right && mtu == NARROW && error.source() == R,
        format!(
            "{} says MTU {mtu} about {inner:?} id {}",
            error.source(),
            icmp_id(&inner)
        ),
    )
}

fn too_big(ground: &Ground) -> Seen {
    unlearn(ground)?;
    let tap = Tap::open(&ground.c1)?;
    let error = ground.narrowed(1400, || {
        out(44_360, "frag=16384 len=1450")?.send(&ground.c1)?;
        comes(&tap, |packet| icmp_kind(packet) == Some((3, 4)))
    })??;
    unlearn(ground)?;
    let Some(error) = error else {
        return judge(false, "the gateway says nothing");
    };
    let inner = quoted(&error);
    let mtu = u16::from_be_bytes([error.transport()[6], error.transport()[7]]);
    judge(
        mtu == 1400 && inner.source() == C1 && [BOX, BOX_VIP].contains(&error.source()),
        format!("{} says MTU {mtu} about {inner:?}", error.source()),
    )
}

fn fragmented(ground: &Ground) -> Seen {
    unlearn(ground)?;
    let tap = Tap::open(&ground.e)?;
    let server = sockets::udp(&ground.e, E, 8080)?;
    let length = ground.narrowed(1400, || -> Result<_> {
        out(44_361, "len=1450 id=4711")?.send(&ground.c1)?;
        let mut buffer = [0; 2000];
        let (length, from) = server.recv_from(&mut buffer).context("the datagram")?;
        Ok((length, from))
    })?;
    let offsets: Vec<u16> = tap
        .drain()?
        .iter()
        .filter(|packet| packet.source() == ground.x() && packet.protocol() == 17)
        .map(|packet| (packet.fragment() & 0x1fff) * 8)
        .collect();
    let Ok((length, from)) = length else {
        return judge(
            false,
            format!("E gets fragments at {offsets:?}, and no datagram: {length:?}"),
        );
    };
    judge(
        length == 1450 && offsets == [0, 1376],
        format!("E gets {length} bytes from {from}, fragments at {offsets:?}"),
    )
}
