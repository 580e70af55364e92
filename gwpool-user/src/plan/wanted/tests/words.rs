//! Each word of a route and what it becomes in the maps.

use super::*;
use crate::plan::plan::{Access, Undeclared};
use crate::plan::world::OUTER;
use gwpool_common::limits::Settings;
use gwpool_common::route::Listener;
use std::net::Ipv4Addr;

/// The maps with the first route so.
fn with(change: fn(&mut plan::Route)) -> Image {
    let mut plan = plan();
    change(&mut plan.routes[0]);
    step(&installed(), &plan)
}

fn offsets(image: &Image) -> Vec<(u16, u16)> {
    let of_first = image.listeners.iter().filter(|(_, to)| to.route == 1);
    of_first
        .map(|(at, to)| (u16::from_be_bytes(at.port), to.port_offset))
        .collect()
}

#[test]
fn a_range_of_ports_is_a_listener_each_that_shifts_if_the_route_does() {
    let wide = with(|route| (route.port, route.ports, route.shifts) = (8000, 3, true));
    assert_eq!(offsets(&wide), [(8000, 0), (8001, 1), (8002, 2)]);
    let onto_one = with(|route| (route.port, route.ports) = (8000, 3));
    assert_eq!(offsets(&onto_one), [(8000, 0), (8001, 0), (8002, 0)]);
    let last = with(|route| (route.port, route.ports) = (65534, 2));
    assert_eq!(offsets(&last), [(65534, 0), (65535, 0)]);
}

#[test]
fn each_address_has_its_own_listeners() {
    let two = with(|route| {
        route.ports = 2;
        route.listen = vec![
            ListenAddress::One(inner(1)),
            ListenAddress::One(Ipv4Addr::new(10, 0, 0, 1)),
        ];
    });
    let addresses: Vec<_> = two
        .listeners
        .iter()
        .filter(|(_, to)| to.route == 1)
        .map(|(at, _): (&Listener<V4>, _)| at.address)
        .collect();
    assert_eq!(
        addresses,
        [
            [10, 0, 0, 1],
            [10, 0, 0, 1],
            [192, 168, 1, 1],
            [192, 168, 1, 1]
        ]
    );
}

#[test]
fn who_may_use_a_route_is_the_most_specific_prefix_and_denied_counts_before_allowed() {
    let nets = |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect();
    let guarded = |allow: &[&str], deny: &[&str]| {
        let mut plan = plan();
        plan.routes[0].access = Access {
            allow: nets(allow),
            deny: nets(deny),
        };
        step(&installed(), &plan)
    };
    let flags = |image: &Image| {
        image.routes[&1].flags & (route::Route::GUARDED | route::Route::DENIES_REST)
    };
    let open = guarded(&[], &[]);
    assert_eq!((flags(&open), open.access.len()), (0, 0));

    let denying = guarded(&[], &["10.0.0.0/8"]);
    assert_eq!(flags(&denying), route::Route::GUARDED);
    assert_eq!(denying.access(1, Ipv4Addr::new(10, 1, 1, 1)), Some(false));
    assert_eq!(denying.access(1, Ipv4Addr::new(11, 1, 1, 1)), None);
    assert_eq!(denying.access(2, Ipv4Addr::new(10, 1, 1, 1)), None);

    let both = guarded(
        &["10.0.0.0/8", "10.1.1.1/32"],
        &["10.1.0.5/16", "10.0.0.0/8"],
    );
    assert_eq!(
        flags(&both),
        route::Route::GUARDED | route::Route::DENIES_REST
    );
    let says = |last: [u8; 4]| both.access(1, Ipv4Addr::from(last));
    assert_eq!(says([10, 1, 1, 1]), Some(true));
    assert_eq!(says([10, 1, 1, 2]), Some(false));
    assert_eq!(says([10, 2, 0, 0]), Some(false), "in both lists");
    assert_eq!(both.access.len(), 3);
}

#[test]
fn a_guard_is_there_before_its_route_and_goes_after_it() {
    let mut guarded = plan();
    guarded.routes[0].access.allow = vec!["10.0.0.0/8".parse().unwrap()];
    let on = diff(&installed(), &guarded, &host()).unwrap().writes;
    assert!(
        matches!(
            on[..],
            [MapWrite::Access(1, _, Some(true)), MapWrite::Route(1, _)]
        ),
        "{on:?}"
    );
    let image = step(&installed(), &guarded);
    let off = diff(&image, &plan(), &host()).unwrap().writes;
    assert!(
        matches!(
            off[..],
            [MapWrite::Route(1, _), MapWrite::Access(1, _, None)]
        ),
        "{off:?}"
    );
}

#[test]
fn a_source_that_is_preserved_marks_other_hosts_and_the_settings() {
    let flags = |image: &Image| [1, 2, 3].map(|id| image.backends[&id].flags);
    let preserving = with(|route| route.preserve = true);
    let other = Backend::<V4>::PRESERVE;
    assert_eq!(flags(&preserving), [Backend::<V4>::SELF, other, other]);
    assert_eq!(preserving.settings.flags, Settings::PRESERVES);
    assert_eq!(installed().settings.flags, 0);
}

#[test]
fn timers_and_redispatches_are_the_routes() {
    let image = with(|route| {
        (
            route.timeout.connect_s,
            route.timeout.idle_s,
            route.redispatches,
        ) = (7, Some(90), 1);
    });
    let route = image.routes[&1];
    assert_eq!((route.connect_s, route.redispatches), (7, 1));
    assert_eq!([1, 2, 3].map(|id| image.backends[&id].idle_s), [90; 3]);
    assert_eq!(image.backends[&4].idle_s, 0);
}

#[test]
fn undeclared_ports_are_the_programs_business_only_if_they_are_refused() {
    let undeclared = |reject| {
        let mut plan = plan();
        plan.undeclared = Some(Undeclared {
            port: 30000,
            ports: 2768,
            network: "gateway-network".to_owned(),
            reject,
        });
        let Settings {
            undeclared_interface,
            undeclared_first,
            undeclared_count,
            ..
        } = step(&installed(), &plan).settings;
        (undeclared_interface, undeclared_first, undeclared_count)
    };
    assert_eq!(undeclared(true), (OUTER, 30000, 2768));
    assert_eq!(undeclared(false), (0, 0, 0));
}

#[test]
fn more_listeners_or_prefixes_than_the_limits_are_refused_by_name() {
    let error = |change: fn(&mut Plan)| {
        let mut plan = plan();
        change(&mut plan);
        diff(&Image::default(), &plan, &host())
            .unwrap_err()
            .to_string()
    };
    let listeners = error(|plan| plan.limits.listeners = 1);
    assert!(listeners.contains("gwpool.limits.listeners"), "{listeners}");
    let access = error(|plan| {
        plan.limits.access = 0;
        plan.routes[0].access.deny = vec!["10.0.0.0/8".parse().unwrap()];
    });
    assert!(access.contains("gwpool.limits.access"), "{access}");
}
