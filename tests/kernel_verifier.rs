//! Every program loads, and what the verifier walked for it is a snapshot: `tests/verifier.snapshot`, one line a
//! program and kernel release. `GWPOOL_BLESS=1` writes it anew; a reader of the diff judges the growth.

use gwpool_harness::kernel;
use gwpool_user::datapath::Datapath;
use gwpool_user::datapath::loader::{PROGRAMS, SOCKET_PROGRAMS};
use gwpool_user::plan::Limits;
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn every_program_loads_within_its_count() {
    let release = nix::sys::utsname::uname()
        .expect("uname")
        .release()
        .to_string_lossy()
        .into_owned();
    let kernel = release.split('.').take(2).collect::<Vec<_>>().join(".");
    let mut found = BTreeMap::new();
    for (host, mappings) in [("translating", 64), ("forwarding", 0)] {
        for (program, count) in counts(mappings) {
            found.insert(format!("{kernel} {host} {program}"), count);
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("verifier.snapshot");
    if std::env::var_os("GWPOOL_BLESS").is_some() {
        bless(&path, &kernel, &found);
    }
    let text = std::fs::read_to_string(&path).expect("the snapshot");
    let known: BTreeMap<&str, u32> = text.lines().filter_map(entry).collect();
    for (program, count) in &found {
        match known.get(program.as_str()) {
            // Another compiler orders branches differently; half as much again is another program.
            Some(snapshot) => assert!(
                *count <= snapshot + snapshot / 2,
                "{program}: {count}, the snapshot says {snapshot}: look at it, then GWPOOL_BLESS=1"
            ),
            None => println!("{program}: no snapshot for this kernel; GWPOOL_BLESS=1 takes one"),
        }
    }
}

/// Verified instructions by program, as a host with so many mappings loads them.
fn counts(mappings: u32) -> Vec<(&'static str, u32)> {
    let object = kernel::object().expect("the object");
    let limits = Limits {
        flows: 64,
        embryonic: 64,
        routes: 16,
        backends: 64,
        mappings,
        ..Limits::default()
    };
    let datapath = Datapath::load(&object, &limits).expect("every program loads");
    let count = |name| {
        let program = datapath.program(name).expect("a program");
        let info = program.info().expect("its info");
        let count = info.verified_instruction_count();
        let count = count.expect("the kernel counts (5.16)");
        println!(
            "{mappings} mappings, {name}: {count} instructions verified, {} bytes of machine code",
            info.size_jitted()
        );
        (name, count)
    };
    let sockets = SOCKET_PROGRAMS.into_iter().filter(|_| mappings > 0);
    PROGRAMS.into_iter().chain(sockets).map(count).collect()
}

fn entry(line: &str) -> Option<(&str, u32)> {
    let (name, count) = line.rsplit_once(' ')?;
    Some((name, count.parse().ok()?))
}

fn bless(path: &Path, kernel: &str, found: &BTreeMap<String, u32>) {
    let old = std::fs::read_to_string(path).unwrap_or_default();
    let others = old
        .lines()
        .filter(|line| !line.starts_with(&format!("{kernel} ")))
        .map(str::to_owned);
    let ours = found.iter().map(|(name, count)| format!("{name} {count}"));
    let mut lines: Vec<String> = others.chain(ours).collect();
    lines.sort();
    std::fs::write(path, lines.join("\n") + "\n").expect("writing the snapshot");
}
