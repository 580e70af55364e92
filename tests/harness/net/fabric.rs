//! The links: a fabric namespace with one bridge a network, and hosts whose interfaces carry the networks' names.
//! Decides the offloads: what a real NIC delivers are finished checksums and frames of MTU size, and native and
//! generic XDP are tried with just that; `auto` and `tc` get veth's defaults, untouched.

use super::gateway::Gateway;
use super::namespace::{Namespace, ip_batch, output};
use super::run::{self, gate};
use super::site::{CLIENT, Site};
use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// `gwpool.datapath`, as the lab gives it to the daemons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Datapath {
    /// The daemon chooses.
    Auto,
    /// XDP in the driver.
    Native,
    /// XDP after the driver.
    Generic,
    /// TC.
    Tc,
}

impl Datapath {
    /// The word in the inventory.
    pub fn name(self) -> &'static str {
        match self {
            Datapath::Auto => "auto",
            Datapath::Native => "native",
            Datapath::Generic => "generic",
            Datapath::Tc => "tc",
        }
    }

    /// A partial checksum cannot be repaired in XDP, so the hosts must finish theirs.
    fn needs_finished_checksums(self) -> bool {
        matches!(self, Datapath::Native | Datapath::Generic)
    }
}

impl std::str::FromStr for Datapath {
    type Err = String;

    fn from_str(word: &str) -> Result<Datapath, String> {
        let all = [
            Datapath::Auto,
            Datapath::Native,
            Datapath::Generic,
            Datapath::Tc,
        ];
        all.into_iter()
            .find(|datapath| datapath.name() == word)
            .ok_or_else(|| "native, auto, tc or generic".into())
    }
}

/// One cable: a host's interface, the fabric's end of it, and the address.
struct Cable<'a> {
    host: &'a Namespace,
    network: &'static str,
    port: String,
    address: Ipv4Addr,
}

/// The fabric's end of a host's cable; at most 15 characters, as the kernel wants.
pub fn port(network: &str, host: &str) -> String {
    let short = if network == "box-network" {
        "box"
    } else {
        "gw"
    };
    format!("{short}-{host}")
}

/// A host of a test's own in the site's run; it forwards what is not for it, if told where to.
pub fn host(site: &Site, name: &str) -> Result<Namespace> {
    let _gate = gate();
    let host = run::namespace(&site.id, name);
    host.create()?;
    silence(&host)?;
    host.ip(&["link set lo up".into()])?;
    host.sysctl("net/ipv4/ip_forward", "1")?;
    Ok(host)
}

/// Plugs a host of a test's own into a network; `name` is the host's in the site.
pub fn plug(
    site: &Site,
    datapath: Datapath,
    (host, name): (&Namespace, &str),
    network: &'static str,
    address: Ipv4Addr,
) -> Result<()> {
    let port = port(network, name);
    lay(
        site,
        datapath,
        &[Cable {
            host,
            network,
            port,
            address,
        }],
    )
}

/// A cable between two hosts, with veth's defaults: each end is an interface's name and its address with prefix.
pub fn wire(near: (&Namespace, &str, &str), far: (&Namespace, &str, &str)) -> Result<()> {
    ip_batch(
        &[],
        &[format!(
            "link add {} netns {} type veth peer name {} netns {}",
            near.1,
            near.0.name(),
            far.1,
            far.0.name()
        )],
    )?;
    for (host, interface, address) in [near, far] {
        host.ip(&[
            format!("addr add {address} dev {interface}"),
            format!("link set {interface} up"),
        ])?;
    }
    Ok(())
}

/// Makes every namespace, link, address and private bpffs of the site. The run must be claimed already.
pub fn build(site: &Site, datapath: Datapath) -> Result<()> {
    switches(site)?;
    let _gate = gate();
    let mut hosts = vec![&site.client.namespace];
    hosts.extend(site.gateways.iter().map(|gateway| &gateway.namespace));
    for host in hosts {
        host.create()?;
        silence(host)?;
        host.ip(&["link set lo up".into()])?;
    }
    lay(site, datapath, &cables(site))?;
    for gateway in &site.gateways {
        gateway.namespace.sysctl("net/ipv4/ip_forward", "1")?;
        furnish(gateway)?;
    }
    std::fs::write(site.directory.join("addresses.yml"), site.addresses_yaml())?;
    Ok(())
}

/// The fabric by itself: a namespace with the networks' bridges. The run must be claimed already.
pub fn switches(site: &Site) -> Result<()> {
    let _gate = gate();
    site.fabric.create()?;
    silence(&site.fabric)?;
    let bridge = |name| {
        format!("link add {name} up type bridge mcast_snooping 0 stp_state 0 forward_delay 0")
    };
    let networks = ["gateway-network", "box-network"].map(bridge);
    site.fabric.ip(&["link set lo up".into()])?;
    site.fabric.ip(&networks)
}

/// A gateway's directories, and its private bpffs.
pub fn furnish(gateway: &Gateway) -> Result<()> {
    for directory in [
        gateway.pin_dir(),
        gateway.runtime_dir(),
        gateway.state_dir(),
    ] {
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("creating {}", directory.display()))?;
    }
    let pins = gateway.pin_dir();
    mount(
        Some("bpf"),
        &pins,
        Some("bpf"),
        MsFlags::empty(),
        None::<&str>,
    )
    .with_context(|| format!("mounting a bpffs at {}", pins.display()))
}

/// Lays the cables and gives their hosts the addresses.
fn lay(site: &Site, datapath: Datapath, cables: &[Cable]) -> Result<()> {
    let fabric = site.fabric.name();
    let link = |cable: &Cable| {
        let (host, network, port) = (cable.host.name(), cable.network, &cable.port);
        format!("link add {network} netns {host} type veth peer name {port} netns {fabric}")
    };
    ip_batch(&[], &cables.iter().map(link).collect::<Vec<_>>())?;
    for cable in cables {
        let (network, port, address) = (cable.network, &cable.port, cable.address);
        if datapath.needs_finished_checksums() {
            finish_checksums(cable.host, network)?;
            finish_checksums(&site.fabric, port)?;
        }
        site.fabric
            .ip(&[format!("link set {port} master {network} up")])?;
        cable.host.ip(&[
            format!("addr add {address}/24 dev {network}"),
            format!("link set {network} up"),
        ])?;
    }
    Ok(())
}

fn cables(site: &Site) -> Vec<Cable<'_>> {
    let client = &site.client.namespace;
    let mut cables = vec![Cable {
        host: client,
        network: "gateway-network",
        port: port("gateway-network", "client"),
        address: CLIENT,
    }];
    for gateway in &site.gateways {
        for (network, address) in [
            ("gateway-network", gateway.gateway_network),
            ("box-network", gateway.box_network),
        ] {
            cables.push(Cable {
                host: &gateway.namespace,
                network,
                port: port(network, &gateway.name),
                address,
            });
        }
    }
    cables
}

/// No IPv6 chatter, so that ledgers are exact; and the IPv4 settings a namespace would inherit from this machine.
fn silence(host: &Namespace) -> Result<()> {
    for scope in ["all", "default"] {
        host.sysctl(&format!("net/ipv4/conf/{scope}/rp_filter"), "0")?;
        // A kernel without IPv6 has nothing to switch off.
        let _ = host.sysctl(&format!("net/ipv6/conf/{scope}/disable_ipv6"), "1");
    }
    Ok(())
}

/// A frame that XDP redirects into a veth whose peer has neither GRO nor XDP is lost without any counter: so GRO on.
fn finish_checksums(namespace: &Namespace, device: &str) -> Result<()> {
    let arguments = [
        "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "on",
    ];
    output(namespace.command("ethtool").args(arguments))
        .map(drop)
        .context("setting offloads (package ethtool)")
}
