//! `gwpool.undeclared`: what becomes of ports in Kubernetes' range that no route declares.
//!
//! Without a word they pass, and `check` says which do not: a cluster exposes more than its gateways declare.
#![forbid(unsafe_code)]

use super::ports::Ports;
use super::report::{Findings, Place};
use super::schema::{Section, text, word};
use super::sections::GATEWAY_NETWORK;
use super::tree::Node;
use crate::plan::{Plan, Protocol, Route, Undeclared};

/// Kubernetes' `--service-node-port-range` as it comes.
const NODE_PORTS: Ports = Ports {
    first: 30_000,
    count: 2_768,
};
/// Ranges that are listed one by one.
const LISTED_MAX: usize = 16;

/// `gwpool.undeclared` as written.
#[derive(Debug)]
pub struct UndeclaredWords {
    ports: Ports,
    /// By which network they come, and where that is said.
    pub network: (String, Option<Place>),
    reject: bool,
    at: Option<Place>,
}

impl Default for UndeclaredWords {
    fn default() -> Self {
        UndeclaredWords {
            ports: NODE_PORTS,
            network: (GATEWAY_NETWORK.to_owned(), None),
            reject: false,
            at: None,
        }
    }
}

/// Reads `gwpool.undeclared`.
pub fn read(node: &Node, findings: &Findings) -> Option<UndeclaredWords> {
    const KEYS: [&str; 3] = ["ports", "network", "action"];
    const ACTIONS: [&str; 2] = ["pass", "reject"];
    let section = Section::open(node, "`gwpool.undeclared`", &KEYS, &[], findings)?;
    let mut words = UndeclaredWords {
        at: Some(node.at.clone()),
        ..UndeclaredWords::default()
    };
    if let Some(ports) = section.get("ports") {
        words.ports = Ports::read(ports, findings)?;
    }
    if let Some(node) = section.get("network") {
        let name = text(node, "the name of a network", findings)?;
        words.network = (name.to_owned(), Some(node.at.clone()));
    }
    if let Some(node) = section.get("action") {
        words.reject = word(node, "action", &ACTIONS, &[], findings)? == "reject";
    }
    Some(words)
}

impl UndeclaredWords {
    /// For a node that forwards.
    pub fn planned(&self) -> Undeclared {
        Undeclared {
            port: self.ports.first,
            ports: self.ports.count,
            network: self.network.0.clone(),
            reject: self.reject,
        }
    }

    /// Says what it comes to beside the routes of a plan. `at`: what made the node a forwarding one.
    pub fn note(&self, plan: &Plan, at: &Place, findings: &Findings) {
        let (ports, network) = (self.ports, &self.network.0);
        let declared = declared(&plan.routes, ports);
        let count: u32 = declared
            .iter()
            .map(|(ports, _)| u32::from(ports.count))
            .sum();
        let mut listed: Vec<String> = declared
            .iter()
            .take(LISTED_MAX)
            .map(|(ports, protocol)| format!("{ports}/{}", protocol.name()))
            .collect();
        if declared.len() > LISTED_MAX {
            listed.push("…".to_owned());
        }
        let fate = match self.reject {
            true => "are rejected",
            false => {
                "pass to the local stack (`gwpool: {undeclared: {action: reject}}` refuses them)"
            }
        };
        let declared = match count {
            0 => "declared: none".to_owned(),
            _ => format!("declared: {count} ({})", listed.join(", ")),
        };
        let text = format!(
            "new connections by `{network}` to ports {ports} that no route declares {fate}; {declared}"
        );
        findings.note(self.at.as_ref().unwrap_or(at), text);
    }
}

/// The ports in a range that some route listens on, side by side ones together.
fn declared(routes: &[Route], range: Ports) -> Vec<(Ports, Protocol)> {
    let mut ends: Vec<(Protocol, u16, u16)> = Vec::new();
    for route in routes {
        let first = route.port.max(range.first);
        let last = (route.port + (route.ports - 1)).min(range.last());
        if first <= last {
            ends.push((route.protocol, first, last));
        }
    }
    ends.sort_unstable();
    let mut joined: Vec<(Protocol, u16, u16)> = Vec::new();
    for (protocol, first, last) in ends {
        match joined.last_mut() {
            Some((other, _, end))
                if *other == protocol && u32::from(first) <= u32::from(*end) + 1 =>
            {
                *end = last.max(*end);
            }
            _ => joined.push((protocol, first, last)),
        }
    }
    let ports = |first: u16, last: u16| Ports {
        first,
        count: last - first + 1,
    };
    joined
        .into_iter()
        .map(|(protocol, first, last)| (ports(first, last), protocol))
        .collect()
}
