//! Who has which place, and how little moves.

use super::*;

fn takers(weights: &[u16]) -> Vec<Taker> {
    (1..)
        .zip(weights)
        .map(|(last, weight)| Taker {
            place: ([192, 168, 1, last], 30080u16.to_be_bytes()),
            weight: *weight,
        })
        .collect()
}

/// The address and port that each place leads to.
fn owners(takers: &[Taker]) -> Vec<([u8; 4], [u8; 2])> {
    table(takers)
        .iter()
        .map(|index| takers[*index].place)
        .collect()
}

/// The places of the first that lead elsewhere in the second.
fn moved(before: &[Taker], after: &[Taker]) -> Vec<usize> {
    let (before, after) = (owners(before), owners(after));
    assert_eq!(before.len(), after.len());
    (0..before.len())
        .filter(|place| before[*place] != after[*place])
        .collect()
}

#[test]
fn a_backend_more_takes_its_share_and_moves_nothing_else() {
    for n in 1..12usize {
        let all = takers(&vec![1; n + 1]);
        let (before, new) = (&all[..n], all[n].place);
        let changed = moved(before, &all);
        let owners = owners(&all);
        assert!(changed.iter().all(|place| owners[*place] == new), "{n}");
        let share = places(n) as usize / (n + 1);
        assert!(
            (share / 2..share * 2).contains(&changed.len()),
            "{n}: {} of {share}",
            changed.len()
        );
    }
}

#[test]
fn a_backend_that_goes_or_drains_moves_only_its_own_places() {
    let all = takers(&[3, 1, 2, 1, 5]);
    let before = owners(&all);
    for gone in 0..all.len() {
        let place = all[gone].place;
        let mut without = all.clone();
        without.remove(gone);
        let mut drained = all.clone();
        drained[gone].weight = 0;
        for after in [without, drained] {
            let changed = moved(&all, &after);
            assert!(changed.iter().all(|at| before[*at] == place));
            assert_eq!(
                changed.len(),
                before.iter().filter(|owner| **owner == place).count()
            );
        }
    }
}

#[test]
fn a_weight_that_rises_only_gains_and_shares_follow_the_weights() {
    let before = takers(&[1, 1, 1]);
    let after = takers(&[1, 4, 1]);
    let gainer = after[1].place;
    let (changed, now) = (moved(&before, &after), owners(&after));
    assert!(!changed.is_empty() && changed.iter().all(|at| now[*at] == gainer));
    for weights in [&[1u16, 4, 1][..], &[256, 128, 64], &[10, 20, 30, 40]] {
        let takers = takers(weights);
        let owners = owners(&takers);
        let sum: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
        for taker in &takers {
            let has = owners.iter().filter(|owner| **owner == taker.place).count() as i64;
            let fair = i64::from(places(3) * u32::from(taker.weight) / sum);
            // Three standard deviations are 48 places at most.
            assert!((has - fair).abs() < 50, "{weights:?}: {has} of {fair}");
        }
    }
}

#[test]
fn every_gateway_has_the_same_table_whatever_its_inventorys_order() {
    let all = takers(&[1, 2, 1, 7]);
    let mut turned = all.clone();
    turned.rotate_left(1);
    assert_eq!(owners(&all), owners(&turned));
    assert_eq!(table(&takers(&[9, 9, 9])), table(&takers(&[1, 1, 1])));
}

#[test]
fn nobody_takes_no_place() {
    assert!(table(&[]).is_empty());
    assert!(table(&takers(&[0, 0])).is_empty());
    assert_eq!(table(&takers(&[0, 1])), vec![1; 1021]);
}

#[test]
fn rarity_is_the_logarithm_and_falls_as_draws_rise() {
    assert_eq!(rarity(1 << 63) >> 32, 1);
    assert_eq!(rarity(u64::MAX) >> 32, 0);
    for draw in [3, 1 << 20, 12_345_678_901, u64::MAX / 3, u64::MAX - 5] {
        let exact = -((draw as f64).log2() - 64.0);
        let found = rarity(draw) as f64 / f64::from(u32::MAX);
        assert!((exact - found).abs() < 1e-5, "{draw}: {exact} {found}");
        assert!(rarity(draw) >= rarity(draw + 1));
    }
}
