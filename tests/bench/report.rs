//! What becomes of figures: tables on the terminal, files for other programs and for the eye, and the set that the
//! project publishes.
//!
//! Whatever is said here is a ratio taken round by round; goals are data (`goals`), and nothing depends on whether they
//! are met.

mod chart;
mod goals;
mod machine;
mod published;
mod table;

use crate::contest::{Figures, Rules};
use anyhow::{Context, Result};
#[cfg(test)]
pub use goals::GOALS;
use goals::Verdict;
use machine::Machine;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Where results go; `cargo xtask bench` says so, in the folder of what is built.
const FOLDER: &str = "GWPOOL_BENCH_DIR";

/// A run: all its figures, and where they come from.
#[derive(Serialize)]
pub struct Report {
    machine: Machine,
    rules: Rules,
    goals: Vec<Verdict>,
    benches: Vec<Figures>,
}

impl Report {
    /// Of these figures, taken here and now.
    pub fn new(rules: Rules, benches: Vec<Figures>) -> Report {
        Report {
            machine: Machine::here(),
            rules,
            goals: goals::verdicts(&benches),
            benches,
        }
    }

    /// All tables: every bench's figures, what was left out, and the goals.
    pub fn tables(&self) -> String {
        let benches: String = self.benches.iter().map(table::figures).collect();
        format!(
            "{}\n{benches}{}",
            self.machine.line(),
            table::goals(&self.goals)
        )
    }

    /// Writes `NAME.json` and a chart for each bench; into which folder.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, name: &str) -> Result<PathBuf> {
        let folder = std::env::var_os(FOLDER)
            .map_or_else(|| std::env::temp_dir().join("gwpool-bench"), PathBuf::from);
        self.write_into(&folder, name)?;
        Ok(folder)
    }

    fn write_into(&self, folder: &Path, name: &str) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        write(&folder.join(format!("{name}.json")), &json)?;
        for figures in self.benches.iter().filter(|bench| !bench.rows.is_empty()) {
            let file = folder.join(format!("{}.svg", figures.bench));
            write(&file, &chart::svg(figures))?;
        }
        Ok(())
    }

    /// Makes them the project's published set: files and README's table.
    ///
    /// # Errors
    /// A file cannot be written, or README has no place for the table.
    pub fn publish(&self) -> Result<()> {
        published::publish(self)
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

/// A figure in three digits: `92.1`, `15.1k`, `1.02M`.
fn short(figure: f64) -> String {
    let (scaled, suffix) = match figure.abs() {
        size if size >= 999_500.0 => (figure / 1e6, "M"),
        size if size >= 9_995.0 => (figure / 1e3, "k"),
        _ => (figure, ""),
    };
    let digits = match scaled.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    format!("{scaled:.digits$}{suffix}")
}

#[cfg(test)]
mod tests;
