//! A small world of three gateways, and what each change of it writes.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use crate::plan::MapWrite;
use crate::plan::plan::Backend;
use crate::plan::world::{INNER, OUTER, apply, host, inner, installed, plan, route, step};
use gwpool_common::net::Address;
use gwpool_common::route;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

fn id_of(image: &Image, route: &str, address: Ipv4Addr) -> u32 {
    let route = image.route_id(route).unwrap();
    let same = |backend: &route::Backend<[u8; 4]>| {
        backend.route == route && backend.address == address.octets()
    };
    *image
        .backends
        .iter()
        .find(|(_, backend)| same(backend))
        .unwrap()
        .0
}

#[test]
fn a_first_plan_writes_leaves_before_roots_and_every_map_is_right() {
    let image = installed();
    let any = |port: u16| route::Listener {
        address: [0; 4],
        port: port.to_be_bytes(),
        protocol: 6,
        pad: 0,
    };
    let by = |route| route::Listening {
        route,
        ..route::Listening::default()
    };
    assert_eq!(
        image.listeners,
        BTreeMap::from([(any(30080), by(1)), (any(30082), by(2))])
    );
    assert_eq!(image.run(&image.routes[&1]), [1, 2, 3]);
    assert_eq!(image.run(&image.routes[&2]), [4, 5, 6]);
    assert_eq!(
        image.routes[&1].flags,
        route::Route::ENABLED | route::Route::SELF_BACKEND
    );
    let own = image.backends[&1];
    assert_eq!(
        (own.address, own.flags),
        ([192, 168, 1, 1], route::Backend::<[u8; 4]>::SELF)
    );
    let other = image.backends[&2];
    assert_eq!(
        (other.address, other.source, other.flags),
        ([192, 168, 1, 2], [192, 168, 1, 1], 0)
    );
    assert_eq!(other.port, 30080u16.to_be_bytes());
    assert_eq!(image.names[&1], "argocd");
    assert_eq!(
        image.interfaces.keys().copied().collect::<Vec<_>>(),
        [OUTER, INNER]
    );
    assert_eq!(image.networks.len(), 1);
    assert_eq!(image.networks[0].prefix, [192, 168, 1, 0]);
    assert_eq!(
        (image.networks[0].mask, image.networks[0].interface),
        ([255, 255, 255, 0], INNER)
    );
}

#[test]
fn the_same_plan_on_the_same_host_writes_nothing() {
    assert_eq!(diff(&installed(), &plan(), &host()).unwrap().writes, []);
}

#[test]
fn the_time_for_closed_flows_is_one_write_and_the_next_plan_keeps_it() {
    let difference = closing(&installed(), 10);
    assert!(matches!(difference.writes[..], [MapWrite::Settings(_)]));
    let hurried = apply(&installed(), &difference);
    assert_eq!(hurried.settings.closing_s, 10);
    assert_eq!(diff(&hurried, &plan(), &host()).unwrap().writes, []);
}

#[test]
fn ids_stay_when_routes_and_backends_are_reordered_added_and_removed() {
    let before = installed();
    let mut plan = plan();
    plan.routes.insert(0, route("aaa", 30090));
    plan.routes[1].backends.reverse();
    let after = step(&before, &plan);
    assert_eq!(
        (after.route_id("argocd"), after.route_id("dash")),
        (Some(1), Some(2))
    );
    assert_eq!(after.route_id("aaa"), Some(3));
    assert_eq!(after.run(&after.routes[&1]), [3, 2, 1]);
    assert_eq!(after.run(&after.routes[&2]), [4, 5, 6]);
    assert_eq!(after.routes[&2], before.routes[&2]);
}

#[test]
fn a_changed_run_is_written_beside_what_runs_and_what_was_just_replaced() {
    let mut image = installed();
    let mut plan = plan();
    let stretch = |route: &route::Route| route.slot_first..route.slot_first + route.slot_count;
    let mut stood = Vec::from([stretch(&image.routes[&1])]);
    for _ in 0..4 {
        plan.routes[0].backends.rotate_left(1);
        let before = image.clone();
        image = step(&image, &plan);
        let now = stretch(&image.routes[&1]);
        let just: Vec<_> = stood.iter().rev().take(2).collect();
        assert!(
            just.iter()
                .all(|old| old.end <= now.start || now.end <= old.start),
            "{now:?} over {just:?}"
        );
        let dash = before.run(&before.routes[&2]).to_vec();
        assert_eq!(image.run(&image.routes[&2]), dash);
        stood.push(now);
    }
    assert!(
        image.slots.len() <= 15,
        "free stretches are used again: {:?}",
        image.slots
    );
}

#[test]
fn a_removed_backend_retires_and_its_id_is_free_when_no_flow_names_it() {
    let mut shrunk = plan();
    shrunk.routes[0].backends.remove(1);
    let after = step(&installed(), &shrunk);
    assert_eq!(after.run(&after.routes[&1]), [1, 3]);
    assert!(after.backends.contains_key(&2));
    assert_eq!(retired(&after), BTreeSet::from([2]));

    let mut grown = shrunk.clone();
    grown.routes[1].backends.push(Backend {
        name: "x".to_owned(),
        address: Some(inner(9)),
        port: 1,
        weight: 1,
    });
    let busy = step(&after, &grown);
    assert_eq!(
        id_of(&busy, "dash", inner(9)),
        7,
        "an id with flows is not given away"
    );

    let reaped = apply(&after, &reap(&after, &BTreeSet::from([1, 2, 3, 4])));
    assert_eq!(
        reaped.backends.keys().copied().collect::<Vec<_>>(),
        [1, 3, 4, 5, 6],
        "live ones stay"
    );
    assert_eq!(id_of(&step(&reaped, &grown), "dash", inner(9)), 2);
}

#[test]
fn a_backend_that_comes_back_is_the_same_one() {
    let mut shrunk = plan();
    shrunk.routes[0].backends.remove(1);
    let back = step(&step(&installed(), &shrunk), &plan());
    assert_eq!(back.run(&back.routes[&1]), [1, 2, 3]);
}

#[test]
fn a_removed_route_goes_roots_first_and_keeps_its_name_while_its_backends_live() {
    let before = installed();
    let mut shrunk = plan();
    shrunk.routes.remove(0);
    let difference = diff(&before, &shrunk, &host()).unwrap();
    let listener = *before.listeners.keys().next().unwrap();
    assert_eq!(
        difference.writes,
        [MapWrite::Listener(listener, None), MapWrite::Route(1, None)]
    );
    let after = apply(&before, &difference);
    assert_eq!(after.names[&1], "argocd");

    let mut renamed = shrunk.clone();
    renamed.routes.push(route("new", 30080));
    assert_eq!(
        step(&after, &renamed).route_id("new"),
        Some(3),
        "route id 1 is still named by backends"
    );

    let reaped = apply(&after, &reap(&after, &BTreeSet::from([1, 2, 3])));
    assert_eq!(reaped.names.keys().copied().collect::<Vec<_>>(), [2]);
    assert_eq!(step(&reaped, &renamed).route_id("new"), Some(1));
}

#[test]
fn a_listener_moves_to_another_route_in_one_write() {
    let mut renamed = plan();
    renamed.routes[0].name = "other".to_owned();
    let difference = diff(&installed(), &renamed, &host()).unwrap();
    let listeners: Vec<_> = difference
        .writes
        .iter()
        .filter(|write| matches!(write, MapWrite::Listener(..)))
        .collect();
    assert!(
        matches!(
            listeners[..],
            [MapWrite::Listener(
                _,
                Some(route::Listening { route: 3, .. })
            )]
        ),
        "{listeners:?}"
    );
    apply(&installed(), &difference);
}

#[test]
fn an_address_that_moves_is_overwritten_before_the_old_one_goes() {
    let mut moved = host();
    moved.links.get_mut("box-network").unwrap().addresses =
        vec!["192.168.1.11/24".parse().unwrap()];
    let difference = diff(&installed(), &plan(), &moved).unwrap();
    let after = apply(&installed(), &difference);
    assert!(!after.addresses.contains_key(&[192, 168, 1, 1]));
    assert_eq!(
        after.addresses[&[192, 168, 1, 11]].flags,
        Address::OWN | Address::LISTEN
    );
    assert!(
        after.backends[&2].source == [192, 168, 1, 11],
        "full NAT uses the new address"
    );
    let own = after.run(&after.routes[&1])[0];
    assert_eq!(after.backends[&own].address, [192, 168, 1, 11]);
    let place = |wanted: MapWrite| difference.writes.iter().position(|write| *write == wanted);
    let address = after.addresses[&[192, 168, 1, 11]];
    assert!(
        place(MapWrite::Address([192, 168, 1, 11], Some(address)))
            < place(MapWrite::Address([192, 168, 1, 1], None))
    );
}

#[test]
fn prefixes_that_stay_are_guarded_at_every_moment() {
    let with = |addresses: &[&str]| {
        let mut host = host();
        host.links.get_mut("box-network").unwrap().addresses = addresses
            .iter()
            .map(|address| address.parse().unwrap())
            .collect();
        host
    };
    let start = with(&["192.168.1.1/24", "172.16.0.1/16", "172.17.0.1/16"]);
    let before = apply(
        &Image::default(),
        &diff(&Image::default(), &plan(), &start).unwrap(),
    );
    let end = with(&["192.168.1.1/24", "172.17.0.1/16", "172.18.0.1/16"]);
    let mut image = before.clone();
    for write in diff(&before, &plan(), &end).unwrap().writes {
        image.apply(&write);
        for kept in [[192, 168, 0, 0], [172, 17, 0, 0]] {
            assert!(
                image
                    .networks
                    .iter()
                    .any(|network| network.prefix[..2] == kept[..2]),
                "{:?}",
                image.networks
            );
        }
    }
    assert_eq!(image.networks.len(), 3);
}

#[test]
fn a_switch_by_hand_outlives_the_next_plan() {
    let before = installed();
    let off = switch(&before, &plan(), &host(), &BTreeSet::from([1]), false).unwrap();
    assert_eq!(off.writes.len(), 1);
    let after = apply(&before, &off);
    assert_eq!(after.routes[&1].flags & route::Route::ENABLED, 0);
    assert_eq!(diff(&after, &plan(), &host()).unwrap().writes, []);
    let on = switch(&after, &plan(), &host(), &BTreeSet::from([1]), true).unwrap();
    assert_eq!(apply(&after, &on).routes, before.routes);
}
