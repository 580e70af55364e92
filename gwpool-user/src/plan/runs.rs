//! What stands in a route's run of `SLOTS`, by its balance. What each means to the programs is said with
//! [`gwpool_common::route::Route::TURNS`] and its siblings.
#![forbid(unsafe_code)]

use super::plan::{self, Balance};
use super::rendezvous::{self, Taker};
use super::turns;
use gwpool_common::net::V4;
use gwpool_common::route::{Backend, Route};

/// How the programs know the balance.
pub const fn number(balance: Balance) -> u8 {
    match balance {
        Balance::Turns => Route::TURNS,
        Balance::LeastConn => Route::LEAST_CONN,
        Balance::Source => Route::SOURCE,
        Balance::Random => Route::RANDOM,
    }
}

/// The run of a pool, as indexes into it. Who is drained or in maintenance counts as weight 0, which has no place.
pub fn run(balance: Balance, pool: &[Backend<V4>]) -> Vec<usize> {
    let weights: Vec<u16> = pool.iter().map(weight).collect();
    match balance {
        Balance::Turns | Balance::Random => turns::cycle(&weights),
        Balance::LeastConn => (0..pool.len())
            .filter(|index| weights[*index] != 0)
            .collect(),
        Balance::Source => {
            let takers: Vec<Taker> = pool
                .iter()
                .zip(&weights)
                .map(|(backend, weight)| Taker {
                    place: (backend.address, backend.port),
                    weight: *weight,
                })
                .collect();
            rendezvous::table(&takers)
        }
    }
}

fn weight(backend: &Backend<V4>) -> u16 {
    if backend.flags & (Backend::<V4>::DRAIN | Backend::<V4>::MAINT) != 0 {
        0
    } else {
        backend.weight
    }
}

/// How many slots such a run takes.
pub fn length(balance: Balance, weights: &[u16]) -> u64 {
    match balance {
        Balance::Turns | Balance::Random => turns::length(weights),
        Balance::LeastConn => weights.len() as u64,
        Balance::Source => u64::from(rendezvous::places(weights.len())),
    }
}

impl plan::Route {
    /// How many slots its run takes, whatever states its backends are in.
    pub fn turns(&self) -> u64 {
        length(self.balance, &self.weights())
    }
}

#[cfg(test)]
mod tests;
