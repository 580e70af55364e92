//! What people set by hand, beside the plan: routes switched off, backends drained, weights.
//!
//! It lives in the flags of what is installed, so a new plan and a new daemon find it, and each of them keeps it.
#![forbid(unsafe_code)]

use gwpool_common::net::V4;
use gwpool_common::route::{Backend, Route};
use std::collections::BTreeSet;

/// What `backend ready|drain|maint` sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As the plan has it.
    Ready,
    /// No new connection, live ones go on.
    Drain,
    /// The same, and meant to be away.
    Maint,
}

impl State {
    const FLAGS: u16 = Backend::<V4>::DRAIN | Backend::<V4>::MAINT;

    const fn flag(self) -> u16 {
        match self {
            State::Ready => 0,
            State::Drain => Backend::<V4>::DRAIN,
            State::Maint => Backend::<V4>::MAINT,
        }
    }

    /// Of an installed backend.
    pub const fn of(backend: &Backend<V4>) -> Self {
        if backend.flags & Backend::<V4>::MAINT != 0 {
            State::Maint
        } else if backend.flags & Backend::<V4>::DRAIN != 0 {
            State::Drain
        } else {
            State::Ready
        }
    }
}

/// One thing that is set now. Everything else stays as it was set before.
#[derive(Clone, Copy, Debug)]
pub enum Hand<'a> {
    /// Nothing.
    Still,
    /// These routes, by id: on, or off.
    Routes(&'a BTreeSet<u32>, bool),
    /// The state of these backends, by id.
    States(&'a BTreeSet<u32>, State),
    /// The weight of these backends, by id; `None`: the plan's again.
    Weights(&'a BTreeSet<u32>, Option<u16>),
}

impl Hand<'_> {
    /// Gives a backend what was or is set by hand. `known`: the same as it is installed.
    pub fn hold(&self, id: u32, known: Option<&Backend<V4>>, backend: &mut Backend<V4>) {
        let mut flags = known.map_or(0, |known| {
            known.flags & (State::FLAGS | Backend::<V4>::WEIGHED)
        });
        let mut weight = known.map_or(0, |known| known.weight);
        match self {
            Hand::States(ids, state) if ids.contains(&id) => {
                flags = flags & !State::FLAGS | state.flag();
            }
            Hand::Weights(ids, Some(set)) if ids.contains(&id) => {
                flags |= Backend::<V4>::WEIGHED;
                weight = *set;
            }
            Hand::Weights(ids, None) if ids.contains(&id) => flags &= !Backend::<V4>::WEIGHED,
            _ => {}
        }
        backend.flags |= flags;
        if flags & Backend::<V4>::WEIGHED != 0 {
            backend.weight = weight;
        }
    }

    /// The flag of a route that is switched off.
    pub fn switched(&self, id: u32, known: Option<&Route>) -> u32 {
        match self {
            Hand::Routes(ids, true) if ids.contains(&id) => 0,
            Hand::Routes(ids, false) if ids.contains(&id) => Route::SWITCHED_OFF,
            _ => known.map_or(0, |known| known.flags & Route::SWITCHED_OFF),
        }
    }
}

#[cfg(test)]
mod tests;
