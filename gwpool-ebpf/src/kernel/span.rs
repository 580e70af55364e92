//! Bytes of a packet within direct reach, read and written in words.

use core::arch::asm;
use core::mem::MaybeUninit;
use gwpool_common::reason::Reason;
use gwpool_ebpf::packet::Plain;

/// From where to where a packet is within direct reach.
pub struct Span {
    /// Where it begins.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
}

impl Span {
    /// `Packet::get`.
    #[inline(always)]
    pub fn get<T: Plain>(&self, offset: usize) -> Result<T, Reason> {
        self.reach::<T>(offset).map(load)
    }

    /// `Packet::set`.
    #[inline(always)]
    pub fn set<T: Plain>(&self, offset: usize, value: &T) -> Result<(), Reason> {
        self.reach::<T>(offset).map(|place| store(place, value))
    }

    /// The place of `T` at `offset`.
    #[inline(always)]
    fn reach<T: Plain>(&self, offset: usize) -> Result<*mut T, Reason> {
        let place = self.start + offset;
        if place + size_of::<T>() > self.end {
            return Err(Reason::Truncated);
        }
        Ok(place as *mut T)
    }
}

/// Reads a place in words, whatever its alignment, as the kernel lets programs do where the CPU does. LLVM, which cannot
/// know that, makes a load of every byte, and whoever then reads the word from the stack waits for all of them.
#[inline(always)]
fn load<T: Plain>(place: *mut T) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    let (from, to) = (place.cast::<u8>(), value.as_mut_ptr().cast::<u8>());
    let mut at = 0;
    // SAFETY: inside the packet (`reach`), and as many bytes as `T` has; it takes every pattern (`Plain`).
    unsafe {
        while at + 4 <= size_of::<T>() {
            let word: u64;
            asm!("{w} = *(u32 *)({p} + 0)", p = in(reg) from.add(at), w = out(reg) word, options(pure, readonly, nostack));
            to.add(at).cast::<u32>().write_unaligned(word as u32);
            at += 4;
        }
        if at + 2 <= size_of::<T>() {
            let half: u64;
            asm!("{w} = *(u16 *)({p} + 0)", p = in(reg) from.add(at), w = out(reg) half, options(pure, readonly, nostack));
            to.add(at).cast::<u16>().write_unaligned(half as u16);
            at += 2;
        }
        if at < size_of::<T>() {
            *to.add(at) = *from.add(at);
        }
        value.assume_init()
    }
}

/// Writes it the same way.
#[inline(always)]
fn store<T: Plain>(place: *mut T, value: &T) {
    let (from, to) = (core::ptr::from_ref(value).cast::<u8>(), place.cast::<u8>());
    let mut at = 0;
    // SAFETY: as in `load`.
    unsafe {
        while at + 4 <= size_of::<T>() {
            let word = from.add(at).cast::<u32>().read_unaligned() as u64;
            asm!("*(u32 *)({p} + 0) = {w}", p = in(reg) to.add(at), w = in(reg) word, options(nostack));
            at += 4;
        }
        if at + 2 <= size_of::<T>() {
            let half = from.add(at).cast::<u16>().read_unaligned() as u64;
            asm!("*(u16 *)({p} + 0) = {w}", p = in(reg) to.add(at), w = in(reg) half, options(nostack));
            at += 2;
        }
        if at < size_of::<T>() {
            *to.add(at) = *from.add(at);
        }
    }
}
