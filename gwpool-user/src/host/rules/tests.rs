//! Rules that translate inside hosts, and those that only seem to.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use serde_json::json;

fn sources() -> Vec<Ipv4Net> {
    vec!["192.168.1.0/24".parse().unwrap()]
}

fn outbound(sources: &[Ipv4Net]) -> Outbound<'_> {
    Outbound {
        inside: "box-network",
        outside: "gateway-network",
        sources,
    }
}

/// The rules of POSTROUTING, and of `SUB` if a line begins so, that translate.
fn saved(lines: &[&str]) -> Vec<String> {
    let text: String = lines.iter().map(|line| format!("-A {line}\n")).collect();
    let text = format!("*nat\n:POSTROUTING ACCEPT [0:0]\n{text}COMMIT\n");
    let removals = iptables::read(&text, "iptables", &outbound(&sources())).translating();
    let bare = removals
        .iter()
        .map(|line| line.strip_prefix("iptables -t nat -D ").unwrap());
    bare.map(str::to_owned).collect()
}

#[test]
fn a_rule_that_may_take_an_inside_hosts_packet_is_named() {
    for line in [
        "POSTROUTING -j MASQUERADE",
        "POSTROUTING -o gateway-network -j MASQUERADE",
        "POSTROUTING -o gate+ -j SNAT --to-source 10.9.0.4",
        "POSTROUTING ! -o box-network -j MASQUERADE --random-fully",
        "POSTROUTING -s 192.168.1.0/24 ! -d 192.168.0.0/16 -o gateway-network -j MASQUERADE",
        "POSTROUTING -s 192.168.1.7/32 -p tcp -m tcp --dport 80 -j MASQUERADE",
        "POSTROUTING -m comment --comment \"the way -o out\" -o gateway-network -j MASQUERADE",
    ] {
        assert_eq!(saved(&[line]), [line]);
    }
}

#[test]
fn other_peoples_rules_are_not() {
    for line in [
        "POSTROUTING -o box-network -j MASQUERADE",
        "POSTROUTING ! -o gateway-network -j MASQUERADE",
        "POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        "POSTROUTING ! -s 192.168.0.0/16 -o gateway-network -j MASQUERADE",
        "POSTROUTING -i docker0 -o gateway-network -j MASQUERADE",
        "POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
        "PREROUTING -o gateway-network -j MASQUERADE",
        "POSTROUTING -o gateway-network -j LOG",
    ] {
        assert_eq!(saved(&[line]), Vec::<String>::new(), "{line}");
    }
}

#[test]
fn what_comes_before_decides() {
    let rule = "POSTROUTING -o gateway-network -j MASQUERADE";
    let named = |before: &str| saved(&[before, rule]).len();
    assert_eq!(named("POSTROUTING -s 192.168.1.0/24 -j ACCEPT"), 0);
    assert_eq!(named("POSTROUTING -s 192.168.1.0/24 -j RETURN"), 0);
    assert_eq!(named("POSTROUTING -d 10.0.0.0/8 -j ACCEPT"), 1);
    assert_eq!(named("POSTROUTING -o docker0 -j ACCEPT"), 1);
    assert_eq!(named("POSTROUTING -m mark --mark 1 -j RETURN"), 1);
    let again = saved(&[rule, rule]);
    assert_eq!(again.len(), 1, "the second is never reached");
}

#[test]
fn chains_are_followed_as_a_packet_without_a_mark_walks_them() {
    let sub = "SUB -j MASQUERADE";
    assert_eq!(
        saved(&["POSTROUTING -o gateway-network -j SUB", sub]),
        [sub]
    );
    assert_eq!(
        saved(&["POSTROUTING -o gateway-network -g SUB", sub]),
        [sub]
    );
    assert_eq!(
        saved(&["POSTROUTING -o docker0 -j SUB", sub]),
        Vec::<String>::new()
    );
    assert_eq!(saved(&[sub]), Vec::<String>::new(), "nobody goes there");
    let kubernetes = [
        "POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING",
        "KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
        "KUBE-POSTROUTING -j MASQUERADE --random-fully",
    ];
    assert_eq!(saved(&kubernetes), Vec::<String>::new());
    let circle = ["POSTROUTING -j SUB", "SUB -j SUB", sub];
    assert_eq!(saved(&circle), [sub]);
}

/// The handles of the rules with these expressions, from 1, that translate.
fn listed(family: &str, rules: &[serde_json::Value]) -> Vec<u64> {
    let chain = json!({"chain": {"family": family, "table": "nat", "name": "post", "type": "nat",
        "hook": "postrouting"}});
    let set = json!({"set": {"family": family, "table": "nat", "name": "outside", "type": "ifname",
        "elem": ["gateway-network"]}});
    let rule = |(handle, expressions): (usize, &serde_json::Value)| {
        json!({"rule": {"family": family, "table": "nat", "chain": "post", "handle": handle + 1,
            "expr": expressions}})
    };
    let rules = rules.iter().enumerate().map(rule);
    let all: Vec<_> = [chain, set].into_iter().chain(rules).collect();
    let text = json!({ "nftables": all }).to_string();
    let tables = nftables::read(&text, &outbound(&sources())).unwrap();
    let removals = tables.iter().flat_map(Table::translating);
    let start = format!("nft delete rule {family} nat post handle ");
    removals
        .map(|removal| removal.strip_prefix(&start).unwrap().parse().unwrap())
        .collect()
}

fn meta(key: &str, op: &str, right: serde_json::Value) -> serde_json::Value {
    json!({"match": {"op": op, "left": {"meta": {"key": key}}, "right": right}})
}

fn from(op: &str, right: serde_json::Value) -> serde_json::Value {
    let left = json!({"payload": {"protocol": "ip", "field": "saddr"}});
    json!({"match": {"op": op, "left": left, "right": right}})
}

#[test]
fn nftables_rules_are_read_as_nft_prints_them() {
    let masquerade = json!({"masquerade": null});
    let inside = json!({"prefix": {"addr": "192.168.1.0", "len": 24}});
    let good = [
        json!([masquerade]),
        json!([meta("oifname", "==", json!("gateway-network")), {"counter": {"packets": 0}}, masquerade]),
        json!([meta("oif", "==", json!({"set": ["eth1", "gateway-network"]})), {"snat": {"addr": "10.9.0.4"}}]),
        json!([meta("oifname", "==", json!("gate*")), masquerade]),
        json!([meta("oifname", "==", json!("@outside")), masquerade]),
        json!([from("==", json!({"set": [inside, "10.0.0.1"]})), masquerade]),
        json!([meta("iifname", "!=", json!("docker0")), {"xt": {"type": "target", "name": "MASQUERADE"}}]),
    ];
    for rule in &good {
        assert_eq!(listed("ip", std::slice::from_ref(rule)), [1], "{rule}");
        assert_eq!(listed("inet", std::slice::from_ref(rule)), [1], "{rule}");
    }
    let docker = json!({"prefix": {"addr": "172.17.0.0", "len": 16}});
    let other = [
        json!([meta("oifname", "!=", json!("@outside")), masquerade]),
        json!([
            from("==", docker),
            meta("oifname", "!=", json!("docker0")),
            masquerade
        ]),
        json!([from("!=", inside.clone()), masquerade]),
        json!([meta("mark", "==", json!(16384)), masquerade]),
        json!([{"xt": {"type": "match", "name": "mark"}}, masquerade]),
        json!([meta("nfproto", "==", json!("ipv6")), masquerade]),
        json!([{"vmap": {}}, masquerade]),
        json!([{"counter": null}]),
    ];
    for rule in &other {
        assert_eq!(
            listed("ip", std::slice::from_ref(rule)),
            Vec::<u64>::new(),
            "{rule}"
        );
    }
    let accept = json!([from("==", inside), {"accept": null}]);
    assert_eq!(
        listed("ip", &[accept, json!([masquerade])]),
        Vec::<u64>::new()
    );
    let some = json!([meta("l4proto", "==", json!("tcp")), masquerade]);
    assert_eq!(listed("ip", &[some, json!([masquerade])]), [1, 2]);
}

#[test]
fn what_nft_does_not_print_is_not_read() {
    assert!(nftables::read("table ip nat {", &outbound(&[])).is_none());
    assert_eq!(
        listed("ip6", &[json!([{"masquerade": null}])]),
        Vec::<u64>::new()
    );
}
