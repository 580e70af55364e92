//! The embryonic tier: what is put in where there is no room takes another's way.

use super::maps::{EMBRYO_TAGS, EMBRYONIC, EMBRYONIC_SETS};
use super::sets::{
    self, BUSY, STORED, Sets, TAKEN, exchange, home, if_keyed, label, lock, look, publish, stored,
    tagged, unlock, write,
};
use core::ptr::NonNull;
use gwpool_common::flow::{Embryo, FlowKey, FlowSet, WAYS, Way};
use gwpool_common::net::V4;
use gwpool_ebpf::tier::words;
use gwpool_ebpf::world::Refused;

/// The tier.
struct Tier;

impl Sets for Tier {
    #[inline(always)]
    fn count() -> u32 {
        EMBRYONIC_SETS.load()
    }

    #[inline(always)]
    fn set(index: u32) -> Option<*mut FlowSet> {
        EMBRYO_TAGS.get_ptr_mut(index)
    }

    #[inline(always)]
    fn way(index: u32) -> Option<*mut Way<V4>> {
        EMBRYONIC.get_ptr_mut(index)
    }
}

/// What is put in: a way without its end, which would stand on the caller's stack.
#[repr(C)]
struct Entry {
    key: FlowKey<V4>,
    embryo: Embryo<V4>,
}

/// The entry with this key.
#[inline(always)]
pub fn find(key: &FlowKey<V4>, seed: u32) -> Option<NonNull<Embryo<V4>>> {
    let [one, other] = words(key);
    Tier::at(gwpool_embryo_find(one, other, seed))
}

/// Puts an entry in; another gives way if there is no room in its set.
///
/// # Errors
/// [`Refused::Taken`]: the key is there. [`Refused::Busy`]: other CPUs did not let go of the set.
#[inline(always)]
pub fn insert(key: &FlowKey<V4>, embryo: &Embryo<V4>, seed: u32) -> Result<(), Refused> {
    let (key, embryo) = (*key, *embryo);
    stored(gwpool_embryo_insert(&Entry { key, embryo }, seed))
}

/// Takes the entry with this key out.
#[inline(always)]
pub fn remove(key: &FlowKey<V4>, seed: u32) {
    let [one, other] = words(key);
    gwpool_embryo_remove(one, other, seed);
}

// Global functions: the verifier walks each once, and not on every way that leads there. It lets them return numbers only.

/// The way of the entry with this key, counted from 1; 0: there is none.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_embryo_find(one: u64, other: u64, seed: u32) -> u64 {
    let home = home::<Tier>([one, other], seed);
    let found = Tier::set(home as u32).map_or(0, |set| tagged(set, home));
    if_keyed::<Tier>(found, [one, other])
}

/// See [`insert`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_embryo_insert(entry: *const Entry, seed: u32) -> u32 {
    // SAFETY: the caller's, where it is not null, which the verifier wants to see.
    let Some(entry) = (unsafe { entry.as_ref() }) else {
        return BUSY;
    };
    let key = words(&entry.key);
    let home = home::<Tier>(key, seed);
    let Some(set) = Tier::set(home as u32) else {
        return BUSY;
    };
    let Some(state) = lock(set) else {
        return BUSY;
    };
    if if_keyed::<Tier>(tagged(set, home), key) != 0 {
        unlock(set, state);
        return TAKEN;
    }
    let hand = (state >> 1) as u64;
    let free = look(set, 0);
    let (number, next) = if free == 0 {
        (hand + 1, hand + 1)
    } else {
        (free, hand)
    };
    if let Some(way) = Tier::way(sets::way(home as u32, number) as u32 - 1)
        && let Some(label) = label(set, number as u32 - 1)
    {
        // The lock is ours, so nobody else puts anything there. Who looks meanwhile finds no tag.
        // SAFETY: inside a live element of the array.
        unsafe { label.write_volatile(0) };
        write(way, &entry.key, &entry.embryo);
        publish(label, (home >> 32) as u32);
    }
    let next = if next < WAYS as u64 { next } else { 0 };
    unlock(set, (next as u32) << 1);
    STORED
}

/// See [`remove`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_embryo_remove(one: u64, other: u64, seed: u32) -> u32 {
    let home = home::<Tier>([one, other], seed);
    let found = gwpool_embryo_find(one, other, seed);
    // Only if it is still this key's: another CPU may have put another there.
    if found != 0
        && let Some(set) = Tier::set(home as u32)
        && let Some(label) = label(set, sets::split(found).1)
    {
        exchange(label, (home >> 32) as u32, 0);
    }
    0
}
