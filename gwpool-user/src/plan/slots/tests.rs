//! Stretches: what is free, and which one is taken.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;

fn installed(runs: &[Range<u32>], replaced: &[Range<u32>]) -> Image {
    let route = |run: &Range<u32>| Route {
        slot_first: run.start,
        slot_count: run.end - run.start,
        ..Route::default()
    };
    Image {
        routes: (1..).zip(runs.iter().map(route)).collect(),
        replaced: replaced.to_vec(),
        ..Image::default()
    }
}

#[test]
fn the_smallest_stretch_that_is_long_enough_is_taken_from_its_front() {
    let image = installed(&[10..15, 0..4, 4..4], &[20..25, 25..30]);
    let mut free = Free::of(&image, &Limits::default());
    assert_eq!(free.take(5).unwrap(), 15..20);
    assert_eq!(free.take(5).unwrap(), 4..9);
    assert_eq!(free.take(1).unwrap(), 9..10);
    assert_eq!(free.take(1).unwrap(), 30..31);
}

#[test]
fn the_last_slot_is_used_and_then_it_is_full() {
    let limits = Limits::default();
    let all = limits.entries("SLOTS").unwrap();
    let mut free = Free::of(&installed(&[0..1, 1..1], &[]), &limits);
    assert_eq!(free.take(all - 1).unwrap(), 1..all);
    assert!(matches!(
        free.take(1),
        Err(Error::Full { table: "SLOTS", .. })
    ));
}
