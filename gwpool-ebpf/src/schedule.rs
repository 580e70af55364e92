//! Fourth stage: which backend a new flow gets.
//!
//! | balance | |
//! |---|---|
//! | turns (roundrobin, static-rr) | one shared cursor a route, moved once for each new flow: exact, on however many CPUs |
//! | leastconn | the fewest live flows for its weight; who is equal takes turns |
//! | source | the client's address says the place in a table of hashes that all gateways make alike |
//! | random | of two places drawn by lot the one with fewer live flows for its weight |
//!
//! A handshake that goes on from a backend that failed it looks from its place on for any other.

use crate::family::Family;
use crate::opening::Opening;
use crate::world::{Task, World};
use gwpool_common::limits;
use gwpool_common::net::Port;
use gwpool_common::reason::Reason;
use gwpool_common::route::{Backend, Listening, Route};

/// The backend for a new flow.
pub struct Chosen<A> {
    /// Its id.
    pub id: u32,
    /// The backend.
    pub backend: Backend<A>,
    /// The port there: in a range it follows the listen port.
    pub port: Port,
}

/// Chooses.
///
/// # Errors
/// [`Reason::NoLiveBackend`].
#[inline(always)]
pub fn choose<F: Family, W: World<F>>(
    world: &mut W,
    opening: &Opening<F::Address>,
    listening: &Listening,
    route: &Route,
) -> Result<Chosen<F::Address>, Reason> {
    if route.slot_count == 0 {
        return Err(Reason::NoLiveBackend);
    }
    let client = mixed(F::low(opening.key.source));
    let by = match route.balance {
        Route::SOURCE => client as u64,
        Route::RANDOM => lot(world.turn(listening.route), client),
        _ => world.turn(listening.route),
    };
    let mut look = Look::<F> {
        route: listening.route,
        first: route.slot_first,
        count: route.slot_count,
        place: within(by, route),
        failed: opening.failed_backend,
        weighs: route.balance == Route::LEAST_CONN || route.balance == Route::RANDOM,
        least: u64::MAX,
        id: 0,
        backend: Backend::default(),
    };
    if route.balance == Route::LEAST_CONN || opening.failed_backend != 0 {
        let looks = if route.slot_count < limits::BALANCE_LOOKS {
            route.slot_count
        } else {
            limits::BALANCE_LOOKS
        };
        world.repeat(looks, &mut look);
    } else {
        let place = look.place;
        look.at(world, place);
        if route.balance == Route::RANDOM {
            look.at(world, within(by >> 32, route));
        }
    }
    if look.id == 0 {
        // None is live; or the run was replaced under this packet, and the sender's next finds the new one.
        return Err(Reason::NoLiveBackend);
    }
    let port = u16::from_be_bytes(look.backend.port).wrapping_add(listening.port_offset);
    Ok(Chosen {
        id: look.id,
        backend: look.backend,
        port: port.to_be_bytes(),
    })
}

/// A look at places of a run: the best of those seen so far.
struct Look<F: Family> {
    route: u32,
    first: u32,
    count: u32,
    /// The place to begin with.
    place: u32,
    failed: u32,
    /// The one with the fewest flows for its weight is wanted, not the first.
    weighs: bool,
    least: u64,
    id: u32,
    backend: Backend<F::Address>,
}

impl<F: Family> Look<F> {
    /// Looks at the backend whose turn it is at `place`.
    #[inline(always)]
    fn at<W: World<F>>(&mut self, world: &W, place: u32) {
        let Some(id) = world.slot(self.first.wrapping_add(place)) else {
            return;
        };
        let Some(backend) = world.backend(id) else {
            return;
        };
        if id == self.failed || backend.route != self.route {
            return;
        }
        if self.weighs {
            let flows = world.load(id).flows() << 8;
            let load = flows.checked_div(backend.weight as u64).unwrap_or(flows);
            if load >= self.least {
                return;
            }
            self.least = load;
        }
        (self.id, self.backend) = (id, backend);
    }
}

impl<F: Family, W: World<F>> Task<W> for Look<F> {
    #[inline(always)]
    fn turn(&mut self, world: &mut W, index: u32) -> bool {
        let mut place = self.place + index;
        if place >= self.count {
            place -= self.count;
        }
        self.at(world, place);
        !self.weighs && self.id != 0
    }
}

/// The place in the run.
#[inline(always)]
fn within(by: u64, run: &Route) -> u32 {
    // `checked_rem`: a division that could panic is refused by the verifier ("last insn is not an exit or jmp").
    by.checked_rem(run.slot_count as u64).unwrap_or(0) as u32
}

/// A client's hash: the same on every gateway (the finalizer of MurmurHash3).
#[inline(always)]
fn mixed(address: u32) -> u32 {
    let hash = (address ^ (address >> 16)).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// Two lots of 32 bits (splitmix64): of the turn, so that no two are alike, and of the client, so that nobody who
/// counts turns knows them.
#[inline(always)]
fn lot(turn: u64, client: u32) -> u64 {
    let mut lot = (turn << 32 | client as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    lot = (lot ^ (lot >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    lot = (lot ^ (lot >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    lot ^ (lot >> 31)
}
