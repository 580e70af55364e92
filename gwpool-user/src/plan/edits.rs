//! Plans that change at random, again and again, with restarts and reaped backends between: what a packet meets must
//! be the same as on a host where the last plan is the first.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]
#![forbid(unsafe_code)]

use super::diff::{diff, reap, retired};
use super::image::{Image, MapWrite};
use super::plan::{self, Access, Balance, ListenAddress, Plan, Protocol};
use super::world::{self, adopted, apply, host, inner, plan, route};
use gwpool_common::net::V4;
use gwpool_common::route::{Backend, Listener, Route};
use ipnet::Ipv4Net;
use std::collections::BTreeMap;

/// Chance, from a seed (xorshift64*).
struct Chance(u64);

impl Chance {
    fn of(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// All that a packet to one listener meets: no ids in it.
#[derive(Debug, PartialEq)]
struct Seen {
    name: String,
    offset: u16,
    route: Route,
    run: Vec<Backend<V4>>,
    access: Vec<(Ipv4Net, bool)>,
}

fn seen(image: &Image) -> BTreeMap<Listener<V4>, Seen> {
    let nameless = |id: &u32| Backend {
        route: 0,
        ..image.backends[id]
    };
    let look = |(listener, listening): (&Listener<V4>, &gwpool_common::route::Listening)| {
        let id = listening.route;
        let route = image.routes[&id];
        let mine = image.access.iter().filter(|((owner, _), _)| *owner == id);
        let seen = Seen {
            name: image.names[&id].clone(),
            offset: listening.port_offset,
            run: image.run(&route).iter().map(nameless).collect(),
            access: mine
                .map(|((_, prefix), allowed)| (*prefix, *allowed))
                .collect(),
            route: Route {
                slot_first: 0,
                ..route
            },
        };
        (*listener, seen)
    };
    image.listeners.iter().map(look).collect()
}

/// Changes one thing; the name of the route it is about.
fn edit(plan: &mut Plan, chance: &mut Chance) -> String {
    if plan.routes.is_empty() || chance.of(8) == 0 {
        let number = chance.of(30) as u16;
        let name = format!("route-{number:02}");
        if !plan.routes.iter().any(|route| route.name == name) {
            plan.routes.push(route(&name, 20_000 + number * 10));
            plan.routes.sort_by(|one, other| one.name.cmp(&other.name));
        }
        return name;
    }
    let index = chance.of(plan.routes.len());
    if chance.of(12) == 0 {
        return plan.routes.remove(index).name;
    }
    let route = &mut plan.routes[index];
    if chance.of(2) == 0 {
        edit_backends(route, chance);
    } else {
        edit_route(route, chance);
    }
    route.name.clone()
}

fn edit_backends(route: &mut plan::Route, chance: &mut Chance) {
    let backends = route.backends.len();
    match chance.of(4) {
        0 if backends > 0 => {
            let backend = chance.of(backends);
            route.backends[backend].weight = chance.of(4) as u16;
        }
        1 if backends > 0 => drop(route.backends.remove(chance.of(backends))),
        2 => route.backends.reverse(),
        _ => {
            let mut backend = world::route("any", route.port).backends.remove(1);
            backend.address = Some(inner(10 + chance.of(40) as u8));
            let mut others = route.backends.iter();
            if !others.any(|other| other.address == backend.address) {
                route.backends.insert(chance.of(backends + 1), backend);
            }
        }
    }
}

fn edit_route(route: &mut plan::Route, chance: &mut Chance) {
    match chance.of(8) {
        0 => (route.ports, route.shifts) = (1 + chance.of(5) as u16, chance.of(2) == 0),
        1 => {
            let prefix = |chance: &mut Chance| {
                let (second, length) = (chance.of(3), 16 + chance.of(3));
                format!("10.{second}.0.0/{length}").parse().unwrap()
            };
            route.access = Access {
                allow: (0..chance.of(3)).map(|_| prefix(chance)).collect(),
                deny: (0..chance.of(3)).map(|_| prefix(chance)).collect(),
            };
        }
        2 => {
            let all = [
                Balance::Turns,
                Balance::LeastConn,
                Balance::Source,
                Balance::Random,
            ];
            route.balance = all[chance.of(4)];
        }
        3 => route.timeout.idle_s = Some(chance.of(100) as u16),
        4 => route.preserve = !route.preserve,
        5 => route.enabled = !route.enabled,
        6 => route.timeout.connect_s = chance.of(9) as u16,
        _ => {
            route.protocol = [Protocol::Tcp, Protocol::Udp][chance.of(2)];
            route.listen = vec![ListenAddress::Any, ListenAddress::One(inner(1))];
            route.listen.truncate(1 + chance.of(2));
        }
    }
}

/// Nothing is written about other routes than this one.
fn assert_only(writes: &[MapWrite], before: &Image, after: &Image, name: &str) {
    let id = after.route_id(name).or(before.route_id(name));
    for write in writes {
        let about = match write {
            MapWrite::Settings(_) | MapWrite::FlowPorts(..) | MapWrite::Slot(..) => id,
            MapWrite::Listener(_, Some(listening)) => Some(listening.route),
            MapWrite::Listener(listener, None) => Some(before.listeners[listener].route),
            MapWrite::Access(route, ..) => Some(*route),
            MapWrite::Route(route, _) | MapWrite::Name(route, _) => Some(*route),
            MapWrite::Backend(_, Some(backend)) => Some(backend.route),
            other => panic!("{other:?} for a change of {name}"),
        };
        assert_eq!(about, id, "{write:?} for a change of {name}");
    }
}

#[test]
fn writes_that_stop_halfway_are_made_good_by_the_next_plan() {
    for seed in 1..=60u64 {
        let mut chance = Chance(seed);
        let mut plan = plan();
        (plan.limits.routes, plan.limits.backends) = (64, 1024);
        plan.routes[1].port = 30_100;
        let before = apply(
            &Image::default(),
            &diff(&Image::default(), &plan, &host()).unwrap(),
        );
        let old = plan.clone();
        for _ in 0..6 {
            edit(&mut plan, &mut chance);
        }
        let writes = diff(&before, &plan, &host()).unwrap().writes;
        // As the daemon has it then: the maps read again, the pools of the last plan.
        let mut halfway = Image {
            laid: false,
            ..before.clone()
        };
        for write in writes.iter().take(chance.of(writes.len() + 1)) {
            halfway.apply(write);
        }
        for plan in [&old, &plan] {
            let mended = apply(&halfway, &diff(&halfway, plan, &host()).unwrap());
            let mut first = Image::default();
            first.follow(diff(&Image::default(), plan, &host()).unwrap());
            assert_eq!(seen(&mended), seen(&first), "seed {seed}");
        }
    }
}

#[test]
fn any_row_of_changes_ends_where_a_fresh_start_would() {
    for seed in 1..=20u64 {
        let mut chance = Chance(seed);
        let mut plan = plan();
        (plan.limits.routes, plan.limits.backends) = (64, 1024);
        plan.routes[1].port = 30_100;
        let mut image = apply(
            &Image::default(),
            &diff(&Image::default(), &plan, &host()).unwrap(),
        );
        for number in 0..40 {
            let told = format!("seed {seed}, edit {number}");
            let name = edit(&mut plan, &mut chance);
            let difference = diff(&image, &plan, &host()).unwrap();
            let after = apply(&image, &difference);
            assert_only(&difference.writes, &image, &after, &name);
            image = after;
            let fresh = diff(&Image::default(), &plan, &host()).unwrap();
            let mut first = Image::default();
            first.follow(fresh);
            assert_eq!(seen(&image), seen(&first), "{told}");
            assert_eq!(image.settings, first.settings, "{told}");
            assert_eq!(diff(&image, &plan, &host()).unwrap().writes, [], "{told}");
            let anew = diff(&adopted(&image), &plan, &host()).unwrap();
            assert_eq!(anew.writes, [], "{told}: after a restart");
            match chance.of(4) {
                0 => image = apply(&adopted(&image), &anew),
                1 => image = apply(&image, &reap(&image, &retired(&image))),
                _ => {}
            }
            assert_eq!(seen(&image), seen(&first), "{told}");
        }
    }
}
