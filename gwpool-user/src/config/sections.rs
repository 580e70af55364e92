//! The words of `gwpool` and `proxies`, key by key, with their defaults. Those of a route are in [`routes`](super::routes).
//!
//! Words are checked one value at a time. Whether the groups they name exist is for [`resolve`](super::resolve).
#![forbid(unsafe_code)]

use super::limits;
use super::nat::{self, NatWords};
use super::report::{Cause, Findings, Place};
use super::schema::{Section, text, word, wrong};
use super::tree::{Node, Value};
use super::undeclared::{self, UndeclaredWords};
use crate::plan::{Datapath, Limits};
use std::collections::BTreeMap;

/// The network clients come from.
pub const GATEWAY_NETWORK: &str = "gateway-network";

/// Longest interface name: Linux's IFNAMSIZ is 16 with the zero at the end.
const INTERFACE_BYTES_MAX: usize = 15;

/// `gwpool`.
#[derive(Debug, Default)]
pub struct Gwpool {
    /// How to attach.
    pub datapath: Datapath,
    /// Network to interface, with the place of the key.
    pub interfaces: BTreeMap<String, (String, Place)>,
    /// Table sizes.
    pub limits: Limits,
    /// What becomes of ports that no route declares.
    pub undeclared: UndeclaredWords,
    /// Translation.
    pub nat: Option<NatWords>,
}

/// `proxies`, on a node that forwards.
#[derive(Debug)]
pub struct Proxies {
    /// The group that forwards, and where that is said.
    pub group: (String, Place),
    /// The routes as written.
    pub routes: Option<Node>,
}

/// Reads `gwpool`.
pub fn gwpool(node: &Node, findings: &Findings) -> Option<Gwpool> {
    const SERVED: [&str; 5] = ["datapath", "interfaces", "limits", "undeclared", "nat"];
    const LATER: [&str; 4] = ["metrics", "vrrp", "sync", "admin_group"];
    let section = Section::open(node, "`gwpool`", &SERVED, &LATER, findings)?;
    for key in LATER {
        if let Some(node) = section.get(key) {
            findings.note(
                &node.at,
                format!("`gwpool.{key}` is known, but not served yet: it changes nothing"),
            );
        }
    }
    let mut gwpool = Gwpool::default();
    let datapath = section.get("datapath");
    match datapath.and_then(|node| {
        word(
            node,
            "datapath",
            &["auto", "native", "generic", "tc"],
            &[],
            findings,
        )
    }) {
        Some("native") => gwpool.datapath = Datapath::Native,
        Some("generic") => gwpool.datapath = Datapath::Generic,
        Some("tc") => gwpool.datapath = Datapath::Tc,
        _ => {}
    }
    if let Some(interfaces) = section.get("interfaces") {
        if !matches!(interfaces.value, Value::Map(_)) {
            wrong::<()>(
                interfaces,
                "a map of networks to interface names",
                "",
                findings,
            );
        }
        for entry in interfaces.entries() {
            if let Some(name) = text(&entry.node, "the name of an interface", findings) {
                gwpool
                    .interfaces
                    .insert(entry.key.clone(), (name.to_owned(), entry.node.at.clone()));
            }
        }
    }
    if let Some(node) = section.get("limits") {
        gwpool.limits = limits::read(node, findings);
    }
    if let Some(node) = section.get("undeclared") {
        gwpool.undeclared = undeclared::read(node, findings).unwrap_or_default();
    }
    gwpool.nat = section
        .get("nat")
        .and_then(|node| nat::read(node, findings));
    Some(gwpool)
}

/// Refuses what Linux cannot call an interface.
pub fn interface_name<'a>(name: &'a str, at: &Place, findings: &Findings) -> &'a str {
    let is_odd = |c: char| c.is_whitespace() || c == '/' || c == ':';
    if name.len() > INTERFACE_BYTES_MAX || name.contains(is_odd) || matches!(name, "." | "..") {
        let wanted = format!("an interface name of at most {INTERFACE_BYTES_MAX} bytes");
        let advice = "map the network: `gwpool: {interfaces: {NETWORK: NAME}}`".to_owned();
        findings.error(at, Cause::wanted(wanted, format!("`{name}`"), advice));
    }
    name
}

/// Reads `proxies`. Its routes stay as written: only a node that forwards renders them.
pub fn proxies(node: &Node, deep: impl Fn(&Node) -> Node, findings: &Findings) -> Option<Proxies> {
    let section = Section::open(node, "`proxies`", &["target", "routes"], &[], findings)?;
    let target = deep(section.need("target", "as `{group: NAME}`")?);
    let target = Section::open(&target, "`proxies.target`", &["group"], &[], findings)?;
    let group = target.need("group", "the name of the group that forwards")?;
    let name = text(group, "the name of a group", findings)?;
    let routes = section.need("routes", "a map of routes").cloned();
    Some(Proxies {
        group: (name.to_owned(), group.at.clone()),
        routes,
    })
}
