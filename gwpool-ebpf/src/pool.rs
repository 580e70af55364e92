//! Which port a new mapping gets: where the ports of the NAT addresses stand in the array `PORTS`. One bit a port, one
//! word for 64 of them, and a second level of words in which a bit says that a word is full: so a free port is found in
//! a few reads however full the address is.
//!
//! It is a hint: what a clear bit promises is asked of `MAPPINGS` again, and a set bit may be of a mapping that is over.
//! The programs set bits; the daemon's sweep writes whole words, from the mappings that live and the reserved ports.

use crate::family::Family;
use crate::parse::{ICMP, TCP, UDP};
use crate::world::World;
use gwpool_common::limits::{FULL_WORDS, NAT_PROTOCOLS, PORT_WORDS};
use gwpool_common::net::Port;

/// Ports a word stands for.
pub const BITS: u32 = u64::BITS;

/// Ports below this are a class of their own (RFC 4787 REQ-3a).
const PRIVILEGED: u16 = 1024;

/// Protocols whose ports are given out, in the order of their places.
pub const PROTOCOLS: [u8; NAT_PROTOCOLS as usize] = [TCP, UDP, ICMP];

/// Where a protocol's ports stand; `None`: its sessions are told apart by address alone.
#[inline(always)]
pub const fn place(protocol: u8) -> Option<u32> {
    match protocol {
        TCP => Some(0),
        UDP => Some(1),
        ICMP => Some(2),
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

/// The ports that one new mapping may get, and the one to try.
#[derive(Clone, Copy)]
pub struct Ports {
    base: u32,
    /// First word of the class, and the one behind its last.
    first: u32,
    end: u32,
    port: u16,
    seed: u32,
}

impl Ports {
    /// For a socket with this port: its class is below 1024 or above (RFC 4787 REQ-3a), an ICMP identifier has none.
    #[inline(always)]
    pub fn new(address: u32, protocol: u8, port: Port, seed: u32) -> Self {
        let place = place(protocol).unwrap_or(0);
        let port = u16::from_be_bytes(port);
        let (first, end) = match (protocol, port < PRIVILEGED) {
            (ICMP, _) => (0, PORT_WORDS),
            (_, true) => (0, PRIVILEGED as u32 / BITS),
            (_, false) => (PRIVILEGED as u32 / BITS, PORT_WORDS),
        };
        Ports {
            base: words(address, place),
            first,
            end,
            port,
            seed: scatter(seed ^ port as u32),
        }
    }

    /// The port to try.
    #[inline(always)]
    pub fn port(&self) -> Port {
        self.port.to_be_bytes()
    }

    /// How many ports there are.
    #[inline(always)]
    pub fn count(&self) -> u32 {
        (self.end - self.first) * BITS
    }

    /// Goes to the port in this place.
    #[inline(always)]
    pub fn at(&mut self, place: u32) {
        self.port = (self.first * BITS + place) as u16;
    }

    /// It may be given out. Whether it is taken is not asked of the hint: a socket's own port is worth the one question
    /// that is always right.
    #[inline(always)]
    pub fn is_given_out<F: Family, W: World<F>>(&self, world: &W) -> bool {
        let (word, bit) = bit(self.port);
        world.reserved(self.base + word) & bit == 0
    }

    /// The port is taken.
    #[inline(always)]
    pub fn taken<F: Family, W: World<F>>(&self, world: &mut W) {
        let (word, bit) = bit(self.port);
        world.set(self.base + word, bit);
        if world.word(self.base + word) == u64::MAX {
            self.full::<F, W>(world, word);
        }
    }

    #[inline(always)]
    fn full<F: Family, W: World<F>>(&self, world: &mut W, word: u32) {
        world.set(self.base + PORT_WORDS + word / BITS, 1 << (word % BITS));
    }

    /// Goes on to another port that the hint says is free, anywhere in the class; false: there is none.
    #[inline(always)]
    pub fn next<F: Family, W: World<F>>(&mut self, world: &mut W) -> bool {
        self.seed = scatter(self.seed);
        let words = self.end - self.first;
        let start = self.first + self.seed.checked_rem(words).unwrap_or(0);
        let mut step = 0;
        // The word it begins in comes again at the end, for what lies before the beginning.
        while step <= FULL_WORDS {
            let group = (start / BITS + step) % FULL_WORDS;
            let mut full = world.word(self.base + PORT_WORDS + group) | self.others(group);
            if step == 0 {
                full |= (1 << (start % BITS)) - 1;
            }
            step += 1;
            if full == u64::MAX {
                continue;
            }
            let word = group * BITS + full.trailing_ones();
            let taken = world.word(self.base + word);
            if taken == u64::MAX {
                self.full::<F, W>(world, word);
                continue;
            }
            let turn = (self.seed >> 16) % BITS;
            let bit = (taken.rotate_right(turn).trailing_ones() + turn) % BITS;
            self.port = (word * BITS + bit) as u16;
            return true;
        }
        false
    }

    /// Words of this group that are not of the class, as if they were full.
    #[inline(always)]
    fn others(&self, group: u32) -> u64 {
        const LOW: u64 = (1 << (PRIVILEGED as u32 / BITS)) - 1;
        match (group, self.first, self.end) {
            (_, 0, PORT_WORDS) => 0,
            (0, 0, _) => !LOW,
            (_, 0, _) => u64::MAX,
            (0, _, _) => LOW,
            _ => 0,
        }
    }
}

/// An order that only the seed tells (RFC 6056 3.3).
#[inline(always)]
const fn scatter(seed: u32) -> u32 {
    let hash = (seed ^ (seed >> 15)).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}
