//! The table, letter by letter.

use super::*;
use crate::stats::snapshot::tests::example;
use crate::stats::translation::tests::{image, translated};

#[test]
fn a_person_reads_this() {
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "\
gateway-1, gwpool {version}, up 1 min 1 s
interfaces: box-network (tc)
flows: 3 established of 64, 1 embryonic
answers of our own: 9 sent, 1 withheld

"
    );
    let text = render(&example(), None);
    assert!(text.starts_with(&expected), "{text}");
    let lines: Vec<Vec<&str>> = text
        .lines()
        .skip(5)
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0][..4], ["ROUTE", "LISTEN", "BACKEND", "ADDRESS"]);
    let first =
        "dash *:30082,10.0.0.1:30082/tcp gateway-1 192.168.1.1:30082 up 6 0 60 6000 120 12000 1";
    assert_eq!(lines[1].join(" "), first);
    assert_eq!(
        lines[2].join(" "),
        "gateway-2 192.168.1.2:30082 up 5 3 50 5000 100 10000 1"
    );
    assert_eq!(
        lines[4..7],
        [
            vec!["LIMIT", "USED", "OF", "FULL"],
            vec!["access", "0", "4096", "0%"],
            vec!["backends", "3", "8192", "0%"],
        ]
    );
    assert!(lines.contains(&vec!["flows", "3", "64", "4%"]), "{text}");
    assert_eq!(
        lines[lines.len() - 2..],
        [vec!["REASON", "PACKETS"], vec!["to_backend", "120"]]
    );
}

#[test]
fn one_route_alone_has_neither_head_nor_reasons() {
    let text = render(&example(), Some("dash"));
    assert!(
        text.starts_with("ROUTE") && text.lines().count() == 3,
        "{text}"
    );
    assert_eq!(render(&example(), Some("other")).lines().count(), 1);
}

#[test]
fn uptimes_are_short() {
    let said = [59, 61, 3_700, 90_000].map(duration);
    assert_eq!(said, ["59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
}

#[test]
fn what_is_rare_is_said_only_where_it_happens() {
    let mut snapshot = example();
    assert!(render(&snapshot, None).contains("REDISPATCHED"));
    assert!(!render(&snapshot, None).contains("leastconn"));
    snapshot.routes[0].balance = "leastconn".to_owned();
    for backend in &mut snapshot.routes[0].backends {
        backend.redispatches_total = 0;
    }
    let text = render(&snapshot, None);
    assert!(text.contains("/tcp leastconn") && !text.contains("REDISPATCHED"));
}

#[test]
fn what_has_no_room_here_is_not_full() {
    let mut snapshot = example();
    assert!(render(&snapshot, None).contains("mappings"));
    let mappings = snapshot.datapath.limits.get_mut("mappings");
    mappings.expect("it is listed").capacity = 0;
    assert!(!render(&snapshot, None).contains("mappings"));
}

#[test]
fn weights_have_a_column_only_where_there_are_some() {
    let mut weighted = example();
    weighted.routes[0].backends[1].weight = 0;
    let text = render(&weighted, Some("dash"));
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0][4..7], ["STATE", "WEIGHT", "CONNS"]);
    assert_eq!(lines[1][4..7], ["up", "1", "6"]);
    assert_eq!(lines[2][2..5], ["up", "0", "5"]);
    assert!(!render(&example(), None).contains("WEIGHT"));
}

#[test]
fn translation_is_told_where_there_is_some() {
    let expected = "\
nat: 192.168.1.0/24 as 10.9.0.254 (active)
mappings: 4 tcp, 3 udp, 2 icmp, 2 other; 7 refused, 1 overloaded; leaks prevented: 9
translated: 7 connections, 5 active; 70 packets out, 60 in
";
    let text = render(&translated(&image()), None);
    assert!(text.contains(expected), "{text}");
    assert!(!render(&example(), None).contains("nat:"));
}
