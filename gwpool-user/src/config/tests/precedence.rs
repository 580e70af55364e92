//! Which definition of a variable is valid, seen through the port of a route.
#![forbid(unsafe_code)]

use super::*;

/// The port that wins.
fn port(files: &[(&str, &str)], inventories: &[&str], extra: &[&str]) -> u16 {
    let files = Files::new(files);
    let sources = files.sources(inventories, extra, "gateway-1");
    match load_with(&sources, &nobody) {
        Ok(loaded) => loaded.plan.routes[0].port,
        Err(report) => panic!("{report}"),
    }
}

const ROUTE: &str = "
proxies:
  target: {group: kube}
  routes: {web: {address: '*', port: '{{ p }}', destination: {hosts: [gateway-1]}}}
";
const GROUPS: &str = "
all: {vars: {p: 1}, children: {outer: {vars: {p: 2}, children: {kube: {vars: {p: 3}, hosts: {gateway-1: {p: 4}}}}}}}
";

#[test]
fn inner_beats_outer_and_extra_beats_all() {
    let cases: [(u16, &str, &[&str]); 7] = [
        (1, "kube: {hosts: {gateway-1: }}\np: 1", &[]),
        (1, "all: {vars: {p: 1}}\nkube: {hosts: {gateway-1: }}", &[]),
        (
            2,
            "all: {vars: {p: 1}}\nkube: {vars: {p: 2}, hosts: {gateway-1: }}",
            &[],
        ),
        (
            3,
            "outer: {vars: {p: 2}, children: {kube: {vars: {p: 3}, hosts: {gateway-1: }}}}",
            &[],
        ),
        (4, GROUPS, &[]),
        (5, GROUPS, &["{p: 5}"]),
        (6, GROUPS, &["{p: 5}", "{\"p\": 6}"]),
    ];
    for (expected, text, extra) in cases {
        let text = format!("{text}\n{ROUTE}");
        assert_eq!(
            port(&[("h.yml", &text)], &["h.yml"], extra),
            expected,
            "{text}"
        );
    }
}

#[test]
fn groups_at_one_depth_go_by_priority_then_name() {
    let text = format!(
        "b: {{vars: {{p: 2}}, hosts: {{gateway-1: }}}}\nkube: {{vars: {{p: 3}}, hosts: {{gateway-1: }}}}\n{ROUTE}"
    );
    assert_eq!(port(&[("h.yml", &text)], &["h.yml"], &[]), 3);
    let text = text.replace("{p: 2}", "{p: 2, ansible_group_priority: 10}");
    assert_eq!(port(&[("h.yml", &text)], &["h.yml"], &[]), 2);
}

#[test]
fn files_beside_the_inventory_beat_what_is_in_it() {
    let text = format!("{GROUPS}{ROUTE}");
    let mut files = vec![("h.yml", text.as_str())];
    let steps = [
        // Host variables in the inventory beat every group file.
        ("group_vars/all.yml", "p: 11", 4),
        ("group_vars/kube/ports.yaml", "p: 13", 4),
        ("host_vars/gateway-1.json", "{\"p\": 14}", 14),
    ];
    for (name, content, expected) in steps {
        files.push((name, content));
        assert_eq!(port(&files, &["h.yml"], &[]), expected, "{name}");
    }
    let text = text.replace("{p: 4}", "");
    files[0].1 = &text;
    assert_eq!(
        port(&files[..2], &["h.yml"], &[]),
        11,
        "as in Ansible: group_vars/all beats groups in the inventory"
    );
    assert_eq!(port(&files[..3], &["h.yml"], &[]), 13);
}

#[test]
fn a_later_inventory_overrides_and_adds() {
    let first = format!("kube: {{hosts: {{gateway-1: {{p: 1, q: 7}}}}}}\n{ROUTE}");
    let files = [
        ("a.yml", first.as_str()),
        ("b.yml", "kube: {hosts: {gateway-1: {p: '{{ q }}'}}}"),
    ];
    assert_eq!(port(&files, &["a.yml", "b.yml"], &[]), 7);
    let files = [
        ("both/a.yml", first.as_str()),
        ("both/b.yml", files[1].1),
        ("both/notes.ini", "[no]"),
    ];
    assert_eq!(port(&files, &["both"], &[]), 7, "a directory is its files");
}

#[test]
fn a_dict_of_ours_that_loses_keys_is_an_error_naming_both() {
    let text = format!(
        "gwpool: {{datapath: tc, interfaces: {{box-network: eth1}}}}\nkube: {{hosts: {{gateway-1: }}}}\np: 1\n{ROUTE}"
    );
    let lines = load_one(&text, &["{gwpool: {datapath: native}}"]).unwrap_err();
    let expected = "-e[1]:1:2: `gwpool` replaces the one at hosts.yml:1:1, as in Ansible, and loses `interfaces`; repeat \
                    them here";
    assert_eq!(lines, [expected]);
}

#[test]
fn a_network_that_loses_keys_is_an_error_only_for_who_needs_it() {
    let files = Files::new(&[
        (
            "a.yml",
            &format!(
                "kube: {{hosts: {{gateway-1: , gateway-2: {{box-network: {{priority: 1, address: 10.0.0.2}}}}}}}}\np: 1\n{ROUTE}"
            ),
        ),
        (
            "b.yml",
            "kube: {hosts: {gateway-2: {box-network: {address: 10.0.0.3}}}}",
        ),
    ]);
    let report = load_with(
        &files.sources(&["a.yml", "b.yml"], &[], "gateway-1"),
        &nobody,
    )
    .unwrap_err();
    let line = files.lines(&report).remove(0);
    assert!(
        line.starts_with("b.yml:1:28: `box-network` replaces the one at a.yml:1:"),
        "{line}"
    );
    assert!(line.contains("loses `priority`"), "{line}");
}

#[test]
fn host_ranges_stand_for_their_hosts() {
    let text = format!(
        "kube: {{hosts: {{'gateway-[1:3]': {{box-network: {{address: '10.0.0.{{{{ inventory_hostname[-1:] }}}}'}}}}}}}}\np: 1\n{}",
        ROUTE.replace("hosts: [gateway-1]", "group: {name: kube}")
    );
    let plan = load_one(&text, &[]).unwrap().plan;
    let names: Vec<_> = plan.routes[0]
        .backends
        .iter()
        .map(|b| (b.name.as_str(), b.address.map(|a| a.octets()[3])))
        .collect();
    assert_eq!(
        names,
        [
            ("gateway-1", None),
            ("gateway-2", Some(2)),
            ("gateway-3", Some(3))
        ]
    );
}
