//! The two halves of a flow and how one follows from the other: keys, rewrites, checksum deltas.

use crate::checksum;
use crate::family::Family;
use gwpool_common::flow::{Flow, FlowKey, Rewrite};

/// The other half's key: the rewritten packet, read backwards.
#[inline(always)]
pub fn mate<A: Copy>(protocol: u8, rewrite: &Rewrite<A>) -> FlowKey<A> {
    FlowKey {
        source: rewrite.destination,
        destination: rewrite.source,
        source_port: rewrite.destination_port,
        destination_port: rewrite.source_port,
        protocol,
        pad: [0; 3],
    }
}

/// The rewrite from `key` to these addresses and ports, deltas included.
#[inline(always)]
pub fn rewrite<F: Family>(
    key: &FlowKey<F::Address>,
    source: (F::Address, [u8; 2]),
    destination: (F::Address, [u8; 2]),
) -> Rewrite<F::Address> {
    let addresses = F::sum(key.source) + F::sum(key.destination);
    let ports = checksum::word(key.source_port) + checksum::word(key.destination_port);
    Rewrite {
        source: source.0,
        destination: destination.0,
        source_port: source.1,
        destination_port: destination.1,
        address_delta: checksum::delta(addresses, F::sum(source.0) + F::sum(destination.0)),
        port_delta: checksum::delta(
            ports,
            checksum::word(source.1) + checksum::word(destination.1),
        ),
    }
}

/// The rewrite changes a packet with this key.
#[inline(always)]
pub fn changes<A: Copy + PartialEq>(key: &FlowKey<A>, rewrite: &Rewrite<A>) -> bool {
    (rewrite.source_port, rewrite.destination_port) != (key.source_port, key.destination_port)
        || (rewrite.source, rewrite.destination) != (key.source, key.destination)
}

/// The other half of a client side flow: its key, and its entry.
#[inline(always)]
pub fn backend_side<A: Copy>(key: &FlowKey<A>, flow: &Flow<A>) -> (FlowKey<A>, Flow<A>) {
    let backend = Flow {
        rewrite: reverse(key, &flow.rewrite),
        flags: flow.flags | Flow::<A>::BACKEND_SIDE,
        ..*flow
    };
    (mate(key.protocol, &flow.rewrite), backend)
}

/// The rewrite of the answer: back to what `key` was.
#[inline(always)]
pub fn reverse<A: Copy>(key: &FlowKey<A>, rewrite: &Rewrite<A>) -> Rewrite<A> {
    Rewrite {
        source: key.destination,
        destination: key.source,
        source_port: key.destination_port,
        destination_port: key.source_port,
        address_delta: checksum::negate(rewrite.address_delta),
        port_delta: checksum::negate(rewrite.port_delta),
    }
}
