//! What both tiers are: sets of tags in an array, and their ways in another. Found without a lock; put in under the lock of
//! the key's own set, which is held for some ten instructions by a program that nothing interrupts.

use core::arch::asm;
use core::ptr::NonNull;
use gwpool_common::flow::{Embryo, FlowKey, FlowSet, WAYS, Way};
use gwpool_common::net::V4;
use gwpool_ebpf::tier::{equal, far, number, place};
use gwpool_ebpf::world::Refused;

/// How often a lock is tried that another CPU holds.
const TRIES: u32 = 64;

/// What an insert returns: global functions return numbers only.
pub const STORED: u32 = 0;
/// The key is there.
pub const TAKEN: u32 = 1;
/// There is no room.
pub const FULL: u32 = 2;
/// Other CPUs did not let go of the set.
pub const BUSY: u32 = 3;

/// What an insert has come to.
#[inline(always)]
pub fn stored(number: u32) -> Result<(), Refused> {
    match number {
        STORED => Ok(()),
        TAKEN => Err(Refused::Taken),
        FULL => Err(Refused::Full),
        _ => Err(Refused::Busy),
    }
}

/// One of the tiers.
pub trait Sets {
    /// How many sets it has.
    fn count() -> u32;
    /// One of them.
    fn set(index: u32) -> Option<*mut FlowSet>;
    /// One of all ways.
    fn way(index: u32) -> Option<*mut Way<V4>>;

    /// The entry in a way that was found, counted from 1; of 0 there is none.
    #[inline(always)]
    fn at(found: u64) -> Option<NonNull<Embryo<V4>>> {
        let way = Self::way(found.wrapping_sub(1) as u32)?;
        // SAFETY: a live element of the array.
        NonNull::new(unsafe { &raw mut (*way).embryo })
    }
}

/// A key's set and its tag there, in one number: the register that they share is one word of the stack less.
#[inline(always)]
pub fn home<S: Sets>(key: [u64; 2], seed: u32) -> u64 {
    let (index, tag) = place(key, seed, S::count());
    opaque((tag as u64) << 32 | index as u64)
}

/// The way with this tag in this set, counted from 1; 0: there is none.
#[inline(always)]
pub fn tagged(set: *mut FlowSet, home: u64) -> u64 {
    match look(set, (home >> 32) as u32) {
        0 => 0,
        number => way(home as u32, number),
    }
}

/// A way that was found, if it has this key; else 0. By arithmetic, where the verifier would walk on once for each outcome.
#[inline(always)]
pub fn if_keyed<S: Sets>(found: u64, key: [u64; 2]) -> u64 {
    let Some(way) = S::way(found.wrapping_sub(1) as u32) else {
        return 0;
    };
    // SAFETY: a live element of the array; a key is two words.
    let there = unsafe { way.cast::<[u64; 2]>().read_volatile() };
    let other = (there[0] ^ key[0]) | (there[1] ^ key[1]);
    found & ones_if_zero((other | other >> 32) & 0xffff_ffff)
}

/// A set's way, from 1, as one of all, from 1.
#[inline(always)]
pub fn way(index: u32, number: u64) -> u64 {
    index as u64 * WAYS as u64 + number
}

/// The set of a way that was found, and which of its ways it is, from 0.
#[inline(always)]
pub fn split(found: u64) -> (u32, u32) {
    let way = found as u32 - 1;
    (way / WAYS as u32, way % WAYS as u32)
}

/// The place of a way's tag.
#[inline(always)]
pub fn label(set: *mut FlowSet, way: u32) -> Option<*mut u32> {
    // The verifier must see the bound where the number is used.
    let way = opaque(way as u64);
    if way >= WAYS as u64 {
        return None;
    }
    // SAFETY: inside a live element of the array.
    Some(unsafe { (&raw mut (*set).tags).cast::<u32>().add(way as usize) })
}

/// Writes an entry: nobody finds it before its tag is there.
#[inline(always)]
pub fn write(way: *mut Way<V4>, key: &FlowKey<V4>, embryo: &Embryo<V4>) {
    // SAFETY: a live element of an array, whose tag is the caller's.
    unsafe {
        (*way).key = *key;
        (*way).embryo = *embryo;
    }
}

/// How many sets on, at most, the set's keys lie.
#[inline(always)]
pub fn away(set: *mut FlowSet) -> u32 {
    // SAFETY: inside a live element of the array.
    far(unsafe { (&raw const (*set).away).read_volatile() })
}

/// A way with this tag, from 1; 0: there is none. Without branches: the verifier would walk what follows once for each way.
#[inline(always)]
pub fn look(set: *mut FlowSet, tag: u32) -> u64 {
    let twice = (tag as u64) << 32 | tag as u64;
    let (mut all, mut word) = (0, 0);
    while word < WAYS / 2 {
        // SAFETY: inside a live element of the array; tags come and go, two of them are read at once.
        let two = unsafe {
            (&raw const (*set).tags)
                .cast::<u64>()
                .add(word)
                .read_volatile()
        };
        // Opaque, or LLVM would hold all words at once, on the stack.
        all = opaque(all | equal(two, twice) >> word);
        word += 1;
    }
    number(all)
}

/// All ones, or zero; of numbers below 2^63. Opaque on both sides: LLVM makes a branch of what it knows to be one of two.
#[inline(always)]
pub fn ones_if_zero(number: u64) -> u64 {
    opaque((opaque(number).wrapping_sub(1) as i64 >> 63) as u64)
}

/// A number that LLVM knows nothing about: it would make branches of arithmetic. An instruction, because the verifier takes
/// no line of which there is none ("Invalid line_info").
#[inline(always)]
pub fn opaque(mut number: u64) -> u64 {
    // SAFETY: a register, moved to itself.
    unsafe { asm!("{0} = {0}", inout(reg) number, options(nomem, nostack)) };
    number
}

/// Locks the set; what its state was.
#[inline(always)]
pub fn lock(set: *mut FlowSet) -> Option<u32> {
    let mut tries = 0;
    while tries < TRIES {
        // SAFETY: inside a live element of the array.
        let state = unsafe { (&raw const (*set).state).read_volatile() } & !FlowSet::LOCKED;
        // SAFETY: as above.
        if exchange(
            unsafe { &raw mut (*set).state },
            state,
            state | FlowSet::LOCKED,
        ) {
            return Some(state);
        }
        tries += 1;
    }
    None
}

/// Unlocks it, with this state. What was published before is seen before: that was a full barrier.
#[inline(always)]
pub fn unlock(set: *mut FlowSet, state: u32) {
    // SAFETY: inside a live element of the array.
    unsafe { (&raw mut (*set).state).write_volatile(state) }
}

/// Adds to the set's `away`.
#[inline(always)]
pub fn moves(set: *mut FlowSet, by: u32) {
    // SAFETY: a live element of the array, aligned; atomic with every other CPU.
    unsafe {
        asm!("lock *(u32 *)({p} + 0) += {n}", p = in(reg) &raw mut (*set).away, n = in(reg) by as u64)
    };
}

/// Writes a word of a live element if it is still what it was.
#[inline(always)]
pub fn exchange(word: *mut u32, was: u32, now: u32) -> bool {
    let found: u64;
    // SAFETY: the callers', all of which point into elements of an array.
    unsafe {
        asm!("w0 = cmpxchg32_32({p} + 0, w0, {n})", p = in(reg) word, n = in(wreg) now,
            inout("r0") was as u64 => found);
    }
    found as u32 == was
}

/// Sets a tag, after all that was written before: a full barrier, as everything with a result.
#[inline(always)]
pub fn publish(label: *mut u32, tag: u32) {
    // SAFETY: the callers', all of which point into elements of an array.
    unsafe { asm!("{n} = xchg32_32({p} + 0, {n})", p = in(reg) label, n = inout(wreg) tag => _) };
}
