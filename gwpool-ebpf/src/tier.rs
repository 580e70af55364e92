//! Where a key of the embryonic tier belongs: the tier is set-associative, as a CPU's cache. A key has one set, and in it
//! any way; its tag says which, so that who looks for it touches two cache lines, and who does not find it one.

use gwpool_common::flow::{FlowKey, WAYS};
use gwpool_common::net::V4;

/// The set of a key with these words, and its tag there, which is not 0. `seed` is random, so that nobody outside can fill a set.
#[inline(always)]
pub fn place([one, other]: [u64; 2], seed: u32, sets: u32) -> (u32, u32) {
    let mut hash = (one ^ (seed as u64) << 32 ^ seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ hash >> 32 ^ other).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 29).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 32;
    // The low half drawn out over the sets: no division, and any number of them.
    let set = ((hash & 0xffff_ffff).wrapping_mul(sets as u64) >> 32) as u32;
    (set, (hash >> 32) as u32 | 1)
}

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

/// Sets for so many entries, with half as many ways more: keys do not fall evenly, and in a tier that is half full one
/// flow in ten thousand gives way, not one in a hundred.
pub const fn sets(entries: u32) -> u32 {
    entries.saturating_add(entries / 2).div_ceil(WAYS as u32)
}

/// Entries that there is room for where so many were asked for.
pub const fn room(entries: u32) -> u32 {
    sets(entries).saturating_mul(WAYS as u32)
}

#[cfg(test)]
mod tests;
