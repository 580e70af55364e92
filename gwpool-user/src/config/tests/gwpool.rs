//! `gwpool`: sizes to their edges, undeclared ports, and what is noted on a node that forwards.
#![forbid(unsafe_code)]

use super::*;
use crate::plan::{Limits, Undeclared};

/// The good route beside a `gwpool`.
fn with(gwpool: &str) -> Result<Loaded, Vec<String>> {
    let text = with_route(&[
        "address: '*'",
        "port: 30080",
        "destination: {hosts: [gateway-1]}",
    ]);
    load_one(&text, &[&format!("{{gwpool: {{{gwpool}}}}}")])
}

fn limits(given: &str) -> Limits {
    with(&format!("limits: {{{given}}}")).unwrap().plan.limits
}

/// A limit's key, its least, its most, and where it is in the plan.
type Edges = (&'static str, u32, u32, fn(Limits) -> u32);

#[test]
fn each_limit_has_its_edges() {
    const FLOWS: u32 = 1 << 26;
    let cases: [Edges; 12] = [
        ("flows", 16, FLOWS, |limits| limits.flows),
        ("embryonic", 16, FLOWS, |limits| limits.embryonic),
        ("routes", 1, 1 << 20, |limits| limits.routes),
        ("backends", 1, (1 << 24) - 1, |limits| limits.backends),
        ("listeners", 1, 1 << 22, |limits| limits.listeners),
        ("access", 1, 1 << 20, |limits| limits.access),
        ("sources", 16, 1 << 24, |limits| limits.sources),
        ("flows_per_source", 1, 262_144, |limits| {
            limits.flows_per_source
        }),
        ("new_flows_per_source", 1, FLOWS, |limits| {
            limits.new_flows_per_source
        }),
        ("udp_flows", 1, 262_144, |limits| limits.udp_flows),
        ("answers_per_second", 1, 1 << 20, |limits| {
            limits.answers_per_second
        }),
        ("fragments", 16, 1 << 20, |limits| limits.fragments),
    ];
    for (key, least, most, read) in cases {
        for edge in [least, most] {
            assert_eq!(read(limits(&format!("{key}: {edge}"))), edge, "{key}");
        }
        for beyond in [i64::from(least) - 1, i64::from(most) + 1, 1 << 32, -1] {
            let errors = with(&format!("limits: {{{key}: {beyond}}}")).unwrap_err();
            let place = errors[0].starts_with("-e[1]:1:") && errors[0].contains(key);
            assert!(errors.len() == 1 && place, "{key}: {beyond}: {errors:#?}");
        }
    }
    let errors = with("limits: {flow: 1}").unwrap_err();
    assert!(errors[0].contains("did you mean `flows`?"), "{errors:#?}");
}

#[test]
fn some_limits_follow_from_others() {
    // What is for translation is tried where something is translated.
    assert_eq!(limits(""), Limits::default().without_mappings());
    let some = limits("flows: 1000, routes: 10000");
    assert_eq!(
        (some.flows_per_source, some.udp_flows, some.listeners),
        (250, 500, 10_000)
    );
    let given = limits("udp_flows: 100, flows_per_source: 16, flows: 100, listeners: 5, routes: 9");
    assert_eq!(
        (given.flows_per_source, given.udp_flows, given.listeners),
        (16, 100, 5)
    );
    let errors = with("limits: {flows: 100, udp_flows: 101}").unwrap_err();
    assert!(
        errors.len() == 1 && errors[0].contains("wanted udp_flows from 1 to 100, found `101`"),
        "{errors:#?}"
    );
    let errors = with("limits: {flows: 1, udp_flows: 1000000}").unwrap_err();
    assert_eq!(
        errors.len(),
        1,
        "not measured by flows that are wrong: {errors:#?}"
    );
}

#[test]
fn listeners_and_prefixes_are_counted() {
    let text = |port: &str, more: &str| {
        with_route(&[
            "address: [10.0.0.8, 10.0.0.9]",
            &format!("port: {port}"),
            "destination: {group: {name: kube}}",
            more,
        ])
    };
    let errors = |text: &str, limits: &str| {
        let extra = format!("{{gwpool: {{limits: {{{limits}}}}}}}");
        load_one(text, &[&extra]).err().unwrap_or_default()
    };
    let range = text("8000-8010", "enabled: true");
    assert_eq!(errors(&range, "listeners: 22"), Vec::<String>::new());
    let said = "hosts.yml:3:5: wanted at most 21 listen addresses, times their ports, over all routes, found 22; raise \
                `gwpool.limits.listeners`";
    assert_eq!(errors(&range, "listeners: 21"), [said]);
    let access = text("80", "allow: [10.0.0.0/8, 192.0.2.1]") + "      deny: 10.1.0.0/16\n";
    assert_eq!(errors(&access, "access: 3"), Vec::<String>::new());
    let said = "hosts.yml:3:5: wanted at most 2 prefixes in `allow` and `deny`, found 3; raise \
                `gwpool.limits.access`";
    assert_eq!(errors(&access, "access: 2"), [said]);
}

#[test]
fn undeclared_ports_pass_unless_they_are_rejected() {
    let undeclared = |gwpool: &str| with(gwpool).unwrap().plan.undeclared.unwrap();
    let usual = Undeclared {
        port: 30_000,
        ports: 2_768,
        network: "gateway-network".to_owned(),
        reject: false,
    };
    assert_eq!(undeclared(""), usual);
    assert_eq!(undeclared("undeclared: {}"), usual);
    let rejected = undeclared("undeclared: {action: reject}");
    assert_eq!(
        rejected,
        Undeclared {
            reject: true,
            ..usual.clone()
        }
    );
    let given = undeclared("undeclared: {ports: 1-65535, network: box-network, action: pass}");
    let expected = Undeclared {
        port: 1,
        ports: 65_535,
        network: "box-network".to_owned(),
        ..usual
    };
    assert_eq!(given, expected);
}

#[test]
fn undeclared_words_that_are_wrong_are_refused() {
    let cases = [
        (
            "ports: 0-9",
            "-e[1]:1:31: wanted a port from 1 to 65535, or a range as 8000-8010",
        ),
        (
            "action: drop",
            "wanted action: pass, reject, found \"drop\"",
        ),
        (
            "network: gatewaynetwork",
            "-e[1]:1:33: wanted the network `gatewaynetwork` among those this node serves, found none; did you mean \
             `gateway-network`?",
        ),
        (
            "port: 1",
            "wanted a key of `gwpool.undeclared`, found `port`; did you mean `ports`?",
        ),
    ];
    for (words, said) in cases {
        let errors = with(&format!("undeclared: {{{words}}}")).unwrap_err();
        assert!(errors.len() == 1 && errors[0].contains(said), "{errors:#?}");
    }
    let errors = with("undeclared: pass").unwrap_err();
    assert!(errors[0].contains("`gwpool.undeclared`, a map of `ports`, `network`, `action`"));
}

/// The note on undeclared ports of routes with these ports, each as `PORTS/PROTOCOL`.
fn note(ports: &[&str], gwpool: &str) -> String {
    let route = |(number, port): (usize, &&str)| {
        let (port, mode) = port.split_once('/').unwrap();
        format!(
            "    r{number}: {{address: '*', mode: {mode}, port: {port}, destination: {{hosts: [gateway-1], port: 1}}}}\n"
        )
    };
    let routes: String = ports.iter().enumerate().map(route).collect();
    let text = format!(
        "kube: {{hosts: {{gateway-1: }}}}\nproxies:\n  target: {{group: kube}}\n  routes:\n{routes}"
    );
    let notes = load_one(&text, &[&format!("{{gwpool: {{{gwpool}}}}}")])
        .unwrap()
        .notes;
    let said: Vec<String> = notes
        .iter()
        .filter(|note| note.text.starts_with("new connections by"))
        .map(ToString::to_string)
        .collect();
    assert_eq!(said.len(), 1, "{notes:#?}");
    said[0].clone()
}

#[test]
fn the_note_counts_what_is_declared() {
    let said = note(
        &[
            "30080/tcp",
            "29999-30001/tcp",
            "30081/http",
            "30080/udp",
            "80/tcp",
        ],
        "",
    );
    assert!(
        said.ends_with(
            "hosts.yml:3:19: new connections by `gateway-network` to ports 30000-32767 that no route declares pass to \
             the local stack (`gwpool: {undeclared: {action: reject}}` refuses them); declared: 5 \
             (30000-30001/tcp, 30080-30081/tcp, 30080/udp)"
        ),
        "{said}"
    );
    let said = note(&["80/tcp"], "undeclared: {action: reject}");
    assert!(
        said.ends_with("-e[1]:1:23: new connections by `gateway-network` to ports 30000-32767 that no route declares are rejected; declared: none"),
        "{said}"
    );
    let many: Vec<String> = (0..20).map(|n| format!("{}/tcp", 30_000 + 2 * n)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let said = note(&many, "");
    assert!(
        said.contains("declared: 20 (") && said.ends_with("30030/tcp, …)"),
        "{said}"
    );
    let said = note(
        &["64990-65535/tcp", "65535/udp"],
        "undeclared: {ports: 65000-65535}",
    );
    assert!(
        said.ends_with("declared: 537 (65000-65535/tcp, 65535/udp)"),
        "{said}"
    );
}

#[test]
fn only_a_node_that_forwards_has_undeclared_ports_and_local_clients() {
    let text = with_route(&[
        "address: '*'",
        "port: 80",
        "destination: {group: {name: kube}}",
    ]) + "nat: {vars: {output_interface: gateway-network, input_interface: box-network}, hosts: {gateway-9: }}\n";
    let files = Files::new(&[("hosts.yml", &text)]);
    let of = |node: &str| load_with(&files.sources(&["hosts.yml"], &[], node), &nobody).unwrap();
    let said = |loaded: &Loaded, word: &str| {
        loaded
            .notes
            .iter()
            .filter(|note| note.text.contains(word))
            .count()
    };
    let (nat, kube) = (of("gateway-9"), of("gateway-1"));
    assert_eq!(nat.plan.undeclared, None);
    assert!(kube.plan.undeclared.is_some());
    for word in [
        "no route declares",
        "its pods to a listen address are not balanced",
    ] {
        assert_eq!((said(&nat, word), said(&kube, word)), (0, 1), "{word}");
    }
}
