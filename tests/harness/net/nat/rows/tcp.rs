//! The life of connections: every valid sequence, unsolicited SYNs, resets, and connections whose state is gone
//! (RFC 5382 REQ-2, 4, 9, 10; RFC 7857 2; the checklist's 1.5).

use super::super::ground::{C1, E, Ground, NOWHERE, R, SYN_DEAF};
use super::super::probe::{ANY, comes, comes_within, error, icmp_kind, quoted, tcp};
use super::super::row::{
    Level::{Must, Should},
    Row, Seen, judge,
};
use super::super::subject::Setting;
use crate::net::LIMIT;
use crate::net::sockets::{self, Pair, carry, close_half, connect, rest, tell};
use crate::net::wait::wait_until;
use crate::net::wire::{Packet, Tap};
use anyhow::{Context, Result};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

pub const ROWS: &[Row] = &[
    Row::new(
        "tcp_half_closes_and_closes",
        "RFC 5382 REQ-2",
        Must,
        "connections carry both ways, also after either side has closed its half",
        halves,
    ),
    Row::new(
        "tcp_simultaneous_open",
        "RFC 5382 REQ-2a",
        Must,
        "both sides may open at once",
        simultaneous,
    ),
    Row::new(
        "tcp_unsolicited_syn_meets_silence",
        "RFC 5382 REQ-4",
        Must,
        "an unsolicited SYN is not answered for six seconds",
        unsolicited,
    )
    .under(Setting::Hurried)
    .linux_breaks("flags 0x14"),
    Row::new(
        "tcp_unsolicited_syn_then_ours",
        "RFC 5382 REQ-4",
        Must,
        "an unsolicited SYN does not spoil the connection that is opened from inside meanwhile",
        crossing,
    )
    .linux_breaks("ConnectionRefused"),
    Row::new(
        "tcp_unreachable_is_heard",
        "RFC 5382 REQ-9",
        Must,
        "ICMP type 3 reaches the connecting program",
        unreachable,
    ),
    Row::new(
        "tcp_icmp_does_not_end_connections",
        "RFC 5382 REQ-10",
        Must,
        "ICMP errors do not end a mapping",
        errors_about_a_connection,
    ),
    Row::new(
        "tcp_resets_are_translated",
        "RFC 7857 2.2",
        Must,
        "a reset reaches the other side, either way",
        resets,
    ),
    Row::new(
        "tcp_blind_reset_is_survived",
        "RFC 7857 2.2",
        Should,
        "a reset that the inside host ignores does not end the mapping",
        blind_reset,
    ),
    Row::new(
        "tcp_out_of_window_is_translated",
        "DESIGN 2.4",
        Must,
        "data outside the window of a known connection is translated like any other",
        out_of_window,
    )
    .linux_breaks("from 192.168.1.11")
    .linux_leaks(),
    Row::new(
        "tcp_reopens_with_the_same_port",
        "RFC 5382 REQ-2",
        Must,
        "a SYN on a closed connection's ports opens it again, from the same outside port",
        reopened,
    ),
];

fn halves(ground: &Ground) -> Seen {
    let mut evidence = Vec::new();
    for inside_first in [true, false] {
        let pair = tcp(ground, &ground.c1, 0, (E, 8080))?;
        let ends = [&pair.client, &pair.backend];
        let (first, second) = if inside_first {
            (ends[0], ends[1])
        } else {
            (ends[1], ends[0])
        };
        let done = (|| -> Result<()> {
            carry(first, second, &[1; 50_000])?;
            close_half(first)?;
            rest(second)?;
            carry(second, first, &[2; 50_000])?;
            close_half(second)?;
            rest(first).map(drop)
        })();
        if let Err(error) = done {
            return judge(false, format!("inside first {inside_first}: {error:#}"));
        }
        evidence.push(if inside_first { "inside" } else { "outside" });
    }
    judge(
        true,
        format!(
            "50 kB each way around the first FIN of {}",
            evidence.join(", then of ")
        ),
    )
}

fn simultaneous(ground: &Ground) -> Seen {
    let tap = Tap::open(&ground.e)?;
    let (inside, outside) = std::thread::scope(|scope| -> Result<_> {
        let inside = scope.spawn(|| connect(&ground.c1, 46_000, SocketAddrV4::new(E, SYN_DEAF)));
        let syn = tap.next("the SYN", |packet| packet.is_tcp(SYN_DEAF, 0x02))?;
        let seen = SocketAddrV4::new(syn.source(), syn.ports().0);
        let outside = sockets::connect(&ground.e, SYN_DEAF, seen);
        Ok((joined(inside), outside))
    })?;
    crossed(&inside, &outside)
}

/// Both ends of connections that crossed, if they stand.
fn crossed(inside: &Result<TcpStream>, outside: &Result<TcpStream>) -> Seen {
    let (Ok(inside), Ok(outside)) = (inside, outside) else {
        let kind = |end: &Result<TcpStream>| match end {
            Ok(_) => "connected".into(),
            Err(error) => match error.downcast_ref::<std::io::Error>() {
                Some(error) => format!("{:?}", error.kind()),
                None => format!("{error:#}"),
            },
        };
        return judge(
            false,
            format!("inside: {}, outside: {}", kind(inside), kind(outside)),
        );
    };
    let carried =
        carry(inside, outside, b"question").and_then(|()| carry(outside, inside, b"answer"));
    judge(
        carried.is_ok(),
        format!(
            "inside sees {}, outside sees {}: {carried:?}",
            inside.peer_addr()?,
            outside.peer_addr()?
        ),
    )
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn unsolicited(ground: &Ground) -> Seen {
    let tap = Tap::open(&ground.e)?;
    let syn = format!("tcp {E}:9060 > {}:50123 S seq=7", ground.x());
    Packet::parse(&syn)?.send(&ground.e)?;
    let about = |packet: &Packet| {
        let refusal = icmp_kind(packet).is_some_and(|(kind, _)| kind == 3);
        (packet.protocol() == 6 && packet.ports() == (50_123, 9060))
            || (refusal && quoted(packet).ports() == (9060, 50_123))
    };
    let answer = comes_within(&tap, Duration::from_secs(6), about)?;
    judge(answer.is_none(), format!("{syn}: answered by {answer:?}"))
}

fn crossing(ground: &Ground) -> Seen {
    let to = SocketAddrV4::new(ground.x(), 46_010);
    let (inside, outside) = std::thread::scope(|scope| -> Result<_> {
        let outside = scope.spawn(|| connect(&ground.e, 9300, to));
        let asking = || {
            let sockets = ground.e.run("cat", &["/proc/net/tcp"]).unwrap_or_default();
            let port = format!(":{:04X}", 9300);
            let syn_sent = |line: &str| {
                let mut words = line.split_whitespace().skip(1);
                words.next().is_some_and(|local| local.ends_with(&port))
                    && words.nth(1) == Some("02")
            };
            outside.is_finished() || sockets.lines().any(syn_sent)
        };
        wait_until("the outside host's SYN", LIMIT, asking)?;
        let inside = connect(&ground.c1, 46_010, SocketAddrV4::new(E, 9300));
        Ok((inside, joined(outside)))
    })?;
    crossed(&inside, &outside)
}

fn unreachable(ground: &Ground) -> Seen {
    let refused = connect(&ground.c1, 46_020, SocketAddrV4::new(NOWHERE, 80));
    let error = refused.err().context("somebody answers")?;
    let kind = error.downcast_ref().map(std::io::Error::kind);
    judge(
        kind == Some(std::io::ErrorKind::HostUnreachable),
        format!("connecting to {NOWHERE}: {kind:?}"),
    )
}

/// A segment of the client's as the outside sees it, quoted by all kinds of errors.
fn errors_about_a_connection(ground: &Ground) -> Seen {
    let tap = Tap::open(&ground.e)?;
    let pair = tcp(ground, &ground.c1, 46_030, (E, 8080))?;
    carry(&pair.client, &pair.backend, b"before")?;
    let segment = tap.next("a segment", |packet| packet.is_tcp(8080, 0x18))?;
    for code in (0..16).filter(|code| *code != 4) {
        error((3, code), 0, R, ground.x(), &segment.0[..40]).send(&ground.r)?;
    }
    let carried = carry(&pair.client, &pair.backend, &[7; 20_000])
        .and_then(|()| carry(&pair.backend, &pair.client, &[8; 20_000]));
    judge(
        carried.is_ok(),
        format!("after 15 errors about it: {carried:?}"),
    )
}

fn resets(ground: &Ground) -> Seen {
    let mut seen = Vec::new();
    for inside in [true, false] {
        let pair = tcp(ground, &ground.c1, 0, (E, 8080))?;
        carry(&pair.client, &pair.backend, b"question")?;
        let (resets, hears) = if inside {
            (pair.client, pair.backend)
        } else {
            (pair.backend, pair.client)
        };
        sockets::reset(resets)?;
        let error = rest(&hears)
            .err()
            .and_then(|error| Some(error.downcast_ref::<std::io::Error>()?.kind()));
        seen.push(error);
    }
    let reset = |end: &Option<_>| *end == Some(std::io::ErrorKind::ConnectionReset);
    judge(
        seen.iter().all(reset),
        format!("the other side of an inside and an outside reset: {seen:?}"),
    )
}

fn blind_reset(ground: &Ground) -> Seen {
    let pair = tcp(ground, &ground.c1, 46_050, (E, 8080))?;
    carry(&pair.client, &pair.backend, b"before")?;
    let reset = format!("tcp {E}:8080 > {} R seq=1", pair.seen);
    Packet::parse(&reset)?.send(&ground.e)?;
    let carried = carry(&pair.backend, &pair.client, b"outside first")
        .and_then(|()| carry(&pair.client, &pair.backend, b"answer"));
    judge(carried.is_ok(), format!("after {reset}: {carried:?}"))
}

fn out_of_window(ground: &Ground) -> Seen {
    let tap = Tap::open(&ground.e)?;
    let pair = tcp(ground, &ground.c1, 46_060, (E, 8080))?;
    carry(&pair.client, &pair.backend, b"before")?;
    let segment = tap.next("a segment", |packet| packet.is_tcp(8080, 0x18))?;
    let bytes = segment.transport();
    let seq = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]).wrapping_add(1 << 30);
    let ack = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    let forged = format!("tcp {C1}:46060 > {E}:8080 A seq={seq} ack={ack} len=10 tos=32");
    Packet::parse(&forged)?.send(&ground.c1)?;
    let Some(seen) = comes(&tap, |packet| packet.tos() == 32 && packet.protocol() == 6)? else {
        return judge(false, "it does not arrive");
    };
    let from = SocketAddrV4::new(seen.source(), seen.ports().0);
    let carried = carry(&pair.client, &pair.backend, b"after");
    judge(
        from == pair.seen && carried.is_ok(),
        format!(
            "it arrives from {from}, the connection is {}: {carried:?}",
            pair.seen
        ),
    )
}

/// The outside host closes first and waits; its peer's next SYN comes from the same port.
fn reopened(ground: &Ground) -> Seen {
    let mut seen = Vec::new();
    for _ in 0..4 {
        let listener = sockets::listen(&ground.e, ANY, 8080)?;
        let to = SocketAddrV4::new(E, 8080);
        let client = match connect(&ground.c1, 46_070, to) {
            Ok(client) => client,
            Err(error) => return judge(false, format!("{seen:?}, then {error:#}")),
        };
        let (backend, from) = sockets::accept(&listener)?;
        let pair = Pair {
            client,
            backend,
            seen: from,
        };
        tell(&pair.backend, b"hello")?;
        close_half(&pair.backend)?;
        rest(&pair.client)?;
        drop(pair.client);
        rest(&pair.backend)?;
        seen.push(pair.seen.port());
    }
    judge(
        seen.windows(2).all(|two| two[0] == two[1]),
        format!("46070 four times: {seen:?}"),
    )
}
