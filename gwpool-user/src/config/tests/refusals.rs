//! What is refused, in which words, and where the finger points.
#![forbid(unsafe_code)]

use super::*;

const GOOD: [&str; 3] = [
    "address: '*'",
    "port: 80",
    "destination: {group: {name: kube}}",
];

/// The errors of the route `web` with some lines instead of, or beside, the good ones.
fn route_errors(lines: &[&str]) -> Vec<String> {
    load_route(lines).err().unwrap_or_default()
}

#[test]
fn the_good_route_is_good() {
    assert_eq!(route_errors(&[]), Vec::<String>::new());
    let fine = [
        "mode: udp",
        "balance: roundrobin",
        "source: nat",
        "enabled: no",
        "options: [httplog]",
    ];
    assert_eq!(route_errors(&fine), Vec::<String>::new());
}

/// A line of a route, and the one error it makes.
const WRONG: [(&str, &str); 23] = [
    (
        "port: 0",
        "wanted a port from 1 to 65535, or a range as 8000-8010, found `0`",
    ),
    (
        "port: 65536",
        "wanted a port from 1 to 65535, or a range as 8000-8010, found `65536`",
    ),
    (
        "port: http",
        "wanted a port from 1 to 65535, or a range as 8000-8010, found \"http\"",
    ),
    (
        "port: {{ p }}",
        "wanted a plain key, found a map; a template stands in quotes: \"{{ … }}\"",
    ),
    (
        "port: GONE",
        "wanted `port`, the port it listens on, found nothing; add it",
    ),
    (
        "mode: htpp",
        "wanted mode: http, tcp, udp, found \"htpp\"; did you mean `http`?",
    ),
    ("balance: roundrobbin", "did you mean `roundrobin`?"),
    ("check: {type: tcp}", "`check` is known, but not served yet"),
    (
        "prot: 80",
        "wanted a key of the route `web`, found `prot`; did you mean `port`?",
    ),
    (
        "enabled: maybe",
        "wanted `true` or `false`, found \"maybe\"",
    ),
    (
        "address: 10.0.0.1/24",
        "found \"10.0.0.1/24\"; leave the prefix length out",
    ),
    (
        "address: 127.0.0.1",
        "wanted an IPv4 address of a host, found \"127.0.0.1\"",
    ),
    (
        "address: '2001:db8::1'",
        "`2001:db8::1 (IPv6)` is known, but not served yet",
    ),
    ("address: []", "wanted at least one address, found a list"),
    (
        "destination: kube",
        "wanted `destination`, a map of `group`, `hosts`, `addresses`, `port`, `network`",
    ),
    (
        "destination: {port: 1}",
        "wanted one of group, hosts, addresses, found none",
    ),
    (
        "destination: {hosts: [gateway-1], addresses: [10.0.0.9]}",
        "found hosts and addresses",
    ),
    (
        "destination: {hosts: [gatway-2]}",
        "wanted the host `gatway-2`, found none; did you mean `gateway-2`?",
    ),
    (
        "destination: {group: {name: cube}}",
        "wanted the group `cube`, found none; did you mean `kube`?",
    ),
    (
        "destination: {group: {name: proxies}}",
        "holds no `hosts`: it is a variable",
    ),
    (
        "destination: {group: {name: kube, port: 1}, port: 2}",
        "wanted one destination port (2 at ",
    ),
    (
        "destination: {addresses: [10.0.0.9, 10.0.0.9]}",
        "the backend `10.0.0.9` of `web` is at 10.0.0.9, like `10.0.0.9`",
    ),
    (
        "destination: {group: {name: kube}, network: a-very-long-network}",
        "wanted an interface name of at most 15 bytes",
    ),
];

#[test]
fn each_wrong_value_has_its_words() {
    for (line, words) in WRONG {
        let errors = route_errors(&[line]);
        assert_eq!(errors.len(), 1, "{line}: {errors:#?}");
        assert!(
            errors[0].starts_with("hosts.yml:") && errors[0].contains(words),
            "{line}: {errors:#?}"
        );
    }
}

#[test]
fn the_place_is_that_of_the_value_and_its_origin() {
    let text = with_route(&[
        "address: '*'",
        "port: '{{ app.web.port }}'",
        "destination: {hosts: [gateway-1]}",
    ]);
    let text = format!("{text}app:\n  web: {{port: 99999}}\n");
    let errors = load_one(&text, &[]).unwrap_err();
    assert_eq!(
        errors,
        [
            "hosts.yml:10:13: wanted a port from 1 to 65535, or a range as 8000-8010, found `99999` (from hosts.yml:13:15)"
        ]
    );
}

#[test]
fn several_errors_are_told_at_once() {
    let errors = route_errors(&[
        "port: 0",
        "mode: x",
        "prot: 1",
        "check: {}",
        "address: '{{ nope }}'",
    ]);
    assert_eq!(errors.len(), 5, "{errors:#?}");
    let files = Files::new(&[("a.yml", "a: [1\n"), ("b.yml", "b: 1\nb: 2\nc: 1\nc: 2\n")]);
    let report = load_with(
        &files.sources(&["a.yml", "b.yml", "c.yml"], &["d=1"], "x"),
        &nobody,
    )
    .unwrap_err();
    let lines = files.lines(&report);
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert_eq!(
        lines[1],
        "b.yml:2:1: wanted each key once, found `b` again (first at b.yml:1:1); remove one"
    );
}

#[test]
fn undefined_variables_name_the_nearest() {
    let cases = [
        (
            "app.web.prt",
            "wanted the variable `app.web.prt` (`app.web` is at hosts.yml:13:3), found none; did you mean `port`?",
        ),
        (
            "ap.web.port",
            "wanted the variable `ap.web.port`, found none; did you mean `app`?",
        ),
        (
            "app.web-x.port",
            "wanted the variable `app.web-x.port` (`app` is at hosts.yml:12:1), found none; did you mean `web`?",
        ),
        (
            "app.web.nope | int",
            "the template `{{ app.web.nope | int }}` fails: undefined value",
        ),
    ];
    for (path, words) in cases {
        let text = with_route(&[
            "address: '*'",
            &format!("port: '{{{{ {path} }}}}'"),
            GOOD[2],
        ]);
        let errors = load_one(&format!("{text}app:\n  web:\n    port: 80\n"), &[]).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert!(
            errors[0].starts_with("hosts.yml:10:13: ") && errors[0].contains(words),
            "{errors:#?}"
        );
    }
}

#[test]
fn two_routes_do_not_share_a_listener() {
    let route = |name: &str, rest: &str| {
        format!("    {name}: {{destination: {{hosts: [gateway-1]}}, port: 80, {rest}}}\n")
    };
    let base = with_route(&GOOD);
    let errors = |rest: &str| {
        load_one(&(base.clone() + &route("other", rest)), &[])
            .err()
            .unwrap_or_default()
    };
    let clash = errors("address: '*'");
    let expected = "hosts.yml:12:67: the route `other` listens on *:80/tcp, like `web` (hosts.yml:9:16); change one";
    assert_eq!(clash, [expected]);
    assert_eq!(errors("address: '*', mode: udp"), Vec::<String>::new());
    assert_eq!(
        errors("address: 10.0.0.9"),
        Vec::<String>::new(),
        "an address beside `*`"
    );
    assert_eq!(errors("address: [10.0.0.9, 10.0.0.9]").len(), 1);
}

#[test]
fn unreachable_hosts_name_the_source() {
    let base = |vars: &str| with_route(&GOOD).replace("{ansible_host: 10.0.0.2}", vars);
    let files = |vars: &str| Files::new(&[("hosts.yml", &base(vars))]);
    let asked = |vars: &str, answer: Ipv4Addr| {
        let files = files(vars);
        let loaded = load_with(&files.sources(&["hosts.yml"], &[], "gateway-1"), &|_| {
            Ok(vec![answer])
        });
        loaded.map_err(|report| files.lines(&report).join("\n"))
    };
    let loopback = Ipv4Addr::new(127, 0, 1, 1);
    let named = asked("", loopback).unwrap_err();
    assert!(
        named.starts_with("hosts.yml:4:5: ")
            && named.contains("127.0.1.1 (the name `gateway-2`, resolved here)"),
        "{named}"
    );
    let hosted = asked("{ansible_host: gw2.example}", loopback).unwrap_err();
    assert!(
        hosted.contains("127.0.1.1 (`ansible_host` `gw2.example`, resolved here)"),
        "{hosted}"
    );
    let written = asked("{ansible_host: 127.0.0.1}", Ipv4Addr::new(10, 0, 0, 9)).unwrap_err();
    assert!(written.contains("127.0.0.1 (`ansible_host`)"), "{written}");
    let good = asked("", Ipv4Addr::new(10, 0, 0, 9)).unwrap();
    assert_eq!(good.plan.peers[0].address, Ipv4Addr::new(10, 0, 0, 9));
}

#[test]
fn two_hosts_at_one_address_are_refused() {
    let text = with_route(&GOOD).replace(
        "gateway-1:",
        "gateway-1: {box-network: {address: 10.0.0.2}}",
    );
    let errors = load_one(&text, &[]).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(
        errors[0].contains("`gateway-2` of `web` is at 10.0.0.2, like `gateway-1`"),
        "{errors:#?}"
    );
}

#[test]
fn limits_name_their_key() {
    let errors = load_one(&with_route(&GOOD), &["{gwpool: {limits: {backends: 1}}}"]).unwrap_err();
    assert!(
        errors[0].contains(
            "at most 1 backends over all routes, found 2; raise `gwpool.limits.backends`"
        ),
        "{errors:#?}"
    );
    let wrong = [
        "{gwpool: {limits: {flows: 0}}}",
        "{gwpool: {limits: {flow: 1}}}",
        "{gwpool: {datpath: tc}}",
        "{gwpool: 1}",
    ];
    for extra in wrong {
        assert_eq!(
            load_one(&with_route(&GOOD), &[extra]).unwrap_err().len(),
            1,
            "{extra}"
        );
    }
    let later = load_one(&with_route(&GOOD), &["{gwpool: {metrics: {listen: x}}}"]).unwrap();
    assert!(later.notes.iter().any(|note| {
        note.text
            .contains("`gwpool.metrics` is known, but not served yet")
    }));
}

#[test]
fn a_node_with_nothing_to_do_is_an_error() {
    let text = with_route(&GOOD) + "others: {hosts: {gateway-9: }}\n";
    let files = Files::new(&[("hosts.yml", &text)]);
    let report = load_with(&files.sources(&["hosts.yml"], &[], "gateway-9"), &nobody).unwrap_err();
    assert!(
        report
            .to_string()
            .contains("it is not in `kube` (`proxies.target.group`)"),
        "{report}"
    );
}

#[test]
fn vault_is_refused_only_where_it_is_needed() {
    let secret = "secret: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n";
    assert!(load_one(&(with_route(&GOOD) + secret), &[]).is_ok());
    let text = with_route(&["address: '*'", "port: '{{ secret }}'", GOOD[2]]) + secret;
    let errors = load_one(&text, &[]).unwrap_err();
    let words = "found a value under the tag `!vault` (from hosts.yml:12:9); gwpool has no vault key: give it in clear";
    assert!(
        errors.len() == 1 && errors[0].contains(words),
        "{errors:#?}"
    );
}

#[test]
fn groups_are_checked() {
    let cases = [
        (
            "kube: {host: {a: }, vars: {}}",
            "1:8: wanted a key of the group `kube`, found `host`; did you mean `hosts`?",
        ),
        (
            "kube: {hosts: [a, b]}",
            "1:15: wanted `hosts` of `kube` as a map, found a list; end each name with a colon",
        ),
        (
            "a: {children: {b: {children: {a: }}}}",
            "wanted groups without a circle, found `a` inside itself",
        ),
        (
            "a: {children: {all: }}",
            "1:16: wanted a group to be inside, found `all`; every group is in it already",
        ),
        (
            "kube: {hosts: {'x[3:1]': }}",
            "1:16: wanted a host name, found `x[3:1]`; a range goes upwards, at most 4096 hosts",
        ),
        (
            "[web]\n",
            "wanted a map of groups, found a list; inventories are YAML here",
        ),
    ];
    for (text, words) in cases {
        let errors = load_one(text, &[]).unwrap_err();
        assert!(errors[0].contains(words), "{text}: {errors:#?}");
    }
    let empty = with_route(&[
        "address: '*'",
        "port: 80",
        "destination: {group: {name: none}}",
    ]) + "none: {hosts: }\n";
    let errors = load_one(&empty, &[]).unwrap_err();
    assert!(
        errors[0].contains("wanted a host in the group `none`, found none; the group is empty"),
        "{errors:#?}"
    );
}
