//! Whose ids are whose, also where writes have stopped halfway.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;

fn at(route: u32, last: u8) -> Backend<V4> {
    Backend {
        address: [10, 0, 0, last],
        route,
        ..Backend::default()
    }
}

fn installed() -> Image {
    Image {
        backends: [(1, at(2, 1)), (2, at(1, 1)), (4, at(2, 2)), (5, at(2, 2))]
            .into_iter()
            .collect(),
        names: [(1, "a".to_owned())].into_iter().collect(),
        ..Image::default()
    }
}

#[test]
fn a_pool_takes_each_known_id_once_and_then_the_lowest_free_ones() {
    let image = installed();
    let mut register = Register::of(&image);
    let wanted = [at(2, 9), at(2, 2), at(2, 2), at(2, 2), at(2, 1)];
    let pool = register.pool(2, &wanted, &Limits::default()).unwrap();
    assert_eq!(pool, [3, 4, 5, 6, 1]);
    assert_eq!(register.of_route(2), [1, 4, 5]);
    assert!(register.of_route(7).is_empty());
}

#[test]
fn a_route_id_that_only_backends_name_is_not_given_away() {
    let image = installed();
    let mut register = Register::of(&image);
    let ids = [(); 2].map(|()| register.new_route(&Limits::default()).unwrap());
    assert_eq!(ids, [3, 4]);
}

#[test]
fn the_last_id_is_given_and_then_it_is_full() {
    let image = installed();
    let mut register = Register::of(&image);
    let limits = Limits {
        backends: 3,
        routes: 3,
        ..Limits::default()
    };
    assert_eq!(register.pool(9, &[at(9, 1)], &limits), Ok(vec![3]));
    assert!(register.pool(9, &[at(9, 1)], &limits).is_err());
    assert_eq!(register.new_route(&limits), Ok(3));
    assert!(register.new_route(&limits).is_err());
}
