//! The whole way, files to plan, on the seed and on small inventories written for the purpose.
//!
//! [`Files`] is a folder of its own that goes away again; messages are compared without its path.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

mod gwpool;
mod nat;
mod ports;
mod precedence;
mod readme;
mod refusals;
mod routes;
mod seed;
mod weights;

use super::*;
use crate::plan::Route;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files of one test.
struct Files(PathBuf);

impl Files {
    fn new(files: &[(&str, &str)]) -> Files {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("gwpool-config-{}-{number}", std::process::id()));
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Files(folder)
    }

    /// `-i` and `-e` by their names; `-e` texts may begin with `@NAME`.
    fn sources(&self, inventories: &[&str], extra: &[&str], node: &str) -> Sources {
        let extra = extra.iter().map(|option| match option.strip_prefix('@') {
            Some(name) => format!("@{}", self.0.join(name).display()),
            None => (*option).to_owned(),
        });
        Sources {
            inventories: inventories.iter().map(|name| self.0.join(name)).collect(),
            extra: extra.collect(),
            node: Some(node.to_owned()),
        }
    }

    /// A report without the folder's path, one error a line.
    fn lines(&self, report: &Report) -> Vec<String> {
        let folder = format!("{}/", self.0.display());
        report
            .to_string()
            .replace(&folder, "")
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // A folder left behind harms no other test.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A resolver that knows nobody.
fn nobody(_: &str) -> Result<Vec<Ipv4Addr>, String> {
    Err("no such name".to_owned())
}

/// Loads `hosts.yml`, given with `-i`, and `-e` texts, for `gateway-1`.
fn load_one(text: &str, extra: &[&str]) -> Result<Loaded, Vec<String>> {
    let files = Files::new(&[("hosts.yml", text)]);
    let sources = files.sources(&["hosts.yml"], extra, "gateway-1");
    load_with(&sources, &nobody).map_err(|report| files.lines(&report))
}

/// An inventory of two gateways with the lines of one route `web`, indented by four.
fn with_route(lines: &[&str]) -> String {
    let route: String = lines.iter().map(|line| format!("      {line}\n")).collect();
    format!(
        "kube:\n  hosts:\n    gateway-1:\n    gateway-2: {{ansible_host: 10.0.0.2}}\nproxies:\n  target: {{group: kube}}\n  \
         routes:\n    web:\n{route}"
    )
}

/// The route `web` to gateway-1, which is this node, and gateway-2, which is at 10.0.0.2; with these lines,
/// some of them instead of the good ones; a line that ends in GONE only takes one away.
fn load_route(lines: &[&str]) -> Result<Loaded, Vec<String>> {
    let good = [
        "address: '*'",
        "port: 80",
        "destination: {group: {name: kube}}",
    ];
    let kept = good.iter().filter(|line| {
        let key = line.split(':').next().unwrap();
        lines.iter().all(|other| !other.starts_with(key))
    });
    let all: Vec<&str> = kept
        .chain(lines)
        .copied()
        .filter(|line| !line.ends_with("GONE"))
        .collect();
    load_one(&with_route(&all), &[])
}

/// The route `web`, with these lines.
fn route(lines: &[&str]) -> Route {
    match load_route(lines) {
        Ok(loaded) => loaded.plan.routes[0].clone(),
        Err(errors) => panic!("{lines:?}: {errors:#?}"),
    }
}

/// Lines that make one error, which holds these words.
fn refuse(cases: &[(&[&str], &str)]) {
    for (lines, words) in cases {
        let errors = load_route(lines).expect_err(&format!("{lines:?}"));
        assert!(
            errors.len() == 1 && errors[0].contains(words),
            "{lines:?}: {errors:#?}"
        );
    }
}
