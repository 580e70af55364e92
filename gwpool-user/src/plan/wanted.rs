//! A plan laid on a host, beside what is installed: every map as it should be, with ids that stay put.
//!
//! Routes keep their id by name, backends by (route, address, port). A backend that the plan no longer has stays as
//! *retired*: no run names it, its flows go on, and [`super::diff::reap`] frees its id when they are over.
#![forbid(unsafe_code)]

use super::error::Error;
use super::image::Image;
use super::plan::{self, ListenAddress, Plan};
use super::{settings, slots, turns};
use crate::host::{Host, Link};
use gwpool_common::limits;
use gwpool_common::net::{Address, Interface, Network, V4};
use gwpool_common::route::{Backend, Listener, Listening, ROUTE_NAME_BYTES, Route};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// Every map as it should be.
pub fn wanted(installed: &Image, plan: &Plan, host: &Host) -> Result<Image, Error> {
    let links = links(plan, host)?;
    let mut image = Image {
        settings: settings::wanted(&installed.settings, plan, host)?,
        interfaces: links
            .values()
            .map(|link| (link.index, interface(link)))
            .collect(),
        networks: networks(installed, plan, &links)?,
        addresses: addresses(plan, host, &links)?,
        slots: installed.slots.clone(),
        backends: installed.backends.clone(),
        names: installed.names.clone(),
        ..Image::default()
    };
    for route in &plan.routes {
        let id = route_id(&mut image, plan, route)?;
        let pool = backends(&mut image, plan, &links, id, route)?;
        for address in &route.listen {
            let listening = Listening {
                route: id,
                ..Listening::default()
            };
            image.listeners.insert(listener(*address, route), listening);
        }
        let switched = installed
            .routes
            .get(&id)
            .map_or(0, |known| known.flags & Route::SWITCHED_OFF);
        let mut flags = switched;
        if route.enabled && switched == 0 {
            flags |= Route::ENABLED;
        }
        // Also if it takes no turns here: a peer may have chosen us, and its live flows know no weights.
        if pool
            .iter()
            .any(|id| image.backends[id].flags & Backend::<V4>::SELF != 0)
        {
            flags |= Route::SELF_BACKEND;
        }
        let run = run(&image, &pool);
        let stretch = slots::place(installed, &mut image, id, &run, &plan.limits)?;
        image.routes.insert(
            id,
            Route {
                flags,
                slot_first: stretch.start,
                slot_count: run.len() as u32,
                balance: Route::TURNS,
                redispatches: route.redispatches,
                connect_s: route.timeout.connect_s,
            },
        );
        image.pools.insert(id, pool);
    }
    image.replaced = slots::replaced(installed, &image);
    forget_names(&mut image);
    Ok(image)
}

/// One cycle of a pool. Who is taken out by hand counts as weight 0.
fn run(image: &Image, pool: &[u32]) -> Vec<u32> {
    let share = |id: &u32| {
        let backend = &image.backends[id];
        let out = backend.flags & (Backend::<V4>::DRAIN | Backend::<V4>::MAINT) != 0;
        if out { 0 } else { backend.weight }
    };
    let weights: Vec<u16> = pool.iter().map(share).collect();
    turns::cycle(&weights)
        .into_iter()
        .map(|taker| pool[taker])
        .collect()
}

/// A name is kept while a route or a backend, retired or not, has its id.
pub(super) fn forget_names(image: &mut Image) {
    let used: BTreeSet<u32> = image
        .routes
        .keys()
        .copied()
        .chain(image.backends.values().map(|backend| backend.route))
        .collect();
    image.names.retain(|id, _| used.contains(id));
}

/// The plan's networks and the links that carry them.
fn links<'a>(plan: &'a Plan, host: &'a Host) -> Result<BTreeMap<&'a str, &'a Link>, Error> {
    let find = |network: &'a plan::Network| match host.links.get(&network.interface) {
        Some(link) => Ok((network.name.as_str(), link)),
        None => Err(Error::NoInterface {
            network: network.name.clone(),
            interface: network.interface.clone(),
            existing: host
                .links
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", "),
        }),
    };
    plan.networks.iter().map(find).collect()
}

fn link<'a>(
    links: &BTreeMap<&str, &'a Link>,
    network: &str,
    user: &str,
) -> Result<&'a Link, Error> {
    links
        .get(network)
        .copied()
        .ok_or_else(|| Error::UnknownNetwork {
            user: user.to_owned(),
            network: network.to_owned(),
        })
}

fn interface(link: &Link) -> Interface {
    Interface {
        flags: if link.carries_xdp { Interface::XDP } else { 0 },
    }
}

/// The connected prefixes of inner networks. Entries that stay keep their order, so that writing from the front
/// never leaves one of them out for a moment.
fn networks(
    installed: &Image,
    plan: &Plan,
    links: &BTreeMap<&str, &Link>,
) -> Result<Vec<Network<V4>>, Error> {
    let mut wanted = Vec::new();
    for network in plan.networks.iter().filter(|network| network.inner) {
        let link = link(links, &network.name, "the plan")?;
        for prefix in &link.addresses {
            let guarded = Network {
                prefix: prefix.network().octets(),
                mask: prefix.netmask().octets(),
                interface: link.index,
            };
            if !wanted.contains(&guarded) {
                wanted.push(guarded);
            }
        }
    }
    if wanted.len() > limits::NETWORKS as usize {
        let key = "the number of prefixes on inner networks is fixed";
        return Err(Error::Full {
            table: "NETWORKS",
            limit: limits::NETWORKS,
            key,
        });
    }
    let mut networks = installed.networks.clone();
    networks.retain(|network| wanted.contains(network));
    wanted.retain(|network| !networks.contains(network));
    networks.append(&mut wanted);
    Ok(networks)
}

/// Own addresses of every interface; those of managed ones are what `*` stands for.
fn addresses(
    plan: &Plan,
    host: &Host,
    links: &BTreeMap<&str, &Link>,
) -> Result<BTreeMap<V4, Address>, Error> {
    let mut addresses = BTreeMap::new();
    for peer in &plan.peers {
        let interface = link(links, &peer.network, &peer.name)?.index;
        addresses.insert(
            peer.address.octets(),
            Address {
                flags: Address::PEER,
                interface,
            },
        );
    }
    let managed: BTreeSet<u32> = links.values().map(|link| link.index).collect();
    // Managed links last: an address that two links hold counts as the managed one's.
    let mut holders: Vec<&Link> = host.links.values().collect();
    holders.sort_by_key(|link| (managed.contains(&link.index), link.index));
    for link in holders {
        for held in &link.addresses {
            let listens = managed.contains(&link.index) && !held.addr().is_loopback();
            let flags = Address::OWN | if listens { Address::LISTEN } else { 0 };
            addresses.insert(
                held.addr().octets(),
                Address {
                    flags,
                    interface: link.index,
                },
            );
        }
    }
    Ok(addresses)
}

fn listener(address: ListenAddress, route: &plan::Route) -> Listener<V4> {
    Listener {
        address: match address {
            ListenAddress::Any => [0; 4],
            ListenAddress::One(address) => address.octets(),
        },
        port: route.port.to_be_bytes(),
        protocol: route.protocol.number(),
        pad: 0,
    }
}

/// The id that goes with the route's name, or the lowest that no route and no retired backend has.
fn route_id(image: &mut Image, plan: &Plan, route: &plan::Route) -> Result<u32, Error> {
    if route.name.len() > ROUTE_NAME_BYTES {
        return Err(Error::NameTooLong {
            name: route.name.clone(),
            limit: ROUTE_NAME_BYTES,
        });
    }
    if let Some(id) = image.route_id(&route.name) {
        return Ok(id);
    }
    let referred: BTreeSet<u32> = image
        .backends
        .values()
        .map(|backend| backend.route)
        .collect();
    let id = (1..=plan.limits.routes)
        .find(|id| !image.names.contains_key(id) && !referred.contains(id))
        .ok_or(Error::Full {
            table: "ROUTES",
            limit: plan.limits.routes,
            key: "gwpool.limits.routes",
        })?;
    image.names.insert(id, route.name.clone());
    Ok(id)
}

/// Enters the route's backends; the result is their ids, in the plan's order.
fn backends(
    image: &mut Image,
    plan: &Plan,
    links: &BTreeMap<&str, &Link>,
    route_id: u32,
    route: &plan::Route,
) -> Result<Vec<u32>, Error> {
    if route.backends.is_empty() {
        return Ok(Vec::new());
    }
    let source = source(plan, links, &route.network, &route.name)?;
    let mut pool: Vec<u32> = Vec::new();
    for backend in &route.backends {
        let wanted = Backend {
            address: backend.address.unwrap_or(source).octets(),
            source: source.octets(),
            port: backend.port.to_be_bytes(),
            flags: if backend.address.is_none_or(|address| address == source) {
                Backend::<V4>::SELF
            } else {
                0
            },
            route: route_id,
            weight: backend.weight,
            idle_s: route.timeout.idle_s.unwrap_or(0),
        };
        let id = backend_id(image, plan, &wanted, &pool)?;
        let mut wanted = wanted;
        if let Some(known) = image.backends.get(&id) {
            let kept = Backend::<V4>::DRAIN | Backend::<V4>::MAINT | Backend::<V4>::WEIGHED;
            wanted.flags |= known.flags & kept;
            if known.flags & Backend::<V4>::WEIGHED != 0 {
                wanted.weight = known.weight;
            }
        }
        image.backends.insert(id, wanted);
        pool.push(id);
    }
    Ok(pool)
}

/// The id of the same backend, or the lowest free one.
fn backend_id(
    image: &Image,
    plan: &Plan,
    wanted: &Backend<V4>,
    taken: &[u32],
) -> Result<u32, Error> {
    let same = |other: &Backend<V4>| {
        (other.route, other.address, other.port) == (wanted.route, wanted.address, wanted.port)
    };
    let known = image
        .backends
        .iter()
        .find(|(id, other)| same(other) && !taken.contains(id));
    if let Some((id, _)) = known {
        return Ok(*id);
    }
    let limit = plan.limits.backends.min(limits::BACKENDS_MAX - 1);
    (1..=limit)
        .find(|id| !image.backends.contains_key(id))
        .ok_or(Error::Full {
            table: "BACKENDS",
            limit,
            key: "gwpool.limits.backends",
        })
}

/// Our own address on a destination network: what full NAT gives as source, and where we are as backend.
fn source(
    plan: &Plan,
    links: &BTreeMap<&str, &Link>,
    network: &str,
    user: &str,
) -> Result<Ipv4Addr, Error> {
    let link = link(links, network, user)?;
    let declared = plan.networks.iter().find(|known| known.name == network);
    let declared = declared.ok_or_else(|| Error::UnknownNetwork {
        user: user.to_owned(),
        network: network.to_owned(),
    })?;
    let (network, interface) = (declared.name.clone(), declared.interface.clone());
    match (declared.address, link.addresses.first()) {
        (_, None) => Err(Error::NoAddress { network, interface }),
        (None, Some(first)) => Ok(first.addr()),
        (Some(wanted), _) if link.addresses.iter().any(|held| held.addr() == wanted) => Ok(wanted),
        (Some(wanted), _) => {
            let held = link
                .addresses
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            Err(Error::AddressNotHeld {
                network,
                interface,
                wanted,
                held,
            })
        }
    }
}

#[cfg(test)]
mod tests;
