//! Exact turns: what stats says, what the servers counted and whom they saw agree to the connection, one client after
//! the other or hundreds at once.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use anyhow::Result;
use gwpool_harness::net::client::Answer;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::wait::wait_until;
use gwpool_harness::net::world::World;
use std::collections::BTreeMap;
use std::time::Duration;

/// Connections of each test: a multiple of the backends.
const CONNECTIONS: usize = 300;

/// How long the last FIN may take.
const SETTLED: Duration = Duration::from_secs(10);

type Shares = BTreeMap<String, u64>;

fn thirds_one_after_the_other(datapath: Datapath) -> Result<()> {
    let world = World::up(datapath)?;
    let (site, gateway) = (&world.site, world.site.gateway(1));
    let route = &gateway.stats()?.routes[0];
    let answers = site
        .client
        .sequential(gateway.front(route.port()?), CONNECTIONS)?;
    let hundreds: Shares = site
        .gateways
        .iter()
        .map(|gateway| (gateway.name.clone(), 100))
        .collect();
    assert_eq!(shares(&answers), hundreds, "by the names the client got");
    assert_eq!(
        site.served_at(route.port()?)?,
        hundreds,
        "by the servers' counts"
    );
    let stats = gateway.stats()?;
    let counted = stats.route(&route.name)?;
    assert_eq!(counted.shares(), hundreds, "by stats");
    assert_eq!(counted.connections_total, CONNECTIONS as u64);
    let others = stats.routes.iter().filter(|other| other.name != route.name);
    assert_eq!(
        others.map(|other| other.connections_total).sum::<u64>(),
        0,
        "no other route was asked"
    );
    wait_until("no flow to be active any more", SETTLED, || {
        let route = gateway
            .stats()
            .and_then(|stats| Ok(stats.route(&route.name)?.clone()));
        route.is_ok_and(|route| {
            route
                .backends
                .iter()
                .all(|backend| backend.flows_active == 0)
        })
    })?;
    for answer in answers
        .iter()
        .filter(|answer| answer.backend != gateway.name)
    {
        assert_eq!(
            answer.seen.ip(),
            gateway.box_network,
            "full NAT: the reply comes back here"
        );
    }
    Ok(())
}

fn thirds_all_at_once(datapath: Datapath) -> Result<()> {
    let world = World::up(datapath)?;
    let (site, gateway) = (&world.site, world.site.gateway(2));
    let route = &gateway.stats()?.routes[0];
    let answers = site
        .client
        .concurrent(gateway.front(route.port()?), CONNECTIONS)?;
    even(&shares(&answers), "by the names the client got");
    even(&site.served_at(route.port()?)?, "by the servers' counts");
    even(&gateway.stats()?.route(&route.name)?.shares(), "by stats");
    Ok(())
}

fn shares(answers: &[Answer]) -> Shares {
    let mut shares = Shares::new();
    for answer in answers {
        *shares.entry(answer.backend.clone()).or_default() += 1;
    }
    shares
}

fn even(shares: &Shares, by: &str) {
    assert_eq!(
        shares.values().sum::<u64>(),
        CONNECTIONS as u64,
        "{by}: {shares:?}"
    );
    assert_eq!(shares.len(), 3, "{by}: {shares:?}");
    let (least, most) = (
        shares.values().min().unwrap(),
        shares.values().max().unwrap(),
    );
    assert!(most - least <= 1, "{by}: {shares:?}");
}

#[test]
fn sequential_connections_come_out_in_thirds_in_native() -> Result<()> {
    thirds_one_after_the_other(Datapath::Native)
}

#[test]
fn sequential_connections_come_out_in_thirds_in_auto() -> Result<()> {
    thirds_one_after_the_other(Datapath::Auto)
}

#[test]
fn sequential_connections_come_out_in_thirds_in_tc() -> Result<()> {
    thirds_one_after_the_other(Datapath::Tc)
}

#[test]
fn sequential_connections_come_out_in_thirds_in_generic() -> Result<()> {
    thirds_one_after_the_other(Datapath::Generic)
}

#[test]
fn concurrent_connections_come_out_in_thirds_in_native() -> Result<()> {
    thirds_all_at_once(Datapath::Native)
}

#[test]
fn concurrent_connections_come_out_in_thirds_in_tc() -> Result<()> {
    thirds_all_at_once(Datapath::Tc)
}
