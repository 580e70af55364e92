//! A small world of three gateways, and what each change of it writes.

use super::*;
use crate::host::Link;
use crate::plan::plan::{Backend, Datapath, Limits, ListenAddress, Network, Peer, Protocol, Route};
use gwpool_common::net::Address;
use gwpool_common::route;
use std::net::Ipv4Addr;

const OUTER: u32 = 3;
const INNER: u32 = 4;

fn inner(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 1, last)
}

fn host() -> Host {
    let link = |index, address: &str| Link {
        index,
        up: true,
        addresses: vec![address.parse().unwrap()],
        ..Link::default()
    };
    Host {
        links: BTreeMap::from([
            ("box-network".to_owned(), link(INNER, "192.168.1.1/24")),
            ("gateway-network".to_owned(), link(OUTER, "10.0.0.1/24")),
            ("kube-ipvs0".to_owned(), link(9, "10.96.0.1/32")),
            ("lo".to_owned(), link(1, "127.0.0.1/8")),
        ]),
        local_ports: (32768, 60999),
        hz: 250,
        ..Host::default()
    }
}

fn route(name: &str, port: u16) -> Route {
    let backend = |number: u8| Backend {
        name: format!("gateway-{number}"),
        address: (number != 1).then(|| inner(number)),
        port,
    };
    Route {
        name: name.to_owned(),
        mode: "http".to_owned(),
        protocol: Protocol::Tcp,
        listen: vec![ListenAddress::Any],
        port,
        network: "box-network".to_owned(),
        backends: (1..=3).map(backend).collect(),
        enabled: true,
    }
}

fn plan() -> Plan {
    let network = |name: &str, inner| Network {
        name: name.to_owned(),
        interface: name.to_owned(),
        inner,
        address: None,
    };
    let peer = |number: u8| Peer {
        name: format!("gateway-{number}"),
        network: "box-network".to_owned(),
        address: inner(number),
    };
    Plan {
        node: "gateway-1".to_owned(),
        datapath: Datapath::Auto,
        networks: vec![
            network("box-network", true),
            network("gateway-network", false),
        ],
        routes: vec![route("argocd", 30080), route("dash", 30082)],
        peers: vec![peer(2), peer(3)],
        limits: Limits {
            flows: 64,
            embryonic: 64,
            routes: 4,
            backends: 16,
        },
    }
}

/// Every state a packet could meet: whatever is named is there, and belongs to who names it.
fn assert_consistent(image: &Image) {
    for (listener, id) in &image.listeners {
        assert!(
            image.routes.contains_key(id),
            "{listener:?} names route {id}"
        );
    }
    for (id, route) in &image.routes {
        assert!(image.names.contains_key(id), "route {id} has no name");
        assert_eq!(
            image.run(route).len(),
            route.slot_count as usize,
            "route {id}"
        );
        for backend in image.run(route) {
            assert_eq!(
                image.backends.get(backend).map(|backend| backend.route),
                Some(*id)
            );
        }
    }
}

/// Applies write by write, looking at every state on the way.
fn apply(installed: &Image, difference: &Difference) -> Image {
    let mut image = installed.clone();
    for write in &difference.writes {
        image.apply(write);
        assert_consistent(&image);
    }
    image.replaced = difference.wanted.replaced.clone();
    assert_eq!(image, difference.wanted);
    image
}

fn installed() -> Image {
    apply(
        &Image::default(),
        &diff(&Image::default(), &plan(), &host()).unwrap(),
    )
}

fn step(image: &Image, plan: &Plan) -> Image {
    apply(image, &diff(image, plan, &host()).unwrap())
}

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
    assert_eq!(
        image.listeners,
        BTreeMap::from([(any(30080), 1), (any(30082), 2)])
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
fn the_same_plan_on_the_same_host_writes_nothing() {
    assert_eq!(diff(&installed(), &plan(), &host()).unwrap().writes, []);
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
    let mut stood = vec![image.routes[&1].slot_first..image.routes[&1].slot_first + 3];
    for _ in 0..4 {
        plan.routes[0].backends.rotate_left(1);
        let before = image.clone();
        image = step(&image, &plan);
        let route = &image.routes[&1];
        let now = route.slot_first..route.slot_first + route.slot_count;
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
        matches!(listeners[..], [MapWrite::Listener(_, Some(3))]),
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
