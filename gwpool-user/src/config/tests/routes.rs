//! What the words of a route come to, one by one, to the edges; and what is refused.
#![forbid(unsafe_code)]

use super::*;
use crate::plan::Balance;
use gwpool_common::limits::{CONNECT_S, REDISPATCHES, TIMER_MAX_S};

#[test]
fn balance_has_haproxys_names() {
    let cases = [
        ("roundrobin", Balance::Turns),
        ("static-rr", Balance::Turns),
        ("leastconn", Balance::LeastConn),
        ("source", Balance::Source),
        ("random", Balance::Random),
        ("random(2)", Balance::Random),
    ];
    for (word, expected) in cases {
        assert_eq!(route(&[&format!("balance: {word}")]).balance, expected);
    }
    assert_eq!(route(&[]).balance, Balance::Turns);
    let words =
        "hosts.yml:12:16: wanted balance: roundrobin, static-rr, leastconn, source, random, found ";
    refuse(&[
        (&["balance: 2"], words),
        (&["balance: least"], words),
        (&["balance: roundrobbin"], "did you mean `roundrobin`?"),
        (
            &["balance: random(3)"],
            "two are drawn, always: `random` or `random(2)`",
        ),
        (
            &["balance: first"],
            "there is no `maxconn` that `first` could fill up",
        ),
        (
            &["balance: hdr(host)"],
            "`hdr` reads requests, and gwpool sees connections",
        ),
        (&["balance: uri depth 2"], "`uri` reads requests"),
    ]);
}

#[test]
fn a_pool_that_preserves_the_source_onto_itself_is_a_loop() {
    let loops = |lines: &[&str]| {
        let lines: Vec<&str> = lines.iter().copied().chain(["source: preserve"]).collect();
        load_route(&lines).err().unwrap_or_default()
    };
    let expected = "hosts.yml:12:15: `source: preserve` of the route `web` sends what comes to port 80 to port 80 of \
                    `gateway-1`, `gateway-2`, where the route listens, too: a loop; give another destination port, or \
                    `source: nat`";
    assert_eq!(loops(&[]), [expected]);
    let to = |port: &str| format!("destination: {{group: {{name: kube}}, port: {port}}}");
    assert!(loops(&[&to("81")]).is_empty());
    let range = ["port: 8000-8010", "address: '*'"];
    let with = |destination: &str| loops(&[range[0], range[1], destination]).len();
    assert_eq!(with(&to("8005")), 1, "all onto one of the route's own");
    assert_eq!(with(&to("8010-8020")), 1, "one of them");
    assert_eq!(with(&to("8011-8021")), 0);
    let elsewhere = "destination: {addresses: [10.0.0.8]}";
    assert!(loops(&[elsewhere]).is_empty(), "no gateway");
    assert_eq!(loops(&["destination: {addresses: [10.0.0.2]}"]).len(), 1);
    assert_eq!(loops(&["address: 10.0.0.2"]).len(), 1, "gateway-2's own");
    assert!(loops(&["address: 203.0.113.9"]).is_empty(), "nobody's");
    assert!(route(&[&to("81"), "source: preserve"]).preserve);
    assert!(!route(&["source: nat"]).preserve && !route(&[]).preserve);
    refuse(&[(
        &["source: keep"],
        "wanted source: nat, preserve, found \"keep\"",
    )]);
}

#[test]
fn allow_and_deny_are_prefixes_or_addresses() {
    let access = route(&[
        "allow: [10.0.0.0/8, 192.0.2.1, 10.0.0.0/8]",
        "deny: 10.1.0.0/16",
    ])
    .access;
    let written = |prefixes: &[ipnet::Ipv4Net]| -> Vec<String> {
        prefixes.iter().map(ToString::to_string).collect()
    };
    assert_eq!(written(&access.allow), ["10.0.0.0/8", "192.0.2.1/32"]);
    assert_eq!(written(&access.deny), ["10.1.0.0/16"]);
    assert_eq!(route(&["deny: []"]).access, Default::default());
    assert_eq!(
        written(&route(&["deny: 0.0.0.0/0"]).access.deny),
        ["0.0.0.0/0"]
    );
    let loaded = load_route(&["allow: 10.1.2.3/8"]).unwrap();
    assert_eq!(written(&loaded.plan.routes[0].access.allow), ["10.0.0.0/8"]);
    let said = |note: &Note| note.text == "`10.1.2.3/8` is read as 10.0.0.0/8";
    assert!(loaded.notes.iter().any(said), "{:#?}", loaded.notes);
}

#[test]
fn prefixes_that_are_none_or_in_both_lists_are_refused() {
    refuse(&[
        (
            &["allow: [10.0.0.0/8, 10.2.0.0/16]", "deny: [10.2.0.1/16]"],
            "hosts.yml:13:14: wanted each prefix in `allow` or in `deny`, found 10.2.0.0/16 in both (allowed at \
             hosts.yml:12:27); remove one",
        ),
        (
            &["deny: ['2001:db8::/32']"],
            "hosts.yml:12:14: `2001:db8::/32 (IPv6)` is known, but not served yet",
        ),
        (
            &["allow: '2001:db8::1'"],
            "`2001:db8::1 (IPv6)` is known, but not served yet",
        ),
        (
            &["allow: []"],
            "wanted at least one prefix to allow, found a list",
        ),
        (
            &["allow:"],
            "wanted at least one prefix to allow, found nothing",
        ),
        (
            &["allow: 10.0.0.0/33"],
            "wanted an IPv4 prefix as 10.0.0.0/8, or an address, found",
        ),
        (
            &["deny: office"],
            "wanted an IPv4 prefix as 10.0.0.0/8, or an address, found \"office\"",
        ),
        (
            &["deny: [[10.0.0.0/8]]"],
            "wanted an IPv4 prefix as 10.0.0.0/8, or an address, found a list",
        ),
    ]);
}

#[test]
fn durations_are_haproxys_rounded_up_to_seconds() {
    let cases = [
        ("1", 1),
        ("1000", 1),
        ("1001", 2),
        ("'1500'", 2),
        ("1us", 1),
        ("999ms", 1),
        ("1000001us", 2),
        ("30s", 30),
        ("5m", 300),
        ("2h", 7_200),
        ("12h", TIMER_MAX_S),
        ("43200000", TIMER_MAX_S),
        ("43199001ms", TIMER_MAX_S),
    ];
    for (written, expected) in cases {
        let timeout = route(&[&format!(
            "timeout: {{connect: {written}, tunnel: {written}}}"
        )])
        .timeout;
        assert_eq!(
            (timeout.connect_s, timeout.idle_s),
            (expected, Some(expected))
        );
    }
    let idle = |written: &str| route(&[&format!("timeout: {{{written}}}")]).timeout.idle_s;
    assert_eq!(idle("client: 10s"), Some(10));
    assert_eq!(idle("client: 10s, server: 20s"), Some(20));
    assert_eq!(idle("client: 30s, server: 20s"), Some(30));
    assert_eq!(idle("client: 30s, server: 20s, tunnel: 5s"), Some(5));
    assert_eq!(idle("connect: 5s"), None);
    assert_eq!(
        route(&["timeout: {tunnel: 5s}"]).timeout.connect_s,
        CONNECT_S
    );
    assert_eq!(route(&[]).timeout, Default::default());
}

#[test]
fn durations_that_are_none_or_too_long_are_refused() {
    let wanted = "hosts.yml:12:25: wanted milliseconds, or a number with us, ms, s, m, h or d, of at most 12h, found";
    for wrong in [
        "12h1",
        "43200001",
        "1d",
        "1.5s",
        "-1",
        "5 s",
        "5S",
        "s",
        "1e3",
        "99999999999999999999d",
        "18446744073709551615d",
        "[1]",
    ] {
        refuse(&[(&[&format!("timeout: {{client: {wrong}}}")], wanted)]);
    }
    refuse(&[
        (
            &["timeout: {tunnel: 0}"],
            "here every flow ends, so leave it out",
        ),
        (&["timeout: {conect: 1s}"], "did you mean `connect`?"),
        (
            &["timeout: 5s"],
            "wanted `timeout`, a map of `connect`, `client`, `server`, `tunnel`, found \"5s\"",
        ),
    ]);
}

#[test]
fn redispatch_is_on_until_it_is_switched_off() {
    let cases: [(&[&str], u8); 8] = [
        (&[], REDISPATCHES),
        (&["options: redispatch"], REDISPATCHES),
        (&["options: [no redispatch]"], 0),
        (&["options: [httplog, no redispatch]", "retries: 9"], 0),
        (&["retries: 0"], 0),
        (&["retries: 1"], 1),
        (&["retries: 255"], 255),
        (&["options: [redispatch]", "retries: 7"], 7),
    ];
    for (lines, expected) in cases {
        assert_eq!(route(lines).redispatches, expected, "{lines:?}");
    }
    refuse(&[
        (
            &["retries: 256"],
            "hosts.yml:12:16: wanted retries from 0 to 255, found `256`",
        ),
        (&["retries: -1"], "wanted retries from 0 to 255"),
        (
            &["options: [redispatch, no redispatch]"],
            "hosts.yml:12:29: wanted one of `redispatch` and `no redispatch`, as `redispatch` at hosts.yml:12:17, found \
             both; remove one",
        ),
    ]);
    let notes = load_route(&["options: [no redispatch, httplog]"])
        .unwrap()
        .notes;
    let honoured = |note: &&Note| note.text.contains("not honoured");
    assert_eq!(notes.iter().filter(honoured).count(), 1, "{notes:#?}");
}

#[test]
fn the_table_shows_what_is_not_as_without_a_word() {
    let shown = table(
        &load_route(&[
            "port: 8000-8010",
            "destination: {group: {name: kube}, port: 9000-9010}",
            "balance: leastconn",
            "source: preserve",
            "allow: [10.0.0.0/8]",
            "deny: [10.1.0.0/16]",
            "timeout: {connect: 7s, tunnel: 1h}",
            "retries: 1",
        ])
        .unwrap(),
    );
    for part in [
        "*:8000-8010",
        "gateway-2 10.0.0.2:9000-9010",
        "leastconn",
        "besides",
        "source preserve",
        "allow 10.0.0.0/8",
        "deny 10.1.0.0/16",
        "connect 7 s",
        "idle 3600 s",
        "redispatches 1",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let plain = table(&load_route(&[]).unwrap());
    assert!(
        plain.contains("roundrobin") && !plain.contains("besides"),
        "{plain}"
    );
}
