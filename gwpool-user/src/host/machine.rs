//! The picture of the host that plans are laid on; pure.
#![forbid(unsafe_code)]

use ipnet::Ipv4Net;
use std::collections::BTreeMap;

/// The host as the kernel has it now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// By name.
    pub links: BTreeMap<String, Link>,
    /// `net.ipv4.ip_local_port_range`, both ends included.
    pub local_ports: (u16, u16),
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
}
