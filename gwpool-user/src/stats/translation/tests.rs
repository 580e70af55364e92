//! What a translating host says of itself, and one that does not.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use crate::datapath::census::tests::census_of;
use crate::datapath::flows::Filled;
use crate::plan::{Image, world};
use crate::stats::snapshot::Snapshot;
use gwpool_common::answers::Answers;
use gwpool_common::route::Counters;
use serde_json::json;
use std::collections::BTreeMap;

/// A gateway between networks on the interfaces 3 and 4.
pub fn image() -> Image {
    let network = |prefix: V4, interface| Network {
        prefix,
        mask: [255, 255, 255, 0],
        interface,
    };
    let mut image = Image {
        networks: vec![network([192, 168, 1, 0], 3), network([10, 1, 0, 0], 4)],
        ..Image::default()
    };
    image.nat.flags = nat::Nat::<V4>::ON | nat::Nat::<V4>::ACTIVE;
    (image.nat.inside, image.nat.outside) = (3, 4);
    image.nat.addresses[0] = [10, 9, 0, 254];
    image.nat.address_count = 1;
    image
}

/// What that image's host has done.
pub fn translated(image: &Image) -> Snapshot {
    let carried = Counters {
        connections: 7,
        to_backend_packets: 70,
        to_backend_bytes: 700,
        to_client_packets: 60,
        to_client_bytes: 600,
        redispatches: 1,
    };
    let mut census = census_of(NAT, 5);
    census.embryonic.unported = 2;
    Snapshot::of(&Sources {
        plan: &world::plan(),
        image,
        uptime_seconds: 1,
        modes: &BTreeMap::new(),
        counters: &BTreeMap::from([(NAT, carried)]),
        reasons: &[
            (Reason::NatExhausted, 3),
            (Reason::NatOverPorts, 4),
            (Reason::LeakPrevented, 9),
            (Reason::NatDenied, 100),
        ],
        fragments: Default::default(),
        census: &census,
        answers: Answers {
            unlogged: 8,
            ..Answers::default()
        },
        filled: Filled {
            mappings: [4, 3, 2],
            mapping_entries: 18,
            permissions: 6,
            subscribers: 5,
            ..Filled::default()
        },
    })
}

#[test]
fn a_translating_host_says_whom_as_whom_and_how_much() {
    let snapshot = translated(&image());
    let expected = json!({
        "sources": ["192.168.1.0/24"], "addresses": ["10.9.0.254"], "active": true,
        "mappings": {"tcp": 4, "udp": 3, "icmp": 2, "other": 2}, "overloaded_total": 1,
        "connections_total": 7, "flows_active": 5,
        "to_outside": {"packets": 70, "bytes": 700}, "to_inside": {"packets": 60, "bytes": 600},
        "allocation_failures_total": 7, "leaks_prevented_total": 9, "unlogged_total": 8,
    });
    assert_eq!(serde_json::to_value(&snapshot.nat).unwrap(), expected);
    let used = ["mappings", "permissions", "subscribers"].map(|name| {
        let fill = snapshot.datapath.limits[name];
        (fill.used, fill.capacity)
    });
    assert_eq!(used, [(9, 131_072), (6, 131_072), (5, 65_536)]);
}

#[test]
fn a_host_that_no_longer_translates_has_no_sources() {
    let mut image = image();
    image.nat = nat::Nat::default();
    let nat = translated(&image).nat;
    assert!(nat.sources.is_empty() && nat.addresses.is_empty() && !nat.active);
}

#[test]
fn one_that_waits_for_its_address_is_not_active() {
    let mut image = image();
    image.nat.flags = nat::Nat::<V4>::ON;
    let nat = translated(&image).nat;
    assert!(!nat.active);
    assert_eq!(nat.sources, ["192.168.1.0/24"]);
}
