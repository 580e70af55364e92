//! What rows have in common: what the outside sees of an inside socket, whether something arrives, packets that no
//! socket sends, and time that must pass.

use super::ground::Ground;
use crate::frames::checksum;
use crate::net::LIMIT;
use crate::net::namespace::Namespace;
use crate::net::sockets::{self, Pair};
use crate::net::wait::wait_for;
use crate::net::wire::{Packet, Tap};
use anyhow::{Context, Result, bail};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

pub const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
/// How long something is waited for that perhaps never comes.
pub const PERHAPS: Duration = Duration::from_millis(1500);

/// The datagram that comes next, and from whom; `None` if none does.
pub fn heard(socket: &UdpSocket) -> Result<Option<(Vec<u8>, SocketAddrV4)>> {
    heard_within(socket, PERHAPS)
}

/// The same with another limit.
pub fn heard_within(
    socket: &UdpSocket,
    limit: Duration,
) -> Result<Option<(Vec<u8>, SocketAddrV4)>> {
    socket.set_read_timeout(Some(limit))?;
    let mut buffer = vec![0; 1 << 16];
    match socket.recv_from(&mut buffer) {
        Ok((length, SocketAddr::V4(from))) => {
            buffer.truncate(length);
            Ok(Some((buffer, from)))
        }
        Ok((_, from)) => bail!("{from} is not IPv4"),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error).context("waiting for a datagram"),
    }
}

/// Sends a datagram to an outside socket; as whom that sees it.
pub fn told(inside: &UdpSocket, to: (Ipv4Addr, u16), outside: &UdpSocket) -> Result<SocketAddrV4> {
    inside.send_to(b"question", to)?;
    let (_, from) = heard_within(outside, LIMIT)?
        .with_context(|| format!("nothing came to {}:{}", to.0, to.1))?;
    Ok(from)
}

/// As whom E sees one inside port, asking each of these in turn over UDP.
pub fn udp_seen(
    ground: &Ground,
    host: &Namespace,
    port: u16,
    to: &[(Ipv4Addr, u16)],
) -> Result<Vec<SocketAddrV4>> {
    let inside = sockets::udp(host, ANY, port)?;
    let ask = |&(address, at): &(Ipv4Addr, u16)| {
        told(
            &inside,
            (address, at),
            &sockets::udp(&ground.e, address, at)?,
        )
    };
    to.iter().map(ask).collect()
}

/// The same by TCP connections, which stand as long as they are kept.
pub fn tcp_seen(
    ground: &Ground,
    host: &Namespace,
    port: u16,
    to: &[(Ipv4Addr, u16)],
) -> Result<Vec<Pair>> {
    let connect = |&(address, at): &(Ipv4Addr, u16)| tcp(ground, host, port, (address, at));
    to.iter().map(connect).collect()
}

/// A connection from an inside host to E.
pub fn tcp(ground: &Ground, host: &Namespace, port: u16, to: (Ipv4Addr, u16)) -> Result<Pair> {
    let listener = sockets::listen(&ground.e, to.0, to.1)?;
    sockets::pair(host, port, SocketAddrV4::new(to.0, to.1), &listener)
}

/// Ports as evidence.
pub fn ports(seen: &[SocketAddrV4]) -> Vec<u16> {
    seen.iter().map(SocketAddrV4::port).collect()
}

/// Whether they are all the same.
pub fn same<T: PartialEq>(all: &[T]) -> bool {
    all.windows(2).all(|two| two[0] == two[1])
}

/// The next packet of a kind, if one comes.
pub fn comes(tap: &Tap, is: impl FnMut(&Packet) -> bool) -> Result<Option<Packet>> {
    comes_within(tap, PERHAPS, is)
}

/// The same with another limit.
pub fn comes_within(
    tap: &Tap,
    limit: Duration,
    mut is: impl FnMut(&Packet) -> bool,
) -> Result<Option<Packet>> {
    let end = Instant::now() + limit;
    loop {
        match tap.read()? {
            Some(packet) if is(&packet) => return Ok(Some(packet)),
            Some(_) => {}
            None if Instant::now() > end => return Ok(None),
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Everything up to a packet that is sure to come: what has not come before it does not come.
pub fn until(tap: &Tap, marker: impl Fn(&Packet) -> bool) -> Result<Vec<Packet>> {
    let mut before = Vec::new();
    wait_for("the marker", LIMIT, || {
        before.extend(tap.drain()?);
        match before.iter().position(&marker) {
            Some(at) => {
                before.truncate(at);
                Ok(())
            }
            None => bail!("{} other packets", before.len()),
        }
    })?;
    Ok(before)
}

/// An IPv4 packet of any protocol; the kernel fills in what is missing.
pub fn bare(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Packet {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + payload.len() as u16).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(payload);
    let check = checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&check.to_be_bytes());
    Packet(packet)
}

/// An ICMP query or its reply.
pub fn query(kind: u8, id: u16, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Packet {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(id.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(payload);
    let check = checksum(&bytes);
    bytes[2..4].copy_from_slice(&check.to_be_bytes());
    bare(1, from, to, &bytes)
}

/// An ICMP error with these four bytes after its checksum, quoting a packet.
pub fn error(
    (kind, code): (u8, u8),
    rest: u32,
    from: Ipv4Addr,
    to: Ipv4Addr,
    quoted: &[u8],
) -> Packet {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(rest.to_be_bytes());
    bytes.extend(quoted);
    let check = checksum(&bytes);
    bytes[2..4].copy_from_slice(&check.to_be_bytes());
    bare(1, from, to, &bytes)
}

/// An ICMP packet's type and code.
pub fn icmp_kind(packet: &Packet) -> Option<(u8, u8)> {
    let bytes = packet.transport();
    (packet.protocol() == 1 && bytes.len() >= 8).then(|| (bytes[0], bytes[1]))
}

/// A query's identifier.
pub fn icmp_id(packet: &Packet) -> u16 {
    let bytes = packet.transport();
    u16::from_be_bytes([bytes[4], bytes[5]])
}

/// The packet that an ICMP error quotes.
pub fn quoted(packet: &Packet) -> Packet {
    Packet(packet.transport().get(8..).unwrap_or_default().to_vec())
}

/// Something begun is left alone for nearly that long, then asked once. An answer that did not come counts only if
/// this machine was quick enough to ask in time.
pub fn just_before<S>(
    end: Duration,
    begin: impl Fn(u16) -> Result<S>,
    ask: impl Fn(&S) -> Result<()>,
    answered: impl Fn(&S) -> Result<bool>,
) -> Result<bool> {
    for attempt in 0..4 {
        let state = begin(attempt)?;
        let begun = Instant::now();
        std::thread::sleep(end * 24 / 25);
        ask(&state)?;
        let in_time = begun.elapsed() < end;
        let answer = answered(&state)?;
        if answer || in_time {
            return Ok(answer);
        }
    }
    bail!("this machine is too slow to ask within {end:?}")
}
