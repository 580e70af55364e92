//! Who is in which group, directly or in a group of it, and how deep each group lies.
//!
//! Worked out once, when everything has been read and no group is inside itself; every host's variables hang on it.
#![forbid(unsafe_code)]

use super::inventory::{ALL, Group, Host};
use super::report::Place;
use super::tree::{Entry, Map, Node, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What an inventory's groups come to.
#[derive(Debug)]
pub struct Membership {
    by_group: BTreeMap<String, Standing>,
    /// Ansible's variable `groups`.
    pub variable: Node,
}

#[derive(Debug, Default)]
struct Standing {
    /// Places in the inventory's list of hosts, in its order.
    hosts: Vec<usize>,
    /// 0 for `all`, 1 for a group that is in no other.
    depth: usize,
}

impl Membership {
    /// Of these groups and hosts.
    pub fn new(
        groups: &BTreeMap<String, Group>,
        hosts: &[Host],
        places: &BTreeMap<String, usize>,
    ) -> Membership {
        let mut known = BTreeMap::new();
        for name in groups.keys() {
            gather(name, groups, places, &mut known);
        }
        known.insert(ALL.to_owned(), (0..hosts.len()).collect());
        let mut parents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, group) in groups {
            for (child, _) in &group.children {
                parents.entry(child).or_default().push(name);
            }
        }
        let mut depths = BTreeMap::new();
        let standings = known.into_iter().map(|(name, hosts)| {
            let depth = depth(&name, &parents, &mut depths);
            let hosts = hosts.into_iter().collect();
            (name, Standing { hosts, depth })
        });
        let by_group = standings.collect();
        let variable = variable(&by_group, hosts);
        Membership { by_group, variable }
    }

    /// The places of a group's hosts in the inventory's list.
    pub fn hosts(&self, group: &str) -> &[usize] {
        self.by_group
            .get(group)
            .map_or(&[], |standing| &standing.hosts)
    }

    /// Whether the host with this place is in the group.
    pub fn holds(&self, group: &str, host: usize) -> bool {
        self.hosts(group).binary_search(&host).is_ok()
    }

    /// How many groups are around it, at most.
    pub fn depth(&self, group: &str) -> usize {
        self.by_group
            .get(group)
            .map_or(0, |standing| standing.depth)
    }
}

/// The hosts of a group, its children's first.
fn gather(
    name: &str,
    groups: &BTreeMap<String, Group>,
    places: &BTreeMap<String, usize>,
    known: &mut BTreeMap<String, BTreeSet<usize>>,
) {
    let Some(group) = groups.get(name).filter(|_| !known.contains_key(name)) else {
        return;
    };
    let mut hosts: BTreeSet<usize> = group
        .hosts
        .iter()
        .filter_map(|host| places.get(host).copied())
        .collect();
    for (child, _) in &group.children {
        gather(child, groups, places, known);
        hosts.extend(known.get(child).into_iter().flatten());
    }
    known.insert(name.to_owned(), hosts);
}

fn depth<'a>(
    name: &str,
    parents: &BTreeMap<&'a str, Vec<&'a str>>,
    known: &mut BTreeMap<String, usize>,
) -> usize {
    if let Some(depth) = known.get(name) {
        return *depth;
    }
    let above = parents.get(name).into_iter().flatten();
    let deepest = above.map(|parent| depth(parent, parents, known) + 1).max();
    let depth = deepest.unwrap_or(usize::from(name != ALL));
    known.insert(name.to_owned(), depth);
    depth
}

fn variable(by_group: &BTreeMap<String, Standing>, hosts: &[Host]) -> Node {
    let at = Place::whole("the inventory");
    let members = |(name, standing): (&String, &Standing)| {
        let names = standing.hosts.iter().map(|place| {
            let name = hosts[*place].name.clone();
            Node::new(Value::Text(name), at.clone())
        });
        Entry {
            key: name.clone(),
            at: at.clone(),
            node: Node::new(Value::List(Arc::new(names.collect())), at.clone()),
        }
    };
    let map: Map = by_group.iter().map(members).collect();
    Node::new(Value::Map(Arc::new(map)), at.clone())
}
