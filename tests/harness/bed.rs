//! The host that packets are run on, the same as a picture for the model and as a namespace for the kernel.
//!
//! ```text
//!   10.9.0.100 client, .101   --+                            +--  192.168.1.2 gateway-2, .3 gateway-3
//!   10.9.0.254 default router --+-- gateway-1 (10.9.0.1) ----+--  192.168.1.4 gateway-4: no neighbour entry
//!        gateway-network (11)            box-network (13, 192.168.1.1)
//!   203.0.113.0/24: blackhole
//! ```
//! The plan comes the operators' way: YAML, `config`, `plan`.

use crate::frames::mac;
use anyhow::{Context, Result, anyhow};
use gwpool_user::config::{self, Sources};
use gwpool_user::host::machine::{Neighbour, Path as HostPath};
use gwpool_user::host::{Host, Link};
use gwpool_user::plan::{Limits, Plan};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Index of the interface `gateway-network`.
pub const GATEWAY_NETWORK: u32 = 11;
/// Index of the interface `box-network`.
pub const BOX_NETWORK: u32 = 13;

const LINKS: [(&str, u32, Ipv4Addr); 2] = [
    (
        "gateway-network",
        GATEWAY_NETWORK,
        Ipv4Addr::new(10, 9, 0, 1),
    ),
    ("box-network", BOX_NETWORK, Ipv4Addr::new(192, 168, 1, 1)),
];
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 254);
/// Where the host's routing lets nothing go.
const BLACKHOLE: ipnet::Ipv4Net = ipnet::Ipv4Net::new_assert(Ipv4Addr::new(203, 0, 113, 0), 24);
const NEIGHBOURS: [(u32, Ipv4Addr); 5] = [
    (GATEWAY_NETWORK, Ipv4Addr::new(10, 9, 0, 100)),
    (GATEWAY_NETWORK, Ipv4Addr::new(10, 9, 0, 101)),
    (GATEWAY_NETWORK, ROUTER),
    (BOX_NETWORK, Ipv4Addr::new(192, 168, 1, 2)),
    (BOX_NETWORK, Ipv4Addr::new(192, 168, 1, 3)),
];

/// The interface's index.
pub fn interface(name: &str) -> Result<u32> {
    let link = LINKS.iter().find(|(known, ..)| *known == name);
    link.map(|(_, index, _)| *index)
        .with_context(|| format!("no interface {name:?} in the bed"))
}

/// The interfaces' names.
pub fn names() -> [&'static str; 2] {
    LINKS.map(|(name, ..)| name)
}

/// Our Ethernet address on the interface.
pub fn own_mac(interface: u32) -> [u8; 6] {
    let link = LINKS.iter().find(|(_, index, _)| *index == interface);
    link.map(|(.., address)| mac(*address)).unwrap_or_default()
}

/// The Ethernet address that a packet to `destination` is sent to.
pub fn next_mac(destination: Ipv4Addr) -> [u8; 6] {
    let [a, b, ..] = destination.octets();
    if (a, b) == (10, 9) || (a, b) == (192, 168) {
        mac(destination)
    } else {
        mac(ROUTER)
    }
}

/// The host as a picture.
pub fn host(local_ports: (u16, u16)) -> Host {
    let link = |(_, index, address): &(&str, u32, Ipv4Addr)| Link {
        index: *index,
        mac: mac(*address),
        driver: "veth".into(),
        up: true,
        forwarding: true,
        addresses: vec![ipnet(*address)],
        mtu: 1500,
        carries_xdp: true,
        ..Link::default()
    };
    let neighbour = |address: &Ipv4Addr| Neighbour {
        mac: mac(*address),
        permanent: true,
    };
    Host {
        links: LINKS
            .iter()
            .map(|entry| (entry.0.to_owned(), link(entry)))
            .collect(),
        local_ports,
        routes: [
            path(ipnet::Ipv4Net::default(), Some(ROUTER), GATEWAY_NETWORK),
            path(BLACKHOLE, None, 0),
        ]
        .into(),
        neighbours: NEIGHBOURS
            .iter()
            .map(|(index, address)| ((*index, *address), neighbour(address)))
            .collect::<BTreeMap<_, _>>(),
        hz: 250,
        port_seed: 7,
        epoch: 1,
    }
}

fn path(destination: ipnet::Ipv4Net, gateway: Option<Ipv4Addr>, interface: u32) -> HostPath {
    HostPath {
        destination,
        gateway,
        interface,
        table: 254,
        priority: 0,
    }
}

fn ipnet(address: Ipv4Addr) -> ipnet::Ipv4Net {
    ipnet::Ipv4Net::new_assert(address, 24)
}

/// The project's folder; `GWPOOL_ROOT` where these files are compiled into another package (the mutants' judges).
pub fn root() -> PathBuf {
    let given = std::env::var_os("GWPOOL_ROOT").map(PathBuf::from);
    given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
}

/// Tables in the tests are small: loading them is most of a kernel case's time.
const LIMITS: Limits = Limits {
    flows: 512,
    embryonic: 4096,
    routes: 64,
    backends: 256,
    listeners: 256,
    access: 64,
    sources: 256,
    flows_per_source: 512,
    new_flows_per_source: 512,
    udp_flows: 256,
    answers_per_second: 16,
    fragments: 1024,
    mappings: 512,
    permissions: 256,
    subscribers: 256,
};

/// The plan of a world: `seed`, or a file of `tests/cases/worlds/`; `flows`: what the established tier holds.
pub fn plan(world: &str, flows: Option<u32>) -> Result<Plan> {
    let root = root();
    let worlds = root.join("tests/cases/worlds");
    let (inventories, extra): (Vec<PathBuf>, Vec<String>) = if world == "seed" {
        let seed = root.join("examples/seed");
        let variables = format!("@{}", seed.join("group_vars.yml").display());
        (
            vec![seed.join("inventory.yml"), worlds.join("addresses.yml")],
            vec![variables],
        )
    } else {
        (vec![worlds.join(format!("{world}.yml"))], Vec::new())
    };
    let sources = Sources {
        inventories,
        extra,
        node: Some("gateway-1".into()),
    };
    let mut plan = config::load(&sources)
        .map_err(|report| anyhow!("world {world}: {report}"))?
        .plan;
    // Shares are the world's, sizes ours.
    plan.limits = Limits {
        flows: flows.unwrap_or(LIMITS.flows),
        flows_per_source: plan.limits.flows_per_source,
        new_flows_per_source: plan.limits.new_flows_per_source,
        udp_flows: plan.limits.udp_flows,
        ..LIMITS
    };
    Ok(plan)
}

/// Makes the calling thread's network namespace this host, and keeps the thread to the CPU it is on, so that what is
/// counted by CPU is counted in one place. Both go with the thread.
pub fn build() -> Result<()> {
    let here = nix::sched::sched_getcpu().context("sched_getcpu")?;
    let mut cpus = nix::sched::CpuSet::new();
    cpus.set(here)?;
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &cpus).context("one CPU")?;
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
        .context("unshare(CLONE_NEWNET): needs root")?;
    // No neighbour discovery: nothing but the tests' own packets.
    std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")
        .context("IPv6 off in the bed")?;
    for (name, index, address) in LINKS {
        let peer = index + 1;
        let hardware = colons(mac(address));
        ip(&format!(
            "link add {name} index {index} address {hardware} type veth peer name peer{peer} index {peer}"
        ))?;
        ip(&format!("link set {name} up"))?;
        ip(&format!("link set peer{peer} up"))?;
        ip(&format!("address add {address}/24 dev {name}"))?;
    }
    ip(&format!("route add default via {ROUTER}"))?;
    ip(&format!("route add blackhole {BLACKHOLE}"))?;
    for (index, address) in NEIGHBOURS {
        let name = LINKS
            .iter()
            .find(|(_, known, _)| *known == index)
            .map(|(name, ..)| *name);
        neighbour(name.context("a neighbour behind no link")?, address)?;
    }
    // /proc/sys/net is the reading thread's own namespace.
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("net.ipv4.ip_forward in the bed")
}

/// One host more on the network of the interface.
pub fn neighbour(interface: &str, address: Ipv4Addr) -> Result<()> {
    let mac = colons(mac(address));
    ip(&format!(
        "neigh replace {address} lladdr {mac} nud permanent dev {interface}"
    ))
}

fn colons(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .context("ip (iproute2)")?;
    anyhow::ensure!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
