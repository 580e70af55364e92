//! What a plan becomes on a host, map by map, and what the host must have for it.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use crate::plan::world::{INNER, host, inner, installed, plan, step};
use crate::plan::{Image, diff};
use gwpool_common::route;

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
        let settings = diff(&Image::default(), &plan(), &host)
            .unwrap()
            .wanted
            .settings;
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
    let settings = |host: &Host| diff(&before, &plan(), host).unwrap().wanted.settings;
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
