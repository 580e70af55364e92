//! `vips`: the addresses that the hosts of a group hold in turn, by network. Only `vip` is read; who holds it now is for
//! whoever speaks VRRP.
#![forbid(unsafe_code)]

use super::report::{Findings, Place};
use super::schema::{Section, is_host, items, text, wrong};
use super::tree::{Node, Value};
use ipnet::Ipv4Net;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Keepalived's words that stand beside `vip`.
const KEYS: [&str; 8] = [
    "virtual_router_id",
    "vip",
    "version",
    "advert_int",
    "preempt",
    "preempt_delay",
    "authentication",
    "unicast_peers",
];
/// And those that begin so.
const FAMILIES: [&str; 2] = ["garp_", "track_"];

/// Networks with their VIPs, and where those are said.
pub type Vips = BTreeMap<String, (Vec<Ipv4Addr>, Place)>;

/// Reads `vips`.
pub fn read(node: &Node, findings: &Findings) -> Vips {
    let mut vips = Vips::new();
    if !matches!(node.value, Value::Map(_)) {
        wrong::<()>(node, "`vips`, a map of networks", "", findings);
    }
    for network in node.entries() {
        if let Some(addresses) = addresses(&network.key, &network.node, findings) {
            vips.insert(network.key.clone(), (addresses, network.at.clone()));
        }
    }
    vips
}

fn addresses(network: &str, node: &Node, findings: &Findings) -> Option<Vec<Ipv4Addr>> {
    let whose = format!("`vips.{network}`");
    let others = node.entries().iter().map(|entry| entry.key.as_str());
    let others = others.filter(|key| FAMILIES.iter().any(|family| key.starts_with(family)));
    let others: Vec<&str> = others.collect();
    let section = Section::open(node, &whose, &KEYS, &others, findings)?;
    let vip = section.need("vip", "an address, or a list of them")?;
    let read = items(vip).iter().map(|item| address(item, findings));
    read.collect::<Vec<_>>().into_iter().collect()
}

/// With or without the length of its prefix.
fn address(node: &Node, findings: &Findings) -> Option<Ipv4Addr> {
    let wanted = "an IPv4 address of a host, or one as 10.9.0.254/24";
    let found = text(node, wanted, findings)?;
    let with_prefix = found.parse().map(|net: Ipv4Net| net.addr());
    match found.parse().or(with_prefix) {
        Ok(address) if is_host(address) => Some(address),
        _ => wrong(node, wanted, "", findings),
    }
}
