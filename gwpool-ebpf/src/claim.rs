//! Of the mapping: an outside end is claimed for an inside one.
//!
//! ```text
//!   its own port -> another of its class, anywhere, by the hint (`pool`) -> one whose mapping is over
//!     -> somebody's who speaks with others, where that is allowed (RFC 7857 3) -> none
//! ```
//! The insert of the outside end, which fails if it is taken, is the only authority on who has a port. A port that a
//! socket of this host has is not claimed: the kernel is asked.

use crate::family::Family;
use crate::lifetime;
use crate::mapping;
use crate::pool;
use crate::ports;
use crate::translation::Socket;
use crate::world::{Refused, Step, Task, World};
use gwpool_common::flow::FlowKey;
use gwpool_common::limits;
use gwpool_common::nat::{End, Mapped, Mapping, Nat};
use gwpool_common::net::Port;
use gwpool_common::reason::Reason;

/// A claim, and the outside end that is tried.
pub struct Claim<F: Family> {
    outside: End<F::Address>,
    inside: (F::Address, Port),
    remote: (F::Address, Port),
    /// The socket is this host's, and has the port already: only a mapping can be before it.
    own: bool,
    /// A port may be two hosts'.
    overloads: bool,
    full: bool,
    found: bool,
    /// What was found is another's, too.
    shared: bool,
    ports: pool::Ports,
}

impl<F: Family> Claim<F> {
    /// For the socket that sends a packet with this key, at the NAT address in this place. `own`: it is this host's.
    #[inline(always)]
    pub fn new<W: World<F>>(
        world: &W,
        key: &FlowKey<F::Address>,
        (place, address): (u32, F::Address),
        own: bool,
    ) -> Self {
        let seed = world.settings().port_seed ^ F::low(key.source);
        Claim {
            outside: End {
                address,
                port: key.source_port,
                protocol: key.protocol,
                side: End::<F::Address>::OUTSIDE,
            },
            inside: (key.source, key.source_port),
            remote: (key.destination, key.destination_port),
            own: own && key.source == address,
            overloads: world.nat().flags & Nat::<F::Address>::OVERLOADS != 0,
            full: false,
            found: false,
            shared: false,
            ports: pool::Ports::new(place, key.protocol, key.source_port, seed),
        }
    }

    /// The end, entered, or shared with whom it belongs to. What no daemon has swept is looked for once a tick.
    ///
    /// # Errors
    /// [`Reason::NatExhausted`], [`Reason::TableFull`].
    #[inline(always)]
    pub fn run<W: World<F>>(&mut self, world: &mut W) -> Result<(), Reason> {
        let searched = !self.overloads && world.load(0).exhausted == 1 + world.now() as u64;
        let left = if searched { 0 } else { self.ports.count() };
        world.repeat(limits::PORT_TRIES + left, self);
        if self.full {
            return Err(Reason::TableFull);
        }
        if self.found {
            return Ok(());
        }
        if self.overloads {
            self.share(world);
        }
        if !self.shared {
            world.exhaust(0);
            return Err(Reason::NatExhausted);
        }
        Ok(())
    }

    /// What was found, and whether it is another's, too.
    #[inline(always)]
    pub fn end(&self) -> (End<F::Address>, bool) {
        (self.outside, self.shared)
    }

    /// Looks for a port of somebody who speaks with others.
    #[inline(always)]
    fn share<W: World<F>>(&mut self, world: &mut W) {
        let mut sharing = Sharing::<F> {
            answer: self.answer(),
            ports: self.ports,
            found: false,
        };
        world.repeat(self.ports.count(), &mut sharing);
        self.outside.port = sharing.answer.destination_port;
        self.shared = sharing.found;
    }

    /// Takes the port, if neither a mapping nor a socket of this host has it.
    #[inline(always)]
    fn take<W: World<F>>(&mut self, world: &mut W) {
        self.outside.port = self.ports.port();
        if !self.own && self.is_held(world) {
            self.ports.taken::<F, W>(world);
            return;
        }
        let mapping = Mapping {
            address: self.inside.0,
            port: self.inside.1,
            seen: world.now(),
        };
        match world.map(&self.outside, &mapping) {
            Ok(()) => self.found = true,
            Err(Refused::Full) => self.full = true,
            Err(Refused::Taken | Refused::Busy) => {}
        }
        self.ports.taken::<F, W>(world);
    }

    /// A socket of this host has the port: it has bound it, or would get what comes back.
    #[inline(always)]
    fn is_held<W: World<F>>(&self, world: &mut W) -> bool {
        world.bound(&self.outside) || world.socket(&self.answer()) != Socket::None
    }

    /// What would come back to it.
    #[inline(always)]
    fn answer(&self) -> FlowKey<F::Address> {
        FlowKey {
            source: self.remote.0,
            destination: self.outside.address,
            source_port: self.remote.1,
            destination_port: self.outside.port,
            protocol: self.outside.protocol,
            pad: [0; 3],
        }
    }

    /// The port may be tried: no mapping has it, whatever the hint says, or one of which nothing was seen for longer than any
    /// flow may be idle; that one is removed.
    #[inline(always)]
    fn evict<W: World<F>>(&self, world: &mut W) -> bool {
        let outside = End {
            port: self.ports.port(),
            ..self.outside
        };
        let Some(mapping) = world.mapping(&outside) else {
            return self.ports.is_given_out::<F, W>(world);
        };
        let inside = mapping::other(&outside, &mapping);
        let seen = match world.mapping(&inside) {
            Some(other) if (other.address, other.port) == (outside.address, outside.port) => {
                other.seen
            }
            _ => mapping.seen,
        };
        let limit = lifetime::lapse(world.nat().longest_s, world.settings().ticks_per_1024_s);
        if lifetime::age(seen, world.now()) < limit {
            return false;
        }
        world.unmap(&inside);
        world.unmap(&outside);
        world.move_subscriber(&inside.address, Step::Down);
        mapping::tell::<F, W>(world, &inside, &outside, Mapped::<F::Address>::ENDS);
        true
    }
}

impl<F: Family, W: World<F>> Task<W> for Claim<F> {
    #[inline(always)]
    fn turn(&mut self, world: &mut W, index: u32) -> bool {
        let tries = match index.checked_sub(limits::PORT_TRIES) {
            Some(place) => {
                self.ports.at(place);
                self.evict(world)
            }
            None if index == 0 => self.own || self.ports.is_given_out::<F, W>(world),
            None => self.ports.next::<F, W>(world),
        };
        if tries {
            self.take(world);
        }
        self.own = false;
        self.found || self.full
    }
}

/// A search of its own: its frame and that of the claim would not fit on the stack together.
struct Sharing<F: Family> {
    /// What would come back to the port that is tried.
    answer: FlowKey<F::Address>,
    ports: pool::Ports,
    found: bool,
}

impl<F: Family, W: World<F>> Task<W> for Sharing<F> {
    #[inline(always)]
    fn turn(&mut self, world: &mut W, index: u32) -> bool {
        self.ports.at(index);
        self.answer.destination_port = self.ports.port();
        let given = world.mapping(&mapping::outside(&self.answer)).is_some();
        self.found = given && ports::vacant::<F, W>(world, &self.answer);
        self.found
    }
}
