//! What is set by hand takes effect at once and holds against plans and restarts.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use crate::plan::diff::{diff, set_states, set_weight};
use crate::plan::world::{adopted, apply, host, installed, plan, step};
use crate::plan::{Balance, Error, Image, MapWrite, Plan};

fn of(ids: &[u32]) -> BTreeSet<u32> {
    ids.iter().copied().collect()
}

fn run(image: &Image) -> &[u32] {
    image.run(&image.routes[&1])
}

fn state(image: &Image, ids: &[u32], state: State) -> Image {
    let difference = set_states(image, &plan(), &host(), &of(ids), state).unwrap();
    apply(image, &difference)
}

fn weight(image: &Image, plan: &Plan, ids: &[u32], weight: Option<u16>) -> Image {
    let difference = set_weight(image, plan, &host(), &of(ids), weight).unwrap();
    apply(image, &difference)
}

#[test]
fn who_is_drained_takes_no_turns_until_it_is_ready_again() {
    let before = installed();
    for away in [State::Drain, State::Maint] {
        let drained = state(&before, &[2], away);
        assert_eq!(run(&drained), [1, 3]);
        assert_eq!(State::of(&drained.backends[&2]), away);
        assert_eq!(drained.run(&drained.routes[&2]), [4, 5, 6]);
        assert_eq!(
            state(&drained, &[2], State::Ready).backends,
            before.backends
        );
        assert_eq!(run(&state(&drained, &[2], State::Ready)), [1, 2, 3]);
    }
    assert!(run(&state(&before, &[1, 2, 3], State::Maint)).is_empty());
}

#[test]
fn a_state_writes_its_backend_and_its_route_and_nothing_else() {
    let before = installed();
    let writes = set_states(&before, &plan(), &host(), &of(&[2]), State::Drain)
        .unwrap()
        .writes;
    let expected = |write: &MapWrite| {
        matches!(
            write,
            MapWrite::Backend(2, Some(_)) | MapWrite::Slot(..) | MapWrite::Route(1, Some(_))
        )
    };
    assert!(writes.iter().all(expected), "{writes:?}");
    let again = set_states(&before, &plan(), &host(), &of(&[2]), State::Ready).unwrap();
    assert_eq!(again.writes, []);
    let unknown = set_states(&before, &plan(), &host(), &of(&[77]), State::Drain).unwrap();
    assert_eq!(unknown.writes, []);
}

#[test]
fn states_and_weights_outlive_plans_restarts_and_an_absence() {
    let mut image = state(&installed(), &[2], State::Drain);
    image = weight(&image, &plan(), &[3], Some(2));
    assert_eq!(run(&image), [3, 1, 3]);
    assert_eq!(diff(&adopted(&image), &plan(), &host()).unwrap().writes, []);

    let mut other = plan();
    other.routes[0].backends[2].weight = 7;
    other.routes[0].backends.reverse();
    image = step(&adopted(&image), &other);
    assert_eq!(run(&image), [3, 1, 3], "by hand before the plan's weight");

    let mut without = plan();
    without.routes[0].backends.remove(1);
    image = step(&step(&image, &without), &plan());
    assert_eq!(State::of(&image.backends[&2]), State::Drain);
    assert_eq!(run(&image), [3, 1, 3]);

    let planned = weight(&image, &other, &[3], None);
    assert_eq!(planned.backends[&3].weight, 7);
    assert_eq!(run(&planned).iter().filter(|id| **id == 3).count(), 7);
}

#[test]
fn a_weight_of_zero_by_hand_is_a_drain_with_another_name() {
    let image = weight(&installed(), &plan(), &[1, 2], Some(0));
    assert_eq!(run(&image), [3]);
    assert_eq!(State::of(&image.backends[&1]), State::Ready);
}

#[test]
fn a_weight_that_makes_the_cycle_too_long_is_refused() {
    let mut long = plan();
    for number in 0..20u16 {
        let mut backend = long.routes[0].backends[1].clone();
        (backend.port, backend.weight) = (1000 + number, 256);
        long.routes[0].backends.push(backend);
    }
    for backend in &mut long.routes[0].backends {
        backend.weight = 256;
    }
    long.limits.backends = 64;
    let image = step(&installed(), &long);
    let set = set_weight(&image, &long, &host(), &of(&[1]), Some(255));
    assert!(matches!(set, Err(Error::LongCycle { .. })), "{set:?}");
}

#[test]
fn clients_of_a_source_route_stay_where_they_are_while_another_backend_is_drained() {
    let mut plan = plan();
    plan.routes[0].balance = Balance::Source;
    let before = step(&Image::default(), &plan);
    let drain = set_states(&before, &plan, &host(), &of(&[2]), State::Drain).unwrap();
    let after = apply(&before, &drain);
    let pairs = || run(&before).iter().zip(run(&after));
    assert!(pairs().all(|(old, new)| *old == 2 || old == new));
    assert!(pairs().any(|(old, new)| old != new));
    assert_eq!(run(&after).len(), run(&before).len());
}
