//! Third stage: the flow a packet belongs to, in either tier, and what the packet changes in it.
//!
//! ```text
//!            first packet                proof                        idle, FIN + FIN, RST
//!   (none) ----------------> embryonic ---------> established ------------------------> (none)
//!                             evicting             nothing evicts
//! ```
//! Proof is what a flood cannot send blind: TCP, the client's ACK of the backend's initial sequence number + 1;
//! UDP, a client's packet after the backend's first. Both halves must be there and name each other.
//! A flow is looked up established, embryonic, established: another CPU may just have promoted it.

use crate::classify::Ends;
use crate::family::Family;
use crate::lifetime::{self, State};
use crate::mapping::Kept;
use crate::opening::Opening;
use crate::packet::Packet;
use crate::pair::mate;
use crate::parse::{Parsed, TCP, TcpHeader, tcp};
use crate::proof;
use crate::redispatch;
use crate::world::{Side, World};
use gwpool_common::flow::{Embryo, Flow, FlowKey};
use gwpool_common::nat::Nat;
use gwpool_common::net::Port;
use gwpool_common::reason::Reason;
use gwpool_common::route::{FlowPorts, Listening};

/// A flow, and where it is kept.
///
/// It is filled in place, never returned: wrapped in a `Result`, its handles share a register with the error, and the
/// verifier refuses the masking ("math between map_value pointer and ... is not allowed").
pub struct Found<F: Family, W: World<F>> {
    /// This direction's entry, as this packet leaves it.
    pub flow: Flow<F::Address>,
    /// As it was found.
    before: Flow<F::Address>,
    /// It is translated. On a host that does not translate the verifier knows that nothing is.
    nat: bool,
    /// Embryonic: the proof, as this packet leaves it.
    proof: u32,
    /// Embryonic, gone on from a backend that failed it: that backend, and how many have.
    failed_backend: u32,
    failed: u8,
    /// Where it is, once it is proved.
    established: Option<W::Established>,
    /// Where it is until then.
    embryonic: Option<W::Embryonic>,
}

impl<F: Family, W: World<F>> Found<F, W> {
    /// The flow's backend.
    #[inline(always)]
    pub fn backend(&self) -> u32 {
        self.flow.backend_id()
    }

    /// Who sent the packet.
    #[inline(always)]
    pub fn side(&self) -> Side {
        if self.flow.flags & Flow::<F::Address>::BACKEND_SIDE != 0 {
            Side::Backend
        } else {
            Side::Client
        }
    }

    /// It is translated for an inside host, or for this one.
    #[inline(always)]
    pub fn is_nat(&self) -> bool {
        self.nat
    }

    /// The backend is this host; of a translated one, the client is.
    #[inline(always)]
    pub fn local(&self) -> bool {
        self.flow.flags & Flow::<F::Address>::LOCAL != 0
    }

    /// Where a packet of it goes that came in with this key.
    #[inline(always)]
    pub fn bound(&self, key: &FlowKey<F::Address>) -> Reason {
        match (self.is_nat(), self.local(), self.side()) {
            (false, true, _) => Reason::SelfDelivered,
            (true, true, _) => Reason::HostTranslated,
            (false, _, Side::Client) => Reason::ToBackend,
            (false, _, Side::Backend) => Reason::ToClient,
            (true, _, Side::Client) if self.flow.rewrite.destination == key.destination => {
                Reason::ToOutside
            }
            // From outside, or from one inside host to another.
            (true, ..) => Reason::ToInside,
        }
    }

    /// It has come in on the side it belongs to: not what only this host can send, nor, translated, an inside host's
    /// from outside, nor the other way round.
    #[inline(always)]
    pub fn arrives(&self, world: &W, key: &FlowKey<F::Address>) -> bool {
        if self.local() {
            return self.is_nat() == (self.side() == Side::Backend);
        }
        if !self.is_nat() {
            return true;
        }
        let from_inside = match self.side() {
            Side::Client => true,
            // Both ends of a flow between inside hosts are translated.
            Side::Backend => self.flow.rewrite.source != key.source,
        };
        from_inside == (world.interface() == world.nat().inside)
    }

    /// The flow's first packet in this tick.
    #[inline(always)]
    pub fn fresh(&self) -> bool {
        self.flow.seen != self.before.seen
    }

    /// Nothing found yet.
    #[inline(always)]
    pub fn none() -> Self {
        let flow = Flow::default();
        Found {
            flow,
            before: flow,
            nat: false,
            proof: 0,
            failed_backend: 0,
            failed: 0,
            established: None,
            embryonic: None,
        }
    }

    /// Writes back what the packet has changed; on a hit within the same tick that is nothing.
    #[inline(always)]
    pub fn settle(&self, world: &mut W) {
        if let Some(at) = self.established {
            if self.flow.seen != self.before.seen
                || self.flow.flags != self.before.flags
                || self.flow.next_hop != self.before.next_hop
            {
                world.mark(at, &self.flow);
            }
        } else if let Some(at) = self.embryonic {
            world.mark_embryo(
                at,
                &Embryo {
                    flow: self.flow,
                    proof: self.proof,
                    ..Embryo::default()
                },
            );
        }
    }

    /// What the packet leaves behind. A reset ends a flow that was never proved: the client's next SYN begins anew. A
    /// translated flow keeps its mapping, once a tick.
    #[inline(always)]
    pub fn end(&self, world: &mut W, parsed: &Parsed<F::Address>) {
        if self.is_nat() && self.fresh() {
            world.keep(&Kept {
                key: parsed.key,
                flow: self.flow,
            });
        }
        if self.resets(parsed) {
            world.forget(&mate(parsed.key.protocol, &self.flow.rewrite));
            world.forget(&parsed.key);
        }
    }

    /// A reset of a flow that was never proved.
    #[inline(always)]
    pub fn resets(&self, parsed: &Parsed<F::Address>) -> bool {
        self.embryonic.is_some() && parsed.flags & tcp::RST != 0
    }

    /// What opens a flow for a packet that has none.
    #[inline(always)]
    pub fn opening(
        &self,
        parsed: &Parsed<F::Address>,
        interface: u32,
        ends: Ends,
    ) -> Opening<F::Address> {
        Opening {
            key: parsed.key,
            interface,
            failed_backend: self.failed_backend,
            failed: self.failed,
            flags: parsed.flags,
            tos: parsed.tos,
            ends,
            pad: [0; 4],
            listening: Listening::default(),
        }
    }
}

/// Some flow may have this key: asked before the tiers are. A host that translates gives any port to its flows.
#[inline(always)]
pub fn possible<F: Family, W: World<F>>(world: &W, key: &FlowKey<F::Address>) -> bool {
    let marked = |which: FlowPorts, port: Port| {
        let (index, bit) = which.place(u16::from_be_bytes(port));
        world.flow_ports(index) & bit != 0
    };
    world.nat().flags & Nat::<F::Address>::ON != 0
        || marked(FlowPorts::Listens, key.destination_port)
        || marked(FlowPorts::Answers, key.source_port)
}

/// Finds the packet's established flow; false: there is none.
#[inline(always)]
pub fn established<F: Family, W: World<F>>(
    world: &mut W,
    parsed: &Parsed<F::Address>,
    found: &mut Found<F, W>,
) -> bool {
    let Some(at) = world.established(&parsed.key) else {
        return false;
    };
    let before = world.flow(at);
    let now = world.now();
    let mut flow = before;
    if flow.seen != now || parsed.flags & (tcp::SYN | tcp::FIN | tcp::RST) != 0 {
        let reopens = parsed.opens() && flow.flags & Flow::<F::Address>::BACKEND_SIDE == 0;
        let state = lifetime::state::<F, W>(world, &parsed.key, &flow, reopens);
        if state != State::Live {
            lifetime::remove::<F, W>(world, &parsed.key, &flow, state);
            return false;
        }
        if flow.flags & Flow::<F::Address>::RST != 0
            && flow.seen != now
            && parsed.flags & (tcp::SYN | tcp::FIN | tcp::RST) == 0
        {
            lifetime::revive::<F, W>(world, &parsed.key, &mut flow);
        }
        flow.seen = now;
        let marks = lifetime::closing(parsed.flags);
        if flow.flags & marks != marks {
            lifetime::close::<F, W>(world, &parsed.key, &flow, marks);
            flow.flags |= marks;
        }
    }
    (found.flow, found.before) = (flow, before);
    found.nat = lifetime::is_nat::<F, W>(world, &flow);
    found.established = Some(at);
    true
}

/// Finds the packet's embryonic flow, promoted if this packet is the proof; false: there is none.
///
/// # Errors
/// [`Reason::TableFull`]: proved, but the established tier has no room.
#[inline(always)]
pub fn embryonic<F: Family, W: World<F>, P: Packet>(
    packet: &mut P,
    world: &mut W,
    parsed: &Parsed<F::Address>,
    found: &mut Found<F, W>,
) -> Result<bool, Reason> {
    let Some(at) = world.embryonic(&parsed.key) else {
        return Ok(false);
    };
    let embryo = world.embryo(at);
    let (before, mut proof) = (embryo.flow, embryo.proof);
    let now = world.now();
    if !lifetime::waits::<F, W>(world, parsed.key.protocol, &before) {
        world.forget(&mate(parsed.key.protocol, &before.rewrite));
        world.forget(&parsed.key);
        return Ok(false);
    }
    let mut flow = before;
    let mut embryonic = Some(at);
    flow.seen = now;
    if flow.flags & Flow::<F::Address>::BACKEND_SIDE != 0 {
        if parsed.key.protocol != TCP {
            flow.flags |= Flow::<F::Address>::REPLIED;
        } else if parsed.accepts() {
            proof =
                u32::from_be_bytes(packet.get::<TcpHeader>(parsed.l4)?.sequence).wrapping_add(1);
            flow.flags |= Flow::<F::Address>::REPLIED;
        } else if flow.flags & Flow::<F::Address>::PICKED_UP != 0 && parsed.flags & tcp::RST == 0 {
            flow.flags |= Flow::<F::Address>::REPLIED;
        }
    } else {
        let other = proof::half::<F, W>(world, parsed, &flow);
        let answered =
            matches!(&other, Some(other) if other.flow.flags & Flow::<F::Address>::REPLIED != 0);
        if parsed.opens() && !answered && redispatch::due::<F, W>(world, &embryo) {
            found.failed_backend = before.backend_id();
            found.failed = embryo.failed.wrapping_add(1);
            world.forget(&mate(parsed.key.protocol, &before.rewrite));
            world.forget(&parsed.key);
            world.count_redispatch(found.failed_backend);
            return Ok(false);
        }
        let Some(other) = other else {
            // One half was evicted: what is left is no flow.
            world.forget(&parsed.key);
            return Ok(false);
        };
        if proof::proves(packet, parsed, &other)?
            && proof::promote::<F, W>(world, parsed, &flow, &other.flow)?
        {
            embryonic = None;
        }
    }
    (found.flow, found.before, found.proof) = (flow, before, proof);
    found.nat = lifetime::is_nat::<F, W>(world, &flow);
    found.embryonic = embryonic;
    Ok(true)
}
