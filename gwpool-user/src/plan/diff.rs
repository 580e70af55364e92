//! What is installed and what is wanted, to an ordered list of map writes; pure.
//!
//! The same plan on the same host writes nothing. What people set by hand goes the same way, and is kept by the next
//! plan.
#![forbid(unsafe_code)]

use super::changes::Changes;
pub use super::changes::Difference;
use super::error::Error;
use super::hand::Hand;
pub use super::hand::State;
use super::image::Image;
use super::plan::Plan;
use super::wanted;
use crate::host::Host;
use gwpool_common::limits::Settings;
use std::collections::BTreeSet;

/// Lays a plan on a host.
pub fn diff(installed: &Image, plan: &Plan, host: &Host) -> Result<Difference, Error> {
    wanted::lay(installed, plan, host, &Hand::Still)
}

/// The same plan with these routes switched off by hand, or on again; new connections of one that is off go to the
/// local stack. What the plan itself disables stays off. A later [`diff`] keeps the switch.
pub fn switch(
    installed: &Image,
    plan: &Plan,
    host: &Host,
    routes: &BTreeSet<u32>,
    on: bool,
) -> Result<Difference, Error> {
    wanted::lay(installed, plan, host, &Hand::Routes(routes, on))
}

/// The same plan with these backends in this state: one that is drained or in maintenance takes no new connections,
/// its live ones go on. A later [`diff`] keeps it.
pub fn set_states(
    installed: &Image,
    plan: &Plan,
    host: &Host,
    backends: &BTreeSet<u32>,
    state: State,
) -> Result<Difference, Error> {
    wanted::lay(installed, plan, host, &Hand::States(backends, state))
}

/// The same plan with another weight for these backends; `None`: the plan's again. A later [`diff`] keeps it.
pub fn set_weight(
    installed: &Image,
    plan: &Plan,
    host: &Host,
    backends: &BTreeSet<u32>,
    weight: Option<u16>,
) -> Result<Difference, Error> {
    wanted::lay(installed, plan, host, &Hand::Weights(backends, weight))
}

/// Backends that the plan no longer has. Those that only take no turns are not among them.
pub fn retired(installed: &Image) -> BTreeSet<u32> {
    let mut live = vec![false; installed.backends.end() as usize];
    let runs = installed
        .routes
        .values()
        .flat_map(|route| installed.run(route));
    for id in runs.chain(installed.pools.values().flatten()) {
        if let Some(live) = live.get_mut(*id as usize) {
            *live = true;
        }
    }
    let ids = installed.backends.keys().copied();
    ids.filter(|id| !live[*id as usize]).collect()
}

/// Frees these backends' ids, and the names that only they kept. The caller has seen that no flow names them.
pub fn reap(installed: &Image, idle: &BTreeSet<u32>) -> Difference {
    let gone: BTreeSet<u32> = &retired(installed) & idle;
    let routes = gone
        .iter()
        .map(|id| installed.backends[id].route)
        .filter(|route| {
            !installed.routes.contains_key(route) && installed.names.contains_key(route)
        })
        .collect();
    let mut changes = Changes::default();
    changes.names.gone = wanted::nameless(installed, routes, |id| !gone.contains(&id));
    changes.backends.gone = gone.into_iter().collect();
    alone(changes)
}

/// The same with another time for closed TCP flows: the sweep's word on how full the table is. A later [`diff`] keeps it.
pub fn closing(installed: &Image, closing_s: u16) -> Difference {
    let settings = Settings {
        closing_s,
        ..installed.settings
    };
    alone(Changes {
        settings: (settings != installed.settings).then_some(settings),
        ..Changes::default()
    })
}

/// Changes that move neither pools nor runs.
fn alone(changes: Changes) -> Difference {
    Difference {
        writes: changes.ordered(),
        ..Difference::default()
    }
}

#[cfg(test)]
mod tests;
