//! Who is let in, and where to: ranges of ports onto as wide a range or onto one port, clients allowed or denied by
//! their address, and ports of the NodePort range that no route declares. Whoever is not let in hears so at once.

use anyhow::Result;
use gwpool_harness::in_native_and_tc;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::namespace::Namespace;
use gwpool_harness::net::site::{self, CLIENT};
use gwpool_harness::net::sockets::{self, connect_as};
use gwpool_harness::net::world::World;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

const ROUTES: &str = r#"
    wide: {mode: tcp, address: "*", port: 8000-8010, destination: {addresses: [192.168.1.2], port: 9000-9010}}
    funnel: {mode: tcp, address: "*", port: 8100-8110, destination: {addresses: [192.168.1.2], port: 9100}}
    datagrams: {mode: udp, address: "*", port: 8200-8203, destination: {addresses: [192.168.1.2], port: 9200-9203}}
    denies: {mode: tcp, address: "*", port: 8300, deny: [10.9.0.100, 10.9.0.200/29], destination: {addresses: [192.168.1.2], port: 9100}}
    allows: {mode: tcp, address: "*", port: 8301, allow: [10.9.0.200/29], deny: [10.9.0.201], destination: {addresses: [192.168.1.2], port: 9100}}
    datagrams-denied: {mode: udp, address: "*", port: 8302, deny: [10.9.0.100], destination: {addresses: [192.168.1.2], port: 9200}}
    node: {mode: tcp, address: "*", port: 30080, destination: {addresses: [192.168.1.2], port: 9100}}
"#;
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const ALLOWED: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 200);
const DENIED: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 201);
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
/// A NodePort that no route declares, and what stands for the rest of the cluster there.
const UNDECLARED: u16 = 30_999;
/// Before a SYN would be sent again.
const AT_ONCE: Duration = Duration::from_millis(900);

fn up(datapath: Datapath, inventory: &str) -> Result<World> {
    let mut world = World::with_inventory(datapath, inventory)?;
    let site = world.site.clone();
    for port in (9000..=9010).chain([9100]) {
        world.serve_at(
            &site.gateway(2).namespace,
            &format!("backend:{port}"),
            &[port],
        )?;
    }
    world.serve_at(&site.gateway(1).namespace, "stack", &[UNDECLARED])?;
    Ok(world)
}

fn ranges_keep_their_width_or_end_in_one_port(datapath: Datapath) -> Result<()> {
    let world = up(datapath, &site::inventory(ROUTES))?;
    let client = &world.site.client;
    for place in 0..=10 {
        for (first, wanted) in [(8000, 9000 + place), (8100, 9100)] {
            let answer = client.get(SocketAddrV4::new(GATEWAY, first + place), "/")?;
            assert_eq!(
                answer.backend,
                format!("backend:{wanted}"),
                "{first} + {place}"
            );
        }
    }
    let turns = world.site.gateway(1).stats()?;
    for route in ["wide", "funnel"] {
        assert_eq!(turns.route(route)?.connections_total, 11, "{route}");
    }
    // The ports beside a range are nobody's.
    for port in [7999, 8011] {
        assert_eq!(
            tried(&client.namespace, CLIENT, port)?,
            Some(ErrorKind::ConnectionRefused)
        );
    }
    for place in 0..4 {
        let backend = sockets::udp(&world.site.gateway(2).namespace, ANY, 9200 + place)?;
        let asks = sockets::udp(&client.namespace, ANY, 0)?;
        asks.connect((GATEWAY, 8200 + place))?;
        asks.send(b"question")?;
        let (_, from) = backend.recv_from(&mut [0; 20])?;
        backend.send_to(b"answer", from)?;
        assert_eq!(
            asks.recv(&mut [0; 20])?,
            6,
            "the answer comes from {}",
            8200 + place
        );
    }
    Ok(())
}

fn clients_are_let_in_by_their_address(datapath: Datapath) -> Result<()> {
    let world = up(datapath, &site::inventory(ROUTES))?;
    let client = &world.site.client.namespace;
    for address in [ALLOWED, DENIED] {
        client.ip(&[format!("addr add {address}/24 dev gateway-network")])?;
    }
    let other = Ipv4Addr::new(10, 9, 0, 199);
    client.ip(&[format!("addr add {other}/24 dev gateway-network")])?;
    let refused = Some(ErrorKind::ConnectionRefused);
    let wanted = [
        (CLIENT, refused, refused),
        (ALLOWED, refused, None),
        (DENIED, refused, refused),
        (other, None, refused),
    ];
    for (address, denies, allows) in wanted {
        assert_eq!(tried(client, address, 8300)?, denies, "denies: {address}");
        assert_eq!(tried(client, address, 8301)?, allows, "allows: {address}");
    }
    let asks = sockets::udp(client, CLIENT, 0)?;
    asks.connect((GATEWAY, 8302))?;
    asks.send(b"question")?;
    let kind = asks.recv(&mut [0; 20]).err().map(|error| error.kind());
    // Linux reads "administratively prohibited" (ICMP 3/13) so.
    assert_eq!(kind, Some(ErrorKind::HostUnreachable), "a datagram");
    let stats = world.site.gateway(1).stats()?;
    assert_eq!(stats.reason("denied"), 7, "{:?}", stats.reasons);
    Ok(())
}

fn undeclared_ports_pass(datapath: Datapath) -> Result<()> {
    let world = up(datapath, &site::inventory(ROUTES))?;
    let answer = world
        .site
        .client
        .get(SocketAddrV4::new(GATEWAY, UNDECLARED), "/")?;
    assert_eq!(answer.backend, "stack");
    Ok(())
}

fn undeclared_ports_are_refused_to_the_world_alone(datapath: Datapath) -> Result<()> {
    let undeclared = "undeclared: {action: reject}";
    let inventory = format!(
        "{}gwpool: {{datapath: {}, {undeclared}}}\n",
        site::inventory(ROUTES),
        datapath.name()
    );
    let world = up(datapath, &inventory)?;
    let (client, peer) = (&world.site.client, &world.site.gateway(2).namespace);
    let refused = Some(ErrorKind::ConnectionRefused);
    assert_eq!(tried(&client.namespace, CLIENT, UNDECLARED)?, refused);
    let asks = sockets::udp(&client.namespace, CLIENT, 0)?;
    asks.connect((GATEWAY, UNDECLARED))?;
    asks.send(b"question")?;
    let kind = asks.recv(&mut [0; 20]).err().map(|error| error.kind());
    assert_eq!(kind, refused, "a datagram");
    // What a route declares goes on, and so does what comes from inside.
    let declared = client.get(SocketAddrV4::new(GATEWAY, 30_080), "/")?;
    assert_eq!(declared.backend, "backend:9100");
    let inside = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 1), UNDECLARED);
    sockets::connect(peer, 0, inside)?;
    let stats = world.site.gateway(1).stats()?;
    assert_eq!(stats.reason("undeclared"), 2, "{:?}", stats.reasons);
    Ok(())
}

/// Connects to the gateway from that address; how it failed, if it did, which must be at once.
fn tried(client: &Namespace, from: Ipv4Addr, port: u16) -> Result<Option<ErrorKind>> {
    let begin = Instant::now();
    let connected = connect_as(
        client,
        SocketAddrV4::new(from, 0),
        SocketAddrV4::new(GATEWAY, port),
    );
    assert!(
        begin.elapsed() < AT_ONCE,
        "{from} to {port}: {:?}",
        begin.elapsed()
    );
    let error = connected.err();
    Ok(error.and_then(|error| Some(error.downcast_ref::<std::io::Error>()?.kind())))
}

in_native_and_tc! {
    ranges_keep_their_width_or_end_in_one_port
    clients_are_let_in_by_their_address
    undeclared_ports_pass
    undeclared_ports_are_refused_to_the_world_alone
}
