//! What the pipeline may ask of the world around it: tables, the clock, the kernel's routing. Nothing else.
//!
//! In the kernel these are maps and helpers (`kernel/world.rs`), on the host ordered maps with the kernel's
//! capacities (`tests/harness/model.rs`). A found flow is a handle to the entry itself, so that marking it costs no
//! second look-up.

use crate::family::Family;
use crate::opening::Opening;
use crate::packet::Packet;
use crate::translation::Translation;
use gwpool_common::answers::Answers;
use gwpool_common::flow::{Embryo, Flow, FlowKey};
use gwpool_common::fragment::{First, Fragmented};
use gwpool_common::limits::Settings;
use gwpool_common::net::{Address, Network, NextHop, Port};
use gwpool_common::reason::Reason;
use gwpool_common::route::{Access, Backend, Listener, Listening, Load, Route, Source};

/// Why an insert did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The key is taken.
    Taken,
    /// The table has no room.
    Full,
    /// Other CPUs are at it: the next packet may try again.
    Busy,
}

/// A question to the kernel's routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup<A> {
    /// Source address after translation.
    pub source: A,
    /// Destination address after translation.
    pub destination: A,
    /// Source port after translation: multipath routes hash it.
    pub source_port: Port,
    /// Destination port after translation.
    pub destination_port: Port,
    /// IP protocol.
    pub protocol: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// Bytes of the IP packet, or of the largest that it stands for.
    pub length: u16,
}

/// Its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way<A> {
    /// The neighbour's address is known.
    Known(NextHop),
    /// It is not: the kernel must ask for it.
    Unresolved {
        /// Index of the interface the neighbour is behind.
        interface: u32,
        /// The neighbour.
        gateway: A,
    },
}

/// Which direction a packet went, for its backend's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the client.
    Client,
    /// From the backend.
    Backend,
}

/// A count goes up or down by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// One more.
    Up,
    /// One less.
    Down,
}

/// Something that is done in turns.
pub trait Task<W> {
    /// One turn; true: done.
    fn turn(&mut self, world: &mut W, index: u32) -> bool;
}

/// What the pipeline asks.
pub trait World<F: Family>: Translation<F> {
    /// A flow found in the established tier.
    type Established: Copy;
    /// A flow found in the embryonic tier.
    type Embryonic: Copy;

    /// Now, in ticks (see [`Settings::tick_shift`]).
    fn now(&self) -> u16;
    /// What the daemon has set.
    fn settings(&self) -> &Settings;
    /// The interface the packet came in by.
    fn interface(&self) -> u32;
    /// The kernel can be asked here to resolve a neighbour and send (TC); else the packet goes on untouched (XDP).
    fn resolves(&self) -> bool;

    /// The established flow under `key`.
    fn established(&mut self, key: &FlowKey<F::Address>) -> Option<Self::Established>;
    /// A copy of it.
    fn flow(&self, at: Self::Established) -> Flow<F::Address>;
    /// Writes flags, next hop and the last-seen tick.
    fn mark(&mut self, at: Self::Established, flow: &Flow<F::Address>);
    /// Inserts, unless the key is taken.
    fn establish(
        &mut self,
        key: &FlowKey<F::Address>,
        flow: &Flow<F::Address>,
    ) -> Result<(), Refused>;
    /// Removes an established entry, if it is there.
    fn retire(&mut self, key: &FlowKey<F::Address>);

    /// The embryonic flow under `key`.
    fn embryonic(&mut self, key: &FlowKey<F::Address>) -> Option<Self::Embryonic>;
    /// A copy of it.
    fn embryo(&self, at: Self::Embryonic) -> Embryo<F::Address>;
    /// Writes flags, next hop, the last-seen tick and the proof.
    fn mark_embryo(&mut self, at: Self::Embryonic, embryo: &Embryo<F::Address>);
    /// Inserts, unless the key is taken. A full tier gives up its oldest entries.
    fn conceive(
        &mut self,
        key: &FlowKey<F::Address>,
        embryo: &Embryo<F::Address>,
    ) -> Result<(), Refused>;
    /// Removes an embryonic entry, if it is there.
    fn forget(&mut self, key: &FlowKey<F::Address>);

    /// What the first fragment of this packet has said.
    fn first(&self, packet: &Fragmented<F::Address>) -> Option<First>;
    /// Keeps what the first fragment says, instead of what an earlier one with the same number has.
    fn remember(&mut self, packet: &Fragmented<F::Address>, first: &First);
    /// Gives the frame to the daemon; false: no room.
    fn hold<P: Packet>(&mut self, packet: &mut P) -> bool;

    /// An entry of `FLOW_PORTS`.
    fn flow_ports(&self, index: u32) -> u64;
    /// What the host knows about an address.
    fn address(&self, address: &F::Address) -> Option<Address>;
    /// Guarded prefix number `index`.
    fn network(&self, index: u32) -> Option<Network<F::Address>>;
    /// Who listens there.
    fn listener(&self, listener: &Listener<F::Address>) -> Option<Listening>;
    /// The route.
    fn route(&self, id: u32) -> Option<Route>;
    /// Takes the route's next turn: 0, 1, 2, …, each given once, on whatever CPU.
    fn turn(&mut self, route: u32) -> u64;
    /// The backend whose turn it is at `slot`.
    fn slot(&self, slot: u32) -> Option<u32>;
    /// The backend.
    fn backend(&self, id: u32) -> Option<Backend<F::Address>>;
    /// What the most specific prefix of the route's lists says of the address: 1 allowed, 0 denied; or `otherwise`.
    fn access(&self, client: &Access<F::Address>, otherwise: u32) -> u32;

    /// Live flows of a backend.
    fn load(&self, backend: u32) -> Load;
    /// Established flows of TCP or UDP.
    fn share(&self, protocol: u8) -> Load;
    /// What the client holds.
    fn source(&self, address: &F::Address) -> Source;
    /// One flow of the backend more, or less.
    fn move_load(&mut self, backend: u32, by: Step);
    /// One flow more of the protocol and of the client, or less.
    fn move_share(&mut self, protocol: u8, client: &F::Address, by: Step);
    /// Every port towards the backend is taken.
    fn exhaust(&mut self, backend: u32);

    /// A packet that is leaving was sent on by our own ingress, which has decided about it.
    fn sent_on(&self) -> bool;

    /// Has a flow opened by [`crate::opening::open`] after this walk; then the packet is walked again.
    ///
    /// # Errors
    /// That has been done, and why there is no flow all the same.
    fn open(&mut self, opening: &Opening<F::Address>) -> Result<(), Reason>;
    /// Runs `task` with 0, 1, 2, ... until it is done, `count` times at most, in a world that knows tables and the
    /// clock, but no packet. In the kernel that is a call by `bpf_loop`: the verifier walks the task once and not once
    /// a turn.
    fn repeat<T: Task<Self>>(&mut self, count: u32, task: &mut T)
    where
        Self: Sized;

    /// Asks the kernel's routing.
    ///
    /// # Errors
    /// [`Reason::NoRoute`], [`Reason::ForwardingDisabled`]; [`Reason::TooBig`], and the MTU is kept as by `limit`.
    fn lookup(&mut self, question: &Lookup<F::Address>) -> Result<Way<F::Address>, Reason>;
    /// Next hop number `index`.
    fn next_hop(&self, index: u16) -> Option<NextHop>;
    /// Fills a free next hop; false if it was not free.
    fn claim_next_hop(&mut self, index: u16, hop: &NextHop) -> bool;
    /// The kernel's routing gave this hop again under the present epoch.
    fn confirm_next_hop(&mut self, index: u16, epoch: u32);

    /// The packet is larger than `mtu`, the most that its next hop takes: kept for the answer.
    fn limit(&mut self, mtu: u16);
    /// What was kept last.
    fn mtu(&self) -> u16;
    /// This CPU's answers.
    fn answers(&mut self) -> Option<&mut Answers>;

    /// One connection given to `backend`.
    fn count_connection(&mut self, backend: u32);
    /// A handshake with `backend` has failed and goes on to another.
    fn count_redispatch(&mut self, backend: u32);
    /// Packets carried for `backend`.
    fn count_carried(&mut self, backend: u32, from: Side, packets: u32, bytes: u32);
}
