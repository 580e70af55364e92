//! The shape that dashboards hang on, name by name.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use crate::datapath::census::tests::census_of;
use crate::plan::{self, Image, Limits};
use gwpool_common::net::V4;
use gwpool_common::route;
use serde_json::{Value, json};

/// A route with two backends, 12 connections taken, one of them by a backend that the plan no longer has.
pub fn example() -> Snapshot {
    let plan = plan();
    let image = image();
    let carried = |connections| Counters {
        connections,
        to_backend_packets: 10 * connections,
        to_backend_bytes: 1000 * connections,
        to_client_packets: 20 * connections,
        to_client_bytes: 2000 * connections,
        redispatches: connections / 5,
    };
    let mut census = census_of(2, 3);
    census.embryonic.flows = 1;
    Snapshot::of(&Sources {
        plan: &plan,
        image: &image,
        uptime_seconds: 61,
        modes: &BTreeMap::from([("box-network".to_owned(), Mode::Tc)]),
        counters: &BTreeMap::from([(1, carried(6)), (2, carried(5)), (3, carried(1))]),
        reasons: &[(Reason::ToBackend, 120), (Reason::Malformed, 0)],
        census: &census,
        fragments: Fragments::default(),
        answers: gwpool_common::answers::Answers {
            sent: 9,
            withheld: 1,
            ..Default::default()
        },
        filled: Filled {
            sources: 2,
            next_hops: 1,
            fragments: 4,
            ..Filled::default()
        },
    })
}

fn plan() -> Plan {
    let backend = |name: &str, last| plan::Backend {
        name: name.to_owned(),
        address: Some(Ipv4Addr::new(192, 168, 1, last)),
        port: 30082,
        weight: 1,
    };
    Plan {
        node: "gateway-1".to_owned(),
        datapath: plan::Datapath::Auto,
        networks: Vec::new(),
        routes: vec![plan::Route {
            name: "dash".to_owned(),
            mode: "http".to_owned(),
            listen: vec![
                ListenAddress::Any,
                ListenAddress::One(Ipv4Addr::new(10, 0, 0, 1)),
            ],
            port: 30082,
            network: "box-network".to_owned(),
            backends: vec![backend("gateway-1", 1), backend("gateway-2", 2)],
            ..plan::Route::default()
        }],
        peers: Vec::new(),
        undeclared: None,
        nat: None,
        limits: Limits {
            flows: 64,
            ..Limits::default()
        },
    }
}

fn image() -> Image {
    let mut image = Image::default();
    for id in 1..=3u8 {
        let address: V4 = [192, 168, 1, id];
        image.backends.insert(
            u32::from(id),
            route::Backend {
                address,
                route: 5,
                weight: 1,
                ..Default::default()
            },
        );
    }
    image.names.insert(5, "dash".to_owned());
    image.routes.insert(
        5,
        MapRoute {
            flags: MapRoute::ENABLED,
            slot_first: 0,
            slot_count: 2,
            ..MapRoute::default()
        },
    );
    image.slots = vec![1, 2];
    image.pools.insert(5, vec![1, 2]);
    image
}

#[test]
fn every_field_has_the_name_and_shape_of_the_contract() {
    let backend = |name: &str, last: u8, connections: u64, active: u64| {
        json!({
            "name": name, "address": format!("192.168.1.{last}"), "port": 30082, "weight": 1,
            "state": "up",
            "connections_total": connections, "redispatches_total": 1, "flows_active": active,
            "to_backend": {"packets": 10 * connections, "bytes": 1000 * connections},
            "to_client": {"packets": 20 * connections, "bytes": 2000 * connections},
        })
    };
    let fill = |used: u64, capacity: u64| json!({"used": used, "capacity": capacity});
    let expected = json!({
        "node": "gateway-1",
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": 61,
        "datapath": {
            "interfaces": [{"name": "box-network", "mode": "tc"}],
            "flows": {"established": 3, "embryonic": 1, "capacity": 64},
            "fragments": {"held_total": 0, "reinjected_total": 0, "expired_total": 0, "overflow_total": 0},
            "answers": {"sent_total": 9, "withheld_total": 1},
            "limits": {
                "flows": fill(3, 64), "embryonic": fill(1, 98_308), "udp_flows": fill(0, 131_072),
                "routes": fill(1, 1024), "backends": fill(3, 8192), "listeners": fill(0, 4096),
                "slots": fill(2, Limits::default().turns().into()), "access": fill(0, 4096), "sources": fill(2, 65_536),
                "next_hops": fill(1, 4095), "fragments": fill(4, 8192),
                "mappings": fill(0, 131_072), "permissions": fill(0, 131_072), "subscribers": fill(0, 65_536),
            },
        },
        "routes": [{
            "name": "dash", "protocol": "tcp", "listen": ["*:30082", "10.0.0.1:30082"],
            "balance": "roundrobin", "enabled": true,
            "connections_total": 12,
            "backends": [backend("gateway-1", 1, 6, 0), backend("gateway-2", 2, 5, 3)],
        }],
        "nat": {
            "sources": [], "addresses": [], "active": false,
            "mappings": {"tcp": 0, "udp": 0, "icmp": 0, "other": 0}, "overloaded_total": 0,
            "connections_total": 0, "flows_active": 0,
            "to_outside": {"packets": 0, "bytes": 0}, "to_inside": {"packets": 0, "bytes": 0},
            "allocation_failures_total": 0, "leaks_prevented_total": 0, "unlogged_total": 0,
        },
        "vrrp": [],
        "reasons": {"to_backend": 120, "malformed": 0},
    });
    assert_eq!(serde_json::to_value(example()).unwrap(), expected);
}

#[test]
fn an_answer_with_fields_of_a_later_version_is_understood() {
    let mut value: Value = serde_json::to_value(example()).unwrap();
    value["later"] = json!(1);
    value["routes"][0]["backends"][0]["later"] = json!(2);
    assert_eq!(
        serde_json::from_value::<Snapshot>(value).unwrap(),
        example()
    );
}

#[test]
fn an_answer_of_a_daemon_before_weights_is_understood() {
    let mut value: Value = serde_json::to_value(example()).unwrap();
    value["datapath"].as_object_mut().unwrap().remove("limits");
    let route = value["routes"][0].as_object_mut().unwrap();
    route.remove("balance");
    let backend = value["routes"][0]["backends"][0].as_object_mut().unwrap();
    backend.remove("weight");
    backend.remove("redispatches_total");
    let nat = value["nat"].as_object_mut().unwrap();
    for later in [
        "active",
        "overloaded_total",
        "unlogged_total",
        "connections_total",
        "flows_active",
        "to_outside",
        "to_inside",
    ] {
        nat.remove(later);
    }
    let mut expected = example();
    expected.datapath.limits.clear();
    expected.routes[0].backends[0].redispatches_total = 0;
    assert_eq!(serde_json::from_value::<Snapshot>(value).unwrap(), expected);
}

#[test]
fn a_backend_that_was_taken_out_says_how() {
    type Backend = route::Backend<V4>;
    for (flags, wanted) in [
        (Backend::SELF, "up"),
        (Backend::DRAIN, "drain"),
        (Backend::MAINT | Backend::SELF, "maint"),
    ] {
        let installed = Backend {
            flags,
            ..Backend::default()
        };
        assert_eq!(state(&installed), wanted);
    }
}
