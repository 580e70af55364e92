//! What README shows can be typed.
#![forbid(unsafe_code)]

use super::*;
use crate::plan::{Nat, SeenAs};

const POOL: &str = "kube_gateway_pool:\n  hosts:\n    gateway-1:\n    gateway-2: {ansible_host: 192.168.1.2}\n    \
                    gateway-3: {ansible_host: 192.168.1.3}\n";
const TARGET: &str = "proxies:\n  target: {group: kube_gateway_pool}\n";

fn readme() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    fs::read_to_string(readme).unwrap()
}

#[test]
fn the_translation_in_readme_is_good() {
    let readme = readme();
    let blocks = readme.split("```\n");
    let block = blocks
        .filter(|block| block.starts_with("nat_gateway_pool:\n"))
        .last()
        .unwrap();
    let files = Files::new(&[("hosts.yml", block)]);
    let sources = files.sources(&["hosts.yml"], &[], "gateway-4");
    let loaded = load_with(&sources, &nobody).unwrap();
    let nat = loaded.plan.nat.unwrap();
    let vip = Ipv4Addr::new(10, 9, 0, 254);
    assert_eq!(nat.seen_as, SeenAs::Vips(vec![vip]));
    // But for what differs from host to host, what it says is what holds without a word.
    let usual = Nat {
        inside: nat.inside.clone(),
        outside: nat.outside.clone(),
        seen_as: nat.seen_as.clone(),
        host_ports: nat.host_ports.clone(),
        ..Nat::default()
    };
    assert_eq!(nat, usual);
}

#[test]
fn readme_has_each_key_of_translation_with_its_default() {
    let Nat {
        ports_per_host,
        timers,
        ..
    } = Nat::default();
    let names = [
        "tcp_established",
        "tcp_transitory",
        "udp",
        "udp_unreplied",
        "icmp",
        "other",
    ];
    let timers = names.into_iter().zip(timers.all());
    let mut rows: Vec<String> = timers
        .map(|(name, seconds)| format!("| `timeouts.{name}` | {seconds} |"))
        .collect();
    rows.push(format!("| `ports_per_host` | {ports_per_host} |"));
    for key in [
        "sources",
        "ports",
        "host_ports",
        "overload",
        "log",
        "filtering",
    ] {
        rows.push(format!("| `{key}` |"));
    }
    let readme = readme();
    for row in rows {
        assert!(readme.contains(&row), "{row}");
    }
}

#[test]
fn the_routes_in_readme_are_good() {
    let readme = readme();
    let blocks: Vec<&str> = readme
        .split("```\n")
        .filter(|block| block.starts_with("proxies:\n"))
        .collect();
    assert_eq!(blocks.len(), 2, "the routes and the weights");
    for block in blocks {
        let whole = match block.contains("target:") {
            true => block.to_owned(),
            false => block.replacen("proxies:\n", TARGET, 1),
        };
        let loaded = load_one(&format!("{POOL}{whole}"), &[]);
        assert!(!loaded.unwrap().plan.routes.is_empty(), "{whole}");
    }
}
