//! Words of reserved ports over words that are there.

use super::*;
use gwpool_common::limits::PORTS;

const ONE: V4 = [10, 9, 0, 1];
const TWO: V4 = [10, 9, 0, 2];

/// All words, with these set.
fn words(set: &[(usize, u64)]) -> Vec<u64> {
    let mut words = vec![0; PORTS as usize];
    for (index, word) in set {
        words[*index] = *word;
    }
    words
}

#[test]
fn what_mappings_have_taken_stays_taken() {
    let reserved = words(&[(0, 1), (GROUP, 1)]);
    let taken = words(&[(0, 6), (5, 8), (GROUP, 1)]);
    for before in [None, Some(&[ONE][..])] {
        assert_eq!(writes(&reserved, &taken, before, &[ONE]), [(0, 7)]);
    }
    let laid = words(&[(0, 7), (5, 8), (GROUP, 1)]);
    assert_eq!(writes(&reserved, &laid, None, &[ONE]), []);
}

#[test]
fn an_address_that_comes_to_anothers_place_begins_afresh() {
    let reserved = words(&[(0, 1)]);
    let taken = words(&[(0, 7), (5, 8), (GROUP + 9, 2)]);
    assert_eq!(
        writes(&reserved, &taken, Some(&[ONE]), &[TWO]),
        [(0, 1), (5, 0), (GROUP as u32 + 9, 0)]
    );
    let second = 3 * GROUP;
    let taken = words(&[(0, 7), (second, 2)]);
    assert_eq!(
        writes(&reserved, &taken, Some(&[ONE]), &[ONE, TWO]),
        [(second as u32, 0)],
        "its place was nobody's"
    );
}

#[test]
fn where_nothing_is_handed_out_nothing_is_written() {
    let taken = words(&[(0, 7)]);
    assert_eq!(writes(&words(&[]), &taken, Some(&[ONE]), &[]), []);
}

#[test]
fn a_word_that_is_reserved_whole_is_full() {
    let reserved = words(&[(64, u64::MAX)]);
    let full = PORT_WORDS + 1;
    assert_eq!(
        writes(&reserved, &words(&[]), None, &[ONE]),
        [(64, u64::MAX), (full, 1)]
    );
}
