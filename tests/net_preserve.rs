//! `source: preserve`: backends that route back through the gateway see the client itself, and their answers, addressed
//! past the gateway, come from where the client asked.

use anyhow::Result;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::gateway::Gateway;
use gwpool_harness::net::payload::Payload;
use gwpool_harness::net::site::CLIENT;
use gwpool_harness::net::transfer::{Load, Progress, download};
use gwpool_harness::net::world::World;
use std::net::IpAddr;

/// Two other hosts at the port the client asks for, and at another.
const ROUTES: &str = "
same: {mode: tcp, address: '*', port: 8080, source: preserve, destination: {addresses: [192.168.1.2, 192.168.1.3], port: 8080}}
other: {mode: tcp, address: '*', port: 8443, source: preserve, destination: {addresses: [192.168.1.2, 192.168.1.3], port: 8080}}
";

fn backends_see_the_client(datapath: Datapath) -> Result<()> {
    let mut world = World::with_routes(datapath, ROUTES)?;
    let gateways = world.site.gateways.clone();
    let (ours, others) = (&gateways[0], &gateways[1..]);
    for host in others {
        route_back(host, ours)?;
        world.serve_at(&host.namespace, &host.name, &[8080])?;
    }
    for port in [8080, 8443] {
        let answers = world.site.client.concurrent(ours.front(port), 20)?;
        for host in others {
            let theirs = answers.iter().filter(|answer| answer.backend == host.name);
            assert_eq!(theirs.count(), 10, "{} at {port}", host.name);
        }
        for answer in answers {
            assert_eq!(answer.seen.ip(), IpAddr::from(CLIENT), "at {port}");
        }
        let load = Load {
            bytes: 20_000_000,
            rate: 0,
        };
        let host = ours.front(port);
        let got = download(
            &world.site.client.namespace,
            host,
            load,
            &Progress::default(),
        )?;
        assert_eq!(
            got.sha256,
            Payload::sha256(load.bytes),
            "from {} at {port}",
            got.backend
        );
    }
    let stats = ours.stats()?;
    assert!(
        stats.reason("to_client") > 0,
        "answers came back by the gateway"
    );
    Ok(())
}

/// The host answers the client by way of the gateway, as `source: preserve` asks of backends.
fn route_back(host: &Gateway, gateway: &Gateway) -> Result<()> {
    host.namespace.ip(&[format!(
        "route add {CLIENT} via {} dev box-network",
        gateway.box_network
    )])
}

#[test]
fn backends_see_the_client_in_native() -> Result<()> {
    backends_see_the_client(Datapath::Native)
}

#[test]
fn backends_see_the_client_in_tc() -> Result<()> {
    backends_see_the_client(Datapath::Tc)
}
