//! Runs as letters, one a backend.

use super::*;

/// Backends with these weights and flags.
fn pool(weights: &[(u16, u16)]) -> Vec<Backend<V4>> {
    (1..)
        .zip(weights)
        .map(|(last, (weight, flags))| Backend {
            address: [192, 168, 1, last],
            weight: *weight,
            flags: *flags,
            ..Backend::default()
        })
        .collect()
}

const READY: u16 = 0;
const DRAIN: u16 = Backend::<V4>::DRAIN;
const MAINT: u16 = Backend::<V4>::MAINT;

#[test]
fn turns_and_random_have_each_backend_as_often_as_it_weighs() {
    let pool = pool(&[(2, READY), (1, READY), (4, DRAIN), (0, READY), (4, MAINT)]);
    assert_eq!(run(Balance::Turns, &pool), [0, 1, 0]);
    assert_eq!(run(Balance::Random, &pool), [0, 1, 0]);
}

#[test]
fn leastconn_has_each_backend_once_whatever_it_weighs() {
    let pool = pool(&[(9, READY), (0, READY), (1, READY), (1, MAINT), (3, DRAIN)]);
    assert_eq!(run(Balance::LeastConn, &pool), [0, 2]);
}

#[test]
fn a_source_table_keeps_its_size_and_everybody_elses_places_while_one_is_drained() {
    let all = run(
        Balance::Source,
        &pool(&[(1, READY), (1, READY), (1, READY)]),
    );
    let drained = run(
        Balance::Source,
        &pool(&[(1, READY), (1, DRAIN), (1, READY)]),
    );
    assert_eq!(all.len(), drained.len());
    assert!(!drained.contains(&1));
    assert!(
        all.iter()
            .zip(&drained)
            .all(|(before, after)| *before == 1 || before == after)
    );
}

#[test]
fn a_run_is_never_longer_than_what_is_counted_for_it() {
    let weights = [3, 0, 1, 1];
    let pool = pool(&weights.map(|weight| (weight, READY)));
    for balance in [
        Balance::Turns,
        Balance::Random,
        Balance::LeastConn,
        Balance::Source,
    ] {
        let slots = run(balance, &pool).len() as u64;
        assert!(slots <= length(balance, &weights), "{balance:?}");
        let nobody = run(balance, &self::pool(&[(0, READY), (1, DRAIN)]));
        assert_eq!(nobody, [] as [usize; 0], "{balance:?}");
    }
}
