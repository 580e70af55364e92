//! Which files an inventory is made of, and their text: bounded, then handed to [`yaml`](super::yaml).
//!
//! An inventory may be a file or a directory of files; `group_vars/NAME` and `host_vars/NAME` beside it may be a file
//! with or without an extension, or a directory. The choices are Ansible's.
#![forbid(unsafe_code)]

use super::report::{Cause, Findings, Place};
use super::tree::{Node, Value};
use super::yaml;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest file that is read.
const BYTES_MAX: u64 = 16 << 20;
/// What `group_vars/NAME` may end in, in the order they are looked for.
const EXTENSIONS: [&str; 4] = ["", ".yml", ".yaml", ".json"];
/// What Ansible skips in a directory of inventories.
const SKIPPED: [&str; 8] = [
    ".pyc", ".pyo", ".orig", ".ini", ".cfg", ".retry", ".bak", "~",
];

/// The tree of a file. `None`: the findings say why.
pub fn read(path: &Path, findings: &Findings) -> Option<Node> {
    let name: Arc<str> = path.display().to_string().into();
    match text(path) {
        Ok(text) if text.starts_with("$ANSIBLE_VAULT;") => {
            let place = Place::whole(&name);
            let said =
                "is encrypted by ansible-vault and not read: its variables count as undefined";
            findings.note(&place, said.to_owned());
            Some(Node::new(Value::Null, place))
        }
        Ok(text) => yaml::parse(&name, &text, findings),
        Err(error) => {
            findings.error(&Place::whole(&name), Cause::Unreadable(error.to_string()));
            None
        }
    }
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if read as u64 > BYTES_MAX {
        return Err(io::Error::other(format!("more than {BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// The files of one `-i`.
pub fn inventory(path: &Path, findings: &Findings) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let files = list(path, findings);
    files
        .into_iter()
        .filter(|file| file.is_file() && !skipped(file))
        .collect()
}

fn skipped(file: &Path) -> bool {
    let name = file.to_string_lossy();
    SKIPPED.iter().any(|end| name.ends_with(end))
}

/// The files that hold the variables of the group or host `name`, in `folder`.
pub fn variables(folder: &Path, name: &str, findings: &Findings) -> Vec<PathBuf> {
    // A name is a path's last part here, nothing else.
    if name.contains('/') || name.starts_with('.') {
        return Vec::new();
    }
    let found = EXTENSIONS
        .iter()
        .map(|end| folder.join(format!("{name}{end}")))
        .find(|path| path.exists());
    let mut files = Vec::new();
    if let Some(path) = found {
        gather(&path, &mut files, findings);
    }
    files
}

fn gather(path: &Path, files: &mut Vec<PathBuf>, findings: &Findings) {
    if !path.is_dir() {
        files.push(path.to_owned());
        return;
    }
    for inner in list(path, findings) {
        let extension = inner
            .extension()
            .map_or(String::new(), |end| format!(".{}", end.display()));
        if inner.is_dir() || EXTENSIONS.contains(&extension.as_str()) {
            gather(&inner, files, findings);
        }
    }
}

/// What is in a folder, by name, without hidden and left-over files.
fn list(folder: &Path, findings: &Findings) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    match entries {
        Ok(entries) => {
            let names = entries.into_iter().map(|entry| entry.file_name());
            let mut names: Vec<_> = names
                .filter(|name| is_visible(&name.to_string_lossy()))
                .collect();
            names.sort();
            names.into_iter().map(|name| folder.join(name)).collect()
        }
        Err(error) => {
            findings.error(
                &Place::whole(&folder.display().to_string()),
                Cause::Unreadable(error.to_string()),
            );
            Vec::new()
        }
    }
}

fn is_visible(name: &str) -> bool {
    !name.starts_with('.') && !name.ends_with('~')
}
