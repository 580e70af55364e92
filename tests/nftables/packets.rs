//! What single packets look like once they are through: header fields, options, fragments, and the errors about them.

use super::ground::*;
use anyhow::Result;
use gwpool_harness::net::namespace::Namespace;
use gwpool_harness::net::sockets::{self, listen};
use gwpool_harness::net::wire::{Packet, Tap};

/// The client sends this UDP packet to the gateway; what the backend sees of it.
fn there(ground: &Ground, settings: &str) -> Result<String> {
    through(
        ground,
        Packet::parse(&format!("udp {CLIENT}:3000 > {GATEWAY}:{UDP} {settings}"))?,
    )
}

fn through(ground: &Ground, packet: Packet) -> Result<String> {
    let _sink = sockets::udp(ground.backend(), ANY, DNS)?;
    let tap = Tap::open(ground.backend())?;
    packet.send(ground.client())?;
    Ok(next(&tap, |packet| {
        packet.protocol() == 17 && packet.ports().1 == DNS
    }))
}

/// The client sends this packet to the gateway; the ICMP packet that comes back, and whether the other host saw it.
fn error(ground: &Ground, packet: &str, (host, port): (&Namespace, u16)) -> Seen {
    let taps = [Tap::open(ground.client())?, Tap::open(host)?];
    Packet::parse(packet)?.send(ground.client())?;
    Ok(vec![
        next(&taps[0], |packet| packet.protocol() == 1),
        next(&taps[1], |packet| packet.ports().1 == port),
    ])
}

pub fn type_of_service(ground: &Ground) -> Seen {
    let mut lines = Vec::new();
    for tos in [0x01, 0x03, 0xb8, 0xff] {
        lines.push(there(ground, &format!("tos={tos}"))?);
    }
    Ok(lines)
}

pub fn time_to_live(ground: &Ground) -> Seen {
    let mut lines = Vec::new();
    for ttl in [2, 64, 255] {
        lines.push(there(ground, &format!("ttl={ttl}"))?);
    }
    Ok(lines)
}

/// The same fields on an answer's way to the client.
pub fn the_way_back(ground: &Ground) -> Seen {
    let backend = sockets::udp(ground.backend(), ANY, DNS)?;
    let client = sockets::udp(ground.client(), ANY, 0)?;
    client.send_to(b"question", (GATEWAY, UDP))?;
    let (_, from) = backend.recv_from(&mut [0; 100])?;
    let tap = Tap::open(ground.client())?;
    let mut lines = Vec::new();
    for settings in ["tos=185 ttl=40", "nosum=1 len=3", "options=2", "frag=16384"] {
        let answer = format!("udp 192.168.1.2:{DNS} > {from} {settings}");
        Packet::parse(&answer)?.send(ground.backend())?;
        lines.push(next(&tap, |packet| packet.protocol() == 17));
    }
    Ok(lines)
}

pub fn time_to_live_ends_here(ground: &Ground) -> Seen {
    let udp = format!("udp {CLIENT}:3001 > {GATEWAY}:{UDP} ttl=1 len=30");
    let tcp = format!("tcp {CLIENT}:3001 > {GATEWAY}:{ONE} S ttl=1");
    let mut lines = error(ground, &udp, (ground.backend(), DNS))?;
    lines.extend(error(ground, &tcp, (ground.backend(), WEB))?);
    Ok(lines)
}

pub fn time_to_live_ends_at_a_router(ground: &Ground) -> Seen {
    let udp = format!("udp {CLIENT}:3002 > {GATEWAY}:{UDP_FAR} ttl=2 len=30");
    error(ground, &udp, (&ground.far, DNS))
}

pub fn too_big_for_the_forwarder(ground: &Ground) -> Seen {
    let packet = format!("udp {CLIENT}:3003 > {GATEWAY}:{UDP} frag=16384 len=1400");
    ground.narrowed(|| error(ground, &packet, (ground.backend(), DNS)))?
}

pub fn too_big_for_a_router(ground: &Ground) -> Seen {
    let packet = format!("udp {CLIENT}:3004 > {GATEWAY}:{UDP_FAR} frag=16384 len=1400");
    error(ground, &packet, (&ground.far, DNS))
}

pub fn udp_without_checksum(ground: &Ground) -> Seen {
    Ok(vec![
        there(ground, "nosum=1 len=5")?,
        there(ground, "len=5")?,
    ])
}

pub fn ip_options_that_say_nothing(ground: &Ground) -> Seen {
    Ok(vec![
        there(ground, "options=1")?,
        there(ground, "options=10 len=9")?,
    ])
}

/// Record route (RFC 791): length 7, room for one address.
pub fn record_route(ground: &Ground) -> Seen {
    let packet = format!("udp {CLIENT}:3005 > {GATEWAY}:{UDP}");
    let packet = Packet::parse(&packet)?.with_options(&[7, 7, 4, 0, 0, 0, 0, 0]);
    Ok(vec![through(ground, packet)?])
}

/// Loose source route (RFC 791) to where it goes anyway.
pub fn source_route(ground: &Ground) -> Seen {
    let packet = format!("udp {CLIENT}:3006 > {GATEWAY}:{UDP}");
    let packet = Packet::parse(&packet)?.with_options(&[131, 7, 4, 10, 9, 0, 2, 0]);
    Ok(vec![through(ground, packet)?])
}

pub fn wrong_checksum(ground: &Ground) -> Seen {
    let packet = format!("udp {CLIENT}:3007 > {GATEWAY}:{UDP} len=5");
    let mut packet = Packet::parse(&packet)?;
    packet.0[26] ^= 0x55;
    Ok(vec![through(ground, packet)?])
}

/// A connection's middle that nobody has seen the beginning of.
pub fn an_ack_of_no_connection(ground: &Ground) -> Seen {
    let _listener = listen(ground.backend(), ANY, WEB)?;
    let taps = [Tap::open(ground.client())?, Tap::open(ground.backend())?];
    let ack = format!("tcp {CLIENT}:3008 > {GATEWAY}:{ONE} A seq=7 ack=9");
    Packet::parse(&ack)?.send(ground.client())?;
    Ok(vec![
        next(&taps[0], |packet| packet.protocol() == 6),
        next(&taps[1], |packet| packet.ports().1 == WEB),
    ])
}

/// The gateway itself is still there.
pub fn ping(ground: &Ground) -> Seen {
    let tap = Tap::open(ground.client())?;
    Packet::parse(&format!("icmp {CLIENT} > {GATEWAY} len=20"))?.send(ground.client())?;
    Ok(vec![next(&tap, |packet| packet.protocol() == 1)])
}

/// Two fragments, and again the second one first.
pub fn single_fragments(ground: &Ground) -> Seen {
    let mut lines = Vec::new();
    for (id, order) in [(71, [0, 1]), (72, [1, 0])] {
        let whole = format!("udp {CLIENT}:3009 > {GATEWAY}:{UDP} len=600 id={id}");
        let whole = Packet::parse(&whole)?;
        let backend = sockets::udp(ground.backend(), ANY, DNS)?;
        backend.set_read_timeout(Some(PERHAPS))?;
        for part in order {
            whole.fragment_of(400, part).send(ground.client())?;
        }
        let length = backend.recv(&mut [0; 1000]);
        lines.push(length.map_or("nothing".into(), |length| format!("{length} bytes")));
    }
    Ok(lines)
}
