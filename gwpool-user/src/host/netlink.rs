//! Netlink messages to the words of [`super::machine`]; pure.
//!
//! IPv4 only: what is of another family, or lacks what makes it one of ours, is `None`.
#![forbid(unsafe_code)]

use super::machine::{Link, Neighbour, Path};
use ipnet::Ipv4Net;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage, LinkXdp};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use std::net::{IpAddr, Ipv4Addr};

/// The routing table of the host's own addresses: those come with the links.
const TABLE_LOCAL: u32 = 255;

/// A link's name and what it is; its addresses come by other messages.
pub fn link(message: &LinkMessage) -> (String, Link) {
    let mut name = String::new();
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        up: flags.contains(LinkFlags::Up) && flags.contains(LinkFlags::LowerUp),
        ..Link::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name.clone_from(text),
            LinkAttribute::Mtu(bytes) => link.mtu = *bytes,
            LinkAttribute::Address(bytes) => link.mac = mac(bytes).unwrap_or_default(),
            LinkAttribute::LinkInfo(infos) => link.driver = kind(infos),
            LinkAttribute::Xdp(values) => link.program = program(values),
            _ => {}
        }
    }
    (name, link)
}

fn kind(infos: &[LinkInfo]) -> String {
    let kind = infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind.to_string()),
        _ => None,
    });
    kind.unwrap_or_default()
}

fn program(values: &[LinkXdp]) -> Option<u32> {
    values.iter().find_map(|value| match value {
        LinkXdp::ProgId(id) | LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) if *id != 0 => {
            Some(*id)
        }
        _ => None,
    })
}

/// An address and the index of its link. Of a point-to-point link it is this end's.
pub fn address(message: &AddressMessage) -> Option<(u32, Ipv4Net)> {
    let (mut local, mut address) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(IpAddr::V4(found)) => local = Some(*found),
            AddressAttribute::Address(IpAddr::V4(found)) => address = Some(*found),
            _ => {}
        }
    }
    let prefix = Ipv4Net::new(local.or(address)?, message.header.prefix_len).ok()?;
    Some((message.header.index, prefix))
}

/// A route's ways: one, or each of a multipath route's.
pub fn paths(message: &RouteMessage) -> Vec<Path> {
    if message.header.address_family != AddressFamily::Inet {
        return Vec::new();
    }
    let mut path = Path {
        destination: Ipv4Net::default(),
        gateway: None,
        interface: 0,
        table: u32::from(message.header.table),
        priority: 0,
    };
    let mut address = Ipv4Addr::UNSPECIFIED;
    let mut hops = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(found)) => address = *found,
            RouteAttribute::Gateway(RouteAddress::Inet(found)) => path.gateway = Some(*found),
            RouteAttribute::Oif(index) => path.interface = *index,
            RouteAttribute::Table(table) => path.table = *table,
            RouteAttribute::Priority(priority) => path.priority = *priority,
            RouteAttribute::MultiPath(found) => hops.clone_from(found),
            _ => {}
        }
    }
    if path.table == TABLE_LOCAL {
        return Vec::new();
    }
    let Ok(destination) = Ipv4Net::new(address, message.header.destination_prefix_length) else {
        return Vec::new();
    };
    path.destination = destination;
    if hops.is_empty() {
        return vec![path];
    }
    let gateway = |attributes: &[RouteAttribute]| {
        attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet(found)) => Some(*found),
            _ => None,
        })
    };
    hops.iter()
        .map(|hop| Path {
            gateway: gateway(&hop.attributes),
            interface: hop.interface_index,
            ..path.clone()
        })
        .collect()
}

/// Which neighbour a message is about.
pub fn neighbour_key(message: &NeighbourMessage) -> Option<(u32, Ipv4Addr)> {
    let address = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(*address),
            _ => None,
        });
    Some((message.header.ifindex, address?))
}

/// A neighbour whose Ethernet address is known.
pub fn neighbour(message: &NeighbourMessage) -> Option<((u32, Ipv4Addr), Neighbour)> {
    let mac = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => mac(bytes),
            _ => None,
        });
    let permanent = message.header.state == NeighbourState::Permanent;
    Some((
        neighbour_key(message)?,
        Neighbour {
            mac: mac?,
            permanent,
        },
    ))
}

fn mac(bytes: &[u8]) -> Option<[u8; 6]> {
    bytes.try_into().ok()
}
