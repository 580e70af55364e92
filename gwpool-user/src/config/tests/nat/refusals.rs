//! Words of translation that are refused, and where the finger points.
#![forbid(unsafe_code)]

use super::*;

/// Words of `gwpool.nat`, and the one error they make.
const WRONG: [(&str, &str); 21] = [
    (
        "adress: 10.9.0.7",
        "-e[1]:1:17: wanted a key of `gwpool.nat`, found `adress`; did you mean `address`?",
    ),
    (
        "address: [10.9.0.7]",
        "-e[1]:1:26: wanted an IPv4 address of a host, found a list",
    ),
    (
        "address: 10.9.0.7/24",
        "wanted an IPv4 address of a host, found \"10.9.0.7/24\"; leave the prefix length out",
    ),
    (
        "address: 10.9.0.7, addresses: [10.9.0.8]",
        "`addresses` says as what inside hosts are seen, like `address` (-e[1]:1:26); change one",
    ),
    ("addresses: []", "wanted a list of addresses, found"),
    (
        "addresses: [10.9.0.7, 10.9.0.7]",
        "wanted each address once, found 10.9.0.7 again (first at -e[1]:1:29); remove one",
    ),
    (
        "addresses: [10.9.0.1, 10.9.0.2, 10.9.0.3, 10.9.0.4, 10.9.0.5, 10.9.0.6, 10.9.0.7, 10.9.0.8, 10.9.0.9]",
        "wanted at most 8 NAT addresses, found 9",
    ),
    (
        "ports: 0-9",
        "wanted a port from 1 to 65535, or a range as 8000-8010",
    ),
    ("ports: 9-1", "a range goes upwards"),
    ("ports: []", "wanted ports to give out, found"),
    (
        "ports: 80-81, host_ports: [80, 81-90]",
        "-e[1]:1:43: wanted a port to give out, found all of them among `host_ports`",
    ),
    (
        "ports_per_host: 0",
        "wanted ports_per_host from 1 to 196608, found `0`",
    ),
    ("overload: perhaps", "wanted `true` or `false`"),
    (
        "filtering: adp",
        "wanted filtering: ei, ad, apd, found \"adp\"; did you mean `ad`?",
    ),
    (
        "filtering: {icmp: ei}",
        "wanted a key of `gwpool.nat.filtering`, found `icmp`",
    ),
    (
        "timeouts: {udp: 0}",
        "wanted seconds, or a number with us, ms, s, m, h or d, of at most 12h, found `0`; here every flow ends",
    ),
    ("timeouts: {udp: 43201}", "of at most 12h, found `43201`"),
    (
        "timeouts: {upd: 300}",
        "wanted a key of `gwpool.nat.timeouts`, found `upd`; did you mean `udp`?",
    ),
    ("sources: [10.0.0.0/33]", "wanted an IPv4 prefix"),
    ("allow: []", "wanted at least one prefix to allow"),
    (
        "sources: [10.0.0.0/8], address: 10.9.0.7",
        "-e[1]:1:27: wanted inside prefixes without an outside address, found 10.0.0.0/8, which holds the NAT address \
             10.9.0.7",
    ),
];

#[test]
fn what_is_wrong_is_refused_where_it_stands() {
    for (words, wanted) in WRONG {
        let errors = with(words).expect_err(words);
        assert!(
            errors.len() == 1 && errors[0].contains(wanted),
            "{words}: {errors:#?}"
        );
    }
    assert_eq!(nat("timeouts: {udp: 43200}").timers.udp_s, 43_200);
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let errors = with(
        "ports: [0, 7, 70000], log: 7, timeouts: {udp: x, tpc: 7}, filtering: {tcp: x, udp: y}",
    );
    assert_eq!(errors.unwrap_err().len(), 7);
}

#[test]
fn one_side_needs_the_other_and_they_are_two() {
    let errors = |lines: &str, gwpool: &str| {
        let text = format!("pool:\n  vars: {{{lines}}}\n  hosts: {{gateway-1: }}\n");
        load_one(&text, &[&format!("{{gwpool: {{{gwpool}}}}}")])
            .err()
            .unwrap_or_default()
    };
    let both = "input_interface: box-network, output_interface: gateway-network";
    assert_eq!(errors(both, ""), Vec::<String>::new());
    for lone in [
        "input_interface: box-network",
        "output_interface: gateway-network",
    ] {
        let errors = errors(lone, "");
        let wanted = "wanted `output_interface` and `input_interface` together";
        assert!(errors[0].contains(wanted), "{errors:#?}");
    }
    let same = errors(
        "input_interface: box-network, output_interface: box-network",
        "",
    );
    assert_eq!(
        same,
        [
            "hosts.yml:2:58: `output_interface` is `box-network`, like `input_interface` (hosts.yml:2:27); change one"
        ]
    );
    let mapped = errors(
        both,
        "interfaces: {box-network: eth1, gateway-network: eth1}",
    );
    assert!(
        mapped.len() == 1 && mapped[0].contains("on two interfaces, found `eth1` for both"),
        "{mapped:#?}"
    );
}

#[test]
fn vips_that_are_wrong_are_refused() {
    let cases = [
        (
            "{gateway-network: {virtual_router_id: 6}}",
            "wanted `vip`, an address, or a list of them",
        ),
        (
            "{gateway-network: {vpi: 10.9.0.254}}",
            "did you mean `vip`?",
        ),
        (
            "{gateway-network: {vip: 10.9.0}}",
            "wanted an IPv4 address of a host, or one as 10.9.0.254/24",
        ),
        (
            "{gateway-network: {vip: 127.0.0.1/8}}",
            "wanted an IPv4 address of a host",
        ),
        ("[1]", "wanted `vips`, a map of networks"),
    ];
    for (vips, wanted) in cases {
        let errors = load_one(&pool(&[&format!("vips: {vips}")]), &[]).unwrap_err();
        assert!(
            errors.iter().any(|error| error.contains(wanted)),
            "{vips}: {errors:#?}"
        );
    }
    let keepalived = "vips: {gateway-network: {virtual_router_id: 6, vip: 10.9.0.254, version: 3, advert_int: 1, \
                      garp_master_delay: 5, track_interface: [x], authentication: {auth_type: PASS}}}";
    let loaded = load_one(&pool(&[keepalived]), &[]).unwrap();
    assert_eq!(said(&loaded, "VRRP").len(), 1);
    let elsewhere = load_one(&pool(&["vips: {box-netwrok: {vip: 192.168.1.254}}"]), &[]).unwrap();
    assert!(
        said(&elsewhere, "which this node does not use")[0].contains("did you mean `box-network`?")
    );
}

#[test]
fn sources_and_lists_are_counted_with_the_others() {
    let many: Vec<String> = (1..=8).map(|net| format!("10.{net}.0.0/16")).collect();
    let errors = with(&format!("sources: [{}]", many.join(", "))).unwrap_err();
    assert!(
        errors[0].contains("wanted at most 8 inner networks and `gwpool.nat.sources`, found 9"),
        "{errors:#?}"
    );
    assert!(with(&format!("sources: [{}]", many[1..].join(", "))).is_ok());
    let few = "{gwpool: {limits: {access: 2}, nat: {deny: [10.0.0.1, 10.0.0.2, 10.0.0.3]}}}";
    let errors = load_one(&pool(&[]), &[few]).unwrap_err();
    assert!(
        errors[0].contains("wanted at most 2 prefixes in `allow` and `deny`, found 3"),
        "{errors:#?}"
    );
}
