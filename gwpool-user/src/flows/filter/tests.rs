//! Words, what they take, and what is said of those that are none.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use crate::flows::row::tests::{REPLIED, mapping, row};
use gwpool_ebpf::parse::{TCP, UDP};

fn names() -> Names {
    let name = |route: &str, backend: &str| (Some(route.to_owned()), backend.to_owned());
    Names::from([
        (1, name("web", "gateway-1")),
        (2, name("web", "gateway-2")),
        (3, name("dash", "gateway-2")),
    ])
}

fn parse(words: &str) -> Result<Filter, String> {
    let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    Filter::parse(&words, &names())
}

fn of_backend(backend: u32) -> Row {
    let mut row = row(TCP, true, 0, 0);
    (row.nat, row.backend) = (false, backend);
    Row::Flow(row)
}

/// A translated TCP flow, a UDP one without an answer, a flow of each backend, and a mapping.
fn rows() -> [Row; 6] {
    [
        Row::Flow(row(TCP, true, 0, 0)),
        Row::Flow(row(UDP, false, 0, 0)),
        of_backend(1),
        of_backend(2),
        of_backend(3),
        Row::Mapping(mapping()),
    ]
}

#[test]
fn all_words_must_fit() {
    for (words, wanted) in [
        ("", [1, 1, 1, 1, 1, 1]),
        ("route=web", [0, 0, 1, 1, 0, 0]),
        ("route=*", [0, 0, 1, 1, 1, 0]),
        ("backend=gateway-2", [0, 0, 0, 1, 1, 0]),
        ("backend=web/gateway-2", [0, 0, 0, 1, 0, 0]),
        ("route=web backend=gateway-2", [0, 0, 0, 1, 0, 0]),
        ("client=192.168.1.11", [1, 1, 1, 1, 1, 1]),
        ("client=192.168.1.0/24", [1, 1, 1, 1, 1, 1]),
        ("client=10.0.0.0/8", [0, 0, 0, 0, 0, 0]),
        ("port=80", [1, 1, 1, 1, 1, 0]),
        ("port=41001", [1, 1, 1, 1, 1, 1]),
        ("port=41002", [0, 0, 0, 0, 0, 0]),
        ("proto=udp", [0, 1, 0, 0, 0, 1]),
        ("proto=6", [1, 0, 1, 1, 1, 0]),
        ("nat", [1, 1, 0, 0, 0, 1]),
        ("mapping", [0, 0, 0, 0, 0, 1]),
        ("mappings", [0, 0, 0, 0, 0, 1]),
        ("state=established", [1, 0, 1, 1, 1, 0]),
        ("state=ASSURED", [1, 0, 1, 1, 1, 0]),
        ("state=UNREPLIED", [0, 1, 0, 0, 0, 0]),
        ("state=MAPPING", [0, 0, 0, 0, 0, 1]),
        ("state=SYN_SENT", [0, 0, 0, 0, 0, 0]),
        ("nat proto=tcp port=41000", [1, 0, 0, 0, 0, 0]),
    ] {
        let filter = parse(words).unwrap();
        let taken = rows().map(|row| u8::from(filter.takes(&row)));
        assert_eq!(taken, wanted, "{words}");
    }
}

#[test]
fn a_state_takes_both_halves_and_everything_else_one() {
    let filter = parse("state=SYN_RECV nat").unwrap();
    let (alone, answered) = (row(TCP, false, 0, 0), row(TCP, false, 0, REPLIED));
    assert!(filter.suspects(&Row::Flow(alone)) && !filter.takes(&Row::Flow(alone)));
    assert!(filter.takes(&Row::Flow(answered)));
}

#[test]
fn tables_that_cannot_hold_what_is_meant_are_known() {
    for (words, flows, mappings) in [
        ("", false, false),
        ("nat", false, false),
        ("mapping", true, false),
        ("state=MAPPING", true, false),
        ("state=CLOSE", false, true),
        ("route=web", false, true),
    ] {
        let filter = parse(words).unwrap();
        let excludes = (filter.excludes_flows(), filter.excludes_mappings());
        assert_eq!(excludes, (flows, mappings), "{words}");
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_what_there_is() {
    let wrong = parse(
        "route=shop backend=gateway-9 client=300.1.1.1 port=0 state=SYN protos=tcp proto=gree nat=yes port=80 port client",
    )
    .unwrap_err();
    let lines: Vec<&str> = wrong.lines().collect();
    let expected = [
        "route=shop: no route is called shop; there are: dash, web",
        "backend=gateway-9: no backend is called gateway-9; there are: gateway-1, gateway-2",
        "client=300.1.1.1: wanted an IPv4 address or prefix",
        "port=0: wanted a number from 1 to 65535",
        "state=SYN: there are: SYN_SENT, SYN_RECV",
        "protos=tcp: no such word: did you mean `proto`?",
        "proto=gree: wanted icmp, tcp, udp, gre, sctp, or a number",
        "nat=yes: takes no value",
        "port=80: is there twice",
        "port: is there twice",
        "client: is there twice",
    ];
    assert_eq!(lines.len(), expected.len(), "{wrong}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
    assert!(
        parse("port")
            .unwrap_err()
            .contains("lacks its value: port=...")
    );
    assert!(
        parse("nonsense")
            .unwrap_err()
            .contains("there are: route, backend")
    );
}
