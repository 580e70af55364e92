//! The set of figures that the project shows: `docs/bench/` and README's table between its two marks, made from one run
//! of all benches. A test holds README against the file, so that neither is changed by hand.

use super::goals::Verdict;
use super::machine::Machine;
use super::{Report, write};
use anyhow::{Context, Result, bail};
use gwpool_harness::net::site::project;
use serde::Deserialize;
use std::fmt::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

/// Where it is, from the project's root.
const FOLDER: &str = "docs/bench";
/// The file's name without its ending.
const FILE: &str = "figures";
const BEGIN: &str = "<!-- bench: begin -->\n";
const END: &str = "<!-- bench: end -->";

/// As much of `figures.json` as README shows.
#[derive(Deserialize)]
pub struct Published {
    machine: Machine,
    /// What became of the goals as they were then.
    pub(super) goals: Vec<Verdict>,
    benches: Vec<Named>,
}

/// A bench that was held.
#[derive(Deserialize)]
struct Named {
    bench: String,
}

/// Writes the folder and README's table.
///
/// # Errors
/// A file cannot be written, or README has no place for the table.
pub fn publish(report: &Report) -> Result<()> {
    let mut goals = report.goals.iter();
    if let Some(goal) = goals.find(|goal| goal.measured.is_none()) {
        bail!("nothing is published: not measured: {}", goal.what);
    }
    let root = project();
    let folder = root.join(FOLDER);
    report.write_into(&folder, FILE)?;
    let readme = root.join("README.md");
    let text = std::fs::read_to_string(&readme).context("reading README.md")?;
    let table = published(root)?.context("nothing was written")?.table();
    write(&readme, &replaced(&text, &table)?)?;
    give(&folder, &readme)
}

/// Root has written it; it is to be as the rest of the sources is.
fn give(folder: &Path, like: &Path) -> Result<()> {
    let owner = like.metadata()?;
    let give = |path: &Path| chown(path, Some(owner.uid()), Some(owner.gid()));
    for entry in std::fs::read_dir(folder)? {
        give(&entry?.path())?;
    }
    for path in folder.ancestors().take(2) {
        give(path)?;
    }
    Ok(())
}

/// The published set, if there is one.
///
/// # Errors
/// It cannot be read.
pub fn published(root: &Path) -> Result<Option<Published>> {
    let file = root.join(FOLDER).join(format!("{FILE}.json"));
    if !file.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&file)?;
    let read = serde_json::from_str(&text);
    Ok(Some(read.with_context(|| file.display().to_string())?))
}

impl Published {
    /// What stands between README's marks.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{}: [all figures]({FOLDER}/{FILE}.json).\n\n| | must | aim | measured: median [range] | reached |\n|---|---|---|---|---|\n",
            self.machine.line()
        );
        for verdict in &self.goals {
            let (what, bound) = (&verdict.what, verdict.bound());
            let (aim, found) = (verdict.amount(verdict.aim), verdict.found());
            let word = verdict.word();
            let _ = writeln!(text, "| {what} | {bound} | {aim} | {found} | {word} |");
        }
        for Named { bench } in &self.benches {
            let _ = write!(text, "\n![{bench}]({FOLDER}/{bench}.svg)\n");
        }
        text
    }
}

/// README with this between its marks.
///
/// # Errors
/// It has no marks.
pub fn replaced(readme: &str, table: &str) -> Result<String> {
    let marks = format!(
        "README.md has no place between `{}` and `{END}`",
        BEGIN.trim()
    );
    let (before, rest) = readme.split_once(BEGIN).context(marks.clone())?;
    let (_, after) = rest.split_once(END).context(marks)?;
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}
