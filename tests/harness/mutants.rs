//! Tests of the tests: the pipeline with one thing wrong, and whether the golden cases and races notice.
//!
//! Each mutant is a copy of `gwpool-ebpf` with one text replaced, and a judge: a program that runs the harness's own
//! cases over it. All of them are one workspace under `target/mutants`, built in one go.

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

const fn mutant(
    name: &'static str,
    file: &'static str,
    right: &'static str,
    wrong: &'static str,
) -> Mutant {
    Mutant {
        name,
        file,
        right,
        wrong,
    }
}

/// All that are tried; the first changes nothing, and nobody may object to it.
pub const ALL: [Mutant; 41] = [
    mutant(
        "nothing",
        "lib.rs",
        "found.settle(world);",
        "found.settle(world);",
    ),
    mutant(
        "checksum off by one",
        "checksum.rs",
        "!fold(!check as u32 + delta as u32)",
        "!fold(!check as u32 + delta as u32 + 1)",
    ),
    mutant(
        "ttl kept",
        "family.rs",
        "header.ttl.wrapping_sub(1)",
        "header.ttl.wrapping_sub(0)",
    ),
    mutant(
        "undo left out",
        "proof.rs",
        "if inserted {",
        "if inserted && false {",
    ),
    mutant(
        "undo of a new flow left out",
        "snat.rs",
        "world.forget(&backend_key);\n            refusal",
        "refusal",
    ),
    mutant(
        "everybody's turn is the first",
        "schedule.rs",
        "_ => world.turn(listening.route)",
        "_ => world.turn(listening.route) & 0",
    ),
    mutant("any ack is proof", "proof.rs", "== other.proof", ">= 1"),
    mutant(
        "own source accepted",
        "classify.rs",
        "from.flags & Address::OWN != 0",
        "from.flags & Address::OWN > 1",
    ),
    mutant(
        "peers are clients",
        "classify.rs",
        "ends.0 & Ends::FROM_PEER != 0 && route",
        "ends.0 & Ends::FROM_PEER > 1 && route",
    ),
    mutant(
        "udp without a sum gets one",
        "checksum.rs",
        "if optional && check == 0",
        "if optional && check == 1",
    ),
    mutant(
        "a refusal leaves the embryo",
        "flow.rs",
        "parsed.flags & tcp::RST != 0",
        "parsed.flags & tcp::RST > 4",
    ),
    mutant(
        "one idle half ends the flow",
        "lifetime.rs",
        "idle < limit || age",
        "idle < limit && age",
    ),
    mutant(
        "the answer's sum is not turned back",
        "pair.rs",
        "checksum::negate(rewrite.port_delta)",
        "rewrite.port_delta",
    ),
    mutant(
        "ephemeral ports are taken",
        "ports.rs",
        "let usable = self.keeps_port\n",
        "let usable = true\n",
    ),
    mutant(
        "an error's sum forgets the quote's",
        "icmp.rs",
        "checksum::add(ports, inner)",
        "ports",
    ),
    mutant(
        "fragments of one number are one packet",
        "fragment.rs",
        "source: network.source,\n        destination: network.destination,\n        id: network.id",
        "source: network.destination,\n        destination: network.destination,\n        id: network.id",
    ),
    mutant(
        "later fragments get ports",
        "rewrite.rs",
        "parsed.part == Part::Later",
        "parsed.part == Part::Later && parsed.ttl == 0",
    ),
    mutant(
        "a refusal is the client's",
        "redispatch.rs",
        "if !allowed::<F, W>(world, &embryo) {",
        "if true {",
    ),
    mutant(
        "the failed backend gets it again",
        "schedule.rs",
        "if id == self.failed ||",
        "if id == 0 ||",
    ),
    mutant(
        "the walk through the ports stands still",
        "ports.rs",
        "self.place = place + self.stride",
        "self.place = place",
    ),
    mutant(
        "one answer more than a tick has",
        "answer.rs",
        "answers.spent >= limit",
        "answers.spent > limit",
    ),
    mutant(
        "a reset acknowledges no octets",
        "answer.rs",
        "sequence.wrapping_add(octets)",
        "sequence",
    ),
    mutant(
        "a reset is answered",
        "answer.rs",
        "segment.flags & tcp::RST == 0",
        "segment.flags & tcp::RST < 8",
    ),
    mutant(
        "an answer's sum leaves out the quote",
        "answer.rs",
        "checksum::fold(head + quoted)",
        "checksum::fold(head + quoted * 0)",
    ),
    mutant(
        "nobody is denied",
        "admission.rs",
        "world.access(&client, !denies_rest as u32) == 0",
        "world.access(&client, !denies_rest as u32) > 1",
    ),
    mutant(
        "a share is one too many",
        "admission.rs",
        "source.flows() >= settings.flows_per_source",
        "source.flows() > settings.flows_per_source",
    ),
    mutant(
        "a closed flow still loads its backend",
        "lifetime.rs",
        "if closed(flow.flags | marks, other.flags) &&",
        "if false && closed(flow.flags | marks, other.flags) &&",
    ),
    mutant(
        "a preserved answer is none of ours",
        "classify.rs",
        "Settings::PRESERVES != 0",
        "Settings::PRESERVES > 1",
    ),
    mutant(
        "box sources from anywhere",
        "classify.rs",
        "(interface == world.interface()) == here",
        "(interface != world.interface()) == here",
    ),
    mutant(
        "a mapping depends on the other end",
        "mapping.rs",
        "port: key.source_port",
        "port: key.destination_port",
    ),
    mutant(
        "anybody answers a mapping",
        "mapping.rs",
        "_ => false",
        "_ => true",
    ),
    mutant(
        "classes of ports are one",
        "pool.rs",
        "(_, true) => (0, PRIVILEGED as u32 / BITS)",
        "(_, true) => (PRIVILEGED as u32 / BITS, PORT_WORDS)",
    ),
    mutant(
        "what leaks, leaks",
        "guard.rs",
        "=> Reason::LeakPrevented",
        "=> reason",
    ),
    mutant(
        "icmp's sum follows addresses",
        "rewrite.rs",
        "if protocol == ICMP {\n            0",
        "if protocol == 0 {\n            0",
    ),
    mutant(
        "a flow picked up is never proved",
        "proof.rs",
        "PICKED_UP != 0",
        "PICKED_UP > 128",
    ),
    mutant(
        "a half alone is in its own way",
        "nat.rs",
        " && !snat::stands::<F, W>(world, &back, key)",
        "",
    ),
    mutant(
        "a half alone is another's",
        "snat.rs",
        "if stands::<F, W>(world, key, &backend_key)",
        "if false",
    ),
    mutant(
        "a stranger is translated",
        "nat.rs",
        "if opening.ends.is_stranger()",
        "if false",
    ),
    mutant(
        "a router loses its name",
        "icmp.rs",
        "if flow.rewrite.source == quote.network.destination",
        "if false",
    ),
    mutant(
        "denied hosts leave",
        "nat.rs",
        "if flags & Nat::<F::Address>::GUARDED != 0",
        "if false && flags & Nat::<F::Address>::GUARDED != 0",
    ),
    mutant(
        "this host's ports are nobody's",
        "guard.rs",
        "_ => key.protocol != TCP || opens(parsed.flags)",
        "_ => false",
    ),
];

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
