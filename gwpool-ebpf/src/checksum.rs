//! One's complement arithmetic for checksums that are corrected, never computed anew (RFC 1624).
//!
//! Sums run over 16-bit words as they lie in memory: one's complement addition does not mind the byte order as long
//! as field and delta agree (RFC 1071 2.B), so nothing is swapped. A delta of 0 means "no change".

/// Folds carries back in.
#[inline(always)]
pub const fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// Both zeros of one's complement as 0.
#[inline(always)]
const fn normal(sum: u16) -> u16 {
    if sum == 0xffff { 0 } else { sum }
}

/// The delta of replacing words that sum to `old` by words that sum to `new`.
#[inline(always)]
pub const fn delta(old: u32, new: u32) -> u16 {
    normal(fold(fold(new) as u32 + !fold(old) as u32))
}

/// The delta back.
#[inline(always)]
pub const fn negate(delta: u16) -> u16 {
    normal(!delta)
}

/// Both deltas, one after the other.
#[inline(always)]
pub const fn add(one: u16, other: u16) -> u16 {
    normal(fold(one as u32 + other as u32))
}

/// The checksum field after `delta` (RFC 1624 equation 3).
#[inline(always)]
pub const fn patch(check: u16, delta: u16) -> u16 {
    if delta == 0 {
        return check;
    }
    !fold(!check as u32 + delta as u32)
}

/// The TCP or UDP checksum field after `delta`. `optional`: 0 says "none" and stays, and a sum of 0 is written as
/// 0xffff (RFC 768).
#[inline(always)]
pub const fn corrected(check: u16, delta: u16, optional: bool) -> u16 {
    if optional && check == 0 {
        return 0;
    }
    match patch(check, delta) {
        0 if optional => 0xffff,
        sum => sum,
    }
}

/// The sum of a word that lies in memory as these two bytes.
#[inline(always)]
pub const fn word(bytes: [u8; 2]) -> u32 {
    u16::from_ne_bytes(bytes) as u32
}

#[cfg(test)]
mod tests;
