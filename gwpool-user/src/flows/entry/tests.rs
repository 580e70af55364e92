//! Lines letter by letter, and the object that they come from.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use crate::flows::row::tests::{FIN, NOW, REPLIED, mapping, row, timers};
use serde_json::json;

fn entry(row: Row, name: Option<&Name>) -> Entry {
    Entry::of(&row, name, &timers(), NOW)
}

fn line(row: FlowRow) -> String {
    let entry = entry(Row::Flow(row), None);
    // What comes out of the socket is what went in.
    let text = serde_json::to_string(&entry).unwrap();
    assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
    entry.to_string()
}

#[test]
fn a_translated_flow_reads_as_conntrack_says_it() {
    let there = "src=192.168.1.11 dst=10.9.0.100 sport=41000 dport=80";
    let back = "src=10.9.0.100 dst=10.9.0.254 sport=80 dport=41001";
    for (row, expected) in [
        (
            row(TCP, true, 0, 0),
            format!("tcp      6 498 ESTABLISHED {there} {back} [ASSURED] nat"),
        ),
        (
            row(TCP, true, FIN, FIN),
            format!("tcp      6 48 TIME_WAIT {there} {back} [ASSURED] nat"),
        ),
        (
            row(TCP, false, 0, 0),
            format!("tcp      6 48 SYN_SENT {there} [UNREPLIED] {back} nat"),
        ),
        (
            row(TCP, false, 0, REPLIED),
            format!("tcp      6 48 SYN_RECV {there} {back} nat"),
        ),
        (
            row(UDP, true, 0, 0),
            format!("udp      17 38 {there} {back} [ASSURED] nat"),
        ),
        (
            row(UDP, false, 0, 0),
            format!("udp      17 28 {there} [UNREPLIED] {back} nat"),
        ),
    ] {
        assert_eq!(line(row), expected);
    }
}

#[test]
fn queries_have_an_identifier_and_other_protocols_nothing() {
    let mut query = row(ICMP, true, 0, 0);
    (query.key.destination_port, query.back.source_port) = ([0; 2], [0; 2]);
    let expected = "icmp     1 18 src=192.168.1.11 dst=10.9.0.100 id=41000 src=10.9.0.100 dst=10.9.0.254 id=41001 \
                    [ASSURED] nat";
    assert_eq!(line(query), expected);
    for (protocol, name) in [
        (47, "gre      47"),
        (132, "sctp     132"),
        (200, "unknown  200"),
    ] {
        let expected = format!(
            "{name} 8 src=192.168.1.11 dst=10.9.0.100 src=10.9.0.100 dst=10.9.0.254 [ASSURED] nat"
        );
        assert_eq!(line(row(protocol, true, 0, 0)), expected);
    }
}

#[test]
fn a_routes_flow_says_whose_it_is() {
    let mut row = row(TCP, true, 0, 0);
    row.nat = false;
    let named = |route: Option<&str>| (route.map(str::to_owned), "gateway-2".to_owned());
    let end = |name: Option<&Name>| {
        let text = entry(Row::Flow(row), name).to_string();
        text.split_once("[ASSURED] ").unwrap().1.to_owned()
    };
    assert_eq!(
        end(Some(&named(Some("web")))),
        "route=web backend=gateway-2"
    );
    assert_eq!(end(Some(&named(None))), "backend=gateway-2");
    assert_eq!(end(None), "backend=unknown");
}

#[test]
fn a_mapping_is_a_line_and_an_object_of_its_own() {
    let mut entry = entry(Row::Mapping(mapping()), None);
    let text = "udp      17 27 MAPPING src=192.168.1.11 sport=41000 nat=10.9.0.254 port=41001";
    assert_eq!(entry.to_string(), text);
    let object = json!({
        "kind": "mapping", "protocol": "udp", "number": 17, "seconds": 27, "state": "MAPPING",
        "source": "192.168.1.11", "source_port": 41000, "nat_address": "10.9.0.254", "nat_port": 41001,
    });
    assert_eq!(serde_json::to_value(&entry).unwrap(), object);
    for (event, word) in [
        ("new", "    [NEW]"),
        ("update", " [UPDATE]"),
        ("end", "[DESTROY]"),
    ] {
        entry.event = Some(event.to_owned());
        assert_eq!(entry.to_string(), format!("{word} {text}"));
    }
}

#[test]
fn a_flow_is_an_object() {
    let name = (Some("web".to_owned()), "gateway-2".to_owned());
    let mut flow = row(TCP, false, 0, REPLIED);
    flow.nat = false;
    let object = json!({
        "kind": "flow", "protocol": "tcp", "number": 6, "seconds": 48, "state": "SYN_RECV",
        "client": {"source": "192.168.1.11", "source_port": 41000, "destination": "10.9.0.100", "destination_port": 80},
        "reply": {"source": "10.9.0.100", "source_port": 80, "destination": "10.9.0.254", "destination_port": 41001},
        "replied": true, "assured": false, "nat": false, "route": "web", "backend": "gateway-2",
    });
    let entry = entry(Row::Flow(flow), Some(&name));
    assert_eq!(serde_json::to_value(entry).unwrap(), object);
}
