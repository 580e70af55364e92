//! Laps of `BPF_PROG_TEST_RUN`: a repeated run begins with what the run before left of the packet, so before each the
//! headers are restored. The client changes from lap to lap, in an order that no cache foresees where that is wanted.

use crate::frame::{Frame, L3, L4};
use aya_ebpf::bindings::xdp_action::XDP_ABORTED;
use aya_ebpf::btf_maps::{Array, ProgramArray};
use aya_ebpf::macros::{btf_map, classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use core::arch::asm;
use gwpool_floors::{HEADERS, Lap, client};

/// What the bench says.
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
        let who = ((*lap).number as u32)
            .wrapping_mul((*lap).stride)
            .wrapping_add((*lap).first)
            & (*lap).mask;
        let (host, port) = client(who);
        *frame.at::<[u8; 2]>(L3 + 14)? = host;
        *frame.at::<[u8; 2]>(L4)? = port;
        // Locked, and last: a packet that a NIC has left lies in the cache. Were it still in the store buffer, each read
        // would wait for it that is not cut as the writes above.
        let counter = &raw mut (*lap).number;
        asm!("lock *(u64 *)({p} + 0) += {n}", p = in(reg) counter, n = in(reg) 1u64);
    }
    Some(())
}
