//! Where a flow's key belongs: both tiers are set-associative, as a CPU's cache. A key has one set, and in it any way; its
//! tag says which, so that who looks for it touches two cache lines, and who does not find it one.
//!
//! Of the embryonic tier, where all ways of a set are taken, they give way in turn. In the established tier nothing does:
//! a key that finds its set full goes to one of the following, and the set says how far off such keys may be.

use gwpool_common::flow::{FlowKey, FlowSet, WAYS};
use gwpool_common::net::V4;

/// The set of a key with these words, and its tag there, see [`LIVE`]. `seed` is random, so that nobody outside can fill a set.
#[inline(always)]
pub fn place([one, other]: [u64; 2], seed: u32, sets: u32) -> (u32, u32) {
    let mut hash = (one ^ (seed as u64) << 32 ^ seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ hash >> 32 ^ other).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 29).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 32;
    // The low half drawn out over the sets: no division, and any number of them.
    let set = ((hash & 0xffff_ffff).wrapping_mul(sets as u64) >> 32) as u32;
    (set, (hash >> 32) as u32 | LIVE)
}

/// The bits of every tag: it is neither 0 nor [`FlowSet::CLAIMED`], nor 1, which would deceive [`equal`] beside a 0.
pub const LIVE: u32 = 5;

/// Of two tags in a word those that are also in the other: of the first bit 31, of the second bit 63.
#[inline(always)]
pub const fn equal(two: u64, others: u64) -> u64 {
    let differ = two ^ others;
    differ.wrapping_sub(0x1_0000_0001) & !differ & 0x8000_0000_8000_0000
}

/// The same of all of a set's words, of each shifted right by its number, together: one way that is equal, from 1; 0: none is.
#[inline(always)]
pub fn number(equal: u64) -> u64 {
    let lowest = equal & equal.wrapping_neg();
    NUMBERS[(lowest.wrapping_mul(DE_BRUIJN) >> 58) as usize] as u64
}

/// Shifted left by 0 to 63, its first six bits are another number each time: where the only bit of a word is, without an
/// instruction that counts zeros, which BPF has not.
const DE_BRUIJN: u64 = 0x03f7_9d71_b4cb_0a89;

/// By that number the way.
static NUMBERS: [u8; 64] = {
    let mut numbers = [0; 64];
    let mut way = 0;
    while way < WAYS {
        let bit = 31 + 32 * (way % 2) - way / 2;
        numbers[((1u64 << bit).wrapping_mul(DE_BRUIJN) >> 58) as usize] = way as u8 + 1;
        way += 1;
    }
    numbers
};

/// The key as it is compared.
#[inline(always)]
pub fn words(key: &FlowKey<V4>) -> [u64; 2] {
    let pair = |high: u32, low: u32| (high as u64) << 32 | low as u64;
    let ports = u32::from_ne_bytes([
        key.source_port[0],
        key.source_port[1],
        key.destination_port[0],
        key.destination_port[1],
    ]);
    [
        pair(
            u32::from_ne_bytes(key.destination),
            u32::from_ne_bytes(key.source),
        ),
        pair(key.protocol as u32, ports),
    ]
}

/// Sets after its own that an established key may lie in. Full, the tier has taken ten of fourteen ways: of a million
/// keys not one finds as many sets in a row without room.
pub const FOLLOWING: u32 = 16;

/// Entries a set of the established tier is meant for: with all of its ways meant, every second set would be full and its
/// keys elsewhere; of ten, one in twelve.
const KEPT: u32 = 10;

/// The set after this one.
#[inline(always)]
pub const fn following(set: u32, sets: u32) -> u32 {
    let next = set + 1;
    if next < sets { next } else { 0 }
}

/// How many sets on, at most, keys of the set lie of which this is `away`.
#[inline(always)]
pub const fn far(away: u32) -> u32 {
    if away & FlowSet::AWAY == 0 {
        0
    } else {
        away >> FlowSet::FAR
    }
}

/// What is to be added to `away` when one more key goes so many sets on. Others only take from the count meanwhile.
#[inline(always)]
pub const fn gone(away: u32, steps: u32) -> u32 {
    let known = far(away);
    let farthest = if known < steps { steps } else { known };
    let moved = farthest.wrapping_sub(away >> FlowSet::FAR);
    (moved << FlowSet::FAR).wrapping_add(1)
}

/// Sets of the established tier for so many entries.
pub const fn keeping(entries: u32) -> u32 {
    entries.div_ceil(KEPT)
}

/// Ways of so many sets.
pub const fn ways(sets: u32) -> u32 {
    sets.saturating_mul(WAYS as u32)
}

/// Sets of the embryonic tier for so many entries, with half as many ways more: keys do not fall evenly, and in a tier that
/// is half full one flow in ten thousand gives way, not one in a hundred.
pub const fn evicting(entries: u32) -> u32 {
    entries.saturating_add(entries / 2).div_ceil(WAYS as u32)
}

/// Entries that the embryonic tier has room for where so many were asked for.
pub const fn room(entries: u32) -> u32 {
    ways(evicting(entries))
}

#[cfg(test)]
mod tests;
