//! What libtest reports, shown as it comes and added up.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// What one run of `cargo test` came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Passed.
    pub passed: u32,
    /// Failed, or died.
    pub failed: u32,
    /// Not run.
    pub ignored: u32,
}

/// Runs it, shows what it says, and adds up libtest's results.
pub fn counted(test: &mut Command) -> Result<Count> {
    let mut child = test
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo test")?;
    let stdout = child.stdout.take().context("stdout is piped")?;
    let mut count = Count::default();
    for line in BufReader::new(stdout).lines() {
        let line = line.context("cargo test's output")?;
        count.add(&line);
        println!("{line}");
    }
    let status = child.wait().context("cargo test")?;
    if !status.success() && count.failed == 0 {
        // A test process that died has no result line.
        count.failed = 1;
    }
    Ok(count)
}

impl Count {
    /// "test result: ok. 3 passed; 0 failed; 1 ignored; …"
    fn add(&mut self, line: &str) {
        let Some((_, fields)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for field in fields.split(';') {
            let mut words = field.split_whitespace();
            let (Some(Ok(number)), Some(word)) =
                (words.next().map(str::parse::<u32>), words.next())
            else {
                continue;
            };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
