//! Coming and going: a connection that was there before gwpool stays, a killed daemon leaves forwarding on, and
//! `stop --detach` leaves nothing.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use anyhow::Result;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::gateway::Gateway;
use gwpool_harness::net::namespace::output;
use gwpool_harness::net::nginx::Nginx;
use gwpool_harness::net::payload::Payload;
use gwpool_harness::net::site::seed_ports;
use gwpool_harness::net::transfer::{Load, Progress, Transfer, download};
use gwpool_harness::net::wait::wait_until;
use gwpool_harness::net::world::World;
use std::collections::BTreeSet;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

fn bare(datapath: Datapath) -> Result<World> {
    World::links(&World::fresh_id("t"), datapath)
}

fn a_live_connection_survives_the_attach(datapath: Datapath) -> Result<()> {
    let mut world = bare(datapath)?;
    world.serve_all()?;
    let site = world.site.clone();
    let gateway = site.gateway(1);
    let host = gateway.front(seed_ports()?[0]);
    let mut connection = site.client.keep(host)?;
    let mut answers = vec![connection.get("/")?];
    world.start_all()?;
    for _ in 0..10 {
        answers.push(connection.get("/")?);
    }
    assert!(
        answers
            .iter()
            .all(|answer| answer.backend == gateway.name && answer.seen == answer.local)
    );
    let stats = gateway.stats()?;
    assert!(stats.reason("not_a_syn") >= 10, "{:?}", stats.reasons);
    let turns: u64 = stats
        .routes
        .iter()
        .map(|route| route.connections_total)
        .sum();
    assert_eq!(turns, 0, "a live connection takes no turn");
    Ok(())
}

/// The same with a real server and client, in the middle of a transfer.
fn an_nginx_download_survives_the_attach(datapath: Datapath) -> Result<()> {
    const BYTES: u64 = 30_000_000;
    let mut world = bare(datapath)?;
    let site = world.site.clone();
    let gateway = site.gateway(1);
    let port = seed_ports()?[1];
    world.serve(gateway, &[port])?;
    world.serve(site.gateway(2), &[])?;
    world.serve(site.gateway(3), &[])?;
    let _nginx = Nginx::start(
        &gateway.namespace,
        &gateway.directory.join("nginx"),
        port,
        BYTES,
    )?;
    let (load, progress) = (
        Load {
            bytes: BYTES,
            rate: BYTES / 6,
        },
        Progress::default(),
    );
    let host = gateway.front(port);
    std::thread::scope(|scope| {
        let downloading = scope.spawn(|| download(&site.client.namespace, host, load, &progress));
        wait_until("the download to begin", LIMIT, || progress.bytes() > 0)?;
        world.start(gateway)?;
        assert!(progress.bytes() < BYTES, "too late to show anything");
        let expected = Transfer {
            backend: "nginx".into(),
            sha256: Payload::sha256(BYTES),
        };
        assert_eq!(downloading.join().unwrap()?, expected);
        Ok(())
    })
}

/// How a daemon ends.
#[derive(Clone, Copy)]
enum End {
    /// SIGKILL.
    Killed,
    /// `gwpool-user stop`.
    Stopped,
}

fn a_daemon_that_ended_leaves_forwarding_on(datapath: Datapath, end: End) -> Result<()> {
    let mut world = World::up(datapath)?;
    let site = world.site.clone();
    let gateway = site.gateway(1);
    let port = gateway.stats()?.routes[0].port()?;
    for gateway in &site.gateways {
        if let End::Stopped = end {
            output(&mut gateway.user("stop")?)?;
        }
        world.kill(gateway)?;
        assert!(gateway.stats().is_err(), "nobody is there to answer");
    }
    site.client.sequential(gateway.front(port), 30)?;
    let served = site.served_at(port)?;
    assert!(served.values().all(|&served| served == 10), "{served:?}");
    world.start(gateway)?;
    assert_eq!(
        gateway.stats()?.routes[0].shares(),
        served,
        "the next daemon knows what was served"
    );
    assert_eq!(gateway.log_errors()?, Vec::<String>::new());
    Ok(())
}

fn stop_detach_leaves_nothing(datapath: Datapath, daemon_alive: bool) -> Result<()> {
    let mut world = World::up(datapath)?;
    let site = world.site.clone();
    let gateway = site.gateway(1);
    let host = gateway.front(gateway.stats()?.routes[0].port()?);
    site.client.sequential(host, 3)?;
    if !daemon_alive {
        world.kill(gateway)?;
    }
    assert!(!pins(gateway)?.is_empty(), "what runs is pinned");
    output(gateway.user("stop")?.arg("--detach"))?;
    assert_eq!(pins(gateway)?, Vec::<String>::new());
    for interface in ["gateway-network", "box-network"] {
        let link = gateway
            .namespace
            .run("ip", &["-d", "link", "show", "dev", interface])?;
        assert!(!link.contains("prog/xdp"), "{link}");
        let filters = gateway
            .namespace
            .run("tc", &["filter", "show", "dev", interface, "ingress"])?;
        assert_eq!(filters.trim(), "");
    }
    let names: BTreeSet<_> = site
        .client
        .sequential(host, 6)?
        .into_iter()
        .map(|answer| answer.backend)
        .collect();
    assert_eq!(
        names,
        BTreeSet::from([gateway.name.clone()]),
        "the NodePort itself answers again"
    );
    Ok(())
}

/// Files in the gateway's bpffs, without the two that the kernel itself puts into a new one.
fn pins(gateway: &Gateway) -> Result<Vec<String>> {
    let mut find = std::process::Command::new("find");
    find.arg(gateway.pin_dir());
    let list = output(find.args(["-type", "f", "-not", "-name", "*.debug"]))?;
    Ok(list.lines().map(str::to_owned).collect())
}

#[test]
fn a_live_connection_survives_the_attach_in_native() -> Result<()> {
    a_live_connection_survives_the_attach(Datapath::Native)
}

#[test]
fn a_live_connection_survives_the_attach_in_tc() -> Result<()> {
    a_live_connection_survives_the_attach(Datapath::Tc)
}

#[test]
fn an_nginx_download_survives_the_attach_in_native() -> Result<()> {
    an_nginx_download_survives_the_attach(Datapath::Native)
}

#[test]
fn an_nginx_download_survives_the_attach_in_auto() -> Result<()> {
    an_nginx_download_survives_the_attach(Datapath::Auto)
}

#[test]
fn a_killed_daemon_leaves_forwarding_on_in_native() -> Result<()> {
    a_daemon_that_ended_leaves_forwarding_on(Datapath::Native, End::Killed)
}

#[test]
fn a_killed_daemon_leaves_forwarding_on_in_tc() -> Result<()> {
    a_daemon_that_ended_leaves_forwarding_on(Datapath::Tc, End::Killed)
}

#[test]
fn a_stopped_daemon_leaves_forwarding_on() -> Result<()> {
    a_daemon_that_ended_leaves_forwarding_on(Datapath::Native, End::Stopped)
}

#[test]
fn stop_detach_leaves_nothing_in_native() -> Result<()> {
    stop_detach_leaves_nothing(Datapath::Native, true)
}

#[test]
fn stop_detach_leaves_nothing_in_tc() -> Result<()> {
    stop_detach_leaves_nothing(Datapath::Tc, true)
}

#[test]
fn stop_detach_works_without_a_daemon() -> Result<()> {
    stop_detach_leaves_nothing(Datapath::Native, false)
}
