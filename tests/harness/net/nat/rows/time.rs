//! How long mappings last, and what makes them last (RFC 4787 REQ-5 and 6, RFC 5508 REQ-2 and 6, RFC 6888
//! REQ-8). Time is divided (`timers`); these rows run all at once, each with ports of its own.

use super::super::ground::{C1, E, Ground, R, UNHEARD};
use super::super::probe::{ANY, comes, error, heard, icmp_id, icmp_kind, just_before, query, told};
use super::super::row::{
    Level::{May, Must, Should},
    Row, Seen, judge,
};
use super::super::subject::Setting;
use super::super::timers::{ICMP, UDP};
use crate::net::sockets;
use crate::net::wait::wait_until;
use crate::net::wire::{Packet, Tap};
use anyhow::{Context, Result};
use std::net::{SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

pub const ROWS: &[Row] = &[
    Row::new(
        "udp_unreplied_lasts",
        "RFC 4787 REQ-5",
        Must,
        "a UDP mapping that nobody answered lasts two minutes",
        udp_unreplied,
    )
    .under(Setting::Hurried)
    .linux_breaks("heard: false"),
    Row::new(
        "udp_lasts",
        "RFC 4787 REQ-5",
        Should,
        "a UDP mapping that both sides use lasts five minutes",
        udp_used,
    )
    .under(Setting::Hurried)
    .linux_breaks("heard: false"),
    Row::new(
        "udp_outbound_refreshes",
        "RFC 4787 REQ-6",
        Must,
        "packets from inside keep a UDP mapping",
        outbound_refresh,
    )
    .under(Setting::Hurried),
    Row::new(
        "udp_inbound_refreshes",
        "RFC 4787 REQ-6",
        May,
        "packets from outside that pass keep it, too",
        inbound_refresh,
    )
    .under(Setting::Hurried),
    Row::new(
        "icmp_query_lasts",
        "RFC 5508 REQ-2",
        Must,
        "a query's mapping lasts a minute",
        icmp_query,
    )
    .under(Setting::Hurried)
    .linux_breaks("heard: false"),
    Row::new(
        "icmp_errors_refresh_nothing",
        "RFC 5508 REQ-6",
        Must,
        "errors about a query do not keep its mapping",
        errors_refresh_nothing,
    )
    .under(Setting::Hurried),
    Row::new(
        "outbound_errors_refresh_nothing",
        "RFC 7857 6",
        Should,
        "errors that an inside host sends do not keep a mapping",
        outbound_errors,
    )
    .under(Setting::Hurried),
    Row::new(
        "mappings_are_logged",
        "RFC 6888 REQ-12",
        Should,
        "with `log` a mapping's begin and its end are written down",
        logged,
    )
    .under(Setting::Hurried)
    .not_of_linux(),
    Row::new(
        "a_port_rests_before_its_next_host",
        "RFC 6888 REQ-8",
        Should,
        "a port that is free again goes to nobody else for two minutes",
        rests,
    )
    .under(Setting::Hurried)
    .linux_breaks("the same"),
];

/// What keeps a mapping comes this often: well within the shortest divided timer.
const PACE: Duration = Duration::from_millis(400);

/// Does something again and again for that long.
pub fn meanwhile(limit: Duration, mut work: impl FnMut() -> Result<()>) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < limit {
        work()?;
        std::thread::sleep(PACE);
    }
    Ok(())
}

pub fn lasts(limit: Duration, seconds: u64, heard: bool) -> Seen {
    judge(
        heard,
        format!("{seconds} s, divided to {limit:?}; what comes just before is heard: {heard}"),
    )
}

/// A pair of UDP sockets, and as whom the inside one is seen.
struct Talk {
    inside: UdpSocket,
    outside: UdpSocket,
    seen: SocketAddrV4,
}

fn talk(ground: &Ground, inside: u16, outside: u16) -> Result<Talk> {
    let outside_socket = sockets::udp(&ground.e, E, outside)?;
    let socket = sockets::udp(&ground.c1, ANY, inside)?;
    let seen = told(&socket, (E, outside), &outside_socket)?;
    Ok(Talk {
        inside: socket,
        outside: outside_socket,
        seen,
    })
}

impl Talk {
    fn answer(&self) -> Result<()> {
        self.outside.send_to(b"answer", self.seen)?;
        Ok(())
    }

    fn heard(&self) -> Result<bool> {
        Ok(heard(&self.inside)?.is_some())
    }

    /// There, back and there again.
    fn exchange(&self) -> Result<()> {
        self.answer()?;
        heard(&self.inside)?.context("the answer is not heard")?;
        let to = self.outside.local_addr()?;
        self.inside.send_to(b"and again", to)?;
        heard(&self.outside)?.context("the third datagram is not heard")?;
        Ok(())
    }
}

fn udp_unreplied(ground: &Ground) -> Seen {
    let limit = UDP.scaled(120);
    let begin = |attempt| talk(ground, 45_000 + attempt, 8100 + attempt);
    lasts(
        limit,
        120,
        just_before(limit, begin, Talk::answer, Talk::heard)?,
    )
}

fn udp_used(ground: &Ground) -> Seen {
    let limit = UDP.scaled(300);
    let begin = |attempt| {
        let talk = talk(ground, 45_010 + attempt, 8110 + attempt)?;
        talk.exchange()?;
        Ok(talk)
    };
    lasts(
        limit,
        300,
        just_before(limit, begin, Talk::answer, Talk::heard)?,
    )
}

fn outbound_refresh(ground: &Ground) -> Seen {
    let talk = talk(ground, 45_020, 8120)?;
    let limit = UDP.scaled(120) * 2;
    meanwhile(limit, || {
        talk.inside.send_to(b"still here", (E, 8120))?;
        Ok(())
    })?;
    talk.answer()?;
    let heard = talk.heard()?;
    judge(
        heard,
        format!("for {limit:?} only the inside speaks; then the outside is heard: {heard}"),
    )
}

fn inbound_refresh(ground: &Ground) -> Seen {
    let talk = talk(ground, 45_030, 8130)?;
    talk.exchange()?;
    let limit = UDP.scaled(300) * 3 / 2;
    let mut lost = 0;
    meanwhile(limit, || {
        talk.answer()?;
        lost += usize::from(!talk.heard()?);
        Ok(())
    })?;
    judge(
        lost == 0,
        format!("for {limit:?} only the outside speaks; {lost} datagrams are not heard"),
    )
}

/// A query that the outside host's kernel does not hear.
struct Asked {
    outside: u16,
    id: u16,
    tap: Tap,
}

fn asked(ground: &Ground, id: u16) -> Result<Asked> {
    let (there, tap) = (Tap::open(&ground.e)?, Tap::open(&ground.c1)?);
    let mut packet = query(8, id, C1, E, &id.to_be_bytes());
    packet.0[1] = UNHEARD;
    packet.send(&ground.c1)?;
    let seen = there.next("the query", |packet| {
        icmp_kind(packet) == Some((8, 0)) && packet.transport().ends_with(&id.to_be_bytes())
    })?;
    Ok(Asked {
        outside: icmp_id(&seen),
        id,
        tap,
    })
}

fn reply(ground: &Ground, asked: &Asked) -> Result<()> {
    query(0, asked.outside, E, ground.x(), &asked.id.to_be_bytes()).send(&ground.e)
}

fn replied(asked: &Asked) -> Result<bool> {
    let is = |packet: &Packet| icmp_kind(packet) == Some((0, 0)) && icmp_id(packet) == asked.id;
    Ok(comes(&asked.tap, is)?.is_some())
}

fn icmp_query(ground: &Ground) -> Seen {
    let limit = ICMP.scaled(60);
    let begin = |attempt| asked(ground, 800 + attempt);
    let ask = |asked: &Asked| reply(ground, asked);
    lasts(limit, 60, just_before(limit, begin, ask, replied)?)
}

fn errors_refresh_nothing(ground: &Ground) -> Seen {
    let asked = asked(ground, 810)?;
    let quoted = query(8, asked.outside, ground.x(), E, &810u16.to_be_bytes());
    let limit = ICMP.scaled(60) * 2;
    meanwhile(limit, || {
        error((3, 1), 0, R, ground.x(), &quoted.0).send(&ground.r)
    })?;
    reply(ground, &asked)?;
    let heard = replied(&asked)?;
    judge(
        !heard,
        format!("for {limit:?} errors come about it; then the reply is heard: {heard}"),
    )
}

fn outbound_errors(ground: &Ground) -> Seen {
    let talk = talk(ground, 45_070, 8170)?;
    let quoted = Packet::parse(&format!("udp {E}:8170 > {C1}:45070 len=8"))?;
    let limit = UDP.scaled(300) * 2;
    meanwhile(limit, || {
        error((3, 3), 0, C1, E, &quoted.0).send(&ground.c1)
    })?;
    talk.answer()?;
    let heard = talk.heard()?;
    judge(
        !heard,
        format!("for {limit:?} the inside only sends errors; then the outside is heard: {heard}"),
    )
}

fn rests(ground: &Ground) -> Seen {
    let first = talk(ground, 45_080, 8180)?.seen;
    // Over since long, at divided time; resting at time as it is.
    std::thread::sleep(UDP.scaled(300) * 2);
    let server = sockets::udp(&ground.e, E, 8180)?;
    let inside = sockets::udp(&ground.c2, ANY, 45_080)?;
    let second = told(&inside, (E, 8180), &server)?;
    let word = if first == second {
        "the same"
    } else {
        "another"
    };
    judge(
        first != second,
        format!("c1 was {first}; some time after its end c2 is {second}, {word}"),
    )
}

fn logged(ground: &Ground) -> Seen {
    let seen = talk(ground, 45_090, 8190)?.seen;
    let mapping = format!("udp {C1}:45090 as {seen}");
    let said = |what: &str| {
        let line = format!("{what}: {mapping}");
        // Over after its timer, found by the sweep after that.
        let come = wait_until(&line, UDP.scaled(300) * 3, || {
            std::fs::read_to_string(ground.gateway.log()).is_ok_and(|log| log.contains(&line))
        });
        come.is_ok()
    };
    let (begins, ends) = (said("begins"), said("ends"));
    judge(
        begins && ends,
        format!("of {mapping} the begin is logged: {begins}, the end: {ends}"),
    )
}
