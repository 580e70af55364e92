//! Who may answer: RFC 4787 REQ-8 and RFC 5382 REQ-3, by default (UDP: hosts that were spoken to; TCP: nobody else) and
//! as `filtering` says.

use super::super::ground::{E, E1, Ground};
use super::super::probe::{ANY, heard, tcp, told, until};
use super::super::row::{
    Level::{May, Should},
    Row, Seen, judge,
};
use super::super::subject::Setting;
use crate::net::sockets::{self, carry};
use crate::net::wire::{Packet, Tap};
use anyhow::Result;
use std::net::{Ipv4Addr, SocketAddrV4};

pub const ROWS: &[Row] = &[
    Row::new(
        "udp_another_port_of_a_known_host_passes",
        "RFC 4787 REQ-8",
        Should,
        "a host that was spoken to may answer from another port",
        |ground| passes(ground, 41_300, (E, 8081), true),
    )
    .linux_breaks("heard: false"),
    Row::new(
        "udp_an_unknown_host_is_dropped",
        "RFC 4787 REQ-8",
        Should,
        "a host that was not spoken to is not heard",
        |ground| passes(ground, 41_301, (E1, 8080), false),
    ),
    Row::new(
        "udp_filtering_ei_lets_everybody_in",
        "RFC 4787 REQ-8",
        May,
        "with `filtering: ei` everybody is heard",
        |ground| passes(ground, 41_302, (E1, 8081), true),
    )
    .under(Setting::Filtering("ei"))
    .not_of_linux(),
    Row::new(
        "tcp_filtering_ei_lets_everybody_in",
        "RFC 5382 REQ-3",
        May,
        "with `filtering: ei` everybody may connect to a mapped port",
        tcp_from_anybody,
    )
    .under(Setting::Filtering("ei"))
    .not_of_linux(),
    Row::new(
        "udp_filtering_apd_lets_only_the_one_in",
        "RFC 4787 REQ-8",
        May,
        "with `filtering: apd` another port is not heard",
        |ground| passes(ground, 41_303, (E, 8081), false),
    )
    .under(Setting::Filtering("apd"))
    .not_of_linux(),
    Row::new(
        "tcp_filtering_ad_lets_a_known_host_in",
        "RFC 5382 REQ-3",
        May,
        "with `filtering: ad` a host that was spoken to may connect, another one not",
        tcp_from_known_hosts,
    )
    .under(Setting::Filtering("ad"))
    .not_of_linux(),
    Row::new(
        "tcp_a_strange_syn_is_dropped",
        "RFC 5382 REQ-3",
        Should,
        "a SYN from another endpoint to a mapped port does not get in",
        |ground| {
            let come = strangers(ground, 42_300)?;
            judge(
                come == [false, false],
                format!("[E:9050, E1:9050] get in: {come:?}"),
            )
        },
    ),
];

/// A mapping made by speaking to E:8080; whether somebody else's datagram is heard, before one of E:8080's.
fn passes(ground: &Ground, port: u16, from: (Ipv4Addr, u16), wanted: bool) -> Seen {
    let known = sockets::udp(&ground.e, E, 8080)?;
    let other = sockets::udp(&ground.e, from.0, from.1)?;
    let inside = sockets::udp(&ground.c1, ANY, port)?;
    let seen = told(&inside, (E, 8080), &known)?;
    other.send_to(b"other", seen)?;
    known.send_to(b"known", seen)?;
    let mut heard_other = false;
    while let Some((bytes, _)) = heard(&inside)? {
        if bytes == b"known" {
            break;
        }
        heard_other = true;
    }
    judge(
        heard_other == wanted,
        format!(
            "{}:{} to {seen}, which spoke to {E}:8080; heard: {heard_other}",
            from.0, from.1
        ),
    )
}

/// Whether SYNs of E and E1 to a mapped port come to its inside host, which listens there.
fn strangers(ground: &Ground, port: u16) -> Result<[bool; 2]> {
    let pair = tcp(ground, &ground.c1, port, (E, 8080))?;
    let tap = Tap::open(&ground.c1)?;
    for address in [E, E1] {
        let syn = format!("tcp {address}:9050 > {} S seq=7", pair.seen);
        Packet::parse(&syn)?.send(&ground.e)?;
    }
    carry(&pair.backend, &pair.client, b"marker")?;
    let come = until(&tap, |packet| {
        packet.protocol() == 6 && packet.ports() == (8080, port)
    })?;
    Ok([E, E1].map(|address| {
        come.iter()
            .any(|packet| packet.source() == address && packet.ports() == (9050, port))
    }))
}

fn tcp_from_known_hosts(ground: &Ground) -> Seen {
    let come = strangers(ground, 42_310)?;
    judge(
        come == [true, false],
        format!("[E:9050, E1:9050] get in: {come:?}"),
    )
}

fn tcp_from_anybody(ground: &Ground) -> Seen {
    let pair = tcp(ground, &ground.c1, 42_320, (E, 8080))?;
    let listener = sockets::listen(&ground.c1, ANY, 42_320)?;
    let outside = sockets::connect_as(&ground.e, SocketAddrV4::new(E1, 0), pair.seen);
    let Ok(outside) = outside else {
        return judge(false, format!("E1 does not get in: {outside:?}"));
    };
    let (inside, from) = sockets::accept(&listener)?;
    let carried =
        carry(&outside, &inside, b"question").and_then(|()| carry(&inside, &outside, b"answer"));
    judge(
        carried.is_ok() && *from.ip() == E1,
        format!("{from} connects to {}: {carried:?}", pair.seen),
    )
}
