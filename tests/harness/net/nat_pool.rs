//! The seed's other pool, for whoever asks for it: gateway-4 and gateway-5, inside hosts on box-network whose router is
//! the VIP, and an internet host behind a router of gateway-network. VRRP runs nowhere: gateway-4 is given the VIP as
//! keepalived would, gateway-5 stands by without it.

use super::fabric::{self, Datapath};
use super::gateway::Gateway;
use super::namespace::Namespace;
use super::run::{self, gate};
use super::site::Site;
use anyhow::Result;
use std::net::{Ipv4Addr, SocketAddrV4};

/// The seed's VIP: inside hosts' default route.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 254);
/// The gateways' default route, on gateway-network.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 200);
/// Where the internet host's web server is.
pub const WEB: SocketAddrV4 = SocketAddrV4::new(INTERNET, 80);

const INTERNET: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// The router's address on the internet host's link.
const UPLINK: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// The hosts of the NAT pair, by name.
#[derive(Clone, Debug)]
pub struct NatPool {
    /// gateway-4, which has the VIP.
    pub master: Gateway,
    /// gateway-5.
    pub standby: Gateway,
    /// box-1 and box-2.
    pub boxes: Vec<BoxHost>,
    /// Between gateway-network and the internet host.
    pub router: Namespace,
    /// The internet host.
    pub internet: Namespace,
}

/// An inside host.
#[derive(Clone, Debug)]
pub struct BoxHost {
    /// As the lab calls it.
    pub name: String,
    /// Where its sockets are.
    pub namespace: Namespace,
    /// Its address on box-network.
    pub address: Ipv4Addr,
}

impl NatPool {
    /// The pair of a run.
    pub fn of(id: &str) -> NatPool {
        let inside = |number: u8| {
            let name = format!("box-{number}");
            BoxHost {
                namespace: run::namespace(id, &name),
                address: Ipv4Addr::new(192, 168, 1, 10 + number),
                name,
            }
        };
        NatPool {
            master: Gateway::of(id, 4),
            standby: Gateway::of(id, 5),
            boxes: (1..=2).map(inside).collect(),
            router: run::namespace(id, "router"),
            internet: run::namespace(id, "internet"),
        }
    }

    /// The pair's gateways.
    pub fn gateways(&self) -> [&Gateway; 2] {
        [&self.master, &self.standby]
    }

    /// Every host of it, by name.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, &Namespace)> {
        let gateways = self.gateways().into_iter();
        let boxes = self.boxes.iter();
        gateways
            .map(|gateway| (gateway.name.as_str(), &gateway.namespace))
            .chain(boxes.map(|inside| (inside.name.as_str(), &inside.namespace)))
            .chain([("router", &self.router), ("internet", &self.internet)])
    }
}

/// Makes its hosts and plugs them into the site's networks, which must be there already.
pub fn build(site: &Site, datapath: Datapath) -> Result<()> {
    let pool = &site.nat_pool;
    for (name, _) in pool.hosts() {
        fabric::host(site, name)?;
    }
    let plug =
        |host, name, network, address| fabric::plug(site, datapath, (host, name), network, address);
    plug(&pool.router, "router", "gateway-network", ROUTER)?;
    let uplink = (format!("{UPLINK}/24"), format!("{INTERNET}/24"));
    fabric::wire(
        (&pool.router, "uplink", &uplink.0),
        (&pool.internet, "eth0", &uplink.1),
    )?;
    pool.internet
        .ip(&[format!("route add default via {UPLINK}")])?;
    for gateway in pool.gateways() {
        let (host, name) = (&gateway.namespace, gateway.name.as_str());
        plug(host, name, "gateway-network", gateway.gateway_network)?;
        plug(host, name, "box-network", gateway.box_network)?;
        host.ip(&[format!("route add default via {ROUTER}")])?;
        let _gate = gate();
        fabric::furnish(gateway)?;
    }
    let vip = format!("addr add {VIP}/32 dev box-network");
    pool.master.namespace.ip(&[vip])?;
    for inside in &pool.boxes {
        let (host, name) = (&inside.namespace, inside.name.as_str());
        plug(host, name, "box-network", inside.address)?;
        host.ip(&[format!("route add default via {VIP}")])?;
    }
    Ok(())
}
