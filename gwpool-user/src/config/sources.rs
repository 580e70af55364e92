//! The files of `-i` and `-e`, and what stands beside them, to an [`Inventory`].
//!
//! More is read than Ansible reads, each with a note: variables at the top level, groups in `-e`.
#![forbid(unsafe_code)]

use super::Sources;
use super::files;
use super::inventory::{ALL, Inventory, Layer, is_group};
use super::report::{Cause, Findings, Place};
use super::tree::{Entry, Node, Value};
use super::yaml;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads everything. What is wrong is in the findings.
pub fn read(sources: &Sources, findings: &Findings) -> Inventory {
    let mut inventory = Inventory::default();
    inventory.group(ALL);
    let mut folders: Vec<PathBuf> = Vec::new();
    for path in &sources.inventories {
        for file in files::inventory(path, findings) {
            let folder = file.parent().unwrap_or(Path::new("")).to_owned();
            if !folders.contains(&folder) {
                folders.push(folder);
            }
            if let Some(tree) = files::read(&file, findings) {
                inventory.add_file(&tree, findings);
            }
        }
    }
    for (number, option) in sources.extra.iter().enumerate() {
        if let Some(tree) = extra(number + 1, option, findings) {
            inventory.add_extra(&tree, findings);
        }
    }
    for folder in folders {
        inventory.add_beside(&folder, findings);
    }
    inventory.refuse_circles(findings);
    inventory
}

fn extra(number: usize, option: &str, findings: &Findings) -> Option<Node> {
    if let Some(path) = option.strip_prefix('@') {
        return files::read(Path::new(path), findings);
    }
    let file: Arc<str> = format!("-e[{number}]").into();
    if !option.trim_start().starts_with('{') {
        let cause = Cause::wanted(
            "`@FILE` or a map as `{\"gwpool\": {…}}`",
            format!("`{option}`"),
            "",
        );
        findings.error(&Place::whole(&file), cause);
        return None;
    }
    yaml::parse(&file, option, findings)
}

impl Inventory {
    fn add_file(&mut self, tree: &Node, findings: &Findings) {
        let entries = match &tree.value {
            Value::Map(entries) => entries,
            Value::Null | Value::Broken => return,
            _ => {
                return findings.error(
                    &tree.at,
                    Cause::wanted(
                        "a map of groups",
                        tree.describe(),
                        "inventories are YAML here",
                    ),
                );
            }
        };
        let mut variables = Vec::new();
        for entry in entries.iter() {
            if entry.key == ALL || is_group(&entry.node) || entry.node.is_null() {
                self.add_group(entry, findings);
            } else {
                variables.push(entry.clone());
            }
        }
        let Some(first) = variables.first() else {
            return;
        };
        let names: Vec<String> = variables
            .iter()
            .map(|entry| format!("`{}`", entry.key))
            .collect();
        let text = format!(
            "{} at the top level: read as variables of all hosts, which Ansible skips; it reads `all: {{vars: {{{}: …}}}}`",
            names.join(", "),
            first.key,
        );
        findings.note(&first.at, text);
        self.group(ALL).inline.push(Arc::new(variables.into()));
    }

    /// Also in `-e`: addresses of hosts, which Ansible would take for a variable named as the group.
    fn add_extra(&mut self, tree: &Node, findings: &Findings) {
        let entries = match &tree.value {
            Value::Map(entries) => entries,
            Value::Null | Value::Broken => return,
            _ => {
                return findings.error(
                    &tree.at,
                    Cause::wanted("a map of variables", tree.describe(), ""),
                );
            }
        };
        let is_known_group =
            |entry: &&Entry| is_group(&entry.node) && self.groups.contains_key(&entry.key);
        let (groups, variables): (Vec<&Entry>, Vec<&Entry>) =
            entries.iter().partition(is_known_group);
        self.extra
            .push(Arc::new(variables.into_iter().cloned().collect()));
        for entry in groups {
            let text = format!(
                "`{}` is a group of the inventory: read as more of it; Ansible reads a variable",
                entry.key
            );
            findings.note(&entry.at, text);
            self.add_group(entry, findings);
        }
    }

    /// `group_vars/` and `host_vars/`.
    fn add_beside(&mut self, folder: &Path, findings: &Findings) {
        for (name, group) in &mut self.groups {
            group
                .filed
                .extend(layers(&folder.join("group_vars"), name, findings));
        }
        for host in &mut self.hosts {
            host.filed
                .extend(layers(&folder.join("host_vars"), &host.name, findings));
        }
    }
}

fn layers(folder: &Path, name: &str, findings: &Findings) -> Vec<Layer> {
    let mut layers = Vec::new();
    for file in files::variables(folder, name, findings) {
        let Some(tree) = files::read(&file, findings) else {
            continue;
        };
        match &tree.value {
            Value::Map(entries) => layers.push(Arc::clone(entries)),
            Value::Null | Value::Broken => {}
            _ => findings.error(
                &tree.at,
                Cause::wanted("a map of variables", tree.describe(), ""),
            ),
        }
    }
    layers
}
