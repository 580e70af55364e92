//! What is pinned of translation, and what becomes of inside hosts' packets without it: for who takes it off. There may be
//! no daemon and no inventory to ask.

use super::pins::Pins;
use super::tables::{Named, named};
use crate::host::firewall::{self, Answer};
use crate::host::rules::Outbound;
use aya::maps::{Array, Map, MapData, MapError};
use gwpool_common::nat::Nat;
use gwpool_common::net::{Network, V4};
use ipnet::Ipv4Net;
use nix::net::if_::if_indextoname;
use std::fs;

/// A translation that stands in pinned maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The interface that inside hosts are behind.
    pub inside: String,
    /// The one by which they leave.
    pub outside: String,
    /// Prefixes of inside hosts.
    pub sources: Vec<Ipv4Net>,
}

/// Of these pins; `None`: nothing is translated, or nobody can tell.
pub fn translation(pins: &Pins) -> Option<Translation> {
    let nat: Vec<(u32, Nat<V4>)> = pinned(pins, "NAT")?;
    let nat = nat
        .into_iter()
        .map(|(_, nat)| nat)
        .find(|nat| nat.flags & Nat::<V4>::ON != 0)?;
    let networks: Vec<(u32, Network<V4>)> = pinned(pins, "NETWORKS")?;
    let behind = networks
        .iter()
        .filter(|(_, network)| network.interface == nat.inside);
    let prefix = |(_, network): &(u32, Network<V4>)| {
        Ipv4Net::with_netmask(network.prefix.into(), network.mask.into()).ok()
    };
    Some(Translation {
        inside: name(nat.inside)?,
        outside: name(nat.outside)?,
        sources: behind.filter_map(prefix).collect(),
    })
}

fn pinned<V: aya::Pod + Default>(pins: &Pins, map: &'static str) -> Option<Vec<(u32, V)>> {
    let array = || -> Result<Array<MapData, V>, MapError> {
        Array::try_from(Map::Array(MapData::from_pin(pins.map(map))?))
    };
    let table: Named<u32, V> = named(map, &array().ok()?).ok()?;
    table.all().ok()
}

fn name(interface: u32) -> Option<String> {
    if_indextoname(interface).ok()?.into_string().ok()
}

impl Translation {
    /// What leaks when it is off, on this host as it is now.
    pub fn leaks(&self) -> String {
        let setting = format!("/proc/sys/net/ipv4/conf/{}/forwarding", self.inside);
        let forwards = fs::read_to_string(setting).is_ok_and(|text| text.trim() == "1");
        let answer = firewall::translating(&Outbound {
            inside: &self.inside,
            outside: &self.outside,
            sources: &self.sources,
        });
        self.said(forwards, &answer)
    }

    fn said(&self, forwards: bool, answer: &Answer) -> String {
        let Translation {
            inside, outside, ..
        } = self;
        if !forwards {
            return format!(
                "inside hosts reach nobody by this host now: forwarding is off on {inside}; nothing leaks"
            );
        }
        let listed = answer.removals.join("; ");
        if !answer.removals.is_empty() {
            return format!(
                "inside hosts' packets that leave by {outside} are translated by the kernel's own rules now (those that \
                 these take out: {listed}); what conntrack calls invalid leaks, such as busy connections that it has not \
                 seen for a while, unless net.netfilter.nf_conntrack_tcp_be_liberal was set to 1 before"
            );
        }
        let unasked = match answer.unasked.join("; ") {
            text if text.is_empty() => "no rule of the kernel's own translates them".to_owned(),
            text => format!(
                "whether a rule of the kernel's own translates them cannot be asked: {text}"
            ),
        };
        format!(
            "LEAK: inside hosts' packets leave by {outside} with their own addresses now: forwarding is on, and {unasked}. \
             `sysctl -w net.ipv4.conf.{inside}.forwarding=0` stops them"
        )
    }
}

#[cfg(test)]
mod tests;
