//! Which addresses are the gateway's to answer at: `*` follows the managed interfaces as they are now, specific
//! addresses are those and no others, and what is an unmanaged interface's or another host's is left alone.

use anyhow::{Result, ensure};
use gwpool_harness::in_native_and_tc;
use gwpool_harness::net::LIMIT;
use gwpool_harness::net::client::Answer;
use gwpool_harness::net::fabric::{self, Datapath};
use gwpool_harness::net::wait::wait_for;
use gwpool_harness::net::world::World;
use std::net::{Ipv4Addr, SocketAddrV4};

/// The backend answers as `backend`, gateway-1's own stack as `stack`.
const ROUTES: &str = r#"
    every: {mode: tcp, address: "*", port: 8080, destination: {addresses: [192.168.1.2], port: 80}}
    exact: {mode: tcp, address: 10.9.0.1, port: 8081, destination: {addresses: [192.168.1.2], port: 80}}
    some: {mode: tcp, address: [10.9.0.1, 10.9.0.51], port: 8082, destination: {addresses: [192.168.1.2], port: 80}}
"#;
const EVERY: u16 = 8080;
const EXACT: u16 = 8081;
const SOME: u16 = 8082;

/// gateway-1's own address, and others of gateway-network that nobody has yet.
const OWN: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 50);
const LISTED: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 51);
/// A host behind the gateway, which is the client's way to it.
const BEYOND: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);

fn up(datapath: Datapath) -> Result<World> {
    let mut world = World::with_routes(datapath, ROUTES)?;
    let site = world.site.clone();
    world.serve_at(&site.gateway(1).namespace, "stack", &[EVERY, EXACT, SOME])?;
    world.serve_at(&site.gateway(2).namespace, "backend", &[80])?;
    Ok(world)
}

fn ask(world: &World, address: Ipv4Addr, port: u16) -> Result<Answer> {
    world.site.client.get(SocketAddrV4::new(address, port), "/")
}

/// Waits until the one that answers there is `whom`.
fn becomes(world: &World, address: Ipv4Addr, port: u16, whom: &str) -> Result<()> {
    wait_for(
        &format!("{whom} to answer at {address}:{port}"),
        LIMIT,
        || {
            let answer = ask(world, address, port)?;
            ensure!(answer.backend == whom, "{} answers", answer.backend);
            Ok(())
        },
    )
}

/// With the prefix of its network, and as keepalived adds a VIP.
fn star_follows_the_managed_interfaces(datapath: Datapath) -> Result<()> {
    let world = up(datapath)?;
    let gateway = &world.site.gateway(1).namespace;
    assert_eq!(ask(&world, OWN, EVERY)?.backend, "backend");
    for prefix in [24, 32] {
        let at = format!("{SECOND}/{prefix} dev gateway-network");
        gateway.ip(&[format!("addr add {at}")])?;
        becomes(&world, SECOND, EVERY, "backend")?;
        // Still the host's, but no longer on a managed interface.
        gateway.ip(&[
            format!("addr del {at}"),
            format!("addr add {SECOND}/32 dev lo"),
        ])?;
        becomes(&world, SECOND, EVERY, "stack")?;
        gateway.ip(&[format!("addr del {SECOND}/32 dev lo")])?;
    }
    Ok(())
}

fn an_unmanaged_interfaces_address_is_the_stacks(datapath: Datapath) -> Result<()> {
    let world = up(datapath)?;
    let gateway = &world.site.gateway(1).namespace;
    let pod = fabric::host(&world.site, "pod")?;
    fabric::wire(
        (gateway, "kube-ipvs0", "10.9.0.60/32"),
        (&pod, "ipvs", "10.9.0.61/32"),
    )?;
    fabric::wire(
        (gateway, "cni0", "10.42.0.1/24"),
        (&pod, "eth0", "10.42.0.2/24"),
    )?;
    let client = &world.site.client.namespace;
    client.ip(&["route add 10.42.0.0/24 via 10.9.0.1".into()])?;
    // The daemon has seen the new links once it follows what was added after them.
    gateway.ip(&[format!("addr add {SECOND}/32 dev gateway-network")])?;
    becomes(&world, SECOND, EVERY, "backend")?;
    for address in [Ipv4Addr::new(10, 9, 0, 60), Ipv4Addr::new(10, 42, 0, 1)] {
        let answer = ask(&world, address, EVERY)?;
        assert_eq!(
            (answer.backend.as_str(), answer.seen),
            ("stack", answer.local)
        );
    }
    Ok(())
}

/// The gateway is the client's router here, and the port is one it listens on.
fn transit_traffic_is_left_alone(datapath: Datapath) -> Result<()> {
    let mut world = up(datapath)?;
    let beyond = fabric::host(&world.site, "beyond")?;
    fabric::plug(
        &world.site,
        datapath,
        (&beyond, "beyond"),
        "box-network",
        BEYOND,
    )?;
    beyond.ip(&["route add default via 192.168.1.1".into()])?;
    world.serve_at(&beyond, "beyond", &[EVERY])?;
    let client = &world.site.client.namespace;
    client.ip(&["route add 192.168.1.0/24 via 10.9.0.1".into()])?;
    let before = world.site.gateway(1).stats()?;
    let answer = ask(&world, BEYOND, EVERY)?;
    assert_eq!(
        (answer.backend.as_str(), answer.seen),
        ("beyond", answer.local)
    );
    let after = world.site.gateway(1).stats()?;
    assert_eq!(after.routes, before.routes, "no turn was taken");
    assert!(after.reason("not_ours") > before.reason("not_ours"));
    Ok(())
}

fn a_specific_address_is_that_one(datapath: Datapath) -> Result<()> {
    let world = up(datapath)?;
    let gateway = &world.site.gateway(1).namespace;
    for address in [SECOND, LISTED] {
        gateway.ip(&[format!("addr add {address}/24 dev gateway-network")])?;
        becomes(&world, address, EVERY, "backend")?;
    }
    let mut answers = Vec::new();
    for port in [EXACT, SOME] {
        for address in [OWN, SECOND, LISTED] {
            answers.push(ask(&world, address, port)?.backend);
        }
    }
    let wanted = ["backend", "stack", "stack", "backend", "stack", "backend"];
    assert_eq!(
        answers, wanted,
        "exact and some, each at {OWN}, {SECOND}, {LISTED}"
    );
    Ok(())
}

in_native_and_tc! {
    star_follows_the_managed_interfaces
    an_unmanaged_interfaces_address_is_the_stacks
    transit_traffic_is_left_alone
    a_specific_address_is_that_one
}
