//! The ground of the NAT suite (drawn in `tests/README.md`): two inside hosts, the gateway, two outside hosts and a
//! router whose far link is narrow; who translates on the gateway, and by which settings. Made anew for each subject,
//! removed on drop.

use super::subject::{Setting, Subject};
use super::witness::Witness;
use crate::net::fabric::{self, Datapath};
use crate::net::gateway::{Daemon, Gateway};
use crate::net::namespace::Namespace;
use crate::net::run::Run;
use crate::net::site::Site;
use crate::net::world::World;
use anyhow::Result;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Inside hosts.
pub const C1: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 11);
/// See [`C1`].
pub const C2: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 12);
/// The gateway's own address on the box network, and the VIP that inside hosts have as their router.
pub const BOX: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 4);
/// See [`BOX`].
pub const BOX_VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 254);
/// The gateway's own address outside, and its VIP there.
pub const OWN: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 4);
/// See [`OWN`].
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 254);
/// An outside host's addresses.
pub const E: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 100);
/// See [`E`].
pub const E1: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 101);
/// The router.
pub const R: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// The outside host behind it.
pub const E2: Ipv4Addr = Ipv4Addr::new(10, 8, 0, 2);
/// Where the router says that nothing can be reached.
pub const NOWHERE: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
/// The router's link to E2.
pub const NARROW: u16 = 1300;
/// TCP to these ports is seen by packet sockets only, never by a host's own TCP: inside, and outside.
pub const PLAYED_INSIDE: std::ops::Range<u16> = 45_500..46_000;
/// See [`PLAYED_INSIDE`].
pub const PLAYED_OUTSIDE: std::ops::Range<u16> = 9_000..9_100;
/// E never hears a pure SYN to this port.
pub const SYN_DEAF: u16 = 9200;
/// What has this traffic class E never hears (DSCP 63).
pub const UNHEARD: u8 = 0xfc;

/// One subject's world.
pub struct Ground {
    /// Who translates.
    pub subject: Subject,
    /// Inside.
    pub c1: Namespace,
    /// Inside.
    pub c2: Namespace,
    /// Between them.
    pub gateway: Gateway,
    /// Outside.
    pub e: Namespace,
    /// Between the outside hosts.
    pub r: Namespace,
    /// Outside, behind the router.
    pub e2: Namespace,
    /// What the outside hosts must never see.
    pub witness: Witness,
    /// Where the switches are.
    pub site: Site,
    pub(super) setting: Setting,
    pub(super) daemon: Option<Daemon>,
    _run: Run,
}

impl Ground {
    /// Builds it; nobody translates before [`Ground::apply`].
    pub fn up(subject: Subject) -> Result<Ground> {
        let run = Run::claim(&World::fresh_id("n"))?;
        let site = Site::of(run.id());
        fabric::switches(&site)?;
        let datapath = subject.datapath();
        let plugged = |name, network, address| -> Result<Namespace> {
            let host = fabric::host(&site, name)?;
            fabric::plug(&site, datapath, (&host, name), network, address)?;
            Ok(host)
        };
        let c1 = plugged("c1", "box-network", C1)?;
        let c2 = plugged("c2", "box-network", C2)?;
        let e = plugged("e", "gateway-network", E)?;
        let r = plugged("r", "gateway-network", R)?;
        let gateway = plug_gateway(&site, datapath)?;
        let e2 = fabric::host(&site, "e2")?;
        fabric::wire((&r, "narrow", "10.8.0.1/24"), (&e2, "eth0", "10.8.0.2/24"))?;
        route(&c1, &c2, &e, &r, &e2)?;
        let witness = Witness::watch(&[("e", &e), ("r", &r), ("e2", &e2)])?;
        Ok(Ground {
            subject,
            c1,
            c2,
            gateway,
            e,
            r,
            e2,
            witness,
            site,
            setting: Setting::Plain,
            daemon: None,
            _run: run,
        })
    }

    /// Does something while the gateway's outside link has this MTU, at both ends.
    pub fn narrowed<T>(&self, mtu: u16, work: impl FnOnce() -> T) -> Result<T> {
        let set = |mtu: u16| -> Result<()> {
            let port = fabric::port("gateway-network", "gateway-4");
            self.site
                .fabric
                .ip(&[format!("link set {port} mtu {mtu}")])?;
            self.gw()
                .ip(&[format!("link set gateway-network mtu {mtu}")])
        };
        set(mtu)?;
        let done = work();
        set(1500)?;
        // A changed link may have lost its default route.
        self.gw().ip(&[format!("route replace default via {R}")])?;
        Ok(done)
    }

    /// How packets have ended, as gwpool counts them; nobody else does.
    pub fn reasons(&self) -> BTreeMap<String, u64> {
        let stats = self.daemon.as_ref().and_then(|_| self.gateway.stats().ok());
        stats.unwrap_or_default().reasons
    }

    /// The gateway's namespace.
    pub fn gw(&self) -> &Namespace {
        &self.gateway.namespace
    }
}

fn plug_gateway(site: &Site, datapath: Datapath) -> Result<Gateway> {
    let name = "gateway-4";
    let namespace = fabric::host(site, name)?;
    let gateway = Gateway {
        name: name.into(),
        namespace,
        directory: site.directory.join(name),
        addresses_file: site.directory.join("addresses.yml"),
        gateway_network: OWN,
        box_network: BOX,
    };
    fabric::furnish(&gateway)?;
    for (network, address) in [("box-network", BOX), ("gateway-network", OWN)] {
        let host = (&gateway.namespace, name);
        fabric::plug(site, datapath, host, network, address)?;
    }
    gateway.namespace.ip(&[
        format!("addr add {BOX_VIP}/32 dev box-network"),
        format!("route add default via {R}"),
    ])?;
    Ok(gateway)
}

/// Everybody's way out, and what the hosts' own stacks are kept from.
fn route(
    c1: &Namespace,
    c2: &Namespace,
    e: &Namespace,
    r: &Namespace,
    e2: &Namespace,
) -> Result<()> {
    for host in [c1, c2, e, e2] {
        host.sysctl("net/ipv4/ip_forward", "0")?;
    }
    for host in [c1, c2, e, r, e2] {
        // A host is asked more than one question a second.
        host.sysctl("net/ipv4/icmp_ratelimit", "0")?;
        host.sysctl("net/ipv4/icmp_msgs_per_sec", "100000")?;
        // Apart from the ports that rows choose, and from those that kernels do not hear.
        host.sysctl("net/ipv4/ip_local_port_range", "52000 60999")?;
    }
    for host in [c1, c2] {
        host.ip(&[format!("route add default via {BOX_VIP}")])?;
        host.nft(&deaf(PLAYED_INSIDE))?;
    }
    e.ip(&[
        format!("addr add {E1}/24 dev gateway-network"),
        format!("route add default via {R}"),
    ])?;
    e.nft(&deaf(PLAYED_OUTSIDE))?;
    e.nft(&format!(
        "table ip crossing {{
            chain input {{
                type filter hook input priority filter;
                tcp dport {SYN_DEAF} tcp flags & (syn | ack) == syn drop
                ip dscp {} drop
            }}
        }}
        ",
        UNHEARD >> 2
    ))?;
    r.ip(&[
        format!("link set narrow mtu {NARROW}"),
        format!("route add unreachable {NOWHERE}/32"),
    ])?;
    // It sends what fits, but asks for more: the other side has to find out.
    e2.ip(&[format!(
        "route add default via 10.8.0.1 mtu {NARROW} advmss 1460"
    )])
}

/// A host's own TCP does not hear what the test plays.
fn deaf(ports: std::ops::Range<u16>) -> String {
    format!(
        "table ip played {{
            chain input {{
                type filter hook input priority filter;
                tcp dport {}-{} drop
            }}
        }}
        ",
        ports.start,
        ports.end - 1
    )
}
