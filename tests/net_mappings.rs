//! What people see of translation: its flows and mappings line by line, its counts, and the log of mappings; and that a
//! translated connection survives that all of it is removed by hand.
//!
//! gateway-2 is an inside host here: its way to the client is gateway-1's box-network address.

use anyhow::{Context, Result, ensure};
use gwpool_harness::in_native_and_tc;
use gwpool_harness::net::LIMIT;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::gateway::Gateway;
use gwpool_harness::net::inside::{self, nat};
use gwpool_harness::net::site::CLIENT;
use gwpool_harness::net::sockets;
use gwpool_harness::net::wait::wait_for;
use gwpool_harness::net::world::World;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// A port of the client's that answers.
const ASKED: u16 = 7000;
/// The inside host's port: nobody else's, so it is kept.
const PORT: u16 = 5000;
/// For a timer of three seconds and two sweeps.
const SWEPT: Duration = Duration::from_secs(30);

fn up(datapath: Datapath) -> Result<World> {
    let inventory = format!(
        "nat:
  vars: {{input_interface: box-network, output_interface: gateway-network}}
  hosts:
    gateway-1:
gwpool:
  datapath: {}
  nat: {{log: true, timeouts: {{udp: 3s, udp_unreplied: 3s}}}}
",
        datapath.name()
    );
    let world = World::with_inventory(datapath, &inventory)?;
    inside::route(&world)?;
    Ok(world)
}

fn lines(gateway: &Gateway, words: &[&str]) -> Result<Vec<String>> {
    let said = gateway.tell(&[&["flows"], words].concat())?;
    Ok(said.out.lines().map(str::to_owned).collect())
}

fn logged(gateway: &Gateway, line: &str) -> Result<()> {
    wait_for(line, SWEPT, || {
        let log = std::fs::read_to_string(gateway.log())?;
        let count = log.matches(line).count();
        ensure!(count == 1, "{count} times in {log}");
        Ok(())
    })
}

/// A datagram there and back, from [`PORT`] of the inside host.
fn talk(world: &World) -> Result<(UdpSocket, UdpSocket)> {
    let own = world.site.gateway(2).box_network;
    let inside = sockets::udp(inside::host(world), own, PORT)?;
    let client = sockets::udp(&world.site.client.namespace, CLIENT, ASKED)?;
    for socket in [&inside, &client] {
        socket.set_read_timeout(Some(LIMIT))?;
    }
    inside.send_to(b"hello", SocketAddrV4::new(CLIENT, ASKED))?;
    let (_, from) = client.recv_from(&mut [0; 16])?;
    client.send_to(b"answer", from)?;
    inside.recv_from(&mut [0; 16])?;
    Ok((inside, client))
}

fn a_mapping_is_listed_counted_and_logged_from_its_beginning_to_its_end(
    datapath: Datapath,
) -> Result<()> {
    let world = up(datapath)?;
    let gateway = world.site.gateway(1);
    let (host, address) = (world.site.gateway(2).box_network, gateway.gateway_network);
    let _sockets = talk(&world)?;
    let mapping = lines(gateway, &["mapping", "proto=udp"])?.concat();
    let tail = format!("MAPPING src={host} sport={PORT} nat={address} port={PORT}");
    assert!(
        mapping.starts_with("udp      17 ") && mapping.ends_with(&tail),
        "{mapping}"
    );
    let flow = lines(
        gateway,
        &["nat", &format!("client={host}"), "state=REPLIED"],
    )?
    .concat();
    let there = format!("src={host} dst={CLIENT} sport={PORT} dport={ASKED}");
    let back = format!("src={CLIENT} dst={address} sport={ASKED} dport={PORT} nat");
    assert!(flow.contains(&there) && flow.ends_with(&back), "{flow}");
    let counts = nat(gateway)?;
    assert_eq!(counts["mappings"]["udp"], 1, "{counts}");
    assert_eq!(counts["addresses"][0], address.to_string());
    assert_eq!(
        (
            &counts["to_outside"]["packets"],
            &counts["to_inside"]["packets"]
        ),
        (&1.into(), &1.into())
    );
    let of = format!("udp {host}:{PORT} as {address}:{PORT}");
    logged(gateway, &format!("nat mapping begins: {of}"))?;
    // It is silent from now on.
    logged(gateway, &format!("nat mapping ends: {of}"))?;
    assert!(lines(gateway, &["mapping", "proto=udp"])?.is_empty());
    assert_eq!(nat(gateway)?["mappings"]["udp"], 0);
    Ok(())
}

fn a_connection_goes_on_after_all_of_it_was_removed(datapath: Datapath) -> Result<()> {
    let world = up(datapath)?;
    let gateway = world.site.gateway(1);
    let client = &world.site.client.namespace;
    let listener = client.enter(|| TcpListener::bind((CLIENT, ASKED)))??;
    let mut inside = inside::host(&world).enter(|| TcpStream::connect((CLIENT, ASKED)))??;
    let (mut outside, seen_as) = listener.accept()?;
    for stream in [&inside, &outside] {
        stream.set_read_timeout(Some(LIMIT))?;
    }
    let mut both_ways = || -> Result<()> {
        let mut word = [0; 4];
        inside.write_all(b"ping")?;
        outside.read_exact(&mut word).context("the question")?;
        outside.write_all(b"pong")?;
        inside.read_exact(&mut word).context("the answer")
    };
    both_ways()?;
    let port = format!("port={}", seen_as.port());
    assert_eq!(lines(gateway, &[&port])?.len(), 2, "a flow and a mapping");
    let said = gateway.tell(&["flows", "--delete", "client=192.168.1.0/24"])?;
    assert!(
        said.err.contains("1 flow(s) and 1 mapping(s) removed"),
        "{said:?}"
    );
    assert!(lines(gateway, &[])?.is_empty());
    both_ways().with_context(|| format!("{:?}", gateway.stats()))?;
    let again = lines(gateway, &["nat", "proto=tcp", &port])?;
    assert_eq!(again.len(), 2, "as it was: {again:?}");
    Ok(())
}

in_native_and_tc! {
    a_mapping_is_listed_counted_and_logged_from_its_beginning_to_its_end
    a_connection_goes_on_after_all_of_it_was_removed
}
