//! Tests of the tests: the pipeline with one thing wrong, and whether the golden cases and races notice.
//!
//! Each mutant is a copy of `gwpool-ebpf` with one text replaced, and a judge: a program that runs the harness's own
//! cases over it. All of them are one workspace under `target/mutants`, built in one go.

mod wrongs;

pub use wrongs::ALL;

use crate::bed;
use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One thing wrong.
pub struct Mutant {
    /// What is wrong.
    pub name: &'static str,
    file: &'static str,
    right: &'static str,
    wrong: &'static str,
}

/// Builds every mutant with its judge; the judges, in the order of [`ALL`].
pub fn build() -> Result<Vec<PathBuf>> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| bed::root().join("target"), PathBuf::from);
    let folder = target.join("mutants");
    let mut members = String::new();
    for (number, mutant) in ALL.iter().enumerate() {
        write(&folder, number, mutant).with_context(|| format!("mutant {:?}", mutant.name))?;
        write!(members, "\"mutant-{number}\", \"judge-{number}\", ")?;
    }
    let root = bed::root().canonicalize()?;
    let manifest =
        format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n[profile.dev]\ndebug = 0\n");
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--offline"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("build"))
        .output()
        .context("cargo")?;
    ensure!(
        output.status.success(),
        "the mutants do not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok((0..ALL.len())
        .map(|number| folder.join(format!("build/debug/judge-{number}")))
        .collect())
}

/// The judge's word: what failed under the mutant.
pub fn judge(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program)
        .env("GWPOOL_ROOT", bed::root())
        .output()
        .context("the judge")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "the judge broke: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text.lines().map(str::to_owned).collect())
}

fn write(folder: &Path, number: usize, mutant: &Mutant) -> Result<()> {
    let root = bed::root().canonicalize()?;
    let source = root.join("gwpool-ebpf/src");
    let copy = folder.join(format!("mutant-{number}"));
    for entry in fs::read_dir(&source)? {
        let path = entry?.path();
        // Files of the library: what is in folders is the kernel's side, or tests.
        let Some(name) = path.file_name().filter(|_| path.is_file()) else {
            continue;
        };
        let mut text = fs::read_to_string(&path)?;
        if name == mutant.file {
            let times = text.matches(mutant.right).count();
            ensure!(
                times > 0,
                "{} no longer says {:?}",
                mutant.file,
                mutant.right
            );
            text = text.replace(mutant.right, mutant.wrong);
        }
        place(
            &copy.join("src").join(name),
            &text.replace("#[cfg(test)]\nmod tests;", ""),
        )?;
    }
    let common = root.join("gwpool-common");
    let user = root.join("gwpool-user");
    place(
        &copy.join("Cargo.toml"),
        &format!(
            "[package]\nname = \"mutant-{number}\"\nversion = \"0.0.0\"\nedition = \"2024\"\nautobins = false\n\
         [dependencies]\ngwpool-common = {{ path = {common:?} }}\n"
        ),
    )?;
    let judge = folder.join(format!("judge-{number}"));
    place(
        &judge.join("Cargo.toml"),
        &format!(
            "[package]\nname = \"judge-{number}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [dependencies]\nanyhow = \"1\"\nipnet = \"2\"\nnix = {{ version = \"0.31\", features = [\"sched\"] }}\n\
         gwpool-common = {{ path = {common:?}, features = [\"user\"] }}\ngwpool-user = {{ path = {user:?} }}\n\
         gwpool-ebpf = {{ package = \"mutant-{number}\", path = {copy:?} }}\n"
        ),
    )?;
    let mut main = String::from("#![allow(dead_code, reason = \"a part of the harness\")]\n");
    for module in [
        "bed", "case", "frames", "model", "races", "routing", "subject", "trial",
    ] {
        let path = root.join(format!("tests/harness/{module}.rs"));
        writeln!(main, "#[path = {path:?}]\nmod {module};")?;
    }
    main.push_str(
        "fn main() -> anyhow::Result<()> {\n    \
         for line in case::failures_on_host()?.into_iter().chain(races::failures()) {\n        \
         println!(\"{}\", line.lines().next().unwrap_or_default());\n    }\n    Ok(())\n}\n",
    );
    place(&judge.join("src/main.rs"), &main)
}

/// Writes only what differs, so that nothing unchanged is built again.
fn place(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().context("a path with a folder")?)?;
    fs::write(path, text).with_context(|| path.display().to_string())
}
