//! What the bench and its programs must agree about.
#![cfg_attr(target_arch = "bpf", no_std)]

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
