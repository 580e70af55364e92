//! The gateway is a host, too: its own sockets and its containers' use the NAT address where that is the interface's
//! own, and neither they nor the inside hosts' are hijacked or starved (the checklist's "Host-socket collisions").

use super::super::ground::{E, Ground, OWN};
use super::super::probe::{ANY, heard, tcp, told};
use super::super::row::{Level::Must, Row, Seen, judge};
use super::super::subject::{Setting, Subject};
use super::race;
use crate::net::fabric;
use crate::net::namespace::output;
use crate::net::nginx::Nginx;
use crate::net::sockets::{self, carry, connect_as};
use anyhow::Result;
use std::net::SocketAddrV4;

pub const ROWS: &[Row] = &[
    Row::new(
        "a_connection_of_the_host_keeps_its_port",
        "1.5 host sockets",
        Must,
        "the host's connection was first: the inside host's gets another port, both carry",
        host_first,
    )
    .under(Setting::Own),
    Row::new(
        "a_connection_of_the_host_finds_a_port",
        "1.5 host sockets",
        Must,
        "the inside host's was first: the host's own works all the same",
        client_first,
    )
    .under(Setting::Own),
    Row::new(
        "a_udp_port_of_the_host_is_not_given_out",
        "1.5 host sockets",
        Must,
        "a UDP port that the host has bound goes to nobody, and hears everybody",
        udp_bound,
    )
    .under(Setting::Own)
    .linux_breaks("seen as 43110"),
    Row::new(
        "a_listener_of_the_host_is_not_given_out",
        "1.5 host sockets",
        Must,
        "neither does a port that it listens on (Grafana's 3000)",
        listener,
    )
    .under(Setting::Own)
    .linux_breaks("seen as 3000"),
    Row::new(
        "curl_from_a_clients_port",
        "1.5 host sockets",
        Must,
        "curl on the host, from a port that an inside host's connection has",
        curl,
    )
    .under(Setting::Own),
    Row::new(
        "host_and_clients_race",
        "1.5 host sockets",
        Must,
        "10,000 connections of the host and a container race 10,000 of an inside host's",
        race_for_ports,
    )
    .under(Setting::Own),
];

/// Carries both ways over both, and says who is seen as whom.
fn both(client: &sockets::Pair, host: &sockets::Pair) -> Seen {
    let carried = [client, host].map(|pair| {
        carry(&pair.client, &pair.backend, b"question")
            .and_then(|()| carry(&pair.backend, &pair.client, b"answer"))
    });
    let fine = carried.iter().all(Result::is_ok) && client.seen != host.seen;
    judge(
        fine,
        format!(
            "c1 is seen as {}, the host as {}: {carried:?}",
            client.seen, host.seen
        ),
    )
}

/// A connection of the gateway's own, with the NAT address.
fn of_the_host(ground: &Ground, port: u16, to: u16) -> Result<sockets::Pair> {
    let listener = sockets::listen(&ground.e, E, to)?;
    let client = connect_as(
        ground.gw(),
        SocketAddrV4::new(OWN, port),
        SocketAddrV4::new(E, to),
    )?;
    let (backend, seen) = sockets::accept(&listener)?;
    Ok(sockets::Pair {
        client,
        backend,
        seen,
    })
}

fn host_first(ground: &Ground) -> Seen {
    let host = of_the_host(ground, 43_101, 8080)?;
    both(&tcp(ground, &ground.c1, 43_101, (E, 8080))?, &host)
}

fn client_first(ground: &Ground) -> Seen {
    let client = tcp(ground, &ground.c1, 43_102, (E, 8080))?;
    both(&client, &of_the_host(ground, 43_102, 8080)?)
}

fn udp_bound(ground: &Ground) -> Seen {
    let bound = sockets::udp(ground.gw(), ANY, 43_110)?;
    let server = sockets::udp(&ground.e, E, 8080)?;
    let inside = sockets::udp(&ground.c1, ANY, 43_110)?;
    let seen = told(&inside, (E, 8080), &server)?;
    server.send_to(b"for the host", (OWN, 43_110))?;
    let host_hears = heard(&bound)?.is_some();
    server.send_to(b"for the client", seen)?;
    let client_hears = heard(&inside)?.map(|(bytes, _)| bytes == b"for the client");
    judge(
        seen.port() != 43_110 && host_hears && client_hears == Some(true),
        format!(
            "c1's is seen as {}; the host hears: {host_hears}, c1 its own: {client_hears:?}",
            seen.port()
        ),
    )
}

fn listener(ground: &Ground) -> Seen {
    let grafana = sockets::listen(ground.gw(), ANY, 3000)?;
    let client = tcp(ground, &ground.c1, 3000, (E, 8080))?;
    let visitor = connect_as(
        &ground.e,
        SocketAddrV4::new(E, 0),
        SocketAddrV4::new(OWN, 3000),
    )?;
    let (host, from) = sockets::accept(&grafana)?;
    let carried = carry(&visitor, &host, b"a dashboard")
        .and_then(|()| carry(&client.client, &client.backend, b"something else"));
    judge(
        client.seen.port() != 3000 && carried.is_ok(),
        format!(
            "c1's is seen as {}; {from} visits the listener: {carried:?}",
            client.seen.port()
        ),
    )
}

fn curl(ground: &Ground) -> Seen {
    const WEB: u16 = 8088;
    const PORT: u16 = 43_121;
    let root = ground.site.directory.join("nginx-e");
    let _nginx = Nginx::start(&ground.e, &root, WEB, 100_000)?;
    let inside = sockets::connect(&ground.c1, PORT, SocketAddrV4::new(E, WEB))?;
    let (interface, port) = (OWN.to_string(), PORT.to_string());
    let url = format!("http://{E}:{WEB}/bytes/100000");
    let mut curl = ground.gw().command("curl");
    curl.args(["-sS", "-m", "9", "-o", "/dev/null"]);
    curl.args(["-w", "%{http_code} %{size_download} bytes"]);
    curl.args(["--interface", &interface, "--local-port", &port, &url]);
    let fetched = output(&mut curl);
    // The inside host's is still its own: it asks only now.
    sockets::tell(&inside, b"GET /bytes/100000 HTTP/1.0\r\n\r\n")?;
    let got = sockets::rest(&inside)?.len();
    let right = fetched
        .as_ref()
        .is_ok_and(|line| line == "200 100000 bytes");
    judge(
        right && got > 100_000,
        format!("while c1 holds {PORT} curl gets {fetched:?}; c1 gets {got} bytes"),
    )
}

fn race_for_ports(ground: &Ground) -> Seen {
    let pod = fabric::host(&ground.site, "pod")?;
    fabric::wire(
        (ground.gw(), "pod", "172.17.0.1/24"),
        (&pod, "eth0", "172.17.0.2/24"),
    )?;
    pod.ip(&["route add default via 172.17.0.1".into()])?;
    if ground.subject != Subject::Nftables {
        ground.gw().nft(
            "table ip pods {
                chain postrouting {
                    type nat hook postrouting priority srcnat;
                    ip saddr 172.17.0.0/24 oifname gateway-network masquerade
                }
            }
            ",
        )?;
    }
    let tally = race::run(ground, &pod)?;
    judge(tally.clean(), format!("{tally}"))
}
