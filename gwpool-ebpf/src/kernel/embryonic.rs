//! The embryonic tier: sets of ways in an array. Found without a lock; put in under the set's own, which is held for
//! some ten instructions by a program that nothing interrupts.

use super::maps::{EMBRYONIC, EMBRYONIC_SETS};
use core::arch::asm;
use core::ptr::NonNull;
use gwpool_common::flow::{Embryo, EmbryoSet, FlowKey, WAYS, Way};
use gwpool_common::net::V4;
use gwpool_ebpf::tier::{place, words};
use gwpool_ebpf::world::Refused;

type Set = EmbryoSet<V4>;

/// How often a lock is tried that another CPU holds.
const TRIES: u32 = 64;

/// The entry with this key.
#[inline(always)]
pub fn find(key: &FlowKey<V4>, seed: u32) -> Option<NonNull<Embryo<V4>>> {
    let [one, other] = words(key);
    let found = gwpool_embryo_find(one, other, seed);
    let set = EMBRYONIC.get_ptr_mut((found >> PLACE_BITS) as u32)?;
    let (way, _) = way(set, (found & ((1 << PLACE_BITS) - 1)).wrapping_sub(1))?;
    // SAFETY: a way of a live element of the array.
    NonNull::new(unsafe { &raw mut (*way).embryo })
}

/// Puts an entry in; another gives way if there is no room in its set.
///
/// # Errors
/// [`Refused::Taken`]: the key is there. [`Refused::Full`]: other CPUs did not let go of the set.
#[inline(always)]
pub fn insert(key: &FlowKey<V4>, embryo: &Embryo<V4>, seed: u32) -> Result<(), Refused> {
    let way = Way {
        key: *key,
        embryo: *embryo,
        pad: [0; 2],
    };
    match gwpool_embryo_insert(&way, seed) {
        STORED => Ok(()),
        TAKEN => Err(Refused::Taken),
        _ => Err(Refused::Full),
    }
}

/// Takes the entry with this key out.
#[inline(always)]
pub fn remove(key: &FlowKey<V4>, seed: u32) {
    let [one, other] = words(key);
    gwpool_embryo_remove(one, other, seed);
}

/// Bits of a found way's number; those above are its set's.
const PLACE_BITS: u32 = 8;
const STORED: u32 = 0;
const TAKEN: u32 = 1;
const FULL: u32 = 2;

// Global functions: the verifier walks each once, and not on every way that leads there. It lets them return numbers only.

/// The set, and from 1 the way, of the entry with this key; 0: there is none.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_embryo_find(one: u64, other: u64, seed: u32) -> u64 {
    let (index, tag) = place([one, other], seed, EMBRYONIC_SETS.load());
    let Some(set) = EMBRYONIC.get_ptr_mut(index) else {
        return 0;
    };
    match within(set, [one, other], tag) {
        Some((number, _)) => (index as u64) << PLACE_BITS | (number + 1),
        None => 0,
    }
}

/// See [`insert`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_embryo_insert(entry: *const Way<V4>, seed: u32) -> u32 {
    // SAFETY: the caller's, where it is not null, which the verifier wants to see.
    let Some(entry) = (unsafe { entry.as_ref() }) else {
        return FULL;
    };
    let words = words(&entry.key);
    let (index, tag) = place(words, seed, EMBRYONIC_SETS.load());
    let Some(set) = EMBRYONIC.get_ptr_mut(index) else {
        return FULL;
    };
    let Some(state) = lock(set) else {
        return FULL;
    };
    let hand = state >> 1;
    if within(set, words, tag).is_some() {
        unlock(set, hand);
        return TAKEN;
    }
    let free = look(set, 0);
    let (number, next) = if free == 0 {
        (hand, hand + 1)
    } else {
        (free - 1, hand)
    };
    if let Some((way, label)) = way(set, number) {
        // SAFETY: inside a live element of the array; the lock is ours, so nobody else puts anything there. Who looks
        // meanwhile finds no tag.
        unsafe {
            label.write_volatile(0);
            (*way).key = entry.key;
            (*way).embryo = entry.embryo;
            publish(label, tag);
        }
    }
    unlock(set, if next < WAYS as u64 { next } else { 0 });
    STORED
}

/// See [`remove`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_embryo_remove(one: u64, other: u64, seed: u32) -> u32 {
    let (index, tag) = place([one, other], seed, EMBRYONIC_SETS.load());
    if let Some(set) = EMBRYONIC.get_ptr_mut(index)
        && let Some((_, label)) = within(set, [one, other], tag)
    {
        // Only if it is still this key's: another CPU may have put another there.
        // SAFETY: a tag of a live element of the array.
        unsafe {
            asm!("w0 = cmpxchg32_32({p} + 0, w0, {n})", p = in(reg) label, n = in(wreg) 0u32, inout("r0") tag as u64 => _);
        }
    }
    0
}

/// The way with this key, by number, and its tag's place.
#[inline(always)]
fn within(set: *mut Set, key: [u64; 2], tag: u32) -> Option<(u64, *mut u32)> {
    let number = look(set, tag).wrapping_sub(1);
    let (way, label) = way(set, number)?;
    // SAFETY: inside a live element of the array; a key is two words.
    let there = unsafe { way.cast::<[u64; 2]>().read_volatile() };
    (there == key).then_some((number, label))
}

/// A way by its number, and its tag's place.
#[inline(always)]
fn way(set: *mut Set, number: u64) -> Option<(*mut Way<V4>, *mut u32)> {
    // The verifier must see the bound where the number is used.
    let number = opaque(number);
    if number >= WAYS as u64 {
        return None;
    }
    // SAFETY: inside a live element of the array.
    unsafe {
        Some((
            (&raw mut (*set).ways)
                .cast::<Way<V4>>()
                .add(number as usize),
            (&raw mut (*set).tags).cast::<u32>().add(number as usize),
        ))
    }
}

/// The last way with this tag, from 1; 0: there is none. Arithmetic: the verifier would walk what follows once for each way.
#[inline(always)]
fn look(set: *mut Set, tag: u32) -> u64 {
    let mut found = 0;
    let mut index = 0;
    while index < WAYS {
        // SAFETY: inside a live element of the array.
        let label = unsafe {
            (&raw const (*set).tags)
                .cast::<u32>()
                .add(index)
                .read_volatile()
        };
        // All ones if they are equal.
        let equal = (opaque((label ^ tag) as u64).wrapping_sub(1) as i64 >> 63) as u64;
        index += 1;
        found = (found & !equal) | (index as u64 & equal);
    }
    found
}

/// A number that LLVM knows nothing about: it would make branches of arithmetic. An instruction, because the verifier takes
/// no line of which there is none ("Invalid line_info").
#[inline(always)]
fn opaque(mut number: u64) -> u64 {
    // SAFETY: a register, moved to itself.
    unsafe { asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack)) };
    number
}

/// Locks the set; what its state was.
#[inline(always)]
fn lock(set: *mut Set) -> Option<u64> {
    let mut tries = 0;
    while tries < TRIES {
        // SAFETY: inside a live element of the array, 8-byte aligned.
        unsafe {
            let place = &raw mut (*set).state;
            let state = place.read_volatile() & !Set::LOCKED;
            let found: u64;
            asm!("r0 = cmpxchg_64({p} + 0, r0, {n})", p = in(reg) place, n = in(reg) state | Set::LOCKED,
                inout("r0") state => found);
            if found == state {
                return Some(state);
            }
        }
        tries += 1;
    }
    None
}

/// Unlocks it, and says which way gives way next.
#[inline(always)]
fn unlock(set: *mut Set, hand: u64) {
    // SAFETY: as in `lock`. A full barrier, as everything with a result.
    unsafe {
        let place = &raw mut (*set).state;
        asm!("{n} = xchg_64({p} + 0, {n})", p = in(reg) place, n = inout(reg) hand << 1 => _);
    }
}

/// Sets the tag, after all that was written before.
///
/// # Safety
/// A live, aligned word of a map.
#[inline(always)]
unsafe fn publish(label: *mut u32, tag: u32) {
    // SAFETY: the caller's word.
    unsafe { asm!("{n} = xchg32_32({p} + 0, {n})", p = in(reg) label, n = inout(wreg) tag => _) };
}
