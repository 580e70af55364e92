//! One host's variables: every layer merged, outermost first, and its templates rendered on demand.
//!
//! Precedence is Ansible's: `all` and top-level variables, groups from the outside in, `group_vars/`, the host,
//! `host_vars/`, `-e`; a later definition replaces an earlier one whole. How a template is read is in
//! [`templates`](super::templates); here is what it can see.
#![forbid(unsafe_code)]

use super::inventory::{ALL, Inventory, Layer};
use super::report::{Cause, Findings, Place, Problem};
use super::templates;
use super::tree::{Entry, Node, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Templates inside templates: more is a circle.
const DEPTH_MAX: usize = 32;
/// Levels of what templates fetched: more is a circle too.
const LEVELS_MAX: usize = 128;
/// Templates rendered for one host: more is a bomb.
const RENDERED_MAX: usize = 250_000;

/// What the templates of one host can see.
#[derive(Debug)]
pub struct Scope {
    /// Every definition of a variable, the valid one last.
    definitions: BTreeMap<String, Vec<Entry>>,
    /// Where notes go.
    pub findings: Arc<Findings>,
    depth: AtomicUsize,
    levels: AtomicUsize,
    rendered: AtomicUsize,
}

impl Scope {
    /// The scope of a host of the inventory.
    pub fn new(inventory: &Inventory, host: &str, findings: &Arc<Findings>) -> Arc<Scope> {
        let groups = inventory.groups_of(host);
        let mut layers: Vec<&Layer> = Vec::new();
        // Ansible: inventory files before `group_vars/`, whatever the depth.
        layers.extend(groups.iter().flat_map(|(_, group)| &group.inline));
        layers.extend(groups.iter().flat_map(|(_, group)| &group.filed));
        if let Some(host) = inventory.host(host) {
            layers.extend(host.inline.iter().chain(&host.filed));
        }
        layers.extend(&inventory.extra);
        let mut definitions: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        let magic = magic(
            inventory,
            host,
            groups
                .iter()
                .map(|(name, _)| *name)
                .filter(|name| *name != ALL),
        );
        for entry in layers
            .into_iter()
            .flat_map(|layer| layer.iter())
            .chain(&magic)
        {
            definitions
                .entry(entry.key.clone())
                .or_default()
                .push(entry.clone());
        }
        let findings = Arc::clone(findings);
        Arc::new(Scope {
            definitions,
            findings,
            depth: 0.into(),
            levels: 0.into(),
            rendered: 0.into(),
        })
    }

    /// A variable as written.
    pub fn raw(&self, name: &str) -> Option<&Entry> {
        self.definitions.get(name).and_then(|all| all.last())
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.definitions.keys().map(String::as_str)
    }

    /// A variable with every template in it rendered; an error inside leaves a [`Value::Broken`].
    pub fn variable(self: &Arc<Scope>, name: &str) -> Option<Node> {
        self.raw(name).map(|entry| self.deep(&entry.node))
    }

    /// Everything below a node rendered; an error inside leaves a [`Value::Broken`].
    pub fn deep(self: &Arc<Scope>, node: &Node) -> Node {
        let shallow = match self.shallow(node) {
            Ok(shallow) => shallow,
            Err(problem) => {
                self.findings.problem(problem);
                return Node {
                    value: Value::Broken,
                    ..node.clone()
                };
            }
        };
        let value = match &shallow.value {
            Value::List(items) => self.descend(&shallow, |scope| {
                Value::List(Arc::new(
                    items.iter().map(|item| scope.deep(item)).collect(),
                ))
            }),
            Value::Map(entries) => self.descend(&shallow, |scope| {
                let deep = |entry: &Entry| Entry {
                    node: scope.deep(&entry.node),
                    ..entry.clone()
                };
                Value::Map(Arc::new(entries.iter().map(deep).collect()))
            }),
            _ => return shallow,
        };
        Node { value, ..shallow }
    }

    fn descend(self: &Arc<Scope>, node: &Node, go: impl FnOnce(&Arc<Scope>) -> Value) -> Value {
        match guarded(&self.levels, LEVELS_MAX, &node.at, || Ok(go(self))) {
            Ok(value) => value,
            Err(problem) => {
                self.findings.problem(problem);
                Value::Broken
            }
        }
    }

    /// A node rendered if it is a template itself; what is inside stays as written.
    pub fn shallow(self: &Arc<Scope>, node: &Node) -> Result<Node, Problem> {
        match &node.value {
            Value::Text(text) if templates::is_template(text) => {
                let spent = self.rendered.fetch_add(1, Ordering::Relaxed) >= RENDERED_MAX;
                let most = if spent { 0 } else { DEPTH_MAX };
                guarded(&self.depth, most, &node.at, || {
                    templates::render(self, text, &node.at)
                })
            }
            _ => Ok(node.clone()),
        }
    }

    /// Follows a dotted path through variables, rendering on the way what must be. `Err` also says which part is not
    /// there.
    pub fn path(self: &Arc<Scope>, path: &str, at: &Place) -> Result<Node, Problem> {
        let missing = |whose: String, advice: String| {
            let what = format!("the variable `{path}`{whose}");
            Err(Problem {
                at: at.clone(),
                cause: Cause::Undefined { what, advice },
            })
        };
        let mut parts = path.split('.');
        let first = parts.next().unwrap_or_default();
        let Some(entry) = self.raw(first) else {
            return missing(String::new(), self.findings.suggest(first, self.names()));
        };
        let (mut node, mut walked) = (self.shallow(&entry.node)?, first.to_owned());
        let mut place = entry.at.clone();
        for part in parts {
            let inner = match &node.value {
                Value::List(items) => {
                    let item = part
                        .parse::<usize>()
                        .ok()
                        .and_then(|index| items.get(index));
                    item.map(|item| (item.clone(), item.at.clone()))
                }
                // Whoever needs the value says what is wrong with it.
                Value::Sealed(_) | Value::Broken => return Ok(node),
                _ => {
                    let entry = node.entry(part);
                    entry.map(|entry| (entry.node.clone(), entry.at.clone()))
                }
            };
            let Some((inner, at)) = inner else {
                let keys = node.entries().iter().map(|entry| entry.key.as_str());
                return missing(
                    format!(" (`{walked}` is at {place})"),
                    self.findings.suggest(part, keys),
                );
            };
            walked = format!("{walked}.{part}");
            (node, place) = (self.shallow(&inner)?, at);
        }
        Ok(node)
    }

    /// For the variables whose keys are ours: an error where a definition replaced another and lost keys.
    pub fn refuse_lost_keys(self: &Arc<Scope>, name: &str) {
        let Some((last, before)) = self.definitions.get(name).and_then(|all| all.split_last())
        else {
            return;
        };
        let keys = |entry: &Entry| -> Vec<String> {
            let node = self
                .shallow(&entry.node)
                .unwrap_or_else(|_| entry.node.clone());
            node.entries()
                .iter()
                .map(|entry| entry.key.clone())
                .collect()
        };
        let kept = keys(last);
        for former in before {
            let lost: Vec<String> = keys(former)
                .into_iter()
                .filter(|key| !kept.contains(key))
                .collect();
            if !lost.is_empty() {
                let first = former.at.clone();
                self.findings.error(
                    &last.at,
                    Cause::KeysLost {
                        name: name.to_owned(),
                        lost,
                        first,
                    },
                );
            }
        }
    }
}

fn guarded<T>(
    depth: &AtomicUsize,
    most: usize,
    at: &Place,
    go: impl FnOnce() -> Result<T, Problem>,
) -> Result<T, Problem> {
    let result = if depth.fetch_add(1, Ordering::Relaxed) < most {
        go()
    } else {
        let most = format!("templates that end, at most {DEPTH_MAX} inside each other");
        let cause = Cause::wanted(most, "more, perhaps a circle", "");
        Err(Problem {
            at: at.clone(),
            cause,
        })
    };
    depth.fetch_sub(1, Ordering::Relaxed);
    result
}

/// What Ansible itself defines.
fn magic<'a>(
    inventory: &Inventory,
    host: &str,
    groups: impl Iterator<Item = &'a str>,
) -> Vec<Entry> {
    let at = Place::whole("the inventory");
    let text = |text: &str| Node::new(Value::Text(text.to_owned()), at.clone());
    let list = |items: Vec<Node>| Node::new(Value::List(Arc::new(items)), at.clone());
    let entry = |key: &str, node: Node| Entry {
        key: key.to_owned(),
        at: at.clone(),
        node,
    };
    vec![
        entry("inventory_hostname", text(host)),
        entry(
            "inventory_hostname_short",
            text(host.split('.').next().unwrap_or(host)),
        ),
        entry("group_names", list(groups.map(text).collect())),
        entry("groups", inventory.membership().variable.clone()),
    ]
}
