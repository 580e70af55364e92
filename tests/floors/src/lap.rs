//! Laps of `BPF_PROG_TEST_RUN`: a repeated run begins with what the run before left of the packet, so before each the
//! headers are restored. The client changes from lap to lap, in an order that no cache foresees where that is wanted.

use crate::frame::{Frame, L3, L4};
use aya_ebpf::bindings::xdp_action::XDP_ABORTED;
use aya_ebpf::btf_maps::{Array, ProgramArray};
use aya_ebpf::macros::{btf_map, classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};

/// Bytes that are restored.
const HEADERS: usize = 64;

/// What the bench says of the laps.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub struct Lap {
    /// The packet as every lap begins with it, but for its client.
    headers: [u8; HEADERS],
    /// The next lap's number.
    number: u64,
    /// Client `number * stride + first`, modulo `mask + 1`. `stride` is odd, so each has its turn.
    stride: u32,
    /// See `stride`.
    first: u32,
    /// How many clients there are, less one; a power of two, less one.
    mask: u32,
    pad: u32,
}

/// The only entry.
#[btf_map]
static LAP: Array<Lap, 1> = Array::new();
/// The program that is measured, at XDP.
#[btf_map]
static MEASURED_XDP: ProgramArray<1> = ProgramArray::new();
/// The same at TC.
#[btf_map]
static MEASURED_TC: ProgramArray<1> = ProgramArray::new();

/// A lap at XDP.
#[xdp(frags)]
pub fn lap_xdp(context: XdpContext) -> u32 {
    if restore(Frame::new(context.data(), context.data_end())).is_some() {
        // SAFETY: does not return, or nothing is there to be measured.
        unsafe { MEASURED_XDP.tail_call(&context, 0) };
    }
    XDP_ABORTED
}

/// A lap at TC.
#[classifier]
pub fn lap_tc(context: TcContext) -> i32 {
    if restore(Frame::new(context.data(), context.data_end())).is_some() {
        // SAFETY: as in `lap_xdp`.
        unsafe { MEASURED_TC.tail_call(&context, 0) };
    }
    -2
}

#[inline(always)]
fn restore(frame: Frame) -> Option<()> {
    let lap = LAP.get_ptr_mut(0)?;
    let place = frame.at::<[u8; HEADERS]>(0)?;
    // SAFETY: a live element of the array, which only this run uses, and bytes inside the frame.
    unsafe {
        *place = (*lap).headers;
        let (number, mask) = ((*lap).number, (*lap).mask);
        (*lap).number = number.wrapping_add(1);
        let client = (number as u32)
            .wrapping_mul((*lap).stride)
            .wrapping_add((*lap).first)
            & mask;
        if mask != 0 {
            let (host, port) = address(client);
            *frame.at::<[u8; 2]>(L3 + 14)? = host;
            *frame.at::<[u8; 2]>(L4)? = port;
        }
    }
    Some(())
}

/// The low half of a client's address, and its port: 2^26 clients, of which those with one port never have equal low
/// six bits, so that taken in order by 64 backends they never meet.
#[inline(always)]
fn address(client: u32) -> ([u8; 2], [u8; 2]) {
    let host = (client & 0x3ff) | (client >> 20 & 0x3f) << 10;
    let port = 1024 + (client >> 6 & 0x3fff);
    ((host as u16).to_be_bytes(), (port as u16).to_be_bytes())
}
