//! This host as backend on another port than it listens on: the port is changed back on the way out, also in what is
//! larger than a frame and has no checksum yet, and also where a firewall (kube-proxy's stand-in) hands the packet on
//! to a pod, whose answer is forwarded, not sent by a socket of ours.

use anyhow::{Context, Result};
use gwpool_harness::in_native_and_tc;
use gwpool_harness::net::fabric::{self, Datapath};
use gwpool_harness::net::gateway::Gateway;
use gwpool_harness::net::namespace::Namespace;
use gwpool_harness::net::nginx::Nginx;
use gwpool_harness::net::payload::Payload;
use gwpool_harness::net::sockets::{self, carry};
use gwpool_harness::net::transfer::{Load, Progress, Transfer, download, upload};
use gwpool_harness::net::world::World;
use std::net::Ipv4Addr;

const ROUTES: &str = r#"
    changed: {mode: tcp, address: "*", port: 8443, destination: {group: {name: gateways}, port: 30443}}
"#;
const LISTEN: u16 = 8443;
const NODEPORT: u16 = 30_443;
const POD: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 2);
const POD_PORT: u16 = 8080;
const LOAD: Load = Load {
    bytes: 50_000_000,
    rate: 0,
};

/// What kube-proxy writes for a NodePort whose pod is on this node.
const KUBE: &str = "
table ip kube {
    chain prerouting { type nat hook prerouting priority dstnat; tcp dport 30443 dnat to 10.42.0.2:8080; }
    chain postrouting { type nat hook postrouting priority srcnat; }
}
";
const KUBE_MASQUERADE: &str = "add rule ip kube postrouting ip daddr 10.42.0.2 masquerade";

/// What leaves the gateway is handed over as a real NIC would get it (large, checksums unfinished), and is made whole
/// before the client: a checksum that was spoilt on the way out stays spoilt, and the client drops it.
fn up(datapath: Datapath) -> Result<World> {
    let world = World::with_routes(datapath, ROUTES)?;
    let gateway = &world.site.gateway(1).namespace;
    let on = [
        "-K",
        "gateway-network",
        "tx",
        "on",
        "tso",
        "on",
        "gso",
        "on",
    ];
    gateway.run("ethtool", &on)?;
    let port = fabric::port("gateway-network", "client");
    let off = ["-K", &port, "tx", "off", "tso", "off", "gso", "off"];
    world.site.fabric.run("ethtool", &off)?;
    Ok(world)
}

fn a_changed_port_is_changed_back(datapath: Datapath) -> Result<()> {
    let world = up(datapath)?;
    let gateway = world.site.gateway(1);
    let root = gateway.directory.join("nginx");
    let _nginx = Nginx::start(&gateway.namespace, &root, NODEPORT, LOAD.bytes)?;
    nginx_is_downloaded(&world)
}

/// One host further, the same.
fn a_pods_answer_is_changed_back(datapath: Datapath) -> Result<()> {
    let world = up(datapath)?;
    let (gateway, pod) = (world.site.gateway(1), pod(&world)?);
    let root = gateway.directory.join("nginx");
    let _nginx = Nginx::start(&pod, &root, POD_PORT, LOAD.bytes)?;
    gateway.namespace.nft(KUBE)?;
    nginx_is_downloaded(&world)?;
    gateway.namespace.nft(KUBE_MASQUERADE)?;
    nginx_is_downloaded(&world)
}

/// Whom the pod sees is kube-proxy's business; that the flow is proved and both halves end is ours.
fn a_pods_flow_is_established_and_ends(datapath: Datapath) -> Result<()> {
    let world = up(datapath)?;
    let (gateway, pod) = (world.site.gateway(1), pod(&world)?);
    gateway.namespace.nft(KUBE)?;
    let listener = sockets::listen(&pod, POD, POD_PORT)?;
    let client = &world.site.client.namespace;
    let pair = sockets::pair(client, 0, gateway.front(LISTEN), &listener)?;
    let body: Vec<u8> = Payload::new(1_000_000).flatten().collect();
    carry(&pair.client, &pair.backend, &body)?;
    carry(&pair.backend, &pair.client, &body)?;
    assert_eq!(gateway.stats()?.datapath.flows.established, 1);
    sockets::close_half(&pair.backend)?;
    assert_eq!(sockets::rest(&pair.client)?, b"");
    carry(&pair.client, &pair.backend, &body)?;
    sockets::close_half(&pair.client)?;
    assert_eq!(sockets::rest(&pair.backend)?, b"");
    assert_eq!(
        gateway.stats()?.route("changed")?.backends[0].flows_active,
        0
    );
    Ok(())
}

/// Uploads are the server's own word on what it got; nginx takes none, so the harness's does.
fn an_upload_arrives(datapath: Datapath) -> Result<()> {
    let mut world = up(datapath)?;
    let gateway = world.site.gateway(1).clone();
    world.serve_at(&gateway.namespace, "here", &[NODEPORT])?;
    let (client, host) = (&world.site.client.namespace, gateway.front(LISTEN));
    let expected = Transfer {
        backend: "here".into(),
        sha256: Payload::sha256(LOAD.bytes),
    };
    let got = upload(client, host, LOAD, &Progress::default())?;
    assert_eq!(got, expected);
    Ok(())
}

fn nginx_is_downloaded(world: &World) -> Result<()> {
    let (gateway, client) = (world.site.gateway(1), &world.site.client.namespace);
    let (before, replies) = (sent(gateway)?, gateway.stats()?.reason("self_reply"));
    let got = download(client, gateway.front(LISTEN), LOAD, &Progress::default())?;
    let expected = Transfer {
        backend: "nginx".into(),
        sha256: Payload::sha256(LOAD.bytes),
    };
    assert_eq!(got, expected);
    let after = sent(gateway)?;
    let (packets, bytes) = (after.0 - before.0, after.1 - before.1);
    assert!(bytes >= LOAD.bytes, "{bytes} bytes left the gateway");
    assert!(
        bytes / packets > 3000,
        "{bytes} bytes in {packets} packets: none was larger than a frame"
    );
    assert!(gateway.stats()?.reason("self_reply") > replies);
    Ok(())
}

/// A pod of the gateway's, behind its end of a veth.
fn pod(world: &World) -> Result<Namespace> {
    let pod = fabric::host(&world.site, "pod")?;
    fabric::wire(
        (&world.site.gateway(1).namespace, "cni-pod", "10.42.0.1/24"),
        (&pod, "eth0", "10.42.0.2/24"),
    )?;
    pod.ip(&["route add default via 10.42.0.1".into()])?;
    Ok(pod)
}

/// Packets and bytes that the gateway has sent by gateway-network.
fn sent(gateway: &Gateway) -> Result<(u64, u64)> {
    let read = |what: &str| -> Result<u64> {
        let path = format!("/sys/class/net/gateway-network/statistics/tx_{what}");
        let text = gateway.namespace.run("cat", &[&path])?;
        text.trim()
            .parse()
            .with_context(|| format!("{path}: {text}"))
    };
    Ok((read("packets")?, read("bytes")?))
}

in_native_and_tc! {
    a_changed_port_is_changed_back
    a_pods_answer_is_changed_back
    a_pods_flow_is_established_and_ends
    an_upload_arrives
}
