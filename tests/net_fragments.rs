//! Fragments, in order, out of order and alone: datagrams larger than a frame go there and back, to another host and to
//! this one, TCP segments that a router has cut arrive, and a flood of fragments of nothing costs the others nothing.

use anyhow::{Context, Result, ensure};
use gwpool_harness::in_native_and_tc;
use gwpool_harness::net::LIMIT;
use gwpool_harness::net::fabric::{self, Datapath};
use gwpool_harness::net::flood::Flood;
use gwpool_harness::net::namespace::Namespace;
use gwpool_harness::net::payload::Payload;
use gwpool_harness::net::site::{CLIENT, Site};
use gwpool_harness::net::sockets::{self, carry};
use gwpool_harness::net::stats::Fragments;
use gwpool_harness::net::transfer::{Load, Progress, Transfer, download};
use gwpool_harness::net::wait::wait_for;
use gwpool_harness::net::wire::Packet;
use gwpool_harness::net::world::World;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Instant;

/// UDP to another host, and to this one on another port; TCP likewise.
const ROUTES: &str = r#"
    there: {mode: udp, address: "*", port: 5300, destination: {addresses: [192.168.1.2], port: 5310}}
    here: {mode: udp, address: "*", port: 5301, destination: {group: {name: gateways}, port: 5311}}
    web: {mode: tcp, address: "*", port: 8080, destination: {addresses: [192.168.1.2], port: 8090}}
    web-here: {mode: tcp, address: "*", port: 8081, destination: {group: {name: gateways}, port: 8091}}
"#;
/// Listen port, the backend's gateway and port: another host, this host, and no route at all.
const ECHOES: [(u16, usize, u16); 3] = [(5300, 2, 5310), (5301, 1, 5311), (5302, 1, 5302)];
const DATAGRAM: usize = 4000;

fn up(datapath: Datapath) -> Result<World> {
    World::with_routes(datapath, ROUTES)
}

/// A backend's socket and a client's that is connected to the listen port.
fn ends(site: &Site, (listen, gateway, port): (u16, usize, u16)) -> Result<(UdpSocket, UdpSocket)> {
    let any = Ipv4Addr::UNSPECIFIED;
    let backend = sockets::udp(&site.gateway(gateway).namespace, any, port)?;
    let client = sockets::udp(&site.client.namespace, any, 0)?;
    client.connect(site.gateway(1).front(listen))?;
    Ok((backend, client))
}

/// One datagram there and back, each time the same bytes.
fn echo((backend, client): &(UdpSocket, UdpSocket), datagram: &[u8]) -> Result<()> {
    let mut buffer = vec![0; 1 << 16];
    client.send(datagram)?;
    let (length, from) = backend.recv_from(&mut buffer).context("at the backend")?;
    ensure!(buffer[..length] == *datagram, "other bytes at the backend");
    backend.send_to(&buffer[..length], from)?;
    let length = client.recv(&mut buffer).context("at the client")?;
    ensure!(buffer[..length] == *datagram, "other bytes at the client");
    Ok(())
}

fn bytes(length: usize) -> Vec<u8> {
    Payload::new(length as u64).flatten().collect()
}

fn large_datagrams_go_there_and_back(datapath: Datapath) -> Result<()> {
    let mut world = up(datapath)?;
    for echoed in ECHOES {
        let ends = ends(&world.site, echoed)?;
        for more in 0..50 {
            echo(&ends, &bytes(DATAGRAM + more)).with_context(|| format!("{echoed:?}, {more}"))?;
        }
        echo(&ends, &bytes(60_000)).with_context(|| format!("{echoed:?}, as large as can be"))?;
    }
    let gateway = world.site.gateway(1).clone();
    assert_eq!(gateway.stats()?.datapath.fragments.held_total, 0);
    // Nobody is there to hold anything; what comes in order needs nobody.
    world.kill(&gateway)?;
    for echoed in ECHOES {
        let ends = ends(&world.site, echoed)?;
        echo(&ends, &bytes(DATAGRAM)).with_context(|| format!("{echoed:?}, without a daemon"))?;
    }
    Ok(())
}

/// A client behind a router with a small MTU: the client does not forbid to cut its segments, and the router does.
fn segments_that_a_router_cuts_arrive(datapath: Datapath) -> Result<()> {
    let world = up(datapath)?;
    let (site, client) = (&world.site, &world.site.client.namespace);
    let far = fabric::host(site, "far")?;
    fabric::wire(
        (&far, "near", "10.8.0.2/24"),
        (client, "far", "10.8.0.1/24"),
    )?;
    far.ip(&["route add default via 10.8.0.1".into()])?;
    far.sysctl("net/ipv4/ip_no_pmtu_disc", "1")?;
    client.sysctl("net/ipv4/ip_forward", "1")?;
    client.ip(&["route add 10.9.0.1/32 dev gateway-network mtu 600".into()])?;
    let gateway = site.gateway(1);
    gateway
        .namespace
        .ip(&[format!("route add 10.8.0.0/24 via {CLIENT}")])?;
    let body = bytes(200_000);
    for (listen, backend, port) in [(8080, 2, 8090), (8081, 1, 8091)] {
        let backend = &site.gateway(backend).namespace;
        let listener = sockets::listen(backend, Ipv4Addr::UNSPECIFIED, port)?;
        let before = cut(client)?;
        let pair = sockets::pair(&far, 0, gateway.front(listen), &listener)?;
        carry(&pair.client, &pair.backend, &body)?;
        carry(&pair.backend, &pair.client, &body)?;
        let cut = cut(client)? - before;
        assert!(cut > 300, "the router has made {cut} fragments only");
    }
    Ok(())
}

/// Fragments that a router has made (`/proc/net/snmp`).
fn cut(router: &Namespace) -> Result<u64> {
    let text = router.run("nstat", &["-asz", "IpFragCreates"])?;
    let line = text.lines().find(|line| line.starts_with("IpFragCreates"));
    let count = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(count.context("no IpFragCreates")?.parse()?)
}

/// Fragments of a datagram, made byte by byte.
fn fragments(
    from: (Ipv4Addr, u16),
    to: SocketAddrV4,
    id: u16,
    parts: &[&str],
) -> Result<Vec<Packet>> {
    let (source, port) = from;
    let whole = format!("udp {source}:{port} > {to} len=1200 id={id}");
    let part = |part: &&str| Packet::parse(&format!("{whole} part={part}"));
    parts.iter().map(part).collect()
}

/// What the daemon on gateway-1 says of early fragments.
fn held(site: &Site) -> Result<Fragments> {
    Ok(site.gateway(1).stats()?.datapath.fragments)
}

/// Sends the packets, waits until the daemon holds every early one, then sends the last, which is the first fragment:
/// the whole datagram arrives.
fn sent_backwards(site: &Site, from: &Namespace, packets: &[Packet], to: &UdpSocket) -> Result<()> {
    let (first, early) = packets.split_last().context("packets")?;
    let before = held(site)?;
    for packet in early {
        packet.send(from)?;
    }
    wait_for("the early fragments to be held", LIMIT, || {
        let now = held(site)?.held_total - before.held_total;
        ensure!(now == early.len() as u64, "{now} are");
        Ok(())
    })?;
    first.send(from)?;
    let (mut buffer, expected) = ([0; 2000], (0..1200).map(|index| index as u8));
    let length = to.recv(&mut buffer).context("the datagram")?;
    ensure!(
        expected.eq(buffer[..length].iter().copied()),
        "other bytes arrived"
    );
    Ok(())
}

fn what_comes_backwards_arrives(datapath: Datapath) -> Result<()> {
    let world = up(datapath)?;
    let (site, client) = (&world.site, &world.site.client.namespace);
    for (number, echoed) in (1..).zip(ECHOES) {
        let (backend, _) = ends(site, echoed)?;
        let to = site.gateway(1).front(echoed.0);
        for (turn, parts) in [
            ["800-1208", "0-800"].as_slice(),
            &["1200-1208", "800-1200", "0-800"],
        ]
        .into_iter()
        .enumerate()
        {
            let id = 100 * number + turn as u16;
            let packets = fragments((CLIENT, 4000), to, id, parts)?;
            sent_backwards(site, client, &packets, &backend)
                .with_context(|| format!("{echoed:?} in {parts:?}"))?;
        }
    }
    // The answer of a backend, too.
    let echoed = ECHOES[0];
    let (backend, client) = ends(site, echoed)?;
    client.send(b"hello")?;
    let (mut buffer, host) = ([0; 100], &site.gateway(echoed.1).namespace);
    let (_, std::net::SocketAddr::V4(seen)) = backend.recv_from(&mut buffer)? else {
        anyhow::bail!("the client is not IPv4")
    };
    let from = (site.gateway(echoed.1).box_network, echoed.2);
    let packets = fragments(from, seen, 900, &["800-1208", "0-800"])?;
    sent_backwards(site, host, &packets, &client).context("the answer")?;
    let counts = held(site)?;
    assert_eq!(counts.held_total, counts.reinjected_total, "{counts:?}");
    assert_eq!(
        site.gateway(1).stats()?.reasons["fragment_held"],
        counts.held_total
    );
    Ok(())
}

/// Whom they say they come from: another number space than the client's own.
const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 99);
/// Lone fragments a step of the flood.
const STEP: u16 = 100;
/// Steps of it: one ordinary datagram and one large one pass between two of them.
const STEPS: u16 = 300;

fn lone_fragments_cost_the_others_nothing(datapath: Datapath) -> Result<()> {
    let mut world = up(datapath)?;
    let second = world.site.gateway(2).clone();
    world.serve_at(&second.namespace, "there", &[8090])?;
    let site = &world.site;
    let (client, gateway) = (&site.client.namespace, site.gateway(1));
    let load = Load {
        bytes: 30_000_000,
        rate: 0,
    };
    let ends = ends(site, ECHOES[0])?;
    let flood = Flood::from(client)?;
    let lone = |id: u16| -> Result<Vec<u8>> {
        Ok(
            fragments((NOBODY, 1), gateway.front(5300), id, &["800-1208"])?
                .remove(0)
                .0,
        )
    };
    let begin = Instant::now();
    let got = std::thread::scope(|scope| -> Result<Transfer> {
        let transfer =
            scope.spawn(|| download(client, gateway.front(8080), load, &Progress::default()));
        for step in 0..STEPS {
            let ids = 1000 + step * STEP..1000 + (step + 1) * STEP;
            flood.send(ids.map(lone).collect::<Result<Vec<_>>>()?)?;
            echo(&ends, b"small").with_context(|| format!("step {step}"))?;
            echo(&ends, &bytes(DATAGRAM)).with_context(|| format!("step {step}, large"))?;
        }
        transfer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    assert_eq!(got.sha256, Payload::sha256(load.bytes));
    let all = u64::from(STEP) * u64::from(STEPS);
    // In the end nothing is left of them, and each is accounted for.
    let counts = wait_for("the last of them to be given up", LIMIT, || {
        let counts = held(site)?;
        ensure!(
            counts.held_total
                == counts.expired_total + counts.overflow_total + counts.reinjected_total,
            "{counts:?}"
        );
        Ok(counts)
    })?;
    assert_eq!(counts.reinjected_total, 0);
    let reasons = gateway.stats()?.reasons;
    assert_eq!(reasons["fragment_held"] + reasons["fragment"], all);
    assert_eq!(counts.held_total, reasons["fragment_held"]);
    println!(
        "{all} lone fragments, {:.0} a second: {counts:?}, {} passed",
        all as f64 / seconds,
        reasons["fragment"]
    );
    Ok(())
}

in_native_and_tc! {
    large_datagrams_go_there_and_back
    segments_that_a_router_cuts_arrive
    what_comes_backwards_arrives
    lone_fragments_cost_the_others_nothing
}

#[test]
fn what_comes_backwards_arrives_in_generic() -> Result<()> {
    what_comes_backwards_arrives(Datapath::Generic)
}
