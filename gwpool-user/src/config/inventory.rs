//! Groups, the hosts in them, and the variables each of them sets.
//!
//! Nothing is merged and no template is rendered here: that depends on the host (see [`vars`](super::vars)). Which
//! files it comes from is in [`sources`](super::sources).
#![forbid(unsafe_code)]

use super::membership::Membership;
use super::ranges;
use super::report::{Cause, Findings, Place};
use super::tree::{Entry, Map, Node, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// Keys that make a map a group.
const GROUP_KEYS: [&str; 3] = ["hosts", "children", "vars"];
/// The group everything is in.
pub const ALL: &str = "all";

/// Variables from one place: a file, or one `vars:` or host entry of it.
pub type Layer = Arc<Map>;

/// Everything that was read.
#[derive(Debug, Default)]
pub struct Inventory {
    /// By name.
    pub groups: BTreeMap<String, Group>,
    /// In the order they are first named.
    pub hosts: Vec<Host>,
    /// `-e`, in order.
    pub extra: Vec<Layer>,
    /// Where each host is in `hosts`.
    places: BTreeMap<String, usize>,
    membership: OnceLock<Membership>,
}

/// A group.
#[derive(Debug, Default)]
pub struct Group {
    /// Groups inside, each with the place that says so.
    pub children: Vec<(String, Place)>,
    /// Hosts named directly in it.
    pub hosts: BTreeSet<String>,
    /// From inventory files.
    pub inline: Vec<Layer>,
    /// From `group_vars/`.
    pub filed: Vec<Layer>,
}

/// A host.
#[derive(Debug)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Where it is first named.
    pub at: Place,
    /// From inventory files.
    pub inline: Vec<Layer>,
    /// From `host_vars/`.
    pub filed: Vec<Layer>,
}

impl Inventory {
    /// A host by its exact name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.places.get(name).map(|place| &self.hosts[*place])
    }

    /// The hosts of a group and of the groups in it, in inventory order. `None`: no such group.
    pub fn members(&self, group: &str) -> Option<Vec<&Host>> {
        self.groups.get(group)?;
        let places = self.membership().hosts(group).iter();
        Some(places.map(|place| &self.hosts[*place]).collect())
    }

    /// The groups a host is in, outermost first: how deep they lie, then `ansible_group_priority`, then the name.
    pub fn groups_of(&self, host: &str) -> Vec<(&str, &Group)> {
        let (membership, place) = (self.membership(), self.places.get(host));
        let holds = |name: &str| place.is_some_and(|place| membership.holds(name, *place));
        let groups = self
            .groups
            .iter()
            .map(|(name, group)| (name.as_str(), group));
        let mut groups: Vec<_> = groups
            .filter(|(name, _)| *name == ALL || holds(name))
            .collect();
        groups.sort_by_key(|(name, group)| (membership.depth(name), group.priority(), *name));
        groups
    }

    /// Asked for only once everything has been read.
    pub fn membership(&self) -> &Membership {
        let known = || Membership::new(&self.groups, &self.hosts, &self.places);
        self.membership.get_or_init(known)
    }

    /// A group, made if it is not there.
    pub fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_default()
    }

    /// Reads `NAME: {hosts, children, vars}`; what is there already is added to.
    pub fn add_group(&mut self, entry: &Entry, findings: &Findings) {
        let name = &entry.key;
        self.group(name);
        match &entry.node.value {
            Value::Map(_) => {}
            Value::Null | Value::Broken => return,
            _ => {
                return findings.error(
                    &entry.node.at,
                    Cause::wanted("a group", entry.node.describe(), ""),
                );
            }
        }
        for part in entry.node.entries() {
            match (part.key.as_str(), &part.node.value) {
                ("hosts" | "children" | "vars", Value::Null | Value::Broken) => {}
                ("hosts", Value::Map(hosts)) => hosts
                    .iter()
                    .for_each(|host| self.add_hosts(name, host, findings)),
                ("children", Value::Map(children)) => {
                    for child in children.iter() {
                        if child.key == ALL {
                            let advice = "every group is in it already";
                            findings.error(
                                &child.at,
                                Cause::wanted("a group to be inside", "`all`".to_owned(), advice),
                            );
                            continue;
                        }
                        self.group(name)
                            .children
                            .push((child.key.clone(), child.at.clone()));
                        self.add_group(child, findings);
                    }
                }
                ("vars", Value::Map(vars)) => self.group(name).inline.push(Arc::clone(vars)),
                ("hosts" | "children" | "vars", _) => {
                    let what = format!("`{}` of `{name}` as a map", part.key);
                    findings.error(
                        &part.node.at,
                        Cause::wanted(&what, part.node.describe(), "end each name with a colon"),
                    );
                }
                _ if name == ALL && is_group(&part.node) => self.add_group(part, findings),
                (key, _) => {
                    let advice = findings.suggest(key, GROUP_KEYS);
                    let (key, whose) = (key.to_owned(), format!("the group `{name}`"));
                    findings.error(&part.at, Cause::UnknownKey { key, whose, advice });
                }
            }
        }
    }

    fn add_hosts(&mut self, group: &str, entry: &Entry, findings: &Findings) {
        let vars = match &entry.node.value {
            Value::Map(vars) => Some(vars),
            Value::Null | Value::Broken => None,
            _ => {
                return findings.error(
                    &entry.node.at,
                    Cause::wanted("a map of host variables", entry.node.describe(), ""),
                );
            }
        };
        let names = match ranges::expand(&entry.key) {
            Ok(names) => names,
            Err(advice) => {
                return findings.error(
                    &entry.at,
                    Cause::wanted("a host name", format!("`{}`", entry.key), &advice),
                );
            }
        };
        for name in names {
            self.group(group).hosts.insert(name.clone());
            let place = *self.places.entry(name.clone()).or_insert_with(|| {
                self.hosts.push(Host {
                    name,
                    at: entry.at.clone(),
                    inline: Vec::new(),
                    filed: Vec::new(),
                });
                self.hosts.len() - 1
            });
            self.hosts[place].inline.extend(vars.map(Arc::clone));
        }
    }

    /// An error for each group that is inside itself: nothing can be asked before this.
    pub fn refuse_circles(&mut self, findings: &Findings) {
        let names: Vec<String> = self.groups.keys().cloned().collect();
        for name in names {
            let mut inside = vec![name.clone()];
            let mut next = 0;
            while next < inside.len() {
                let children = self
                    .groups
                    .get(&inside[next])
                    .map(|group| group.children.clone())
                    .unwrap_or_default();
                next += 1;
                for (child, at) in children {
                    if child == name {
                        findings.error(
                            &at,
                            Cause::wanted(
                                "groups without a circle",
                                format!("`{name}` inside itself"),
                                "",
                            ),
                        );
                    } else if !inside.contains(&child) {
                        inside.push(child);
                    }
                }
            }
        }
    }
}

impl Group {
    fn priority(&self) -> i64 {
        let mut entries = self.inline.iter().flat_map(|layer| layer.iter());
        let last = entries.rfind(|entry| entry.key == "ansible_group_priority");
        match last.map(|entry| &entry.node.value) {
            Some(Value::Integer(priority)) => *priority,
            _ => 1,
        }
    }
}

/// Whether a map is a group rather than a variable.
pub fn is_group(node: &Node) -> bool {
    GROUP_KEYS.iter().any(|key| node.get(key).is_some())
}
