//! Beside the walk: what ends here for a reason that its sender can act on is turned into an answer, in place, and
//! leaves as it came: TCP gets a reset, everything else an ICMP error (RFC 9293 3.10.7.1, RFC 1812 4.3.2).
//!
//! ```text
//!   Ethernet | IP, options | TCP | ...           Ethernet | IP, options | UDP | ...
//!   Ethernet | IP, no-ops  | RST                 Ethernet | IP | ICMP | IP, options | UDP
//! ```
//! Only TC makes answers: at XDP nobody can say whether the checksum is finished. XDP leaves the packet to TC while
//! there is an answer left in this tick; after that both end it in silence. It counts as its reason all the same.
//! The packet must be as it came: a stage that fails has not written to it. Whether its sender may be told is asked
//! last, so that what may not be cannot pass XDP's share by.
//!
//! The checksum that is left to the sender of the frame (veth, virtio) lies in the quote, and stays there. Whatever
//! finishes it makes the quoted transport bytes sum to the complement of what the field holds now, the pseudo header's
//! sum; ICMP's own checksum is computed for then. A reset takes the same place as the segment that it answers.

use crate::checksum;
use crate::family::{Family, L3, Network, Part};
use crate::icmp::{self, Header};
use crate::packet::Packet;
use crate::parse::{self, ICMP, Ports, TCP, TcpHeader, UDP, UdpHeader, checksum_offset, tcp};
use crate::rewrite;
use crate::world::World;
use gwpool_common::nat::Nat;
use gwpool_common::net::Address;
use gwpool_common::reason::Reason;

/// What the sender is told.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// ICMP's type.
    pub kind: u8,
    /// ICMP's code.
    pub code: u8,
    /// TCP is told so by a reset.
    pub resets: u8,
    /// Zero.
    pub pad: u8,
    /// "Fragmentation needed": what the next hop takes.
    pub mtu: u16,
}

/// The word for a packet that ends for `reason`, if there is one and an answer left in this tick. At TC it is spent.
#[inline(always)]
pub fn due<F: Family, W: World<F>>(world: &mut W, reason: Reason) -> Option<Word> {
    let (kind, code, resets) = match reason {
        Reason::NoLiveBackend
        | Reason::NoFreePort
        | Reason::TableFull
        | Reason::OverShare
        | Reason::OverRate
        | Reason::Undeclared => (icmp::UNREACHABLE, icmp::PORT, true),
        Reason::Denied => (icmp::UNREACHABLE, icmp::PROHIBITED, true),
        // RFC 5508 REQ-8: whatever the protocol.
        Reason::NatExhausted | Reason::NatOverPorts | Reason::NatDenied => {
            (icmp::UNREACHABLE, icmp::PROHIBITED, false)
        }
        Reason::TtlExpired => (icmp::TIME_EXCEEDED, 0, false),
        Reason::TooBig => (icmp::UNREACHABLE, icmp::FRAGMENTATION_NEEDED, false),
        _ => return None,
    };
    let (now, limit) = (world.now() as u32, world.settings().answers_per_tick);
    let (spends, mtu) = (world.resolves(), world.mtu());
    let answers = world.answers()?;
    if answers.tick != now {
        (answers.tick, answers.spent) = (now, 0);
    }
    if answers.spent >= limit {
        answers.withheld += 1;
        return None;
    }
    answers.spent += spends as u32;
    Some(Word {
        kind,
        code,
        resets: resets as u8,
        pad: 0,
        mtu,
    })
}

/// Turns the packet into what its sender is told.
///
/// # Errors
/// The packet ends in silence: [`Reason::NotOurs`] where nobody may be told, else what was in the way of telling.
#[inline(always)]
pub fn make<F: Family, P: Packet, W: World<F>>(
    packet: &mut P,
    world: &mut W,
    word: Word,
) -> Result<(), Reason> {
    let network = F::again(packet);
    let transport = transport(packet, &network)?;
    let resets = network.protocol == TCP && word.resets != 0;
    if !may_be_told::<F, P>(packet, &network, &transport.segment, resets) {
        return Err(Reason::NotOurs);
    }
    if resets {
        reset::<F, P>(packet, &network, &transport)?;
    } else {
        let from = own_end::<F, W>(world, &network, transport.ports).ok_or(Reason::NotOurs)?;
        error::<F, P>(packet, &network, &transport, from, word)?;
    }
    if let Some(answers) = world.answers() {
        answers.sent += 1;
    }
    Ok(())
}

/// The transport header, read once: a second look at the same bytes is one that LLVM knows to be within bounds, and the
/// verifier does not.
struct Transport {
    ports: Ports,
    /// TCP's header; zeros for UDP.
    segment: TcpHeader,
    /// As much of the packet as is quoted: not less than the whole header of TCP, because the kernel keeps a frame
    /// whose checksum is partial from ending before it.
    length: usize,
    /// The one's complement sum of that.
    sum: u32,
    /// The checksum in it.
    check: [u8; 2],
}

#[inline(always)]
fn transport<A, P: Packet>(packet: &mut P, network: &Network<A>) -> Result<Transport, Reason> {
    if network.part == Part::Later {
        return Err(Reason::NotOurs);
    }
    if network.protocol == TCP {
        let segment = packet.get::<TcpHeader>(network.l4)?;
        return Ok(Transport {
            ports: segment.ports(),
            segment,
            length: size_of::<TcpHeader>(),
            sum: segment.sum(),
            check: segment.check,
        });
    }
    // No error answers an error (RFC 1122 3.2.2).
    if network.protocol == ICMP && !parse::is_query(packet, network) {
        return Err(Reason::NotOurs);
    }
    // Of what is neither TCP nor UDP, as many bytes are quoted (RFC 792).
    let header = packet.get::<UdpHeader>(network.l4)?;
    Ok(Transport {
        ports: header.ports,
        segment: TcpHeader::default(),
        length: size_of::<UdpHeader>(),
        sum: header.sum(),
        check: header.check,
    })
}

/// One host has sent it to one host, and it is no answer itself (RFC 1122 3.2.2).
#[inline(always)]
fn may_be_told<F: Family, P: Packet>(
    packet: &mut P,
    network: &Network<F::Address>,
    segment: &TcpHeader,
    by_reset: bool,
) -> bool {
    // How long a fragment's segment is the fragment does not say.
    rewrite::between_two(packet)
        && F::unicast(network.source)
        && segment.flags & tcp::RST == 0
        && !(by_reset && network.part == Part::First)
        && F::sound(packet, network)
}

/// Our address that the answer comes from: where the packet was sent to; for an inside host our own one there; or, if it
/// was sent to a client's own (`source: preserve`), what the client takes us for.
#[inline(always)]
fn own_end<F: Family, W: World<F>>(
    world: &mut W,
    network: &Network<F::Address>,
    ports: Ports,
) -> Option<F::Address> {
    let known = world.address(&network.destination).unwrap_or_default();
    if known.flags & Address::OWN != 0 {
        return Some(network.destination);
    }
    let (nat, by) = (world.nat(), world.interface());
    if nat.flags & Nat::<F::Address>::ON != 0 && nat.inside == by {
        return Some(nat.own);
    }
    Some(
        icmp::flow::<F, W>(world, &ports.key(network))?
            .rewrite
            .source,
    )
}

/// Turns a segment into its reset (RFC 9293 3.10.7.1), IP options blanked.
#[inline(always)]
fn reset<F: Family, P: Packet>(
    packet: &mut P,
    network: &Network<F::Address>,
    transport: &Transport,
) -> Result<(), Reason> {
    let segment = &transport.segment;
    let field = network.l4 + checksum_offset(TCP);
    let partial = packet.partial(field, transport.check)?;
    packet.cut(network.l4 + transport.length)?;
    let mut header = TcpHeader {
        source_port: segment.destination_port,
        destination_port: segment.source_port,
        sequence: segment.acknowledgment,
        offset: (size_of::<TcpHeader>() as u8 / 4) << 4,
        flags: tcp::RST,
        ..TcpHeader::default()
    };
    if segment.flags & tcp::ACK == 0 {
        let headers = (network.l4 - L3) as u32 + (segment.offset >> 4) as u32 * 4;
        let octets = network.total.wrapping_sub(headers);
        let phantoms = (segment.flags & tcp::SYN != 0) as u32 + (segment.flags & tcp::FIN) as u32;
        let sequence = u32::from_be_bytes(segment.sequence);
        let next = sequence.wrapping_add(octets).wrapping_add(phantoms);
        header.sequence = [0; 4];
        header.acknowledgment = next.to_be_bytes();
        header.flags = tcp::RST | tcp::ACK;
    }
    let pseudo = checksum::fold(
        F::sum(network.source)
            + F::sum(network.destination)
            + checksum::word([0, TCP])
            + checksum::word((transport.length as u16).to_be_bytes()),
    );
    let check = if partial {
        pseudo
    } else {
        !checksum::fold(pseudo as u32 + header.sum())
    };
    header.check = check.to_ne_bytes();
    packet.put(network.l4, &header)?;
    let ends = (network.destination, network.source);
    F::compose(packet, network.l4, ends, TCP, transport.length)?;
    rewrite::turn_back(packet)
}

/// Turns a packet into the ICMP error that quotes it.
#[inline(always)]
fn error<F: Family, P: Packet>(
    packet: &mut P,
    network: &Network<F::Address>,
    transport: &Transport,
    from: F::Address,
    word: Word,
) -> Result<(), Reason> {
    let field = network.l4 + checksum_offset(network.protocol);
    let checked = network.protocol == TCP || network.protocol == UDP;
    let quoted = if checked && packet.partial(field, transport.check)? {
        !checksum::word(transport.check) & 0xffff
    } else {
        transport.sum
    };
    let mut header = Header {
        kind: word.kind,
        code: word.code,
        check: [0; 2],
        unused: [0; 2],
        mtu: if word.code == icmp::FRAGMENTATION_NEEDED {
            word.mtu.to_be_bytes()
        } else {
            [0; 2]
        },
    };
    // The quoted IP header is sound, so it adds nothing.
    let head = checksum::word([word.kind, word.code]) + checksum::word(header.mtu);
    header.check = (!checksum::fold(head + quoted)).to_ne_bytes();

    packet.cut(network.l4 + transport.length)?;
    let l4 = L3 + F::HEADER;
    packet.insert(F::HEADER + size_of::<Header>())?;
    packet.put(l4, &header)?;
    let payload = size_of::<Header>() + network.l4 - L3 + transport.length;
    F::compose(packet, l4, (from, network.source), F::ICMP, payload)?;
    rewrite::turn_back(packet)
}
