//! What a plan becomes on a host, map by map, and what the host must have for it.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use crate::plan::diff::{reap, retired};
use crate::plan::turns::WEIGHT_MAX;
use crate::plan::world::{INNER, adopted, apply, host, inner, installed, plan, step};
use crate::plan::{Image, MapWrite, diff};
use gwpool_common::net::Address;
use gwpool_common::route;

mod words;

#[test]
fn star_stands_for_managed_interfaces_only() {
    let flags = |address: [u8; 4]| installed().addresses[&address].flags;
    assert_eq!(flags([10, 0, 0, 1]), Address::OWN | Address::LISTEN);
    assert_eq!(flags([192, 168, 1, 1]), Address::OWN | Address::LISTEN);
    assert_eq!(flags([10, 96, 0, 1]), Address::OWN);
    assert_eq!(flags([127, 0, 0, 1]), Address::OWN);
    assert_eq!(
        installed().addresses[&[192, 168, 1, 2]],
        Address {
            flags: Address::PEER,
            interface: INNER
        }
    );
}

#[test]
fn settings_follow_the_tick_and_the_local_port_range() {
    let settings = installed().settings;
    assert_eq!((settings.tick_shift, settings.ticks_per_1024_s), (8, 1000));
    assert_eq!(
        (settings.port_low_first, settings.port_low_count),
        (1024, 31744)
    );
    assert_eq!(
        (settings.port_high_first, settings.port_high_count),
        (61000, 4536)
    );
    assert_eq!(settings.epoch, 1);
    for (hz, shift, ticks) in [(100, 7, 800), (300, 9, 600), (1000, 10, 1000)] {
        let host = Host { hz, ..host() };
        let settings = laid(&Image::default(), &host).settings;
        assert_eq!(
            (settings.tick_shift, settings.ticks_per_1024_s),
            (shift, ticks),
            "{hz} Hz"
        );
    }
}

#[test]
fn the_seed_of_the_port_search_and_the_epoch_are_kept() {
    let mut before = installed();
    before.settings.port_seed = 7;
    before.settings.epoch = 5;
    let settings = |host: &Host| laid(&before, host).settings;
    let with = |epoch| {
        settings(&Host {
            port_seed: 99,
            epoch,
            ..host()
        })
    };
    assert_eq!((with(0).port_seed, with(0).epoch), (7, 5));
    assert_eq!(with(6).epoch, 6);
}

#[test]
fn a_route_without_backends_has_no_run() {
    let mut empty = plan();
    empty.routes[0].backends.clear();
    let after = step(&installed(), &empty);
    assert_eq!(after.routes[&1].slot_count, 0);
    assert_eq!(after.routes[&1].flags, route::Route::ENABLED);
}

#[test]
fn what_the_host_lacks_is_said_with_what_it_has() {
    let error = |change: fn(&mut Plan, &mut Host)| {
        let (mut plan, mut host) = (plan(), host());
        change(&mut plan, &mut host);
        diff(&Image::default(), &plan, &host)
            .unwrap_err()
            .to_string()
    };
    let missing = error(|_, host| drop(host.links.remove("box-network")));
    assert!(
        missing.contains("gateway-network, kube-ipvs0, lo"),
        "{missing}"
    );
    let bare = error(|_, host| host.links.get_mut("box-network").unwrap().addresses.clear());
    assert!(bare.contains("no IPv4 address"), "{bare}");
    let other = error(|plan, _| plan.networks[0].address = Some(inner(77)));
    assert!(
        other.contains("192.168.1.77") && other.contains("192.168.1.1/24"),
        "{other}"
    );
    let ports = error(|_, host| host.local_ports = (1024, 65535));
    assert!(ports.contains("ip_local_port_range"), "{ports}");
    let routes = error(|plan, _| plan.limits.routes = 1);
    assert!(routes.contains("gwpool.limits.routes"), "{routes}");
    let backends = error(|plan, _| plan.limits.backends = 5);
    assert!(backends.contains("gwpool.limits.backends"), "{backends}");
}

/// The plan laid on this host.
fn laid(installed: &Image, host: &Host) -> Image {
    apply(installed, &diff(installed, &plan(), host).unwrap())
}

/// The plan with these weights on its first route.
fn weighted(weights: [u16; 3]) -> Plan {
    let mut plan = plan();
    for (backend, weight) in plan.routes[0].backends.iter_mut().zip(weights) {
        backend.weight = weight;
    }
    plan
}

fn run(image: &Image) -> &[u32] {
    image.run(&image.routes[&1])
}

#[test]
fn a_run_is_one_cycle_of_the_weights() {
    let image = step(&Image::default(), &weighted([5, 1, 1]));
    assert_eq!(run(&image), [1, 1, 2, 1, 3, 1, 1]);
    assert_eq!(
        image.run(&image.routes[&2]),
        [4, 5, 6],
        "the next route has none"
    );
    assert_eq!(image.pools[&1], [1, 2, 3]);
    assert_eq!(run(&step(&image, &weighted([4, 4, 4]))), [1, 2, 3]);
}

#[test]
fn weights_that_change_over_a_restart_keep_ids_and_backends() {
    let mut image = installed();
    for (weights, turns) in [
        ([2, 1, 1], &[1, 2, 3, 1][..]),
        ([0, 1, 2], &[3, 2, 3]),
        ([0, 0, 0], &[]),
        ([1, 0, 0], &[1]),
        ([1, 1, 1], &[1, 2, 3]),
    ] {
        let before = adopted(&image);
        let difference = diff(&before, &weighted(weights), &host()).unwrap();
        assert!(
            difference.writes.iter().all(|write| matches!(
                write,
                MapWrite::Slot(..)
                    | MapWrite::Route(1, Some(_))
                    | MapWrite::Backend(1..=3, Some(_))
            )),
            "{weights:?}: {:?}",
            difference.writes
        );
        image = apply(&before, &difference);
        assert_eq!(run(&image), turns, "{weights:?}");
        let again = diff(&adopted(&image), &weighted(weights), &host()).unwrap();
        assert_eq!(again.writes, [], "{weights:?}");
    }
    assert_eq!(image.backends, installed().backends);
}

#[test]
fn a_backend_without_turns_is_not_retired_and_stays_ours_to_peers() {
    let image = step(&installed(), &weighted([0, 1, 1]));
    assert_eq!(retired(&image), BTreeSet::new());
    assert_eq!(reap(&image, &BTreeSet::from([1])).writes, []);
    assert_ne!(image.routes[&1].flags & Route::SELF_BACKEND, 0);

    let mut without = plan();
    without.routes[0].backends.remove(0);
    let gone = step(&image, &without);
    assert_eq!(
        retired(&gone),
        BTreeSet::from([1]),
        "but gone from the plan it is"
    );
}

#[test]
fn cycles_up_to_the_limit_always_find_room_beside_what_runs() {
    let mut plan = plan();
    plan.limits.backends = 64;
    let most = plan.limits.turns() as usize;
    for (index, route) in plan.routes.iter_mut().enumerate() {
        let first = route.backends[1].clone();
        let backend = |last: u8| plan::Backend {
            address: Some(inner(100 + last)),
            ..first.clone()
        };
        route.backends = (0..16 + index as u8).map(backend).collect();
    }
    let mut image = Image::default();
    for odd in [255, 1, 253, 128, 251, 249, 3, 255] {
        for (index, route) in plan.routes.iter_mut().enumerate() {
            for backend in &mut route.backends[..16] {
                backend.weight = WEIGHT_MAX;
            }
            route.backends[index].weight = odd;
        }
        image.follow(diff(&image, &plan, &host()).unwrap());
        let running: u32 = image.routes.values().map(|route| route.slot_count).sum();
        assert!(running as usize <= most, "{running} of {most}");
    }
}
