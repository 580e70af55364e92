//! `gwpool.nat`: who is translated, as what, by which ports, for how long.
//!
//! Every key has a default. Whether this node translates at all, and what its VIPs say of the address, is for
//! [`resolve`](super::resolve).
#![forbid(unsafe_code)]

use super::access::{self, Prefixes};
use super::ports::Ports;
use super::report::{Cause, Findings, Place};
use super::schema::{Section, address, boolean, items, list, number, word};
use super::timeouts::{Unit, seconds};
use super::tree::{Node, Value};
use crate::plan::{Filtering, Nat, NatTimers};
use gwpool_common::limits::{NAT_ADDRESSES, NAT_PROTOCOLS};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

const KEYS: [&str; 12] = [
    "sources",
    "address",
    "addresses",
    "ports",
    "host_ports",
    "ports_per_host",
    "overload",
    "log",
    "filtering",
    "timeouts",
    "allow",
    "deny",
];

/// `gwpool.nat` as written.
#[derive(Debug)]
pub struct NatWords {
    /// Its keys, with defaults; networks, sources and addresses are not among them.
    pub nat: Nat,
    /// `sources`.
    pub sources: Prefixes,
    /// `address`, `addresses`, and where that is said.
    pub addresses: Option<(Vec<Ipv4Addr>, Place)>,
    /// Where the section is.
    pub at: Place,
}

/// Reads `gwpool.nat`. What is wrong keeps its default, and has been said.
pub fn read(node: &Node, findings: &Findings) -> Option<NatWords> {
    let section = Section::open(node, "`gwpool.nat`", &KEYS, &[], findings)?;
    let mut nat = Nat::default();
    let (ports, host_ports) = (ranges(&section, "ports"), ranges(&section, "host_ports"));
    if let (Some(ports), Some(host_ports)) = (ports, host_ports) {
        if !ports.is_empty() {
            nat.ports = ports;
        }
        nat.host_ports = host_ports;
        refuse_no_ports(&section, &nat);
    }
    if let Some(most) = section.get("ports_per_host") {
        let all = i64::from(NAT_PROTOCOLS) << u16::BITS;
        let most = number(most, "ports_per_host", 1..=all, findings);
        if let Some(most) = most.and_then(|most| u32::try_from(most).ok()) {
            nat.ports_per_host = most;
        }
    }
    for (key, flag) in [("overload", &mut nat.overload), ("log", &mut nat.log)] {
        let given = section.get(key).and_then(|node| boolean(node, findings));
        *flag = given.unwrap_or(false);
    }
    if let Some(node) = section.get("filtering") {
        filtering(node, &mut nat, findings);
    }
    if let Some(node) = section.get("timeouts") {
        timeouts(node, &mut nat.timers, findings);
    }
    nat.access = access::read(&section).unwrap_or_default();
    Some(NatWords {
        nat,
        sources: access::prefixes(&section, "sources").unwrap_or_default(),
        addresses: addresses(&section),
        at: node.at.clone(),
    })
}

/// `address`, or `addresses`.
fn addresses(section: &Section) -> Option<(Vec<Ipv4Addr>, Place)> {
    let findings = section.findings;
    match (section.get("address"), section.get("addresses")) {
        (None, None) => None,
        (Some(one), Some(many)) => {
            let cause = Cause::Clash {
                what: "`addresses` says as what inside hosts are seen".to_owned(),
                other: "`address`".to_owned(),
                first: one.at.clone(),
            };
            findings.error(&many.at, cause);
            None
        }
        (Some(node), None) => Some((vec![address(node, findings)?], node.at.clone())),
        (None, Some(node)) => {
            let listed = list(node, "a list of addresses", findings)?;
            let read = listed
                .iter()
                .map(|item| Some((address(item, findings)?, &item.at)));
            let read: Vec<(Ipv4Addr, &Place)> = read
                .collect::<Vec<_>>()
                .into_iter()
                .collect::<Option<_>>()?;
            refuse_twice(&read, findings);
            let addresses: Vec<Ipv4Addr> = read.into_iter().map(|(address, _)| address).collect();
            refuse_too_many(addresses.len(), &node.at, findings);
            Some((addresses, node.at.clone()))
        }
    }
}

fn refuse_twice(addresses: &[(Ipv4Addr, &Place)], findings: &Findings) {
    let mut known = BTreeMap::new();
    for (address, at) in addresses {
        if let Some(first) = known.insert(*address, *at) {
            let found = format!("{address} again (first at {first})");
            findings.error(at, Cause::wanted("each address once", found, "remove one"));
        }
    }
}

/// More addresses than the programs look at.
pub fn refuse_too_many(found: usize, at: &Place, findings: &Findings) {
    let most = u64::from(NAT_ADDRESSES);
    if found as u64 > most {
        findings.error(
            at,
            Cause::too_many("NAT addresses", found, most, "remove some"),
        );
    }
}

/// A range of ports, or a list of them. `None`: wrong, and said.
fn ranges(section: &Section, key: &str) -> Option<Vec<RangeInclusive<u16>>> {
    let Some(node) = section.get(key) else {
        return Some(Vec::new());
    };
    let items = match &node.value {
        Value::List(_) if key == "ports" => list(node, "ports to give out", section.findings)?,
        _ => items(node),
    };
    let read = items.iter().map(|item| {
        let ports = Ports::read(item, section.findings)?;
        Some(ports.first..=ports.last())
    });
    // All of them are read, so that all that is wrong is said.
    read.collect::<Vec<_>>().into_iter().collect()
}

/// What is given out, less what is the host's.
fn refuse_no_ports(section: &Section, nat: &Nat) {
    let is_hosts = |port: &u16| nat.host_ports.iter().any(|range| range.contains(port));
    let mut given = nat.ports.iter().cloned().flatten();
    if given.any(|port| !is_hosts(&port)) {
        return;
    }
    if let Some(node) = section.get("host_ports") {
        let found = "all of them among `host_ports`";
        let cause = Cause::wanted("a port to give out", found, "take some out");
        section.findings.error(&node.at, cause);
    }
}

/// One word for TCP and UDP, or one each.
fn filtering(node: &Node, nat: &mut Nat, findings: &Findings) {
    const WORDS: [(&str, Filtering); 3] = [
        ("ei", Filtering::None),
        ("ad", Filtering::ByAddress),
        ("apd", Filtering::ByFlow),
    ];
    let read = |node: &Node| {
        let word = word(
            node,
            "filtering",
            &WORDS.map(|(word, _)| word),
            &[],
            findings,
        )?;
        let known = WORDS.iter().find(|(known, _)| *known == word);
        known.map(|(_, filtering)| *filtering)
    };
    let Value::Map(_) = &node.value else {
        if let Some(both) = read(node) {
            (nat.tcp_filtering, nat.udp_filtering) = (both, both);
        }
        return;
    };
    let whose = "`gwpool.nat.filtering`";
    let Some(section) = Section::open(node, whose, &["tcp", "udp"], &[], findings) else {
        return;
    };
    for (key, filtering) in [
        ("tcp", &mut nat.tcp_filtering),
        ("udp", &mut nat.udp_filtering),
    ] {
        if let Some(given) = section.get(key).and_then(read) {
            *filtering = given;
        }
    }
}

/// A timer: its key, the least its RFC asks for, and where it is.
type Timer = (
    &'static str,
    Option<(u16, &'static str)>,
    fn(&mut NatTimers) -> &mut u16,
);

const TIMERS: [Timer; 6] = [
    (
        "tcp_established",
        Some((7_440, "RFC 5382 REQ-5")),
        |timers| &mut timers.tcp_established_s,
    ),
    ("tcp_transitory", Some((240, "RFC 5382 REQ-5")), |timers| {
        &mut timers.tcp_transitory_s
    }),
    ("udp", Some((120, "RFC 4787 REQ-5")), |timers| {
        &mut timers.udp_s
    }),
    ("udp_unreplied", Some((120, "RFC 4787 REQ-5")), |timers| {
        &mut timers.udp_unreplied_s
    }),
    ("icmp", Some((60, "RFC 5508 REQ-2")), |timers| {
        &mut timers.icmp_s
    }),
    ("other", None, |timers| &mut timers.other_s),
];

/// Shorter than the RFCs ask for is said, and served.
fn timeouts(node: &Node, timers: &mut NatTimers, findings: &Findings) {
    let keys = TIMERS.map(|(key, ..)| key);
    let Some(section) = Section::open(node, "`gwpool.nat.timeouts`", &keys, &[], findings) else {
        return;
    };
    for (key, least, of) in TIMERS {
        let Some(node) = section.get(key) else {
            continue;
        };
        let Some(given) = seconds(node, Unit::Seconds, findings) else {
            continue;
        };
        *of(timers) = given;
        if let Some((least, rfc)) = least.filter(|(least, _)| given < *least) {
            let text = format!(
                "`gwpool.nat.timeouts.{key}` is {given} s, less than the {least} s that {rfc} asks for"
            );
            findings.warn(&node.at, text);
        }
    }
}

impl NatWords {
    /// Of a node whose inventory has none.
    pub fn unsaid() -> NatWords {
        NatWords {
            nat: Nat::default(),
            sources: Vec::new(),
            addresses: None,
            at: Place::whole("`gwpool.nat`"),
        }
    }

    /// An address that the outside knows may not be among those of inside hosts.
    pub fn refuse_inside(&self, address: Ipv4Addr, what: &str, findings: &Findings) {
        for (prefix, at) in &self.sources {
            if prefix.contains(&address) {
                let wanted = "inside prefixes without an outside address";
                let found = format!("{prefix}, which holds {what} {address}");
                let advice =
                    "they could not be told apart (RFC 4787 REQ-7): give narrower prefixes";
                findings.error(at, Cause::wanted(wanted, found, advice));
            }
        }
    }
}

impl Default for NatWords {
    fn default() -> Self {
        NatWords::unsaid()
    }
}
