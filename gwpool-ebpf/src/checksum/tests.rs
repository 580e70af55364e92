//! The arithmetic against a checksum computed anew.

use super::*;

fn compute(bytes: &[u8]) -> u16 {
    !fold(bytes.chunks(2).map(|pair| word([pair[0], pair[1]])).sum())
}

#[test]
fn a_patched_sum_is_the_sum_computed_anew() {
    let mut state = 1u32;
    for _ in 0..100_000 {
        let mut random = [0u8; 12];
        for byte in &mut random {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
        let (old, new) = ([random[0], random[1]], [random[2], random[3]]);
        let rest = &random[4..];
        let before = compute(&[&old, rest].concat());
        let after = compute(&[&new, rest].concat());
        let there = delta(word(old), word(new));
        // 0 and 0xffff are the same sum; a field of real packets is never all zeros throughout.
        assert_eq!(patch(before, there) % 0xffff, after % 0xffff);
        assert_eq!(
            patch(patch(before, there), negate(there)) % 0xffff,
            before % 0xffff
        );
    }
}

#[test]
fn no_change_is_delta_zero_both_ways() {
    assert_eq!(delta(0x1234, 0x1234), 0);
    assert_eq!(negate(0), 0);
    assert_eq!(patch(0xabcd, 0), 0xabcd);
    assert_eq!(add(0x1234, negate(0x1234)), 0);
}
