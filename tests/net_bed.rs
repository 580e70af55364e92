//! The ground the net tier stands on, without gwpool: cables, offloads, servers, clients and the peers' counts do what
//! the other tests take for granted, and nothing is left behind. A failure here explains failures elsewhere.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use anyhow::Result;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::ledger::{Ledger, tcp};
use gwpool_harness::net::namespace;
use gwpool_harness::net::payload::Payload;
use gwpool_harness::net::site::{Site, seed_ports};
use gwpool_harness::net::transfer::{Load, Progress, Transfer, download, upload};
use gwpool_harness::net::world::World;
use std::net::SocketAddrV4;

fn links_and_servers(datapath: Datapath) -> Result<World> {
    let mut world = World::links(&World::fresh_id("t"), datapath)?;
    world.serve_all()?;
    Ok(world)
}

fn front(site: &Site, gateway: usize) -> SocketAddrV4 {
    SocketAddrV4::new(
        site.gateway(gateway).gateway_network,
        seed_ports().unwrap()[0],
    )
}

#[test]
fn every_server_answers_with_its_name_and_counts() -> Result<()> {
    let world = links_and_servers(Datapath::Auto)?;
    let site = &world.site;
    for (index, gateway) in site.gateways.iter().enumerate() {
        for port in seed_ports()? {
            let answer = site
                .client
                .get(SocketAddrV4::new(gateway.gateway_network, port), "/")?;
            assert_eq!(answer.backend, gateway.name);
            assert_eq!(answer.seen, answer.local, "nothing translates here");
        }
        let through_peer = SocketAddrV4::new(site.gateway(1).box_network, seed_ports()?[0]);
        site.gateway(index + 1)
            .namespace
            .enter(|| std::net::TcpStream::connect(through_peer))??;
    }
    for (name, counts) in site.counts()? {
        assert_eq!(counts.len(), seed_ports()?.len(), "{name}");
        assert!(
            counts
                .values()
                .all(|count| count.connections == 1 && count.requests == 1),
            "{name}: {counts:?}"
        );
    }
    Ok(())
}

#[test]
fn concurrent_clients_use_every_cpu_and_many_ports() -> Result<()> {
    let world = links_and_servers(Datapath::Native)?;
    let answers = world.site.client.concurrent(front(&world.site, 1), 300)?;
    let ports: std::collections::BTreeSet<_> =
        answers.iter().map(|answer| answer.local.port()).collect();
    assert_eq!(ports.len(), 300);
    Ok(())
}

#[test]
fn a_long_body_arrives_whole_each_way() -> Result<()> {
    let world = links_and_servers(Datapath::Native)?;
    let (client, host) = (&world.site.client.namespace, front(&world.site, 2));
    let load = Load {
        bytes: 10_000_001,
        rate: 0,
    };
    let sha256 = Payload::sha256(load.bytes);
    let expected = Transfer {
        backend: "gateway-2".into(),
        sha256: sha256.clone(),
    };
    let progress = Progress::default();
    assert_eq!(download(client, host, load, &progress)?, expected);
    assert_eq!(progress.bytes(), load.bytes);
    assert_eq!(upload(client, host, load, &Progress::default())?, expected);
    let pipe = format!("curl -sS http://{host}/bytes/{} | sha256sum", load.bytes);
    let line = client.run("sh", &["-c", &pipe])?;
    assert_eq!(line.split(' ').next(), Some(sha256.as_str()));
    Ok(())
}

#[test]
fn the_peers_counts_are_exact() -> Result<()> {
    let world = links_and_servers(Datapath::Native)?;
    let site = &world.site;
    site.client.get(front(site, 1), "/")?;
    let before = Ledger::read(site)?;
    site.client.sequential(front(site, 1), 10)?;
    let moved = Ledger::read(site)?.since(&before);
    let gateway = &site.gateway(1).name;
    assert_eq!(
        moved.frames[gateway], moved.segments[gateway],
        "every frame is a segment on a quiet network"
    );
    assert!(
        moved.segments[gateway] >= 40,
        "handshake, request, answer, end: {moved:?}"
    );
    assert_eq!(moved.frames["gateway-2"], 0);
    assert_eq!(moved.segments["gateway-3"], 0);
    assert_eq!(tcp(&site.client.namespace)?.retransmitted, 0);
    Ok(())
}

#[test]
fn offloads_are_off_for_xdp_and_untouched_otherwise() -> Result<()> {
    for (datapath, checksums) in [(Datapath::Native, "off"), (Datapath::Auto, "on")] {
        let world = World::links(&World::fresh_id("t"), datapath)?;
        let features = world
            .site
            .gateway(1)
            .namespace
            .run("ethtool", &["-k", "box-network"])?;
        assert!(
            features.contains(&format!("tx-checksumming: {checksums}")),
            "{features}"
        );
        assert!(
            features.contains(&format!("tcp-segmentation-offload: {checksums}")),
            "{features}"
        );
    }
    Ok(())
}

#[test]
fn nothing_is_left_behind() -> Result<()> {
    let world = links_and_servers(Datapath::Native)?;
    let (id, directory) = (world.site.id.clone(), world.site.directory.clone());
    let sleeper = world
        .site
        .gateway(1)
        .namespace
        .command("sleep")
        .arg("600")
        .spawn()?;
    assert_eq!(namespace::list(&format!("gwpool-{id}-"))?.len(), 5);
    drop(world);
    assert!(namespace::list(&format!("gwpool-{id}-"))?.is_empty());
    assert!(!directory.exists());
    assert!(!std::fs::read_to_string("/proc/self/mounts")?.contains(&id));
    let status = { sleeper }.wait()?;
    assert!(!status.success(), "a program inside is ended: {status}");
    Ok(())
}
