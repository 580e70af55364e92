//! Fragments of IP packets: what tells them apart, what their first one has said, and one that came before it.
//!
//! Only the first fragment has ports. The programs keep them for those that follow; what comes before its first one
//! goes to the daemon whole, which sends it in again once the first one has been seen.

use crate::limits;
use crate::net::Port;

/// What the fragments of one packet have in common (RFC 791 2.3): the key of `FRAGMENTS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fragmented<A> {
    /// Source address as it comes in.
    pub source: A,
    /// Destination address.
    pub destination: A,
    /// The sender's number for the packet.
    pub id: [u8; 2],
    /// IP protocol.
    pub protocol: u8,
    /// Zero: keys are compared byte by byte.
    pub pad: u8,
}

/// What the first fragment has said: the value of `FRAGMENTS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct First {
    /// The packet's source port as it comes in.
    pub source_port: Port,
    /// Its destination port.
    pub destination_port: Port,
    /// [`First::FLOW`] and its siblings.
    pub fate: u16,
    /// The tick in which it came.
    pub seen: u16,
}

impl First {
    /// It belongs to the flow of these ports: the others follow it.
    pub const FLOW: u16 = 0;
    /// It was passed to the kernel: so are the others.
    pub const PASSED: u16 = 1;
    /// It was dropped: so are the others.
    pub const DROPPED: u16 = 2;
}

/// A fragment that came before its first one: an entry of the ring buffer `HELD`.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Index of the interface it came in by.
    pub interface: u32,
    /// Bytes of the frame.
    pub length: u16,
    /// The tick in which it came.
    pub seen: u16,
    /// The frame; what is behind its end means nothing.
    pub frame: [u8; limits::HELD_FRAME_BYTES],
}
