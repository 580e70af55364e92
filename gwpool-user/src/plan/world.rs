//! A small world for tests: gateway-1 of three, two networks, two routes.
//!
//! Every application of a difference looks at all the states on the way.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]
#![forbid(unsafe_code)]

use super::diff::{Difference, diff};
use super::ids::Ids;
use super::image::{Image, MapWrite};
use super::plan::{Backend, Datapath, Limits, Network, Peer, Plan, Route};
use super::slots::stretch;
use crate::host::{Host, Link};
use gwpool_common::net::{Address, Port};
use gwpool_common::route::{FlowPorts, Route as InMap};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

pub const OUTER: u32 = 3;
pub const INNER: u32 = 4;

pub fn inner(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 1, last)
}

pub fn host() -> Host {
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

pub fn route(name: &str, port: u16) -> Route {
    let backend = |number: u8| Backend {
        name: format!("gateway-{number}"),
        address: (number != 1).then(|| inner(number)),
        port,
        weight: 1,
    };
    Route {
        name: name.to_owned(),
        mode: "http".to_owned(),
        port,
        network: "box-network".to_owned(),
        backends: (1..=3).map(backend).collect(),
        ..Route::default()
    }
}

pub fn plan() -> Plan {
    let network = |name: &str, inner| Network {
        name: name.to_owned(),
        interface: name.to_owned(),
        inner,
        address: None,
        vips: Vec::new(),
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
            ..Limits::default()
        },
        undeclared: None,
        nat: None,
    }
}

/// Every state a packet could meet: whatever is named is there, and belongs to who names it.
pub fn assert_consistent(image: &Image) {
    assert_marked(image);
    for (listener, listening) in &image.listeners {
        let id = &listening.route;
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
        if route.flags & InMap::GUARDED != 0 {
            let first = image.access.keys().find(|(guarded, _)| guarded == id);
            assert!(first.is_some(), "route {id} is guarded by nothing");
        }
        for backend in image.run(route) {
            assert_eq!(
                image.backends.get(backend).map(|backend| backend.route),
                Some(*id)
            );
        }
    }
}

/// Addresses that are asked for and ports that flows may get are marked before.
fn assert_marked(image: &Image) {
    for (address, what) in &image.addresses {
        let (settings, low) = (&image.settings, u32::from_be_bytes(*address));
        let owned = what.flags & Address::OWN == 0 || settings.may_own(low);
        assert!(owned && settings.may_know(low), "{address:?} is not marked");
    }
    for (listener, listening) in &image.listeners {
        let id = listening.route;
        let known = marked(image, FlowPorts::Listens, listener.port, 0);
        assert!(known, "{listener:?} is not marked");
        let backends = image.backends.values();
        for backend in backends.filter(|backend| backend.route == id) {
            let known = marked(
                image,
                FlowPorts::Answers,
                backend.port,
                listening.port_offset,
            );
            assert!(known, "{backend:?} by {listener:?} is not marked");
        }
    }
}

/// The port so far behind this one is known to be one of flows.
fn marked(image: &Image, which: FlowPorts, port: Port, offset: u16) -> bool {
    let (index, bit) = which.place(u16::from_be_bytes(port).wrapping_add(offset));
    image
        .flow_ports
        .get(&index)
        .is_some_and(|marks| marks & bit != 0)
}

/// No packet reads this slot, nor did one before the last change.
fn assert_unused(image: &Image, slot: u32) {
    let runs = image.routes.values().map(stretch);
    let mut used = runs.chain(image.replaced.iter().cloned());
    assert!(used.all(|stretch| !stretch.contains(&slot)), "slot {slot}");
}

/// Applies write by write, looking at every state on the way.
pub fn apply(installed: &Image, difference: &Difference) -> Image {
    let mut image = installed.clone();
    for write in &difference.writes {
        image.apply(write);
        match write {
            // Nobody walks there: dearer to look at everything, and it would show less.
            MapWrite::Slot(index, _) => assert_unused(installed, *index),
            _ => assert_consistent(&image),
        }
    }
    let mut followed = installed.clone();
    followed.follow(difference.clone());
    (image.pools, image.laid) = (followed.pools.clone(), followed.laid);
    image.replaced = followed.replaced.clone();
    assert_eq!(image, followed);
    image
}

pub fn installed() -> Image {
    apply(
        &Image::default(),
        &diff(&Image::default(), &plan(), &host()).unwrap(),
    )
}

/// What a daemon that starts anew reads from the maps.
pub fn adopted(image: &Image) -> Image {
    Image {
        pools: Ids::default(),
        replaced: Vec::new(),
        laid: false,
        ..image.clone()
    }
}

pub fn step(image: &Image, plan: &Plan) -> Image {
    apply(image, &diff(image, plan, &host()).unwrap())
}
