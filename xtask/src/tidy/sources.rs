//! The rules for one file: sizes, its opening words, where `unsafe` may be, what a pure module may not name.

use super::scan::{Scan, functions, scan, words};
use super::{Finding, Page};

/// Lines of a .rs file; its tests are a file of their own.
const FILE_LINES: usize = 400;
/// Lines of a function: one screen.
const FUNCTION_LINES: usize = 60;

/// Names that say nothing.
const FORBIDDEN_NAMES: &[&str] = &[
    "util", "utils", "helper", "helpers", "misc", "type", "types", "manager", "handler", "handlers",
];

/// Where `unsafe` may be: raw pointers into packets and maps, the claim that the contract's types are plain bytes,
/// one system call, memory that is shared with the programs; and the benchmark's own programs, which are nothing else.
const UNSAFE_PLACES: &[&str] = &[
    "tests/floors/src/",
    "gwpool-ebpf/src/kernel/",
    "gwpool-ebpf/src/packet.rs",
    "gwpool-common/src/pod.rs",
    "gwpool-user/src/datapath/batch.rs",
    "gwpool-user/src/datapath/mapped.rs",
    "gwpool-user/src/datapath/sets.rs",
    "gwpool-user/src/host/namespace.rs",
];

/// What a pure module may not name: other worlds, clocks, sockets.
const IMPURE: &[&str] = &[
    "tokio",
    "aya",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
];

/// Places of the machine it was written on. In pieces, or this file would name them.
const WORKPLACE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!(".lib", "rary"),
];

/// All that is wrong with this file by itself.
pub fn check(page: &Page) -> Vec<Finding> {
    let mut findings = Findings {
        page,
        list: Vec::new(),
    };
    findings.workplace();
    if page.path.ends_with(".rs") {
        let scan = scan(&page.text);
        findings.sizes(&scan);
        findings.opening();
        findings.lines(&scan);
        if is_pure(&page.path) {
            findings.purity(&scan);
        }
    }
    findings.list
}

struct Findings<'a> {
    page: &'a Page,
    list: Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, line: usize, message: impl Into<String>) {
        self.list.push(Finding::new(&self.page.path, line, message));
    }

    fn workplace(&mut self) {
        for (index, line) in self.page.text.lines().enumerate() {
            if let Some(place) = WORKPLACE.iter().find(|place| line.contains(**place)) {
                self.add(
                    index + 1,
                    format!("names `{place}`, a place of one machine"),
                );
            }
        }
    }

    fn sizes(&mut self, scan: &Scan) {
        let lines = self.page.text.lines().count();
        if lines > FILE_LINES {
            self.add(
                FILE_LINES,
                format!("the file has {lines} lines, at most {FILE_LINES}"),
            );
        }
        for function in functions(scan) {
            if function.lines > FUNCTION_LINES {
                let (name, lines) = (function.name, function.lines);
                self.add(
                    function.line,
                    format!("`{name}` has {lines} lines, at most {FUNCTION_LINES}"),
                );
            }
        }
    }

    fn opening(&mut self) {
        if !self.page.text.starts_with("//! ") {
            self.add(
                1,
                "opens without `//!`: what walks through here, what it promises, what is not here",
            );
        }
        let parts = self
            .page
            .path
            .split('/')
            .map(|part| part.trim_end_matches(".rs"));
        if let Some(name) = parts
            .into_iter()
            .find(|part| FORBIDDEN_NAMES.contains(part))
        {
            self.add(
                1,
                format!("`{name}` names nothing: call it after a stage or a noun"),
            );
        }
    }

    fn lines(&mut self, scan: &Scan) {
        let path = self.page.path.as_str();
        let unsafe_is_fine = UNSAFE_PLACES.iter().any(|place| path.starts_with(place));
        // What the linker must see of a program has an attribute that says unsafe and does nothing.
        let attribute_is_fine = path.starts_with("gwpool-ebpf/src/");
        for (index, (code, comment)) in scan.code.iter().zip(&scan.comments).enumerate() {
            let line = index + 1;
            let attribute = attribute_is_fine && code.trim_start().starts_with("#[unsafe(");
            if words(code).any(|word| word == "unsafe") && !unsafe_is_fine && !attribute {
                self.add(line, "`unsafe` outside of the places that tidy names");
            }
            if code.contains("#[allow(") || code.contains("#![allow(") {
                self.add(line, "`allow`: say `#[expect(lint, reason = \"…\")]`");
            }
            if let Some(word) = words(comment).find(|word| ["TODO", "FIXME", "XXX"].contains(word))
            {
                self.add(line, format!("`{word}`: do it, or write an issue"));
            }
        }
    }

    fn purity(&mut self, scan: &Scan) {
        let is_test = self.page.path.ends_with("tests.rs") || self.page.path.contains("/tests/");
        if !is_test
            && !scan
                .code
                .iter()
                .any(|code| code.contains("#![forbid(unsafe_code)]"))
        {
            self.add(1, "a pure module says #![forbid(unsafe_code)]");
        }
        for (index, code) in scan.code.iter().enumerate() {
            let named = words(code).find(|word| IMPURE.contains(word));
            let clock = ["Instant::now", "SystemTime::now"]
                .into_iter()
                .find(|clock| code.contains(clock));
            if let Some(named) = named.or(clock) {
                self.add(
                    index + 1,
                    format!("`{named}` in a pure module: time and I/O come as arguments"),
                );
            }
        }
    }
}

/// Machines, the plan and the configuration are pure: data in, data out.
fn is_pure(path: &str) -> bool {
    let within = |folder: &str| path.starts_with("gwpool-user/src/") && path.contains(folder);
    within("/machine.rs") || within("/machine/") || within("/plan/") || within("/config/")
}

#[cfg(test)]
mod tests;
