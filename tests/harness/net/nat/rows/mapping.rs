//! Which outside port an inside socket gets, and that it is the same for everybody it speaks to (RFC 4787 4.1 to 4.3,
//! RFC 5382 4.1 and 7, RFC 7857 6 and 7).

use super::super::ground::{C1, C2, E, E1, Ground};
use super::super::probe::{
    ANY, heard, icmp_id, icmp_kind, ports, query, same, tcp_seen, told, udp_seen,
};
use super::super::row::{
    Level::{May, Must, Should},
    Row, Seen, judge,
};
use super::super::subject::{POOL, Setting};
use crate::net::gateway::user_binary;
use crate::net::namespace::Namespace;
use crate::net::sockets;
use crate::net::wire::Tap;
use anyhow::Result;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;

pub const ROWS: &[Row] = &[
    Row::new(
        "udp_mapping_is_endpoint_independent",
        "RFC 4787 REQ-1",
        Must,
        "one UDP socket has one outside port, whoever it speaks to",
        udp_endpoint_independent,
    )
    .linux_breaks("differ"),
    Row::new(
        "two_addresses_are_paired",
        "RFC 4787 REQ-2",
        Should,
        "all sockets of an inside host have the same outside address",
        paired,
    )
    .under(Setting::Pair)
    .not_of_linux(),
    Row::new(
        "overlapping_prefixes_are_refused",
        "RFC 4787 REQ-7",
        Must,
        "an inside prefix that is also outside is refused before anything is translated",
        overlapping,
    )
    .not_of_linux(),
    Row::new(
        "udp_ports_are_not_overloaded",
        "RFC 4787 REQ-3",
        Must,
        "two inside sockets never share an outside port",
        udp_not_overloaded,
    )
    .linux_breaks("share"),
    Row::new(
        "ports_stay_in_their_class",
        "RFC 4787 REQ-3a",
        Should,
        "a port below 1024 becomes one below 1024, any other one above",
        classes,
    ),
    Row::new(
        "free_ports_are_preserved",
        "RFC 4787 4.2.1",
        May,
        "a port that is free outside is kept",
        preserved,
    ),
    Row::new(
        "parity_is_not_kept",
        "RFC 7857 7",
        Should,
        "a changed port's parity is not the inside port's",
        parity,
    ),
    Row::new(
        "changed_ports_are_random",
        "RFC 7857 9",
        Should,
        "changed ports do not follow one another (RFC 6056)",
        random,
    ),
    Row::new(
        "mapping_is_deterministic",
        "RFC 4787 REQ-11",
        Must,
        "REQ-1 holds in a table that is empty, half full, and for the last port of it",
        deterministic,
    )
    .under(Setting::Ports(50_000, 50_099))
    .linux_breaks("differ"),
    Row::new(
        "tcp_mapping_is_endpoint_independent",
        "RFC 5382 REQ-1",
        Must,
        "one TCP port has one outside port, whoever it connects to",
        tcp_endpoint_independent,
    )
    .linux_breaks("differ"),
    Row::new(
        "tcp_ports_are_not_overloaded",
        "RFC 5382 REQ-7",
        Must,
        "two inside hosts' connections never share an outside port",
        tcp_not_overloaded,
    )
    .linux_breaks("share"),
    Row::new(
        "protocols_have_their_own_ports",
        "RFC 7857 5",
        Should,
        "a UDP mapping does not take TCP's port",
        per_protocol,
    ),
    Row::new(
        "query_ids_are_told_apart",
        "RFC 5508 REQ-1",
        Must,
        "two hosts' queries with one identifier differ outside; each gets its own reply",
        query_ids,
    ),
    Row::new(
        "query_ids_are_endpoint_independent",
        "RFC 5508 REQ-1a",
        Should,
        "one identifier has one outside identifier, whoever is asked",
        query_ids_independent,
    )
    .linux_breaks("differ"),
];

/// Whether they are equal, and which they are.
fn equal(what: &str, seen: &[u16]) -> Seen {
    let word = if same(seen) { "equal" } else { "differ" };
    judge(same(seen), format!("{what} {seen:?}: they {word}"))
}

fn distinct(what: &str, seen: &[SocketAddrV4]) -> Seen {
    let all: BTreeSet<_> = seen.iter().collect();
    let apart = all.len() == seen.len();
    let word = if apart { "are apart" } else { "share" };
    judge(apart, format!("{what} {seen:?}: they {word}"))
}

fn udp_endpoint_independent(ground: &Ground) -> Seen {
    udp_seen(ground, &ground.c1, 41_000, &[(E, 8080)])?;
    let targets = [(E, 8081), (E, 8080), (E1, 8080)];
    let seen = udp_seen(ground, &ground.c2, 41_000, &targets)?;
    equal("while c1 holds 41000, c2's 41000 is seen as", &ports(&seen))
}

/// The configuration that runs, but for one more inside prefix: that of the network outside.
fn overlapping(ground: &Ground) -> Seen {
    let text = std::fs::read_to_string(ground.gateway.inventory_file())?;
    let file = ground.gateway.directory.join("overlapping.yml");
    std::fs::write(
        &file,
        text.replace("nat: {", "nat: {sources: [10.9.0.0/16]"),
    )?;
    let mut check = Command::new(user_binary()?);
    let check = check
        .args(["check", "--node", "gateway-4", "-i"])
        .arg(&file);
    let output = check.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    judge(
        output.status.code() == Some(2) && said.contains("10.9.0.0/16"),
        format!(
            "check ends with {:?}: {}",
            output.status.code(),
            said.lines().next().unwrap_or_default()
        ),
    )
}

fn tcp_endpoint_independent(ground: &Ground) -> Seen {
    let _held = tcp_seen(ground, &ground.c1, 42_000, &[(E, 8080)])?;
    let targets = [(E, 8081), (E, 8080), (E1, 8080)];
    let pairs = tcp_seen(ground, &ground.c2, 42_000, &targets)?;
    let seen: Vec<_> = pairs.iter().map(|pair| pair.seen.port()).collect();
    equal("while c1 holds 42000, c2's 42000 is seen as", &seen)
}

fn udp_not_overloaded(ground: &Ground) -> Seen {
    let mut seen = udp_seen(ground, &ground.c1, 41_010, &[(E, 8080)])?;
    seen.extend(udp_seen(ground, &ground.c2, 41_010, &[(E, 8081)])?);
    distinct("c1's and c2's 41010 are seen as", &seen)
}

fn tcp_not_overloaded(ground: &Ground) -> Seen {
    let one = tcp_seen(ground, &ground.c1, 42_010, &[(E, 8080)])?;
    let other = tcp_seen(ground, &ground.c2, 42_010, &[(E, 8081)])?;
    let seen = [one[0].seen, other[0].seen];
    distinct("c1's and c2's 42010 are seen as", &seen)
}

fn paired(ground: &Ground) -> Seen {
    let mut hosts = Vec::new();
    for host in [&ground.c1, &ground.c2] {
        let mut addresses = BTreeSet::new();
        for port in 41_100..41_150 {
            let to = [(if port % 2 == 0 { E } else { E1 }, 8080)];
            addresses.extend(
                udp_seen(ground, host, port, &to)?
                    .iter()
                    .map(|seen| *seen.ip()),
            );
        }
        hosts.push(addresses);
    }
    let ours = hosts.iter().flatten().all(|address| POOL.contains(address));
    let one_each = hosts.iter().all(|addresses| addresses.len() == 1);
    judge(
        ours && one_each,
        format!("50 sockets each of c1 and c2 are seen as {hosts:?}"),
    )
}

fn classes(ground: &Ground) -> Seen {
    let mut kept = true;
    let mut evidence = Vec::new();
    for port in [600, 123, 41_020] {
        let mut seen = udp_seen(ground, &ground.c1, port, &[(E, 8080)])?;
        seen.extend(udp_seen(ground, &ground.c2, port, &[(E, 8080)])?);
        kept &= seen
            .iter()
            .all(|seen| (seen.port() < 1024) == (port < 1024));
        evidence.push(format!("{port}: {:?}", ports(&seen)));
    }
    judge(kept, format!("c1 and c2, {}", evidence.join(", ")))
}

fn preserved(ground: &Ground) -> Seen {
    let udp = udp_seen(ground, &ground.c1, 41_030, &[(E, 8080)])?[0];
    let tcp = tcp_seen(ground, &ground.c1, 42_030, &[(E, 8080)])?[0].seen;
    let x = ground.x();
    let kept = udp == SocketAddrV4::new(x, 41_030) && tcp == SocketAddrV4::new(x, 42_030);
    judge(
        kept,
        format!("UDP 41030 is seen as {udp}, TCP 42030 as {tcp}"),
    )
}

/// As which ports c2's are seen that c1 holds already.
fn changed(ground: &Ground, inside: std::ops::Range<u16>) -> Result<Vec<(u16, u16)>> {
    let mut changed = Vec::new();
    for port in inside {
        udp_seen(ground, &ground.c1, port, &[(E, 8080)])?;
        let seen = udp_seen(ground, &ground.c2, port, &[(E, 8080)])?[0];
        changed.push((port, seen.port()));
    }
    Ok(changed)
}

fn parity(ground: &Ground) -> Seen {
    let changed = changed(ground, 41_200..41_232)?;
    let kept = changed
        .iter()
        .filter(|(inside, outside)| inside % 2 == outside % 2)
        .count();
    let all = changed.len();
    judge(
        kept < all,
        format!("{kept} of {all} changed ports are as odd or even as before"),
    )
}

fn random(ground: &Ground) -> Seen {
    let changed = changed(ground, 41_240..41_256)?;
    let steps: BTreeSet<u16> = changed
        .windows(2)
        .map(|two| two[1].1.wrapping_sub(two[0].1))
        .collect();
    let outside: Vec<u16> = changed.iter().map(|(_, outside)| *outside).collect();
    judge(
        steps.len() > changed.len() / 2,
        format!("16 ports in a row became {outside:?}"),
    )
}

/// c2 takes ports until `wanted` of the hundred are taken, c1's among them.
fn deterministic(ground: &Ground) -> Seen {
    let servers = [(E, 8081), (E, 8080), (E1, 8080)];
    let sockets: Vec<_> = servers
        .iter()
        .map(|&(address, port)| sockets::udp(&ground.e, address, port))
        .collect::<Result<_>>()?;
    let (mut taken, mut inside) = (0, 51_000);
    // A port that another host has outside: whoever keeps it for a new destination overloads it.
    let mut own = 51_500;
    let mut evidence = Vec::new();
    for wanted in [0, 50, 99] {
        while taken < wanted {
            let socket = sockets::udp(&ground.c2, ANY, inside)?;
            own = told(&socket, servers[1], &sockets[1])?.port();
            inside += 1;
            taken += 1;
        }
        let socket = sockets::udp(&ground.c1, ANY, own)?;
        let mut seen = Vec::new();
        for (to, server) in servers.iter().zip(&sockets) {
            seen.push(told(&socket, *to, server)?.port());
        }
        // Address-dependent: another port of a host that was spoken to.
        sockets[2].send_to(b"marker", (ground.x(), seen[2]))?;
        let answered = heard(&socket)?.is_some();
        evidence.push(format!(
            "{wanted} taken: {seen:?}, answer heard: {answered}"
        ));
        taken += 1;
        if !same(&seen) || !answered {
            return judge(false, format!("{}: they differ", evidence.join("; ")));
        }
    }
    judge(true, evidence.join("; "))
}

fn per_protocol(ground: &Ground) -> Seen {
    let udp = udp_seen(ground, &ground.c1, 43_000, &[(E, 8080)])?[0];
    let tcp = tcp_seen(ground, &ground.c2, 43_000, &[(E, 8080)])?[0].seen;
    let kept = udp.port() == 43_000 && tcp.port() == 43_000;
    judge(
        kept,
        format!("c1's UDP 43000 is seen as {udp}, c2's TCP 43000 as {tcp}"),
    )
}

/// Asks each of these with one identifier; as which that sees it, and with which the reply comes back.
fn asked(
    ground: &Ground,
    inside: (&Namespace, Ipv4Addr),
    id: u16,
    to: &[Ipv4Addr],
) -> Result<Vec<(u16, u16)>> {
    let mut seen = Vec::new();
    for &to in to {
        let taps = [Tap::open(&ground.e)?, Tap::open(inside.0)?];
        query(8, id, inside.1, to, b"who am I").send(inside.0)?;
        let there = taps[0].next("the query", |packet| {
            icmp_kind(packet) == Some((8, 0)) && packet.destination() == to
        })?;
        let back = taps[1].next("the reply", |packet| {
            icmp_kind(packet) == Some((0, 0)) && packet.source() == to
        })?;
        seen.push((icmp_id(&there), icmp_id(&back)));
    }
    Ok(seen)
}

fn query_ids(ground: &Ground) -> Seen {
    let hosts = [(&ground.c1, C1), (&ground.c2, C2)];
    let one = asked(ground, hosts[0], 777, &[E])?[0];
    let other = asked(ground, hosts[1], 777, &[E])?[0];
    let kept = one.0 != other.0 && one.1 == 777 && other.1 == 777;
    judge(
        kept,
        format!(
            "777 of c1 and c2 is seen as {} and {}, replies come to {} and {}",
            one.0, other.0, one.1, other.1
        ),
    )
}

fn query_ids_independent(ground: &Ground) -> Seen {
    let hosts = [(&ground.c1, C1), (&ground.c2, C2)];
    asked(ground, hosts[0], 779, &[E])?;
    let seen = asked(ground, hosts[1], 779, &[E1, E])?;
    let outside: Vec<u16> = seen.iter().map(|(outside, _)| *outside).collect();
    equal("while c1 holds 779, c2's 779 is seen as", &outside)
}
