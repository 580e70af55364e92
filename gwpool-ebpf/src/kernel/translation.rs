//! The pipeline's `Translation` in the kernel, as [`super::world`] is its `World`.

use super::maps::*;
use super::world::Kernel;
use super::{bound, counts, desk, sockets};
use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use core::arch::asm;
use gwpool_common::flow::FlowKey;
use gwpool_common::nat::{End, Mapped, Mapping, Nat, Permission};
use gwpool_common::net::V4;
use gwpool_ebpf::family::Ipv4;
use gwpool_ebpf::mapping::Kept;
use gwpool_ebpf::translation::{Socket, Translation};
use gwpool_ebpf::world::{Refused, Step};

/// The errno of a key that is taken, as the map helpers return it.
const EEXIST: i32 = -17;

impl Translation<Ipv4> for Kernel {
    #[inline(always)]
    fn nat(&self) -> &Nat<V4> {
        self.nat
    }

    #[inline(always)]
    fn mapping(&self, end: &End<V4>) -> Option<Mapping<V4>> {
        // SAFETY: as in `embryo`; eight bytes, whole.
        unsafe { MAPPINGS.get(end) }.copied()
    }

    #[inline(always)]
    fn map(&mut self, end: &End<V4>, mapping: &Mapping<V4>) -> Result<(), Refused> {
        let inserted = MAPPINGS.insert(end, mapping, BPF_NOEXIST as u64);
        inserted.map_err(|errno| match errno {
            EEXIST => Refused::Taken,
            _ => Refused::Full,
        })
    }

    #[inline(always)]
    fn touch(&mut self, inside: &End<V4>, now: u16) -> bool {
        let Some(mapping) = MAPPINGS.get_ptr_mut(inside) else {
            return false;
        };
        // SAFETY: as in `mark`; one aligned half-word.
        unsafe { (*mapping).seen = now };
        true
    }

    #[inline(always)]
    fn unmap(&mut self, end: &End<V4>) {
        // Not there: the sweep was quicker.
        let _ = MAPPINGS.remove(end);
    }

    #[inline(always)]
    fn word(&self, index: u32) -> u64 {
        // Beyond the array nothing is free.
        PORTS.get(index).copied().unwrap_or(u64::MAX)
    }

    #[inline(always)]
    fn set(&mut self, index: u32, bits: u64) {
        if let Some(word) = PORTS.get_ptr_mut(index) {
            // SAFETY: a live element of the array, 8-byte aligned; atomic with every other CPU.
            unsafe { asm!("lock *(u64 *)({p} + 0) |= {n}", p = in(reg) word, n = in(reg) bits) };
        }
    }

    #[inline(always)]
    fn reserved(&self, index: u32) -> u64 {
        RESERVED.get(index).copied().unwrap_or(u64::MAX)
    }

    #[inline(always)]
    fn permitted(&self, permission: &Permission<V4>) -> Option<u16> {
        // SAFETY: as in `embryo`.
        unsafe { PERMISSIONS.get(permission) }.map(|seen| *seen as u16)
    }

    #[inline(always)]
    fn permit(&mut self, permission: &Permission<V4>) {
        // No memory for it: only whom the flow speaks with may answer.
        let _ = PERMISSIONS.insert(permission, self.now as u32, BPF_ANY as u64);
    }

    #[inline(always)]
    fn subscriber(&self, address: &V4) -> u32 {
        // SAFETY: as in `embryo`.
        unsafe { SUBSCRIBERS.get(address) }.map_or(0, |source| source.flows())
    }

    #[inline(always)]
    fn move_subscriber(&mut self, address: &V4, by: Step) {
        counts::subscriber(address, by);
    }

    #[inline(always)]
    fn socket(&mut self, key: &FlowKey<V4>) -> Socket {
        sockets::of(self.context, key)
    }

    #[inline(always)]
    fn bound(&self, end: &End<V4>) -> bool {
        bound::is(end)
    }

    #[inline(always)]
    fn log(&mut self, mapped: &Mapped<V4>) {
        // Full: the daemon does not read, or not fast enough.
        if MAPPED.output(*mapped, 0).is_err() {
            counts::unlogged();
        }
    }

    #[inline(always)]
    fn keep(&mut self, kept: &Kept<V4>) {
        desk::leave(kept);
    }
}
