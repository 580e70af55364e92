//! A backend that refuses, or says nothing, costs its clients a moment and no connection: their next SYN goes to another
//! (HAProxy's redispatch). Where nobody serves, the last refusal reaches them.

use anyhow::{Context, Result};
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::gateway::Gateway;
use gwpool_harness::net::world::World;
use std::net::TcpStream;

/// Two other hosts, of which only the second serves.
const ROUTES: &str = "
web: {mode: tcp, address: '*', port: 8080, destination: {addresses: [192.168.1.2, 192.168.1.3], port: 8080}}
nobody: {mode: tcp, address: '*', port: 8081, destination: {addresses: [192.168.1.2, 192.168.1.3], port: 8081}}
own: {mode: tcp, address: '*', port: 8082, destination: {addresses: [192.168.1.1, 192.168.1.3], port: 8082}}
";
/// Every second one is given to the host that does not serve.
const CONNECTIONS: usize = 6;

/// What the hosts that do not serve say to a SYN.
#[derive(Clone, Copy)]
enum Manner {
    Refuse,
    Ignore,
}

fn everybody_is_served(datapath: Datapath, manner: Manner) -> Result<()> {
    let mut world = World::with_routes(datapath, ROUTES)?;
    let gateways = world.site.gateways.clone();
    let [ours, silent, serving] = gateways.as_slice() else {
        anyhow::bail!("three gateways were wanted");
    };
    world.serve_at(&serving.namespace, &serving.name, &[8080, 8082])?;
    if let Manner::Ignore = manner {
        for host in [ours, silent] {
            ignore(host)?;
        }
    }
    let before = ours.stats()?.reason("backend_refused");
    for port in [8080, 8082] {
        let answers = world
            .site
            .client
            .concurrent(ours.front(port), CONNECTIONS)
            .with_context(|| format!("port {port}"))?;
        assert_eq!(answers.len(), CONNECTIONS);
        for answer in answers {
            assert_eq!(answer.backend, serving.name, "port {port}");
        }
    }
    let stats = ours.stats()?;
    let refused = stats.reason("backend_refused") - before;
    match manner {
        Manner::Refuse => assert_eq!(
            refused, CONNECTIONS as u64,
            "swallowed: half of each route's"
        ),
        Manner::Ignore => assert_eq!(refused, 0),
    }
    for route in ["web", "own"] {
        let route = stats.route(route)?;
        let turns = (CONNECTIONS + CONNECTIONS / 2) as u64;
        assert_eq!(
            route.connections_total, turns,
            "a turn each, and one more for each that went on"
        );
    }
    Ok(())
}

/// Its firewall drops what the tests' routes would send it.
fn ignore(host: &Gateway) -> Result<()> {
    host.namespace.nft(
        "table inet silent { chain input { type filter hook input priority filter; tcp dport { 8080, 8082 } counter drop; }\n}\n",
    )
}

fn the_last_refusal_is_passed_on(datapath: Datapath) -> Result<()> {
    let world = World::with_routes(datapath, ROUTES)?;
    let gateway = world.site.gateway(1);
    let host = gateway.front(8081);
    let refused = world
        .site
        .client
        .namespace
        .enter(|| TcpStream::connect(host))?;
    let error = refused
        .err()
        .context("nobody serves, yet somebody answered")?;
    assert_eq!(
        error.kind(),
        std::io::ErrorKind::ConnectionRefused,
        "{error}"
    );
    let stats = gateway.stats()?;
    assert_eq!(
        stats.reason("backend_refused"),
        3,
        "as many as `retries` says"
    );
    assert_eq!(stats.route("nobody")?.connections_total, 4);
    Ok(())
}

#[test]
fn a_refused_handshake_is_served_elsewhere_in_native() -> Result<()> {
    everybody_is_served(Datapath::Native, Manner::Refuse)
}

#[test]
fn a_refused_handshake_is_served_elsewhere_in_tc() -> Result<()> {
    everybody_is_served(Datapath::Tc, Manner::Refuse)
}

#[test]
fn a_handshake_that_nobody_answers_is_served_elsewhere_in_native() -> Result<()> {
    everybody_is_served(Datapath::Native, Manner::Ignore)
}

#[test]
fn a_handshake_that_nobody_answers_is_served_elsewhere_in_tc() -> Result<()> {
    everybody_is_served(Datapath::Tc, Manner::Ignore)
}

#[test]
fn where_all_refuse_the_client_is_refused_in_native() -> Result<()> {
    the_last_refusal_is_passed_on(Datapath::Native)
}

#[test]
fn where_all_refuse_the_client_is_refused_in_tc() -> Result<()> {
    the_last_refusal_is_passed_on(Datapath::Tc)
}
