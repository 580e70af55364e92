//! Where the ports of the NAT addresses stand in the array `PORTS`: one bit a port, one word for 64 of them, and a
//! second level of words in which a bit says that a word is full. So a free port is found in a few reads however full
//! the address is.
//!
//! It is a hint: what a clear bit promises is asked of `MAPPINGS` again, and a set bit may be of a mapping that is over.
//! The programs set bits; the daemon's sweep writes whole words, from the mappings that live and the reserved ports.

use gwpool_common::limits::{FULL_WORDS, NAT_PROTOCOLS, PORT_WORDS};

/// Ports a word stands for.
pub const BITS: u32 = u64::BITS;

/// Where a protocol's ports stand; `None`: its sessions are told apart by address alone.
#[inline(always)]
pub const fn place(protocol: u8) -> Option<u32> {
    match protocol {
        6 => Some(0),
        17 => Some(1),
        1 => Some(2),
        _ => None,
    }
}

/// First word of the ports that this address (by its place in `Nat::addresses`) has for the protocol in that place.
/// [`PORT_WORDS`] of them are for ports, [`FULL_WORDS`] behind them for those words.
#[inline(always)]
pub const fn words(address: u32, place: u32) -> u32 {
    (address * NAT_PROTOCOLS + place) * (PORT_WORDS + FULL_WORDS)
}

/// The word of a port, from the first one on, and the bit in it.
#[inline(always)]
pub const fn bit(port: u16) -> (u32, u64) {
    (port as u32 / BITS, 1 << (port as u32 % BITS))
}
