//! A plan laid on a host, beside what is installed: what has to change, with ids that stay put.
//!
//! Routes keep their id by name, backends by (route, address, port). A backend that the plan no longer has stays as
//! *retired*: no run names it, its flows go on, and [`super::diff::reap`] frees its id when they are over.
//!
//! Each route is compared with what is installed before anything is made for it, so a plan in which one route of ten
//! thousand is another costs little more than looking at it.
#![forbid(unsafe_code)]

use super::changes::{Changes, Difference, Entries};
use super::error::Error;
use super::ground::{self, Links};
use super::hand::Hand;
use super::image::Image;
use super::plan::{self, Balance, ListenAddress, Plan};
use super::register::Register;
use super::slots::{Free, stretch};
use super::{flow_ports, runs, turns};
use crate::host::Host;
use gwpool_common::nat::Nat;
use gwpool_common::net::V4;
use gwpool_common::route::{Backend, Listener, Listening, ROUTE_NAME_BYTES, Route};
use ipnet::Ipv4Net;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::Range;

/// What has to change, with what people set by hand just now.
pub fn lay(installed: &Image, plan: &Plan, host: &Host, hand: &Hand) -> Result<Difference, Error> {
    let links = ground::links(plan, host)?;
    let mut draft = Draft {
        changes: ground::changes(installed, plan, host, &links)?,
        installed,
        plan,
        links,
        hand,
        register: None,
        free: None,
        sources: BTreeMap::new(),
        laid: vec![false; installed.names.end().max(installed.routes.end()) as usize],
        last: 0,
        listeners: Vec::with_capacity(plan.routes.len()),
        access: Vec::new(),
        pools: Vec::new(),
        replaced: Vec::new(),
        wanted: Vec::new(),
    };
    for route in &plan.routes {
        draft.route(route)?;
    }
    if let Some(nat) = &plan.nat {
        draft.guard(Nat::<V4>::ACCESS_ID, &nat.access);
    }
    draft.close()
}

/// A plan on its way into the maps.
struct Draft<'a> {
    installed: &'a Image,
    plan: &'a Plan,
    links: Links<'a>,
    hand: &'a Hand<'a>,
    register: Option<Register<'a>>,
    free: Option<Free>,
    /// Our own address by network.
    sources: BTreeMap<&'a str, Ipv4Addr>,
    /// By route id: installed, and still planned.
    laid: Vec<bool>,
    /// The id of the route before this one.
    last: u32,
    listeners: Vec<(Listener<V4>, Listening)>,
    access: Vec<((u32, Ipv4Net), bool)>,
    pools: Vec<(u32, Option<Vec<u32>>)>,
    replaced: Vec<Range<u32>>,
    /// The backends of the route at hand: kept for its memory only.
    wanted: Vec<Backend<V4>>,
    changes: Changes,
}

impl<'a> Draft<'a> {
    fn route(&mut self, route: &'a plan::Route) -> Result<(), Error> {
        let id = self.route_id(&route.name)?;
        self.listen(id, route);
        self.guard(id, &route.access);
        let mut wanted = std::mem::take(&mut self.wanted);
        self.backends(id, route, &mut wanted)?;
        let pool = self.pool(id, &wanted)?;
        let moves = self.enter(&pool, &mut wanted) || matches!(pool, Cow::Owned(_));
        let before = self.installed.routes.get(&id);
        let balance = runs::number(route.balance);
        let run = match before.filter(|known| known.balance == balance) {
            Some(known) if !moves && self.installed.laid => stretch(known),
            _ => self.run(id, route, &pool, &wanted)?,
        };
        if let Cow::Owned(pool) = pool {
            self.pools.push((id, Some(pool)));
        }
        let after = Route {
            flags: self.flags(id, route, &wanted),
            slot_first: run.start,
            slot_count: run.end - run.start,
            balance,
            redispatches: route.redispatches,
            connect_s: route.timeout.connect_s,
        };
        if let Some(before) = before.map(stretch).filter(|before| *before != run)
            && !before.is_empty()
        {
            self.replaced.push(before);
        }
        if before != Some(&after) {
            self.changes.routes.set.push((id, after));
        }
        self.wanted = wanted;
        Ok(())
    }

    /// The id that goes with the route's name, or a new one.
    fn route_id(&mut self, name: &str) -> Result<u32, Error> {
        if name.len() > ROUTE_NAME_BYTES {
            return Err(Error::NameTooLong {
                name: name.to_owned(),
                limit: ROUTE_NAME_BYTES,
            });
        }
        let names = &self.installed.names;
        // Ids are given in the plan's order: the next one is mostly right, and near in memory.
        let next = self.last + 1;
        let known = if names.get(&next).is_some_and(|known| known == name) {
            Some(next)
        } else {
            names.id(name)
        };
        let id = match known {
            Some(id) => id,
            None => {
                let register = self
                    .register
                    .get_or_insert_with(|| Register::of(self.installed));
                let id = register.new_route(&self.plan.limits)?;
                self.changes.names.set.push((id, name.to_owned()));
                id
            }
        };
        self.last = id;
        if let Some(laid) = self.laid.get_mut(id as usize) {
            *laid = true;
        }
        Ok(id)
    }

    fn listen(&mut self, id: u32, route: &plan::Route) {
        for address in &route.listen {
            let address = match address {
                ListenAddress::Any => [0; 4],
                ListenAddress::One(address) => address.octets(),
            };
            for offset in 0..route.ports {
                let listener = Listener {
                    address,
                    port: route.port.saturating_add(offset).to_be_bytes(),
                    protocol: route.protocol.number(),
                    pad: 0,
                };
                let listening = Listening {
                    route: id,
                    port_offset: if route.shifts { offset } else { 0 },
                    pad: 0,
                };
                self.listeners.push((listener, listening));
            }
        }
    }

    /// What is both allowed and denied is denied.
    fn guard(&mut self, id: u32, access: &plan::Access) {
        let plan::Access { allow, deny } = access;
        let allowed = allow.iter().map(|prefix| (prefix, true));
        let denied = deny.iter().map(|prefix| (prefix, false));
        for (prefix, allowed) in allowed.chain(denied) {
            self.access.push(((id, prefix.trunc()), allowed));
        }
    }

    /// The route's backends as the plan has them.
    fn backends(
        &mut self,
        id: u32,
        route: &'a plan::Route,
        wanted: &mut Vec<Backend<V4>>,
    ) -> Result<(), Error> {
        wanted.clear();
        if route.backends.is_empty() {
            return Ok(());
        }
        let network = route.network.as_str();
        let source = match self.sources.get(network) {
            Some(known) => *known,
            None => {
                let found = ground::source(self.plan, &self.links, network, &route.name)?;
                *self.sources.entry(network).or_insert(found)
            }
        };
        wanted.extend(route.backends.iter().map(|backend| {
            let address = backend.address.unwrap_or(source);
            let flags = match (address == source, route.preserve) {
                (true, _) => Backend::<V4>::SELF,
                (false, true) => Backend::<V4>::PRESERVE,
                (false, false) => 0,
            };
            Backend {
                address: address.octets(),
                source: source.octets(),
                port: backend.port.to_be_bytes(),
                flags,
                route: id,
                weight: backend.weight,
                idle_s: route.timeout.idle_s.unwrap_or(0),
            }
        }));
        Ok(())
    }

    /// The ids of these backends: as they are installed, if these are the same in the same order.
    fn pool(&mut self, id: u32, wanted: &[Backend<V4>]) -> Result<Cow<'a, [u32]>, Error> {
        let installed = self.installed;
        let place = |backend: &Backend<V4>| (backend.route, backend.address, backend.port);
        let same = |(id, wanted): (&u32, &Backend<V4>)| {
            let known = installed.backends.get(id);
            known.is_some_and(|known| place(known) == place(wanted))
        };
        let known = installed.pools.get(&id);
        if let Some(pool) =
            known.filter(|pool| pool.len() == wanted.len() && pool.iter().zip(wanted).all(same))
        {
            return Ok(Cow::Borrowed(pool));
        }
        let register = self.register.get_or_insert_with(|| Register::of(installed));
        Ok(Cow::Owned(register.pool(id, wanted, &self.plan.limits)?))
    }

    /// Adds what was set by hand, and enters what is new or different; whether anything is.
    fn enter(&mut self, pool: &[u32], wanted: &mut [Backend<V4>]) -> bool {
        let before = self.changes.backends.set.len();
        for (id, wanted) in pool.iter().zip(wanted) {
            let known = self.installed.backends.get(id);
            self.hand.hold(*id, known, wanted);
            if known != Some(wanted) {
                self.changes.backends.set.push((*id, *wanted));
            }
        }
        self.changes.backends.set.len() != before
    }

    /// Where the run stands; one that is not installed is written to a free stretch.
    fn run(
        &mut self,
        id: u32,
        route: &plan::Route,
        pool: &[u32],
        backends: &[Backend<V4>],
    ) -> Result<Range<u32>, Error> {
        let weights: Vec<u16> = backends.iter().map(|backend| backend.weight).collect();
        let most = turns::most(&weights);
        let cycles = matches!(route.balance, Balance::Turns | Balance::Random);
        if cycles && turns::length(&weights) > most {
            return Err(Error::LongCycle {
                route: route.name.clone(),
                turns: turns::length(&weights),
                most,
            });
        }
        let run: Vec<u32> = runs::run(route.balance, backends)
            .into_iter()
            .map(|taker| pool[taker])
            .collect();
        if run.is_empty() {
            return Ok(0..0);
        }
        if let Some(running) = self.installed.routes.get(&id)
            && self.installed.run(running) == run
        {
            return Ok(stretch(running));
        }
        let free = self
            .free
            .get_or_insert_with(|| Free::of(self.installed, &self.plan.limits));
        let place = free.take(run.len() as u32)?;
        let slots = &self.installed.slots;
        let written = place
            .clone()
            .zip(run)
            .filter(|(index, backend)| slots.get(*index as usize).unwrap_or(&0) != backend);
        self.changes.slots.extend(written);
        Ok(place)
    }

    fn flags(&self, id: u32, route: &plan::Route, backends: &[Backend<V4>]) -> u32 {
        let known = self.installed.routes.get(&id);
        let mut flags = self.hand.switched(id, known);
        if route.enabled && flags == 0 {
            flags |= Route::ENABLED;
        }
        // Also if it takes no turns here: a peer may have chosen us, and its live flows know no weights.
        let is_self = |backend: &Backend<V4>| backend.flags & Backend::<V4>::SELF != 0;
        if backends.iter().any(is_self) {
            flags |= Route::SELF_BACKEND;
        }
        let plan::Access { allow, deny } = &route.access;
        if !(allow.is_empty() && deny.is_empty()) {
            flags |= Route::GUARDED;
        }
        if !allow.is_empty() {
            flags |= Route::DENIES_REST;
        }
        flags
    }

    /// What the plan no longer has goes, and the maps that are compared whole are.
    fn close(mut self) -> Result<Difference, Error> {
        let limits = &self.plan.limits;
        let fits = |entries: usize, table, limit, key| {
            if entries > limit as usize {
                Err(Error::Full { table, limit, key })
            } else {
                Ok(())
            }
        };
        fits(
            self.listeners.len(),
            "LISTENERS",
            limits.listeners,
            "gwpool.limits.listeners",
        )?;
        fits(
            self.access.len(),
            "ACCESS",
            limits.access,
            "gwpool.limits.access",
        )?;
        let backends = &self.changes.backends.set;
        self.changes.flow_ports = flow_ports::wanted(self.installed, &self.listeners, backends);
        self.changes.listeners = Entries::between(&self.installed.listeners, self.listeners);
        self.changes.access = Entries::between(&self.installed.access, self.access);
        let laid = self.laid;
        let is_gone = |id: &u32| !laid.get(*id as usize).unwrap_or(&false);
        for (id, route) in self.installed.routes.iter().filter(|(id, _)| is_gone(id)) {
            self.changes.routes.gone.push(*id);
            if route.slot_count != 0 {
                self.replaced.push(stretch(route));
            }
        }
        let pools = self.installed.pools.keys().copied();
        self.pools
            .extend(pools.filter(is_gone).map(|id| (id, None)));
        let unlaid: BTreeSet<u32> = self
            .installed
            .names
            .keys()
            .copied()
            .filter(is_gone)
            .collect();
        self.changes.names.gone = nameless(self.installed, unlaid, |_| true);
        Ok(Difference {
            writes: self.changes.ordered(),
            pools: self.pools,
            replaced: (!self.replaced.is_empty()).then_some(self.replaced),
            lays: true,
        })
    }
}

/// Those of these routes whose name nobody needs: a name is kept while a backend that `stays` has its route's id.
pub(super) fn nameless(
    installed: &Image,
    mut routes: BTreeSet<u32>,
    stays: impl Fn(u32) -> bool,
) -> Vec<u32> {
    if !routes.is_empty() {
        for (id, backend) in installed.backends.iter() {
            if routes.contains(&backend.route) && stays(*id) {
                routes.remove(&backend.route);
            }
        }
    }
    routes.into_iter().collect()
}

#[cfg(test)]
mod tests;
