//! From the operators' Ansible files to a [`Plan`], in this order:
//! [`sources`], [`files`] and [`yaml`] (a [`tree`] of values that know their place), [`inventory`], [`ranges`] and
//! [`membership`] (groups and hosts), [`vars`] and [`templates`] (one host's variables), [`schema`], [`sections`],
//! [`limits`], [`undeclared`], [`nat`], [`vips`], [`routes`], [`ports`], [`access`], [`timeouts`] and [`weights`] (known keys, kinds and
//! ranges), [`resolve`], [`addresses`] and [`conflicts`] (the plan), [`table`] (the same for people).
//! [`report`] is what is said on the way, with file, line and column; [`nearest`] what was perhaps meant.
#![forbid(unsafe_code)]

mod access;
mod addresses;
mod conflicts;
mod files;
mod inventory;
mod limits;
mod membership;
mod nat;
pub mod nearest;
mod ports;
mod ranges;
mod report;
mod resolve;
mod routes;
mod schema;
mod sections;
mod sources;
mod table;
mod templates;
mod timeouts;
mod tree;
mod undeclared;
mod vars;
mod vips;
mod weights;
mod yaml;

pub use addresses::Resolve;
pub use report::{Cause, Note, Place, Problem, Report};
pub use table::{datapath, table};

use crate::plan::Plan;
use inventory::{Host, Inventory};
use report::Findings;
use std::path::PathBuf;
use std::sync::Arc;

/// What the operator gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Each `-i`.
    pub inventories: Vec<PathBuf>,
    /// Each `-e`: `@FILE`, or a map.
    pub extra: Vec<String>,
    /// `--node`; this machine's host name if there is none.
    pub node: Option<String>,
}

/// A plan, and what is worth saying about the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What the node has to do.
    pub plan: Plan,
    /// Each said once.
    pub notes: Vec<Note>,
}

/// Reads everything and resolves the plan of one node. Names are resolved as this machine does.
pub fn load(sources: &Sources) -> Result<Loaded, Report> {
    load_with(sources, &addresses::resolved_here)
}

/// [`load`], with names resolved by the caller.
pub fn load_with(sources: &Sources, resolve: &Resolve) -> Result<Loaded, Report> {
    let findings = Arc::new(Findings::default());
    let inventory = sources::read(sources, &findings);
    findings.verdict()?;
    let node = find_node(&inventory, sources.node.as_deref(), &findings);
    let plan = node.map(|node| resolve::plan(&inventory, node, resolve, &findings));
    let notes = findings.verdict()?;
    Ok(Loaded {
        plan: plan.expect("a node that is not found is an error"),
        notes,
    })
}

/// The exact name, then the short one.
fn find_node<'a>(
    inventory: &'a Inventory,
    given: Option<&str>,
    findings: &Findings,
) -> Option<&'a Host> {
    let (name, place) = match given {
        Some(name) => (name.to_owned(), "--node"),
        None => match std::fs::read_to_string("/proc/sys/kernel/hostname") {
            Ok(name) => (name.trim().to_owned(), "this machine's host name"),
            Err(error) => {
                findings.error(
                    &Place::whole("/proc/sys/kernel/hostname"),
                    Cause::Unreadable(error.to_string()),
                );
                return None;
            }
        },
    };
    let short = name.split('.').next().unwrap_or(&name);
    let found = inventory.host(&name).or_else(|| inventory.host(short));
    if found.is_none() {
        let hosts: Vec<&str> = inventory
            .hosts
            .iter()
            .map(|host| host.name.as_str())
            .collect();
        let advice = match hosts[..] {
            [] => "the inventory has no hosts: give it with `-i`".to_owned(),
            _ => format!("its hosts are: {}", hosts.join(", ")),
        };
        findings.error(
            &Place::whole(place),
            Cause::Undefined {
                what: format!("the host `{name}` in the inventory"),
                advice,
            },
        );
    }
    found
}

#[cfg(test)]
mod tests;
