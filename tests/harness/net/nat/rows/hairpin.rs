//! One inside host reaches another by its outside address, and is seen by its own (RFC 4787 REQ-9, RFC 5382 REQ-8,
//! RFC 5508 REQ-7).

use super::super::ground::{C1, E, Ground};
use super::super::probe::{ANY, comes, heard, icmp_kind, quoted, tcp, told};
use super::super::row::{Level::Must, Row, Seen, judge};
use crate::net::sockets::{self, carry};
use crate::net::wire::Tap;

pub const ROWS: &[Row] = &[
    Row::new(
        "udp_hairpin",
        "RFC 4787 REQ-9, 9a",
        Must,
        "an inside host reaches another by its mapping, and is seen by its own outside address",
        udp,
    )
    .linux_breaks("c2 hears nothing"),
    Row::new(
        "tcp_hairpin",
        "RFC 5382 REQ-8",
        Must,
        "the same for connections",
        connection,
    )
    .linux_breaks("ConnectionRefused"),
    Row::new(
        "icmp_error_hairpin",
        "RFC 5508 REQ-7",
        Must,
        "the refusal of a hairpinned datagram reaches its sender, translated",
        refusal,
    )
    .linux_breaks("c2 sees nothing"),
];

fn udp(ground: &Ground) -> Seen {
    let server = sockets::udp(&ground.e, E, 8080)?;
    let c2 = sockets::udp(&ground.c2, ANY, 41_060)?;
    let c1 = sockets::udp(&ground.c1, ANY, 41_061)?;
    let mapped = told(&c2, (E, 8080), &server)?;
    c1.send_to(b"question", mapped)?;
    let Some((_, from)) = heard(&c2)? else {
        return judge(false, format!("sent to {mapped}, c2 hears nothing"));
    };
    c2.send_to(b"answer", from)?;
    let answer = heard(&c1)?.map(|(_, from)| from);
    judge(
        *from.ip() == ground.x() && answer == Some(mapped),
        format!("c2 behind {mapped} hears {from}, c1 hears {answer:?}"),
    )
}

fn connection(ground: &Ground) -> Seen {
    let held = tcp(ground, &ground.c2, 42_060, (E, 8080))?;
    let listener = sockets::listen(&ground.c2, ANY, 42_060)?;
    let c1 = match sockets::connect(&ground.c1, 42_061, held.seen) {
        Ok(c1) => c1,
        Err(error) => {
            let kind = error.downcast_ref().map(std::io::Error::kind);
            return judge(false, format!("connecting to {}: {kind:?}", held.seen));
        }
    };
    let (c2, from) = sockets::accept(&listener)?;
    let carried = carry(&c1, &c2, b"question").and_then(|()| carry(&c2, &c1, b"answer"));
    judge(
        carried.is_ok() && *from.ip() == ground.x(),
        format!("c2 behind {} sees {from}: {carried:?}", held.seen),
    )
}

fn refusal(ground: &Ground) -> Seen {
    let server = sockets::udp(&ground.e, E, 8080)?;
    let c2 = sockets::udp(&ground.c2, ANY, 41_070)?;
    let mapped = told(&c2, (E, 8080), &server)?;
    drop(c2);
    let taps = [Tap::open(&ground.c2)?, Tap::open(&ground.c1)?];
    sockets::udp(&ground.c1, ANY, 41_071)?.send_to(b"question", mapped)?;
    let there = comes(&taps[0], |packet| {
        packet.protocol() == 17 && packet.ports().1 == 41_070
    })?;
    let Some(there) = there else {
        return judge(false, format!("sent to {mapped}, c2 sees nothing"));
    };
    let Some(error) = comes(&taps[1], |packet| icmp_kind(packet) == Some((3, 3)))? else {
        return judge(false, format!("c2 sees {there:?}, c1 hears of no refusal"));
    };
    let inner = quoted(&error);
    let reverted = inner.source() == C1
        && inner.destination() == *mapped.ip()
        && inner.ports() == (41_071, mapped.port());
    judge(
        reverted && error.source() == *mapped.ip() && there.source() == ground.x(),
        format!("c2 sees {there:?}, c1 {} about {inner:?}", error.source()),
    )
}
