//! `cargo xtask tidy`: the project's rules that no compiler checks, all findings at once, with file and line.
//!
//! `scan` takes Rust apart, `sources` holds the rules for one file, `pages` those between the sources, README and
//! the golden cases. Limits only go down. Nothing here can be switched off from inside a file.

mod pages;
mod scan;
mod sources;

use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::ExitCode;
use std::{fmt, fs};

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    file: String,
    line: usize,
    message: String,
}

impl Finding {
    fn new(file: &str, line: usize, message: impl Into<String>) -> Finding {
        Finding {
            file: file.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// A text file of the project.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its path from the root, with `/`.
    path: String,
    text: String,
}

/// `tidy`.
pub fn verb(workspace: &Workspace) -> Result<ExitCode> {
    let mut all = Vec::new();
    read_folder(workspace, &workspace.root, &mut all)?;
    let mut findings: Vec<Finding> = all.iter().flat_map(sources::check).collect();
    findings.extend(pages::check(&all));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => eprintln!("tidy: {} files, nothing found", all.len()),
        found => eprintln!("tidy: {} files, {found} findings", all.len()),
    }
    Ok(ExitCode::from(u8::from(!findings.is_empty())))
}

/// Reads every text file below a folder, in the order of their names.
fn read_folder(workspace: &Workspace, folder: &Path, all: &mut Vec<Page>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() && name != ".git" && name != "target" && path != workspace.target {
            read_folder(workspace, &path, all)?;
        } else if kind.is_file()
            && name != "Cargo.lock"
            // In a worktree it is a file.
            && name != ".git"
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path
                .strip_prefix(&workspace.root)?
                .to_string_lossy()
                .into_owned();
            all.push(Page { path, text });
        }
    }
    Ok(())
}
