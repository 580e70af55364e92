//! Halves of flows that are idle or ending, and which two of them are one flow; pure.
//!
//! Only these are joined: of a busy flow neither half is here, and of the others the missing half is known to be
//! neither ending nor idle, or not to be. They are sorted in parts, so that no sort holds a thread for long.
#![forbid(unsafe_code)]

use super::flows::is_client_side;
use gwpool_common::flow::{Flow, FlowKey};
use gwpool_common::net::V4;
use gwpool_ebpf::lifetime::{age, closed};
use gwpool_ebpf::pair::mate;

/// Parts that are sorted one by one.
const PARTS: usize = 64;

/// Halves by parts; both halves of a flow are in the same one.
#[derive(Debug)]
pub struct Halves([Part; PARTS]);

/// A part.
#[derive(Debug, Default)]
pub struct Part(Vec<Half>);

/// A flow's name, shared by both halves: the key of its client side. Sorts fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    addresses: u64,
    ports: u32,
    protocol: u8,
}

/// What is kept of one entry. Its order is its flow's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Half {
    addresses: u64,
    ports: u32,
    protocol: u8,
    flags: u8,
    seen: u16,
    backend: u32,
}

/// A flow, as far as its halves are here: at least one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    name: Name,
    backend_id: u32,
    client: Option<Half>,
    backend: Option<Half>,
}

/// When the last packets were seen: the client's and the backend's, of the halves that there are. Compared a pass
/// later.
pub type Marks = (Option<u16>, Option<u16>);

impl Default for Halves {
    fn default() -> Self {
        Halves(std::array::from_fn(|_| Part::default()))
    }
}

impl Halves {
    /// Takes an entry.
    pub fn add(&mut self, key: &FlowKey<V4>, flow: &Flow<V4>) {
        let name = if is_client_side(flow) {
            Name::of(key)
        } else {
            Name::of(&mate(key.protocol, &flow.rewrite))
        };
        self.0[name.part()].0.push(Half {
            addresses: name.addresses,
            ports: name.ports,
            protocol: name.protocol,
            flags: flow.flags,
            seen: flow.seen,
            backend: flow.backend_id(),
        });
    }

    /// The parts, always in the same order.
    pub fn parts(self) -> impl Iterator<Item = Part> {
        self.0.into_iter()
    }
}

impl Part {
    /// Its flows, in the order of their names.
    pub fn flows(mut self) -> impl Iterator<Item = Joined> {
        self.0.sort_unstable();
        let mut halves = self.0.into_iter().peekable();
        std::iter::from_fn(move || {
            let first = halves.next()?;
            let mut flow = Joined::of(first);
            while let Some(half) = halves.next_if(|half| half.name() == flow.name) {
                flow.take(half);
            }
            Some(flow)
        })
    }
}

impl Name {
    /// Of the flow whose client side has this key.
    pub fn of(key: &FlowKey<V4>) -> Self {
        let word = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let address = u32::from_be_bytes;
        let [source, destination] = [key.source_port, key.destination_port];
        Name {
            addresses: word(address(key.source), address(key.destination)),
            ports: u32::from_be_bytes([source[0], source[1], destination[0], destination[1]]),
            protocol: key.protocol,
        }
    }

    /// Its protocol.
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// The client side's key.
    pub fn key(&self) -> FlowKey<V4> {
        let [a, b, c, d, e, f, g, h] = self.addresses.to_be_bytes();
        let [i, j, k, l] = self.ports.to_be_bytes();
        FlowKey {
            source: [a, b, c, d],
            destination: [e, f, g, h],
            source_port: [i, j],
            destination_port: [k, l],
            protocol: self.protocol,
            pad: [0; 3],
        }
    }

    fn part(&self) -> usize {
        let mixed = (self.addresses ^ u64::from(self.ports)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize % PARTS
    }
}

impl Half {
    fn name(&self) -> Name {
        Name {
            addresses: self.addresses,
            ports: self.ports,
            protocol: self.protocol,
        }
    }
}

impl Joined {
    fn of(half: Half) -> Self {
        let mut flow = Joined {
            name: half.name(),
            backend_id: half.backend,
            client: None,
            backend: None,
        };
        flow.take(half);
        flow
    }

    fn take(&mut self, half: Half) {
        let client = half.flags & Flow::<V4>::BACKEND_SIDE == 0;
        let place = if client {
            &mut self.client
        } else {
            &mut self.backend
        };
        *place = Some(half);
    }

    fn halves(&self) -> impl Iterator<Item = Half> {
        [self.client, self.backend].into_iter().flatten()
    }

    /// The flow's name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// The id of the backend it names.
    pub fn backend(&self) -> u32 {
        self.backend_id
    }

    /// Both sides have closed it: a half that is not here would be, had it seen FIN or RST.
    pub fn closed(&self) -> bool {
        let flags = |half: Option<Half>| half.map_or(0, |half| half.flags);
        closed(flags(self.client), flags(self.backend))
    }

    /// Ticks since the last packet of either half that is here.
    pub fn idle(&self, now: u16) -> u16 {
        let ages = self.halves().map(|half| age(half.seen, now));
        ages.min().unwrap_or(0)
    }

    /// The marks of the halves that are here.
    pub fn marks(&self) -> Marks {
        let seen = |half: Option<Half>| half.map(|half| half.seen);
        (seen(self.client), seen(self.backend))
    }
}

/// The half has seen FIN or RST.
pub fn ends(flow: &Flow<V4>) -> bool {
    flow.flags & (Flow::<V4>::FIN | Flow::<V4>::RST) != 0
}

#[cfg(test)]
mod tests;
