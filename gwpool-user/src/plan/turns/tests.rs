//! Weights and the turns they give, as letters.

use super::*;

/// `abc` for 0, 1, 2.
fn letters(weights: &[u16]) -> String {
    let letter = |index: &usize| char::from(b'a' + *index as u8);
    cycle(weights).iter().map(letter).collect()
}

#[test]
fn known_weights_give_known_turns() {
    let known: [(&[u16], &str); 13] = [
        (&[], ""),
        (&[0], ""),
        (&[0, 0, 0], ""),
        (&[1], "a"),
        (&[256], "a"),
        (&[1, 1, 1], "abc"),
        (&[7, 7], "ab"),
        (&[2, 1], "aba"),
        (&[5, 1, 1], "aabacaa"),
        (&[4, 2, 1], "abacaba"),
        (&[200, 100, 50], "abacaba"),
        (&[0, 3, 3, 0], "bc"),
        (&[1, 0, 3], "cacc"),
    ];
    for (weights, turns) in known {
        assert_eq!(letters(weights), turns, "{weights:?}");
        assert_eq!(length(weights), turns.len() as u64, "{weights:?}");
    }
}

#[test]
fn a_cycle_gives_exact_shares_and_nobody_is_two_turns_off_on_the_way() {
    let vectors: [&[u16]; 7] = [
        &[3, 2, 1],
        &[5, 1, 1],
        &[10, 7, 3],
        &[256, 255, 1],
        &[256, 1, 1, 1, 1],
        &[20, 0, 30, 7, 7, 7],
        &[13, 11, 7, 5, 3, 2],
    ];
    for weights in vectors {
        let turns = cycle(weights);
        let all = turns.len() as i64;
        let mut taken = vec![0i64; weights.len()];
        for (before, taker) in (1..).zip(&turns) {
            taken[*taker] += 1;
            for (taken, weight) in taken.iter().zip(weights) {
                // Times `all`, to stay in whole numbers.
                let off = taken * all - before * i64::from(*weight);
                assert!(off.abs() < 2 * all, "{weights:?} after {before}");
            }
        }
        let shares: Vec<i64> = weights.iter().map(|weight| i64::from(*weight)).collect();
        assert_eq!(taken, shares, "{weights:?}");
    }
}

#[test]
fn a_long_cycle_is_bounded_but_one_turn_each_always_fits() {
    assert_eq!(most(&[1, 2]), ROUTE_TURNS_MAX);
    let many = [1u16; 5_000];
    assert_eq!((length(&many), most(&many)), (5_000, 5_000));
    assert_eq!(cycle(&many), (0..5_000).collect::<Vec<_>>());
    let largest = [WEIGHT_MAX; 15];
    let odd: Vec<u16> = largest.iter().copied().chain([WEIGHT_MAX - 1]).collect();
    assert!(length(&odd) <= most(&odd) && cycle(&odd).len() == 4_095);
}
