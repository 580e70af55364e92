//! Translation from files to plan: where its address comes from, every key of `gwpool.nat`, and what is refused.
#![forbid(unsafe_code)]

use super::*;
use crate::plan::{Access, Filtering, Nat, NatTimers, SeenAs};
use ipnet::Ipv4Net;

mod refusals;

/// A group of one NAT gateway, with these lines among its variables.
fn pool(lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    format!(
        "pool:\n  vars:\n    output_interface: gateway-network\n    input_interface: box-network\n{lines}  hosts:\n    \
         gateway-1:\n"
    )
}

/// The pool with this `gwpool.nat`.
fn with(nat: &str) -> Result<Loaded, Vec<String>> {
    load_one(&pool(&[]), &[&format!("{{gwpool: {{nat: {{{nat}}}}}}}")])
}

fn nat(words: &str) -> Nat {
    let loaded = with(words).unwrap_or_else(|errors| panic!("{words}: {errors:#?}"));
    loaded.plan.nat.unwrap()
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, last)
}

fn nets(nets: &[&str]) -> Vec<Ipv4Net> {
    nets.iter().map(|net| net.parse().unwrap()).collect()
}

/// Notes with this word in them.
fn said(loaded: &Loaded, word: &str) -> Vec<String> {
    let notes = loaded.notes.iter().map(ToString::to_string);
    notes.filter(|note| note.contains(word)).collect()
}

#[test]
fn without_a_word_everything_has_its_default() {
    let expected = Nat {
        inside: "box-network".to_owned(),
        outside: "gateway-network".to_owned(),
        ..Nat::default()
    };
    assert_eq!(nat(""), expected);
    assert_eq!(load_one(&pool(&[]), &[]).unwrap().plan.nat, Some(expected));
    let Nat {
        ports,
        ports_per_host,
        tcp_filtering,
        udp_filtering,
        ..
    } = nat("");
    assert_eq!((ports, ports_per_host), (vec![1..=65_535], 32_256));
    assert_eq!(
        (tcp_filtering, udp_filtering),
        (Filtering::ByFlow, Filtering::ByAddress)
    );
}

#[test]
fn each_key_is_read() {
    let given = nat(
        "sources: [10.1.0.0/16, 10.2.0.1], addresses: [10.9.0.7, 10.9.0.8], ports: [1024-40000, 50000], \
         host_ports: [3000, 9090-9100], ports_per_host: 100, overload: true, log: yes, filtering: {udp: ei}, \
         timeouts: {tcp_established: 8000, tcp_transitory: 5m, udp: 301s, udp_unreplied: 121, icmp: 61000ms, other: 1}, \
         allow: 192.168.1.0/24, deny: [192.168.1.7]",
    );
    let expected = Nat {
        inside: "box-network".to_owned(),
        outside: "gateway-network".to_owned(),
        sources: nets(&["10.1.0.0/16", "10.2.0.1/32"]),
        seen_as: SeenAs::Given(vec![address(7), address(8)]),
        ports: vec![1024..=40_000, 50_000..=50_000],
        host_ports: vec![3000..=3000, 9090..=9100],
        ports_per_host: 100,
        overload: true,
        log: true,
        tcp_filtering: Filtering::ByFlow,
        udp_filtering: Filtering::None,
        timers: NatTimers {
            tcp_established_s: 8000,
            tcp_transitory_s: 300,
            udp_s: 301,
            udp_unreplied_s: 121,
            icmp_s: 61,
            other_s: 1,
        },
        access: Access {
            allow: nets(&["192.168.1.0/24"]),
            deny: nets(&["192.168.1.7/32"]),
        },
    };
    assert_eq!(given, expected);
}

#[test]
fn one_stands_for_a_list_of_one_and_one_word_for_both_protocols() {
    let given = nat("address: 10.9.0.7, ports: 1024-65535, host_ports: 3000, sources: 10.1.0.0/16");
    assert_eq!(given.seen_as, SeenAs::Given(vec![address(7)]));
    assert_eq!(
        (given.ports, given.host_ports, given.sources),
        (
            vec![1024..=65_535],
            vec![3000..=3000],
            nets(&["10.1.0.0/16"])
        )
    );
    for (word, filtering) in [
        ("ei", Filtering::None),
        ("ad", Filtering::ByAddress),
        ("apd", Filtering::ByFlow),
    ] {
        let given = nat(&format!("filtering: {word}"));
        assert_eq!(
            (given.tcp_filtering, given.udp_filtering),
            (filtering, filtering)
        );
    }
}

#[test]
fn the_groups_vip_outside_is_the_nat_address() {
    let seen_as = |vips: &str, nat: &str| {
        let text = pool(&[&format!("vips: {{{vips}}}")]);
        let loaded = load_one(&text, &[&format!("{{gwpool: {{nat: {{{nat}}}}}}}")]).unwrap();
        let vips = loaded.plan.networks.iter();
        let vips: Vec<usize> = vips.map(|network| network.vips.len()).collect();
        (
            loaded.plan.nat.clone().unwrap().seen_as,
            vips,
            said(&loaded, "changes nothing").len(),
            said(&loaded, "end at a failover").len(),
        )
    };
    let inside = "box-network: {virtual_router_id: 5, vip: 192.168.1.254}";
    let outside =
        |vip: &str| format!("{inside}, gateway-network: {{virtual_router_id: 6, vip: {vip}}}");
    let vip = |last: u8| SeenAs::Vips(vec![address(last)]);
    assert_eq!(
        seen_as(&outside("10.9.0.254"), ""),
        (vip(254), vec![1, 1], 0, 0)
    );
    assert_eq!(
        seen_as(&outside("10.9.0.254/24"), "address: 10.9.0.7"),
        (vip(254), vec![1, 1], 1, 0)
    );
    let two = SeenAs::Vips(vec![address(253), address(254)]);
    assert_eq!(
        seen_as(&outside("[10.9.0.253, 10.9.0.254/32]"), ""),
        (two, vec![1, 2], 0, 0)
    );
    let given = SeenAs::Given(vec![address(7)]);
    assert_eq!(
        seen_as(inside, "address: 10.9.0.7"),
        (given, vec![1, 0], 0, 0)
    );
    assert_eq!(seen_as(inside, ""), (SeenAs::Interface, vec![1, 0], 0, 1));
}

#[test]
fn an_address_that_does_not_move_is_warned_of_with_the_lines_that_mend_it() {
    let loaded = with("").unwrap();
    let warning = &said(&loaded, "end at a failover")[0];
    for words in [
        "hosts.yml:3:23: ",
        "`gateway-network`",
        "`vips: {gateway-network: …}`",
        "`virtual_router_id: NUMBER` and `vip: ADDRESS`",
    ] {
        assert!(warning.contains(words), "{warning}");
    }
    assert!(table(&loaded).contains(&format!("warning: {warning}")));
}

#[test]
fn timers_shorter_than_the_rfcs_ask_for_are_warned_of() {
    let warnings = |words: &str| said(&with(&format!("timeouts: {{{words}}}")).unwrap(), "RFC");
    let short = "tcp_established: 7439, tcp_transitory: 239, udp: 119, udp_unreplied: 119, icmp: 59, other: 1";
    let said = warnings(short);
    assert_eq!(said.len(), 5, "{said:#?}");
    assert_eq!(
        said[0],
        "-e[1]:1:45: `gwpool.nat.timeouts.tcp_established` is 7439 s, less than the 7440 s that RFC 5382 REQ-5 asks for"
    );
    let enough =
        "tcp_established: 7440, tcp_transitory: 240, udp: 120, udp_unreplied: 120, icmp: 60";
    assert_eq!(warnings(enough), Vec::<String>::new());
}

#[test]
fn tables_of_translation_are_for_hosts_that_translate() {
    let sizes = |loaded: &Loaded| {
        let limits = loaded.plan.limits;
        ["MAPPINGS", "PERMISSIONS", "SUBSCRIBERS"].map(|map| limits.entries(map).unwrap())
    };
    assert_eq!(sizes(&with("").unwrap()), [262_144, 131_072, 65_536]);
    let given = "{gwpool: {limits: {mappings: 1, permissions: 16, subscribers: 17}}}";
    assert_eq!(sizes(&load_one(&pool(&[]), &[given]).unwrap()), [2, 16, 17]);
    let kube = load_one(
        &with_route(&[
            "address: '*'",
            "port: 80",
            "destination: {group: {name: kube}}",
        ]),
        &["{gwpool: {nat: {log: true}}}"],
    );
    let kube = kube.unwrap();
    assert_eq!(sizes(&kube), [1, 1, 1]);
    assert_eq!(said(&kube, "`gwpool.nat` changes nothing here").len(), 1);
}

#[test]
fn a_host_may_forward_and_translate() {
    let text = with_route(&[
        "address: 10.9.0.254",
        "port: 3000",
        "destination: {hosts: [gateway-1], port: 3000, network: box-network}",
    ]) + "nat:\n  vars: {output_interface: gateway-network, input_interface: box-network}\n  hosts: {gateway-1: }\n";
    let plan = load_one(&text, &[]).unwrap().plan;
    assert_eq!((plan.routes.len(), plan.networks.len()), (1, 2));
    assert!(plan.nat.is_some() && plan.limits.mappings > 0);
}

#[test]
fn the_table_shows_what_is_translated() {
    let shown = table(
        &with("sources: 10.1.0.0/16, address: 10.9.0.7, ports: 1024-65535, host_ports: 3000, timeouts: {icmp: 90}")
            .unwrap(),
    );
    for part in [
        "inside",
        "box-network",
        "10.1.0.0/16",
        "10.9.0.7",
        "1024-65535",
        "tcp apd, udp ad",
        "host ports 3000",
        "icmp 90 s",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    assert!(!shown.contains("no routes"), "{shown}");
}
