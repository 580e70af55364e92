//! What the bench and its programs must agree about.
#![cfg_attr(target_arch = "bpf", no_std)]

#[cfg(not(target_arch = "bpf"))]
mod pod;

/// Bytes of a packet that are restored before each lap.
pub const HEADERS: usize = 64;

/// What the bench says of the laps: the only entry of `LAP`.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub struct Lap {
    /// The packet as every lap begins with it, but for its client.
    pub headers: [u8; HEADERS],
    /// The next lap's number.
    pub number: u64,
    /// Client `number * stride + first`, modulo `mask + 1`. `stride` is odd, so each has its turn.
    pub stride: u32,
    /// See `stride`.
    pub first: u32,
    /// How many clients there are, less one; a power of two, less one.
    pub mask: u32,
    /// Zero.
    pub pad: u32,
}

/// The low half of a client's address, and its port, network order: 2^26 clients, of which those with one port never have
/// equal low six bits, so that taken in order by 64 backends they never meet.
#[inline(always)]
pub fn client(number: u32) -> ([u8; 2], [u8; 2]) {
    let host = (number & 0x3ff) | (number >> 20 & 0x3f) << 10;
    let port = 1024 + (number >> 6 & 0x3fff);
    ((host as u16).to_be_bytes(), (port as u16).to_be_bytes())
}

/// Bytes of a frame that is sent: the least that Ethernet has, without its check sequence.
pub const FRAME: usize = 60;

/// Ports that the flows of one generation come from, each from another: whoever translates many clients to one address
/// can leave them their ports. The next generation has the same ports and other clients.
pub const GENERATION: u32 = 64_000;

/// What the sender is told: the only entry of `SENDING`.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub struct Sending {
    /// The frame, but for the low half of the client's address and its port, which its checksums take for zero.
    pub frame: [u8; FRAME],
    /// Sent out of this one.
    pub interface: u32,
    /// The next frame's number.
    pub number: u64,
    /// How many flows there are.
    pub flows: u32,
    /// Flow `first + number * stride`, modulo `flows` before `first` is added.
    pub stride: u32,
    /// See `stride`.
    pub first: u32,
    /// Zero.
    pub pad: u32,
}

/// The low half of a client's address, and its port: 1,024 clients a generation, of some 60 flows each.
#[inline(always)]
pub fn end(flow: u32) -> (u16, u16) {
    let host = (flow / GENERATION) << 10 | flow & 0x3ff;
    (host as u16, (1024 + flow % GENERATION) as u16)
}

/// Where a frame goes that is only passed on: the only entry of `STEP`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Step {
    /// Both Ethernet addresses it gets, destination and source.
    pub addresses: [u8; 12],
    /// Out of which interface.
    pub interface: u32,
}
