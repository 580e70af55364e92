//! What a host may do to us: neighbour tables flushed, reverse path filter on, a firewall that forwards nothing and
//! drops what conntrack calls invalid. The first SYN arrives all the same, and the transfer goes on.

use anyhow::{Context, Result};
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::gateway::Gateway;
use gwpool_harness::net::ledger::tcp;
use gwpool_harness::net::payload::Payload;
use gwpool_harness::net::site::Site;
use gwpool_harness::net::transfer::{Load, Progress, Transfer, download};
use gwpool_harness::net::world::World;
use std::time::Duration;

/// Nothing is forwarded by the kernel, and what it thinks is out of place is dropped wherever it may look.
const RULES: &str = "
table inet strict {
    chain prerouting { type filter hook prerouting priority mangle; ct state invalid counter drop; }
    chain input { type filter hook input priority filter; ct state invalid counter drop; }
    chain forward { type filter hook forward priority filter; policy drop; ct state invalid counter drop; }
}
";

/// A SYN sent again leaves a second later.
const FIRST_SYN: Duration = Duration::from_millis(900);

fn the_first_syn_arrives(datapath: Datapath) -> Result<()> {
    let world = World::up(datapath)?;
    let (site, gateway) = (&world.site, world.site.gateway(1));
    let port = gateway.stats()?.routes[0].port()?;
    for gateway in &site.gateways {
        harden(gateway)?;
    }
    for flushed in [Flushed::Gateway, Flushed::Everywhere] {
        for backend in &site.gateways {
            let host = site.turn_to(gateway, port, &backend.name)?;
            flush(site, gateway, flushed)?;
            let before = retransmitted(site)?;
            let answer = site
                .client
                .get(host, "/")
                .with_context(|| format!("{flushed:?}: {}", backend.name))?;
            assert_eq!(answer.backend, backend.name);
            assert_eq!(
                retransmitted(site)?,
                before,
                "{flushed:?}, {}: segments sent again",
                backend.name
            );
            assert!(
                answer.connect < FIRST_SYN,
                "{flushed:?}, {}: {:?}",
                backend.name,
                answer.connect
            );
        }
    }
    let load = Load {
        bytes: 20_000_000,
        rate: 0,
    };
    for backend in &site.gateways {
        let host = site.turn_to(gateway, port, &backend.name)?;
        flush(site, gateway, Flushed::Everywhere)?;
        let got = download(&site.client.namespace, host, load, &Progress::default())?;
        assert_eq!(
            got,
            Transfer {
                backend: backend.name.clone(),
                sha256: Payload::sha256(load.bytes)
            }
        );
    }
    Ok(())
}

/// Whose neighbour tables are emptied.
#[derive(Clone, Copy, Debug)]
enum Flushed {
    /// The one under test: it must ask for the backend.
    Gateway,
    /// All: then the client asks first, and the backend, too.
    Everywhere,
}

fn flush(site: &Site, gateway: &Gateway, flushed: Flushed) -> Result<()> {
    let mut hosts = vec![&gateway.namespace];
    if matches!(flushed, Flushed::Everywhere) {
        hosts = site
            .gateways
            .iter()
            .map(|gateway| &gateway.namespace)
            .collect();
        hosts.push(&site.client.namespace);
    }
    hosts
        .into_iter()
        .try_for_each(|host| host.ip(&["neigh flush all".into()]))
}

fn harden(gateway: &Gateway) -> Result<()> {
    for scope in ["all", "default", "gateway-network", "box-network"] {
        gateway
            .namespace
            .sysctl(&format!("net/ipv4/conf/{scope}/rp_filter"), "1")?;
    }
    gateway.namespace.nft(RULES)
}

/// Segments that any host has sent again.
fn retransmitted(site: &Site) -> Result<u64> {
    let mut sum = tcp(&site.client.namespace)?.retransmitted;
    for gateway in &site.gateways {
        sum += tcp(&gateway.namespace)?.retransmitted;
    }
    Ok(sum)
}

#[test]
fn the_first_syn_arrives_on_a_strict_host_in_native() -> Result<()> {
    the_first_syn_arrives(Datapath::Native)
}

#[test]
fn the_first_syn_arrives_on_a_strict_host_in_tc() -> Result<()> {
    the_first_syn_arrives(Datapath::Tc)
}
