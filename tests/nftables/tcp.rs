//! What programs at the ends of TCP connections, and UDP sockets, see of the forwarder.

use super::ground::*;
use anyhow::Result;
use gwpool_harness::net::payload::Payload;
use gwpool_harness::net::sockets::{self, Pair, carry, close_half, connect, listen, reset, rest};
use gwpool_harness::net::wire::Tap;
use std::net::{SocketAddrV4, UdpSocket};

fn body() -> Vec<u8> {
    Payload::new(500_000).flatten().collect()
}

fn one(ground: &Ground) -> Result<Pair> {
    ground.pair(0, ONE, (ground.backend(), WEB))
}

pub fn transfer(ground: &Ground) -> Seen {
    let pair = one(ground)?;
    let (client, backend) = (&pair.client, &pair.backend);
    Ok(vec![
        format!("the backend sees {}", pair.seen.ip()),
        said(carry(client, backend, &body())),
        said(carry(backend, client, &body())),
    ])
}

pub fn source_port(ground: &Ground) -> Seen {
    let mut lines = Vec::new();
    for port in [2000, 40_000] {
        let pair = ground.pair(port, ONE, (ground.backend(), WEB))?;
        let same = pair.seen.port() == port;
        lines.push(format!(
            "port {port}: the backend sees {}",
            if same { "the same" } else { "another" }
        ));
    }
    Ok(lines)
}

pub fn turns(ground: &Ground) -> Seen {
    let listeners = [
        listen(ground.backend(), ANY, TWO)?,
        listen(ground.other(), ANY, TWO)?,
    ];
    let mut lines = Vec::new();
    for turn in 0..6 {
        let host = SocketAddrV4::new(GATEWAY, TWO);
        lines.push(said(sockets::pair(
            ground.client(),
            0,
            host,
            &listeners[turn % 2],
        )));
    }
    Ok(lines)
}

pub fn half_close(ground: &Ground) -> Seen {
    let mut lines = Vec::new();
    for client_first in [true, false] {
        let pair = one(ground)?;
        let (first, second) = if client_first {
            (&pair.client, &pair.backend)
        } else {
            (&pair.backend, &pair.client)
        };
        close_half(first)?;
        lines.push(format!("{} bytes", rest(second)?.len()));
        lines.push(said(carry(second, first, &body())));
        close_half(second)?;
        lines.push(said(rest(first)));
    }
    Ok(lines)
}

pub fn reset_by_either(ground: &Ground) -> Seen {
    let mut lines = Vec::new();
    for client_resets in [true, false] {
        let pair = one(ground)?;
        carry(&pair.client, &pair.backend, b"question")?;
        let (resets, hears) = if client_resets {
            (pair.client, pair.backend)
        } else {
            (pair.backend, pair.client)
        };
        reset(resets)?;
        lines.push(said(rest(&hears)));
    }
    Ok(lines)
}

/// The backend closes first; the client's port is used again at once.
pub fn reuse_in_time_wait(ground: &Ground) -> Seen {
    let mut lines = Vec::new();
    for _ in 0..5 {
        let pair = ground.pair(40_100, ONE, (ground.backend(), WEB))?;
        lines.push(said(carry(&pair.backend, &pair.client, b"hello")));
        close_half(&pair.backend)?;
        lines.push(said(rest(&pair.client)));
        drop(pair.client);
        lines.push(said(rest(&pair.backend)));
    }
    Ok(lines)
}

pub fn closed_port(ground: &Ground) -> Seen {
    let tcp = connect(ground.client(), 0, SocketAddrV4::new(GATEWAY, CLOSED));
    let udp = asking(ground, UDP_CLOSED)?;
    udp.send(b"question")?;
    Ok(vec![said(tcp), said(heard(&udp))])
}

pub fn udp_echo(ground: &Ground) -> Seen {
    let backend = sockets::udp(ground.backend(), ANY, DNS)?;
    let client = asking(ground, UDP)?;
    let mut lines = Vec::new();
    for size in [0, 1, 1000, 1472] {
        client.send(&vec![7; size])?;
        let mut buffer = vec![0; 2000];
        let (length, from) = backend.recv_from(&mut buffer)?;
        lines.push(format!("{length} bytes from {}", from.ip()));
        backend.send_to(&buffer[..length], from)?;
        lines.push(heard(&client)?);
    }
    Ok(lines)
}

/// The client's socket is gone when the answer comes: the backend hears of it.
pub fn refusal_by_the_client(ground: &Ground) -> Seen {
    let backend = sockets::udp(ground.backend(), ANY, DNS)?;
    let client = asking(ground, UDP)?;
    client.send(b"question")?;
    let (_, from) = backend.recv_from(&mut [0; 100])?;
    drop(client);
    backend.connect(from)?;
    backend.send(b"answer")?;
    Ok(vec![said(heard(&backend))])
}

/// Bulk over a path whose router has a small MTU, from either end.
pub fn path_mtu_discovery(ground: &Ground) -> Seen {
    let up = ground.pair(0, FAR, (&ground.far, WEB))?;
    let listener = listen(ground.backend(), ANY, WEB)?;
    let host = SocketAddrV4::new(GATEWAY, ONE);
    let down = sockets::pair(&ground.distant, 0, host, &listener)?;
    Ok(vec![
        said(carry(&up.client, &up.backend, &body())),
        said(carry(&down.backend, &down.client, &body())),
    ])
}

/// The same where it is the forwarder's own link that is narrow.
pub fn own_mtu(ground: &Ground) -> Seen {
    let carried = || one(ground).and_then(|pair| carry(&pair.client, &pair.backend, &body()));
    Ok(vec![said(ground.narrowed(carried)?)])
}

/// Larger than a frame, each way; the sender's kernel makes the fragments.
pub fn fragments(ground: &Ground) -> Seen {
    let backend = sockets::udp(ground.backend(), ANY, DNS)?;
    backend.set_read_timeout(Some(PERHAPS))?;
    let client = asking(ground, UDP)?;
    let datagram: Vec<u8> = body()[..4000].into();
    client.send(&datagram)?;
    let mut buffer = vec![0; 5000];
    let there = backend.recv_from(&mut buffer);
    let Ok((length, from)) = there else {
        return Ok(vec![said(there.map_err(Into::into))]);
    };
    backend.send_to(&buffer[..length], from)?;
    Ok(vec![
        format!("{}", buffer[..length] == datagram),
        heard(&client)?,
    ])
}

/// A SYN's options, but for the values that no two SYNs share.
pub fn tcp_options(ground: &Ground) -> Seen {
    let tap = Tap::open(ground.backend())?;
    let _pair = one(ground)?;
    let syn = tap.next("the SYN", |packet| packet.is_tcp(WEB, 0x02))?;
    let mut options = &syn.transport()[20..];
    let mut lines = Vec::new();
    while let [kind @ 2..=u8::MAX, length @ 2..=u8::MAX, ..] = options {
        let (option, rest) = options.split_at((*length).into());
        let value: &[u8] = if *kind == 8 { &[] } else { &option[2..] };
        lines.push(format!("option {kind}: {value:02x?}"));
        options = rest;
        while let [1, rest @ ..] = options {
            options = rest;
        }
    }
    Ok(lines)
}

/// A socket of the client's that hears only the gateway, and its errors.
pub fn asking(ground: &Ground, port: u16) -> Result<UdpSocket> {
    let socket = sockets::udp(ground.client(), ANY, 0)?;
    socket.set_read_timeout(Some(PERHAPS))?;
    socket.connect((GATEWAY, port))?;
    Ok(socket)
}

fn heard(socket: &UdpSocket) -> Result<String> {
    let length = socket.recv(&mut [0; 5000])?;
    Ok(format!("{length} bytes heard"))
}
