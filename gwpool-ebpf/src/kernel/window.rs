//! A packet of XDP or TC as the pipeline's `Packet`. The only pointers into packets.
//!
//! `get` and `set` read data and data_end anew each time: every helper that may change the packet ends earlier views of it, and
//! the verifier wants offset and bound compared in one place.

use super::desk;
use super::span::Span;
use aya_ebpf::bindings::bpf_adj_room_mode::BPF_ADJ_ROOM_MAC;
use aya_ebpf::bindings::{
    __sk_buff, BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR, BPF_F_RECOMPUTE_CSUM, xdp_md,
};
use aya_ebpf::helpers::{
    bpf_l4_csum_replace, bpf_skb_adjust_room, bpf_skb_change_tail, bpf_skb_load_bytes,
    bpf_skb_pull_data, bpf_skb_store_bytes, bpf_xdp_adjust_meta, bpf_xdp_get_buff_len,
    bpf_xdp_load_bytes,
};
use aya_ebpf::programs::{TcContext, XdpContext};
use core::ffi::c_void;
use gwpool_common::limits::{self, MARK_AGAIN};
use gwpool_common::reason::Reason;
use gwpool_ebpf::family::L3;
use gwpool_ebpf::packet::{Packet, Plain, Sum};

/// Ethernet, IPv4 and TCP without options: what nearly every packet is read by.
const HEADERS: usize = L3 + 20 + 20;

/// A frame at XDP: every checksum in it is finished.
pub struct XdpWindow(*mut xdp_md);

/// "gwpl": what XDP writes before a packet that TC shall finish.
const UNFINISHED: u32 = 0x6777_706c;

impl XdpWindow {
    /// The packet that an XDP program was called for.
    #[inline(always)]
    pub fn new(context: &XdpContext) -> Self {
        XdpWindow(context.ctx)
    }

    /// The interface it came in by.
    #[inline(always)]
    pub fn interface(&self) -> u32 {
        // SAFETY: the kernel hands a valid context to the program.
        unsafe { (*self.0).ingress_ifindex }
    }

    /// What helpers want to be called with.
    #[inline(always)]
    pub fn context(&self) -> *mut c_void {
        self.0.cast()
    }

    #[inline(always)]
    fn span(&self) -> Span {
        // SAFETY: the kernel hands a valid context to the program.
        let (start, end) = unsafe { ((*self.0).data as usize, (*self.0).data_end as usize) };
        Span { start, end }
    }

    /// Marks an untouched packet for TC; false: the driver leaves no room for it.
    #[inline(always)]
    pub fn leave_unfinished(&mut self) -> bool {
        // SAFETY: the kernel hands a valid context to the program.
        if unsafe { bpf_xdp_adjust_meta(self.0, -(size_of::<u32>() as i32)) } != 0 {
            return false;
        }
        // SAFETY: as above; the helper has moved `data_meta`, so it is read after.
        let (mark, data) = unsafe { ((*self.0).data_meta as usize, (*self.0).data as usize) };
        if mark + size_of::<u32>() > data {
            return false;
        }
        // SAFETY: between `data_meta` and `data` by the check above; the kernel keeps it 4-byte aligned.
        unsafe { *(mark as *mut u32) = UNFINISHED };
        true
    }
}

impl Packet for XdpWindow {
    #[inline(always)]
    fn get<T: Plain>(&self, offset: usize) -> Result<T, Reason> {
        self.span().get(offset)
    }

    #[inline(always)]
    fn set<T: Plain>(&mut self, offset: usize, value: &T) -> Result<(), Reason> {
        self.span().set(offset, value)
    }

    #[inline(always)]
    fn length(&self) -> usize {
        // SAFETY: as in `span`. The frame may have further fragments (jumbo frames): the helper counts them.
        unsafe { bpf_xdp_get_buff_len(self.0) as usize }
    }

    #[inline(always)]
    fn segments(&self) -> u32 {
        1
    }

    #[inline(always)]
    fn copy(&mut self, into: &mut [u8; limits::HELD_FRAME_BYTES]) -> bool {
        let Some(length) = bounded(self.length()) else {
            return false;
        };
        let place = into.as_mut_ptr().cast();
        // SAFETY: the program's own context, and a place of at least `length` bytes.
        unsafe { bpf_xdp_load_bytes(self.0, 0, place, length) == 0 }
    }

    #[inline(always)]
    fn sum(&mut self, from: usize, bytes: usize) -> Option<u16> {
        let context = self.0;
        desk::sum(bounded(bytes)?, |place, length| {
            // SAFETY: as in `copy`.
            unsafe { bpf_xdp_load_bytes(context, from as u32, place, length) == 0 }
        })
    }

    #[inline(always)]
    fn tagged(&self) -> bool {
        false
    }

    // Answers are made at TC: what the next three would need is not asked for here.
    #[inline(always)]
    fn partial(&mut self, _: usize, _: [u8; 2]) -> Result<bool, Reason> {
        Err(Reason::RewriteFailed)
    }

    #[inline(always)]
    fn cut(&mut self, _: usize) -> Result<(), Reason> {
        Err(Reason::RewriteFailed)
    }

    #[inline(always)]
    fn insert(&mut self, _: usize) -> Result<(), Reason> {
        Err(Reason::RewriteFailed)
    }
}

/// A packet at TC: it may be GSO, its checksum may be partial or counted by the NIC.
pub struct TcWindow {
    skb: *mut __sk_buff,
    segments: u32,
    /// Payload of each segment; 0: the packet is one.
    segment: u32,
}

impl TcWindow {
    /// The packet with its headers within direct reach.
    #[inline(always)]
    pub fn new(skb: *mut __sk_buff) -> Self {
        // SAFETY: the kernel hands a valid context to the program.
        let length = unsafe { (*skb).len };
        // Read here, once: from branches LLVM makes of it one load through a computed pointer, which the verifier
        // refuses ("dereference of modified ctx ptr").
        // SAFETY: as above.
        let count = unsafe { core::ptr::read_volatile(&raw const (*skb).gso_segs) };
        // SAFETY: as above.
        let size = unsafe { core::ptr::read_volatile(&raw const (*skb).gso_size) };
        let segments = segments(length, count, size);
        let mut window = TcWindow {
            skb,
            segments,
            segment: size,
        };
        window.bring(HEADERS);
        window
    }

    /// The interface it is on: comes in by, or leaves by.
    #[inline(always)]
    pub fn interface(&self) -> u32 {
        // SAFETY: the kernel hands a valid context to the program.
        unsafe { (*self.skb).ifindex }
    }

    /// What helpers want to be called with.
    #[inline(always)]
    pub fn context(&self) -> *mut c_void {
        self.skb.cast()
    }

    #[inline(always)]
    fn span(&self) -> Span {
        // SAFETY: the kernel hands a valid context to the program.
        let (start, end) = unsafe { ((*self.skb).data as usize, (*self.skb).data_end as usize) };
        Span { start, end }
    }
}

impl Packet for TcWindow {
    #[inline(always)]
    fn get<T: Plain>(&self, offset: usize) -> Result<T, Reason> {
        self.span().get(offset)
    }

    #[inline(always)]
    fn set<T: Plain>(&mut self, offset: usize, value: &T) -> Result<(), Reason> {
        self.span().set(offset, value)
    }

    #[inline(always)]
    fn length(&self) -> usize {
        // SAFETY: as in `span`.
        unsafe { (*self.skb).len as usize }
    }

    #[inline(always)]
    fn segments(&self) -> u32 {
        self.segments
    }

    #[inline(always)]
    fn copy(&mut self, into: &mut [u8; limits::HELD_FRAME_BYTES]) -> bool {
        let Some(length) = bounded(self.length()) else {
            return false;
        };
        let place = into.as_mut_ptr().cast();
        // SAFETY: as in `XdpWindow`.
        unsafe { bpf_skb_load_bytes(self.skb.cast(), 0, place, length) == 0 }
    }

    #[inline(always)]
    fn sum(&mut self, from: usize, bytes: usize) -> Option<u16> {
        let context = self.skb.cast();
        desk::sum(bounded(bytes)?, |place, length| {
            // SAFETY: as in `XdpWindow`.
            unsafe { bpf_skb_load_bytes(context, from as u32, place, length) == 0 }
        })
    }

    #[inline(always)]
    fn largest(&self, headers: u32, total: u32) -> u32 {
        if self.segment == 0 {
            total
        } else {
            headers.wrapping_add(self.segment)
        }
    }

    #[inline(always)]
    fn tagged(&self) -> bool {
        // SAFETY: as in `span`.
        unsafe { (*self.skb).vlan_present != 0 }
    }

    #[inline(always)]
    fn bring(&mut self, bytes: usize) {
        // SAFETY: as in `span`.
        let (start, end, length) =
            unsafe { ((*self.skb).data, (*self.skb).data_end, (*self.skb).len) };
        let wanted = if length < bytes as u32 {
            length
        } else {
            bytes as u32
        };
        if end.wrapping_sub(start) < wanted {
            // SAFETY: as above. If it fails the bytes stay out of reach and the packet counts as truncated.
            unsafe { bpf_skb_pull_data(self.skb, wanted) };
        }
    }

    /// The kernel knows whether the sum is finished, partial (then only the pseudo header is in it, and ports do not
    /// matter) or counted by the NIC (then `skb->csum` must follow): see `inet_proto_csum_replace_by_diff`.
    #[inline(always)]
    fn patch(
        &mut self,
        offset: usize,
        address_delta: u16,
        port_delta: u16,
        optional: bool,
    ) -> Result<(), Reason> {
        let flags = if optional {
            BPF_F_MARK_MANGLED_0 as u64
        } else {
            0
        };
        if address_delta != 0 {
            let flags = flags | BPF_F_PSEUDO_HDR as u64;
            // SAFETY: as in `span`; the helper checks the offset. A size of 0 makes the last operand a delta.
            let failed = unsafe {
                bpf_l4_csum_replace(self.skb, offset as u32, 0, address_delta as u64, flags)
            };
            if failed != 0 {
                return Err(Reason::RewriteFailed);
            }
        }
        if port_delta != 0 {
            // SAFETY: as above.
            let failed = unsafe {
                bpf_l4_csum_replace(self.skb, offset as u32, 0, port_delta as u64, flags)
            };
            if failed != 0 {
                return Err(Reason::RewriteFailed);
            }
        }
        Ok(())
    }

    /// Asked by a change that only a finished sum follows; it is taken back.
    #[inline(always)]
    fn partial(&mut self, offset: usize, field: [u8; 2]) -> Result<bool, Reason> {
        // SAFETY: as in `patch`.
        if unsafe { bpf_l4_csum_replace(self.skb, offset as u32, 0, 1, 0) } != 0 {
            return Err(Reason::RewriteFailed);
        }
        let after = self.get::<Sum>(offset)?.0;
        self.set(offset, &Sum(field))?;
        Ok(after == field)
    }

    /// The helper refuses to end the frame before a partial checksum's field, and takes GSO off it.
    #[inline(always)]
    fn cut(&mut self, bytes: usize) -> Result<(), Reason> {
        // SAFETY: the kernel hands a valid context to the program.
        done(unsafe { bpf_skb_change_tail(self.skb, bytes as u32, 0) })
    }

    /// Not `bpf_skb_change_head`: that leaves the kernel's own mark of where the IP header is on the old one.
    #[inline(always)]
    fn insert(&mut self, bytes: usize) -> Result<(), Reason> {
        // SAFETY: as in `cut`.
        done(unsafe { bpf_skb_adjust_room(self.skb, bytes as i32, BPF_ADJ_ROOM_MAC, 0) })
    }

    #[inline(always)]
    fn put<T: Plain>(&mut self, offset: usize, value: &T) -> Result<(), Reason> {
        let (from, bytes) = (core::ptr::from_ref(value).cast(), size_of::<T>() as u32);
        let flags = BPF_F_RECOMPUTE_CSUM as u64;
        // SAFETY: as in `cut`; reads as many bytes as `value` has, the helper checks the offset.
        done(unsafe { bpf_skb_store_bytes(self.skb, offset as u32, from, bytes, flags) })
    }
}

/// What a helper that changes the packet says.
#[inline(always)]
fn done(errno: i64) -> Result<(), Reason> {
    if errno == 0 {
        Ok(())
    } else {
        Err(Reason::RewriteFailed)
    }
}

/// Packets on the wire. Virtual NICs deliver GSO packets without their count (`SKB_GSO_DODGY`): then the size tells.
#[inline(always)]
fn segments(length: u32, count: u32, size: u32) -> u32 {
    if count > 1 {
        return count;
    }
    match length.checked_div(size) {
        Some(whole) => whole + 1,
        None => 1,
    }
}

/// The length of a frame that can be held, in the form that lets the verifier bound the copy: 1..=HELD_FRAME_BYTES.
#[inline(always)]
fn bounded(length: usize) -> Option<u32> {
    let length = core::hint::black_box(length as u32);
    if length == 0 || length > limits::HELD_FRAME_BYTES as u32 {
        return None;
    }
    Some(length)
}

/// XDP has left this packet for TC to finish.
#[inline(always)]
pub fn unfinished(context: &TcContext) -> bool {
    let skb = context.skb.skb;
    // SAFETY: the kernel hands a valid context to the program.
    let (mark, data) = unsafe { ((*skb).data_meta as usize, (*skb).data as usize) };
    if mark + size_of::<u32>() > data {
        return false;
    }
    // SAFETY: between `data_meta` and `data` by the check above.
    unsafe { *(mark as *const u32) == UNFINISHED }
}

/// The daemon has sent this packet in again, beside an XDP program that has not seen it. The mark has done its work.
#[inline(always)]
pub fn take_mark(context: &TcContext) -> bool {
    let skb = context.skb.skb;
    // SAFETY: the kernel hands a valid context to the program.
    if unsafe { (*skb).mark } != MARK_AGAIN {
        return false;
    }
    // SAFETY: as above.
    unsafe { (*skb).mark = 0 };
    true
}

/// The interface a packet came in by that is now leaving; 0: it was made here.
#[inline(always)]
pub fn came_in_by(skb: *mut __sk_buff) -> u32 {
    // SAFETY: the kernel hands a valid context to the program.
    unsafe { (*skb).ingress_ifindex }
}
