//! Which source port a new flow gets: the client's own, if it may be used, else one outside the host's own ephemeral
//! range, so that its health checks and sockets never meet a flow.
//!
//! The walk goes in strides modulo a prime: it comes by every port, so the last free one is found, in an order that
//! only the seed tells (RFC 6056 3.3.3). It begins at one distance from the client's own port for all that client's
//! ports, so no two of them begin at the same: a backend that keeps a connection in TIME_WAIT lets its client in again,
//! whose timestamps go on from there, but to another's they may be old (RFC 6191), and that SYN is sent again.
//! A walk that found none is not repeated for that backend within the tick.

use crate::family::Family;
use crate::lifetime::{self, State};
use crate::world::{Task, World};
use gwpool_common::flow::FlowKey;
use gwpool_common::limits::Settings;
use gwpool_common::net::Port;
use gwpool_common::reason::Reason;

/// A search for a port with which the backend side's key is free.
pub struct Search<F: Family> {
    /// The backend side's key; its destination port is the one to try.
    key: FlowKey<F::Address>,
    own: Port,
    /// The client's own port may be used wherever it lies.
    keeps_port: bool,
    found: bool,
    /// What stands in the way of the port that was found.
    before: State,
    /// Where the walk stands, below the modulus.
    place: u32,
    stride: u32,
}

impl<F: Family> Search<F> {
    /// For the client's flow `key`, which will go from `source` to `destination`.
    #[inline(always)]
    pub fn new(
        settings: &Settings,
        key: &FlowKey<F::Address>,
        source: F::Address,
        destination: (F::Address, Port),
        keeps_port: bool,
    ) -> Self {
        let seed = settings.port_seed ^ F::low(key.source);
        let client = scatter(seed, u16::from_be_bytes(key.destination_port).into());
        let own: u32 = u16::from_be_bytes(key.source_port).into();
        let begin: u32 = (client & 0xffff) + own;
        let modulus = settings.port_modulus;
        let strides = modulus.wrapping_sub(1);
        Search {
            key: FlowKey {
                source: destination.0,
                destination: source,
                source_port: destination.1,
                destination_port: key.source_port,
                protocol: key.protocol,
                pad: [0; 3],
            },
            own: key.source_port,
            keeps_port,
            found: false,
            before: State::Live,
            place: begin.checked_rem(modulus).unwrap_or(0),
            stride: 1 + scatter(client, own).checked_rem(strides).unwrap_or(0),
        }
    }

    /// A free port.
    ///
    /// # Errors
    /// [`Reason::NoFreePort`].
    #[inline(always)]
    pub fn run<W: World<F>>(&mut self, world: &mut W, backend: u32) -> Result<Port, Reason> {
        if !self.keeps_port && world.load(backend).exhausted == 1 + world.now() as u64 {
            return Err(Reason::NoFreePort);
        }
        // Nearly always the first is free: a walk is made only where it is not.
        if !self.turn(world, 0) {
            world.repeat(1 + world.settings().port_modulus, self);
        }
        if self.found {
            self.clear(world);
            return Ok(self.key.destination_port);
        }
        if !self.keeps_port {
            world.exhaust(backend);
        }
        Err(Reason::NoFreePort)
    }

    /// Removes the flow that is over but stands where the new one will. Not in the walk: its frame and the caller's
    /// share 512 bytes of stack.
    #[inline(always)]
    fn clear<W: World<F>>(&self, world: &mut W) {
        if self.before != State::Live
            && let Some(at) = world.established(&self.key)
        {
            let flow = world.flow(at);
            lifetime::remove::<F, W>(world, &self.key, &flow, self.before);
        }
    }

    /// The port to try in this turn: the client's own first.
    #[inline(always)]
    fn candidate(&mut self, settings: &Settings, index: u32) -> Option<Port> {
        if index == 0 {
            let port = u16::from_be_bytes(self.own);
            let usable = self.keeps_port
                || port.wrapping_sub(settings.port_low_first) < settings.port_low_count
                || port.wrapping_sub(settings.port_high_first) < settings.port_high_count;
            return if usable { Some(self.own) } else { None };
        }
        let place = self.place;
        self.place = place + self.stride;
        if self.place >= settings.port_modulus {
            self.place -= settings.port_modulus;
        }
        let (low, high) = (
            settings.port_low_count as u32,
            settings.port_high_count as u32,
        );
        let port = if place < low {
            settings.port_low_first as u32 + place
        } else if place - low < high {
            settings.port_high_first as u32 + (place - low)
        } else {
            // The modulus is the next prime above: a few places stand for no port.
            return None;
        };
        Some((port as u16).to_be_bytes())
    }
}

impl<F: Family> Search<F> {
    /// No flow has the key, in either tier; one that is over but still stored makes room.
    #[inline(always)]
    fn is_free<W: World<F>>(&mut self, world: &mut W) -> bool {
        if let Some(at) = world.established(&self.key) {
            let flow = world.flow(at);
            self.before = lifetime::state::<F, W>(world, &self.key, &flow, false);
            return self.before != State::Live;
        }
        is_unborn::<F, W>(world, &self.key)
    }
}

/// No flow has the key, in either tier; one that is over but still stored is removed.
#[inline(always)]
pub fn vacant<F: Family, W: World<F>>(world: &mut W, key: &FlowKey<F::Address>) -> bool {
    if let Some(at) = world.established(key) {
        let flow = world.flow(at);
        let state = lifetime::state::<F, W>(world, key, &flow, false);
        if state == State::Live {
            return false;
        }
        lifetime::remove::<F, W>(world, key, &flow, state);
    }
    is_unborn::<F, W>(world, key)
}

/// No embryonic flow that is still waited for has the key.
#[inline(always)]
fn is_unborn<F: Family, W: World<F>>(world: &mut W, key: &FlowKey<F::Address>) -> bool {
    let Some(at) = world.embryonic(key) else {
        return true;
    };
    let flow = world.embryo(at).flow;
    if lifetime::waits::<F, W>(world, key.protocol, &flow) {
        return false;
    }
    world.forget(key);
    true
}

impl<F: Family, W: World<F>> Task<W> for Search<F> {
    #[inline(always)]
    fn turn(&mut self, world: &mut W, index: u32) -> bool {
        if let Some(port) = self.candidate(world.settings(), index) {
            self.key.destination_port = port;
            self.found = self.is_free(world);
        }
        self.found
    }
}

/// Known to nobody without the seed.
#[inline(always)]
const fn scatter(seed: u32, what: u32) -> u32 {
    let mut hash = seed.rotate_left(13).wrapping_mul(0x9e37_79b1) ^ what;
    hash = hash.rotate_left(15).wrapping_mul(0x85eb_ca6b);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests;
