//! Beside the kernel's own: what kube-proxy, a firewall's reload or a full connection tracking table do to the host in
//! mid-flight is nothing to flows that are carried. Two streams and a datagram's echo run all the while: to a backend
//! on another host, and the same to this host itself.

use anyhow::{Context, Result, ensure};
use gwpool_harness::in_native_and_tc;
use gwpool_harness::net::LIMIT;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::flood::fill_conntrack;
use gwpool_harness::net::ledger::tcp;
use gwpool_harness::net::namespace::Namespace;
use gwpool_harness::net::payload::Payload;
use gwpool_harness::net::site::Site;
use gwpool_harness::net::sockets::{self, Pair, listen, pair};
use gwpool_harness::net::wait::{wait_for, wait_until};
use gwpool_harness::net::world::World;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

const ROUTES: &str = r#"
    far: {mode: tcp, address: "*", port: 8081, destination: {addresses: [192.168.1.2], port: 80}}
    far-echo: {mode: udp, address: "*", port: 8082, destination: {addresses: [192.168.1.2], port: 7}}
    here: {mode: tcp, address: "*", port: 8443, destination: {group: {name: gateways}, port: 30443}}
"#;
const FAR: u16 = 8081;
const ECHO: u16 = 8082;
const HERE: u16 = 8443;
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// A host that tracks connections, as one with kube-proxy does.
const TRACKED: &str = "
table inet host {
    chain input { type filter hook input priority filter; ct state invalid counter drop; }
    chain forward { type filter hook forward priority filter; ct state established accept; }
}
";
const FORWARD_DROP: &str = "
table inet strict {
    chain forward { type filter hook forward priority filter; policy drop; }
}
";

/// What runs while the host is troubled, counted.
#[derive(Default)]
struct Traffic {
    far_blocks: AtomicU64,
    here_blocks: AtomicU64,
    echoes: AtomicU64,
    over: AtomicBool,
}

impl Traffic {
    /// Everything has gone on since.
    fn moves(&self) -> Result<()> {
        let counts = [&self.far_blocks, &self.here_blocks, &self.echoes];
        let before = counts.map(|count| count.load(Relaxed));
        wait_until("streams and echo to go on", LIMIT, || {
            counts
                .iter()
                .zip(before)
                .all(|(count, before)| count.load(Relaxed) > before + 20)
        })
    }
}

fn nothing_the_host_does_touches_a_flow(datapath: Datapath) -> Result<()> {
    let world = World::with_routes(datapath, ROUTES)?;
    let site = &world.site;
    let (gateway, backend) = (site.gateway(1), site.gateway(2));
    let client = &site.client.namespace;
    patient(site)?;
    gateway.namespace.nft(TRACKED)?;
    let far = listen(&backend.namespace, ANY, 80)?;
    let here = listen(&gateway.namespace, ANY, 30_443)?;
    let echo = sockets::udp(&backend.namespace, ANY, 7)?;
    let asks = sockets::udp(client, ANY, 0)?;
    asks.connect(gateway.front(ECHO))?;
    let far_pair = pair(client, 0, gateway.front(FAR), &far)?;
    let here_pair = pair(client, 0, gateway.front(HERE), &here)?;
    let before = [
        tcp(client)?.retransmitted,
        tcp(&backend.namespace)?.retransmitted,
    ];
    let traffic = Traffic::default();
    std::thread::scope(|scope| {
        let threads = [
            scope.spawn(|| stream(&far_pair, &traffic.far_blocks, &traffic.over)),
            scope.spawn(|| stream(&here_pair, &traffic.here_blocks, &traffic.over)),
            scope.spawn(|| echoes(&asks, &echo, &traffic)),
        ];
        let troubled = trouble(site, &traffic);
        if troubled.is_ok() {
            let again = pair(client, 0, gateway.front(FAR), &far)
                .context("a new connection while the table is full")?;
            sockets::carry(&again.client, &again.backend, b"question")?;
        }
        traffic.over.store(true, Relaxed);
        for thread in threads {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        troubled
    })?;
    let after = [
        tcp(client)?.retransmitted,
        tcp(&backend.namespace)?.retransmitted,
    ];
    assert_eq!(
        after, before,
        "segments sent again by the client, by the backend"
    );
    Ok(())
}

/// One thing after the other, the traffic running all the while.
fn trouble(site: &Site, traffic: &Traffic) -> Result<()> {
    let gateway = &site.gateway(1).namespace;
    traffic.moves()?;
    gateway.nft(FORWARD_DROP)?;
    traffic.moves().context("FORWARD drops")?;
    for generation in 0..3 {
        gateway.nft(&resync(generation))?;
        traffic.moves().context("a resync")?;
    }
    gateway.nft("flush ruleset")?;
    traffic.moves().context("flush ruleset")?;
    gateway.nft(TRACKED)?;
    traffic.moves().context("connection tracking again")?;
    fill_conntrack(gateway)?;
    let before = refused_by_conntrack(gateway)?;
    wait_for("connection tracking to refuse what is new", LIMIT, || {
        let nobody = sockets::udp(&site.client.namespace, ANY, 0)?;
        nobody.send_to(b"for the stack", site.gateway(1).front(9))?;
        let now = refused_by_conntrack(gateway)?;
        ensure!(now > before, "it has room");
        Ok(())
    })?;
    traffic.moves().context("connection tracking is full")
}

/// What kube-proxy does each time a service changes: the whole table anew, in one transaction.
fn resync(generation: u32) -> String {
    const SERVICES: u32 = 2000;
    let mut rules = String::from("table ip kube {}\ndelete table ip kube\ntable ip kube {\n");
    for service in 0..SERVICES {
        let pod = service + generation;
        let _ = writeln!(
            rules,
            "chain service-{service} {{ meta l4proto tcp dnat to 10.42.{}.{}:8080; }}",
            pod / 250 % 250,
            pod % 250 + 1
        );
    }
    rules += "chain nodeports { type nat hook prerouting priority dstnat;\n tcp dport vmap { ";
    for service in 0..SERVICES {
        let _ = write!(rules, "{} : goto service-{service}, ", 40_000 + service);
    }
    rules
        + "}\n}\nchain postrouting { type nat hook postrouting priority srcnat; mark 0x4000 masquerade; }\n}\n"
}

/// The client asks for one block of the known body after the other, and compares each: never more on the way than the
/// queues of a veth hold, so whatever is lost was lost by somebody.
fn stream(pair: &Pair, blocks: &AtomicU64, over: &AtomicBool) -> Result<()> {
    let (mut client, mut backend) = (&pair.client, &pair.backend);
    let mut got = Vec::new();
    for block in Payload::new(u64::MAX) {
        if over.load(Relaxed) {
            break;
        }
        client.write_all(b"?").context("asking for a block")?;
        backend.read_exact(&mut [0]).context("being asked")?;
        backend.write_all(&block).context("sending a block")?;
        got.resize(block.len(), 0);
        client.read_exact(&mut got).context("receiving a block")?;
        ensure!(got == block, "block {} is another", blocks.load(Relaxed));
        blocks.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// A datagram and its echo, again and again; one that is lost is not sent again.
fn echoes(client: &UdpSocket, backend: &UdpSocket, traffic: &Traffic) -> Result<()> {
    while !traffic.over.load(Relaxed) {
        let number = traffic.echoes.load(Relaxed).to_be_bytes();
        client.send(&number)?;
        let mut buffer = [0; 64];
        let (length, from) = backend
            .recv_from(&mut buffer)
            .context("a datagram was lost")?;
        backend.send_to(&buffer[..length], from)?;
        let length = client.recv(&mut buffer).context("an echo was lost")?;
        ensure!(buffer[..length] == number, "another datagram's echo");
        traffic.echoes.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// A busy machine is no loss: only what is really lost is sent again.
fn patient(site: &Site) -> Result<()> {
    for host in [&site.client.namespace, &site.gateway(2).namespace] {
        host.sysctl("net/ipv4/tcp_early_retrans", "0")?;
        host.sysctl("net/ipv4/tcp_rto_min_us", "2000000")?;
    }
    Ok(())
}

/// Packets that connection tracking has dropped in this namespace (`drop` in its statistics, hexadecimal, per CPU).
fn refused_by_conntrack(host: &Namespace) -> Result<u64> {
    let text = host.run("cat", &["/proc/net/stat/nf_conntrack"])?;
    let mut lines = text.lines().map(str::split_whitespace);
    let names = lines.next().context("no conntrack statistics")?;
    let column = names
        .into_iter()
        .position(|name| name == "drop")
        .context("no column drop")?;
    let value = |mut line: std::str::SplitWhitespace| {
        u64::from_str_radix(line.nth(column).unwrap_or("0"), 16)
    };
    let values: Result<Vec<u64>, _> = lines.map(value).collect();
    Ok(values?.iter().sum())
}

in_native_and_tc! {
    nothing_the_host_does_touches_a_flow
}
