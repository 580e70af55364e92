//! When there is no more to give: the sender is told (RFC 5508 REQ-8, RFC 6888 REQ-4), and who is kept out is kept out.

use super::super::ground::{C1, C2, E, Ground};
use super::super::probe::{ANY, heard, icmp_kind, quoted, told};
use super::super::row::{
    Level::{May, Must, Should},
    Row, Seen, judge,
};
use super::super::subject::Setting;
use crate::net::namespace::Namespace;
use crate::net::sockets;
use crate::net::wire::Tap;
use anyhow::Result;
use std::net::Ipv4Addr;

const SHARE: u16 = 4;

pub const ROWS: &[Row] = &[
    Row::new(
        "exhaustion_is_told",
        "RFC 5508 REQ-8",
        Should,
        "four ports, seven sockets: four get through, three are told by ICMP 3/13",
        exhaustion,
    )
    .under(Setting::Ports(50_000, 50_003))
    .linux_breaks("4 get through, 0 are told"),
    Row::new(
        "a_host_has_its_share",
        "RFC 6888 REQ-4",
        Should,
        "an inside host gets so many ports and no more; another one is not concerned",
        share,
    )
    .under(Setting::Share(SHARE))
    .not_of_linux(),
    Row::new(
        "ports_are_shared_where_that_is_allowed",
        "RFC 7857 3",
        May,
        "with `overload` four ports carry seven sockets that speak with seven different ones",
        overload,
    )
    .under(Setting::Overload(50_000, 50_003))
    .not_of_linux(),
    Row::new(
        "who_is_denied_does_not_leave",
        "DESIGN 2.2",
        Must,
        "an inside host on `deny` does not get out, translated or not; another one does",
        denied,
    )
    .under(Setting::Denied(C2))
    .not_of_linux(),
];

/// What became of so many sockets of one host that all speak to E: how many got through, how many were told.
fn sockets_of(
    ground: &Ground,
    host: (&Namespace, Ipv4Addr),
    ports: std::ops::Range<u16>,
) -> Result<(Vec<u16>, usize)> {
    let server = sockets::udp(&ground.e, E, 8080)?;
    let tap = Tap::open(host.0)?;
    let mut through = Vec::new();
    let mut open = Vec::new();
    for port in ports {
        let socket = sockets::udp(host.0, ANY, port)?;
        socket.send_to(b"question", (E, 8080))?;
        through.extend(heard(&server)?.map(|(_, from)| from.port()));
        open.push(socket);
    }
    let told = tap.drain()?;
    let about_ours = |packet: &&crate::net::wire::Packet| {
        icmp_kind(packet) == Some((3, 13)) && quoted(packet).source() == host.1
    };
    Ok((through, told.iter().filter(about_ours).count()))
}

fn exhaustion(ground: &Ground) -> Seen {
    let (through, told) = sockets_of(ground, (&ground.c1, C1), 44_600..44_607)?;
    let kept = through.len() == 4 && told == 3;
    let count = through.len();
    judge(
        kept,
        format!("{count} get through, {told} are told: {through:?}"),
    )
}

fn share(ground: &Ground) -> Seen {
    let greedy = sockets_of(ground, (&ground.c1, C1), 44_610..44_610 + SHARE + 2)?;
    let other = sockets_of(ground, (&ground.c2, C2), 44_620..44_620 + SHARE)?;
    let greedy = (greedy.0.len(), greedy.1);
    let other = (other.0.len(), other.1);
    let wanted = ((usize::from(SHARE), 2), (usize::from(SHARE), 0));
    judge(
        (greedy, other) == wanted,
        format!(
            "of {} sockets of c1 and {SHARE} of c2 (get through, are told): {greedy:?}, {other:?}",
            SHARE + 2
        ),
    )
}

fn overload(ground: &Ground) -> Seen {
    let mut seen = Vec::new();
    let mut open = Vec::new();
    for number in 0..7 {
        let to = (E, 8200 + number);
        let server = sockets::udp(&ground.e, to.0, to.1)?;
        let inside = sockets::udp(&ground.c1, ANY, 44_640 + number)?;
        inside.send_to(b"question", to)?;
        let Some((_, from)) = heard(&server)? else {
            return judge(
                false,
                format!("{seen:?}, and the next does not get through"),
            );
        };
        server.send_to(b"answer", from)?;
        seen.push(from.port());
        open.push((inside, server));
    }
    let answered = open.iter().map(|(inside, _)| Ok(heard(inside)?.is_some()));
    let answered = answered.collect::<Result<Vec<bool>>>()?;
    let lost = answered.iter().filter(|answered| !**answered).count();
    let allowed = seen.iter().all(|port| (50_000..=50_003).contains(port));
    judge(
        lost == 0 && allowed,
        format!("seven sockets are seen as {seen:?}, {lost} are not answered"),
    )
}

fn denied(ground: &Ground) -> Seen {
    let tap = Tap::open(&ground.e)?;
    sockets::udp(&ground.c2, ANY, 44_630)?.send_to(b"denied", (E, 8080))?;
    let server = sockets::udp(&ground.e, E, 8080)?;
    let allowed = told(&sockets::udp(&ground.c1, ANY, 44_631)?, (E, 8080), &server)?;
    let through: Vec<String> = tap
        .drain()?
        .iter()
        .filter(|packet| packet.transport().ends_with(b"denied"))
        .map(|packet| format!("{packet:?}"))
        .collect();
    judge(
        through.is_empty(),
        format!("c1 is seen as {allowed}, of c2 is seen {through:?}"),
    )
}
