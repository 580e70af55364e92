//! The picture of the host that plans are laid on, and what a change of it means; pure.
//!
//! The driver takes pictures, this file compares them: a picture that differs in what next hops hang on moves the
//! epoch, so that the programs ask the kernel's routing again.
#![forbid(unsafe_code)]

use ipnet::Ipv4Net;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// The host as the kernel has it now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// By name.
    pub links: BTreeMap<String, Link>,
    /// `net.ipv4.ip_local_port_range`, both ends included.
    pub local_ports: (u16, u16),
    /// Routes of every table but `local`.
    pub routes: BTreeSet<Path>,
    /// Neighbours whose Ethernet address is known, by interface index and address.
    pub neighbours: BTreeMap<(u32, Ipv4Addr), Neighbour>,
    /// Timer ticks a second (`CONFIG_HZ`); 0: not known, taken as [`Host::HZ`].
    pub hz: u32,
    /// Where the port search starts, unless the maps already have it: random, so that ports cannot be guessed.
    pub port_seed: u32,
    /// What [`gwpool_common::limits::Settings::epoch`] is to be, if that is not lower. The daemon moves it.
    pub epoch: u32,
}

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Interface index.
    pub index: u32,
    /// Ethernet address.
    pub mac: [u8; 6],
    /// Kernel driver ("veth", "virtio_net", "mlx5_core"); empty where there is none.
    pub driver: String,
    /// Administratively up and with carrier.
    pub up: bool,
    /// `net.ipv4.conf.NAME.forwarding`.
    pub forwarding: bool,
    /// Its addresses with their prefixes, primary first.
    pub addresses: Vec<Ipv4Net>,
    /// Largest IP packet, bytes.
    pub mtu: u32,
    /// The id of the XDP program on it, whoever's.
    pub program: Option<u32>,
    /// Our program is on it as XDP: what `INTERFACES` tells the programs. Set by the daemon, not by the driver.
    pub carries_xdp: bool,
}

/// A way the kernel's routing knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// Where it leads.
    pub destination: Ipv4Net,
    /// The router, if the destination is not on the link.
    pub gateway: Option<Ipv4Addr>,
    /// Index of the interface; 0 for blackholes and their kin.
    pub interface: u32,
    /// Routing table.
    pub table: u32,
    /// Metric.
    pub priority: u32,
}

/// A resolved neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Set by hand, for good: not ours to manage.
    pub permanent: bool,
}

impl Host {
    /// Taken where `hz` is not known.
    pub const HZ: u32 = 250;

    /// The link with this index.
    pub fn link_by_index(&self, index: u32) -> Option<(&str, &Link)> {
        let (name, link) = self.links.iter().find(|(_, link)| link.index == index)?;
        Some((name, link))
    }

    /// The default routes' gateways, with their interfaces.
    pub fn gateways(&self) -> impl Iterator<Item = (u32, Ipv4Addr)> + '_ {
        self.routes
            .iter()
            .filter(|path| path.destination.prefix_len() == 0 && path.interface != 0)
            .filter_map(|path| Some((path.interface, path.gateway?)))
    }

    /// Whether anything that a next hop hangs on differs: links, addresses, routes, a neighbour's Ethernet address.
    /// A neighbour that comes, goes or changes its state is no such thing: the kernel answers the same.
    pub fn epoch_moved(&self, after: &Host) -> bool {
        self.links.len() != after.links.len()
            || self.routes != after.routes
            || self.links.iter().any(|(name, link)| {
                !after
                    .links
                    .get(name)
                    .is_some_and(|other| link.same_hop(other))
            })
            || self.neighbours.iter().any(|(key, neighbour)| {
                after
                    .neighbours
                    .get(key)
                    .is_some_and(|other| other.mac != neighbour.mac)
            })
    }
}

impl Link {
    fn same_hop(&self, other: &Link) -> bool {
        self.index == other.index
            && self.mac == other.mac
            && self.up == other.up
            && self.mtu == other.mtu
            && self.forwarding == other.forwarding
            && self.addresses == other.addresses
    }
}

#[cfg(test)]
mod tests;
