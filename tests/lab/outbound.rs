//! The NAT pair at work: inside hosts reach the internet host by ping, curl and traceroute through gateway-4. Whom it
//! saw is told by the internet host, its web server and a packet socket; and nobody outside has seen an inside address.

use anyhow::{Context, Result, bail, ensure};
use gwpool_harness::net::namespace::{Namespace, output};
use gwpool_harness::net::nat_pool::{BoxHost, NatPool, ROUTER, VIP, WEB};
use gwpool_harness::net::run::gate;
use gwpool_harness::net::site::Site;
use gwpool_harness::net::wire::{Packet, Tap};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Stdio;

/// Echo requests of one ping.
const PINGS: &str = "3";
/// The port that every inside host asks from: one of them can keep it outside.
const ASKING_PORT: u16 = 40_000;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// What the hosts outside have seen so far.
struct Outside<'a> {
    pool: &'a NatPool,
    /// Whom they are to see: the seed has no VIP on gateway-network, so it is gateway-4's own address.
    nat_address: Ipv4Addr,
    /// At the internet host.
    internet: Tap,
    /// At hosts on the way to it, and beside that.
    bystanders: Vec<Tap>,
    /// Whom the web server has told of, and who that is inside.
    told: BTreeMap<SocketAddrV4, SocketAddrV4>,
    /// Packets of all three programs.
    packets: usize,
}

type Step = fn(&mut Outside, &BoxHost) -> Result<String>;

/// All inside hosts by all programs; what was not as it must be is added to `faults`.
pub fn show(site: &Site, faults: &mut Vec<String>) -> Result<()> {
    let pool = &site.nat_pool;
    let mut outside = Outside {
        pool,
        nat_address: pool.master.gateway_network,
        internet: Tap::open(&pool.internet)?,
        bystanders: vec![Tap::open(&pool.router)?, Tap::open(&site.client.namespace)?],
        told: BTreeMap::new(),
        packets: 0,
    };
    println!(
        "\nlab: inside hosts ask the internet host {} by way of {VIP}, which {} has",
        WEB.ip(),
        pool.master.name
    );
    let steps: [(&str, Step); 3] = [("ping", ping), ("curl", curl), ("traceroute", traceroute)];
    for inside in &pool.boxes {
        for (name, step) in steps {
            match step(&mut outside, inside) {
                Ok(told) => println!("  {} {name:<10}  {told}", inside.name),
                Err(error) => faults.push(format!("{name} from {}: {error:#}", inside.name)),
            }
        }
    }
    let claims: [(&str, Claim); 3] = [
        ("leaks", none_has_leaked),
        ("mappings", gateway_knows_them),
        ("standby", standby_stood_by),
    ];
    for (name, claim) in claims {
        match claim(&outside) {
            Ok(told) => println!("  {name}: {told}"),
            Err(error) => faults.push(format!("{name}: {error:#}")),
        }
    }
    Ok(())
}

type Claim = fn(&Outside) -> Result<String>;

fn ping(outside: &mut Outside, inside: &BoxHost) -> Result<String> {
    let to = WEB.ip().to_string();
    let words = ["ping", "-n", "-q", "-c", PINGS, "-i", "0.02", "-w", "5"];
    let text = said(&inside.namespace, &words, &to)?;
    let counts = format!("{PINGS} packets transmitted, {PINGS} received");
    ensure!(text.contains(&counts), "{}", text.trim());
    let seen = outside.saw(ICMP)?;
    let wanted: usize = PINGS.parse()?;
    ensure!(seen == wanted, "the internet host saw {seen} requests");
    Ok(format!("{counts}; seen there as {}", outside.nat_address))
}

/// The web server says whom it sees.
fn curl(outside: &mut Outside, inside: &BoxHost) -> Result<String> {
    let port = ASKING_PORT.to_string();
    let words = ["curl", "-sS", "-i", "-m", "5", "--local-port", &port];
    let text = said(&inside.namespace, &words, &format!("http://{WEB}/"))?;
    ensure!(text.ends_with("\ninternet\n"), "{text:?} was answered");
    let peer = text.lines().find_map(|line| line.strip_prefix("x-peer: "));
    let peer: SocketAddrV4 = peer.context("the answer does not tell whom")?.parse()?;
    outside.saw(TCP)?;
    let own = SocketAddrV4::new(inside.address, ASKING_PORT);
    let preserved = SocketAddrV4::new(outside.nat_address, ASKING_PORT);
    ensure!(
        *peer.ip() == outside.nat_address,
        "{own} was seen as {peer}, not as {}",
        outside.nat_address
    );
    let is_free = !outside.told.contains_key(&preserved);
    ensure!(
        is_free == (peer == preserved),
        "{own} was seen as {peer}; the port was {}",
        if is_free { "free" } else { "another's" }
    );
    let other = outside.told.insert(peer, own);
    ensure!(other.is_none(), "{peer} is {other:?}'s");
    Ok(format!("{own} was answered; seen there as {peer}"))
}

fn traceroute(outside: &mut Outside, inside: &BoxHost) -> Result<String> {
    let to = WEB.ip().to_string();
    let words = "traceroute -n -q 1 -N 1 -w 1 -m 5".split(' ');
    let words: Vec<&str> = words.collect();
    let text = said(&inside.namespace, &words, &to)?;
    let hops = text.lines().skip(1);
    let hops: Vec<&str> = hops
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    let way = [
        (outside.pool.master.box_network, "gateway-4"),
        (ROUTER, "the router"),
        (*WEB.ip(), "the internet host"),
    ];
    ensure!(
        hops == way.map(|(address, _)| address.to_string()),
        "the hops are {hops:?}, not {way:?}"
    );
    ensure!(outside.saw(UDP)? > 0, "no datagram came that far");
    let way = way.map(|(address, name)| format!("{address} ({name})"));
    let (way, nat_address) = (way.join(", "), outside.nat_address);
    Ok(format!("{way}; seen there as {nat_address}"))
}

impl Outside<'_> {
    /// How many packets of that protocol have come to the internet host; none of any, but from the NAT address.
    fn saw(&mut self, protocol: u8) -> Result<usize> {
        let packets = self.internet.drain()?;
        self.packets += packets.len();
        let strange = packets
            .iter()
            .find(|packet| packet.source() != self.nat_address);
        if let Some(packet) = strange {
            bail!("the internet host saw {packet:?}");
        }
        let of_protocol = |packet: &&Packet| packet.protocol() == protocol;
        Ok(packets.iter().filter(of_protocol).count())
    }
}

/// No packet from an inside host's network, at any host outside; and the captures were not blind.
fn none_has_leaked(outside: &Outside) -> Result<String> {
    let mut seen = outside.packets;
    for tap in outside.bystanders.iter().chain([&outside.internet]) {
        let packets = tap.drain()?;
        let network = |address: Ipv4Addr| u32::from(address) >> 8;
        let leaked = packets
            .iter()
            .find(|packet| network(packet.source()) == network(VIP));
        if let Some(packet) = leaked {
            bail!("seen outside: {packet:?}");
        }
        let translated = |packet: &&Packet| packet.source() == outside.nat_address;
        seen += packets.iter().filter(translated).count();
    }
    // The router is on the way of whatever the internet host sees.
    ensure!(
        outside.packets > 0 && seen >= 2 * outside.packets,
        "the captures are blind"
    );
    let packets = outside.packets;
    Ok(format!(
        "none seen; of {packets} packets the internet host saw all as {}",
        outside.nat_address
    ))
}

/// gateway-4 holds a mapping for each query and each connection, the same that the web server has told of.
fn gateway_knows_them(outside: &Outside) -> Result<String> {
    let gateway = &outside.pool.master;
    let nat = gateway.stats()?.nat;
    let boxes = outside.pool.boxes.len() as u64;
    let count = |protocol: &str| nat.mappings.get(protocol).copied().unwrap_or_default();
    ensure!(
        nat.active && nat.addresses == [outside.nat_address],
        "{} says {nat:?}",
        gateway.name
    );
    ensure!(
        count("icmp") == boxes && count("tcp") == boxes && count("udp") >= boxes,
        "{} says {nat:?}",
        gateway.name
    );
    let leaks = nat.leaks_prevented_total;
    ensure!(leaks == 0, "{leaks} packets had nearly leaked");
    let listed = output(gateway.user("flows")?.arg("mapping"))?;
    for (seen, own) in &outside.told {
        let mapping = format!(
            "src={} sport={} nat={} port={}",
            own.ip(),
            own.port(),
            seen.ip(),
            seen.port()
        );
        ensure!(listed.contains(&mapping), "no {mapping} in\n{listed}");
    }
    let lines: String = listed.lines().map(|line| format!("\n    {line}")).collect();
    Ok(format!("`gwpool-user flows mapping` on gateway-4:{lines}"))
}

/// gateway-5, which does not have the VIP, was not asked.
fn standby_stood_by(outside: &Outside) -> Result<String> {
    let gateway = &outside.pool.standby;
    let nat = gateway.stats()?.nat;
    let mappings: u64 = nat.mappings.values().sum();
    ensure!(
        nat.connections_total == 0 && mappings == 0,
        "{} says {nat:?}",
        gateway.name
    );
    Ok(format!("{} has translated nothing", gateway.name))
}

/// Runs a program on a host to its end. It is started while nothing is being taken down, so that none outlives its host.
fn said(host: &Namespace, words: &[&str], to: &str) -> Result<String> {
    let (program, arguments) = words.split_first().context("no program")?;
    let mut command = host.command(program);
    command
        .args(arguments)
        .arg(to)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let starting = {
        let _gate = gate();
        command.spawn()
    };
    let output = starting
        .with_context(|| format!("starting {program}"))?
        .wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    ensure!(
        status.success(),
        "{status}: {}{}",
        complaint.trim(),
        text.trim()
    );
    Ok(text.into_owned())
}
