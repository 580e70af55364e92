//! Maps by id, beside what `BTreeMap` would say.

use super::*;
use std::collections::BTreeMap;

#[test]
fn it_says_what_a_btreemap_says() {
    let (mut ids, mut model) = (Ids::default(), BTreeMap::new());
    for step in 0..200u32 {
        let id = step * 7 % 31;
        if step % 3 == 2 {
            assert_eq!(ids.remove(&id), model.remove(&id), "{step}");
        } else {
            assert_eq!(ids.insert(id, step), model.insert(id, step), "{step}");
        }
        assert_eq!(ids.get(&id), model.get(&id));
        assert_eq!((ids.len(), ids.is_empty()), (model.len(), model.is_empty()));
        assert!(ids.iter().eq(model.iter()) && ids.keys().eq(model.keys()));
    }
    assert_eq!(ids, model.into_iter().collect());
    assert_eq!(ids.get(&99_999), None);
}

#[test]
fn a_map_that_was_larger_once_is_still_the_same_map() {
    let mut ids: Ids<u32> = [(1, 1), (9, 9)].into_iter().collect();
    ids.remove(&9);
    assert_eq!(ids, [(1, 1)].into_iter().collect());
}

#[test]
fn names_are_found_both_ways_also_after_they_have_moved() {
    let mut names = Names::default();
    names.insert(1, "argocd".to_owned());
    names.insert(2, "argocd".to_owned());
    names.remove(&1);
    assert_eq!((names.id("argocd"), names.len()), (Some(2), 1));
    names.insert(2, "dash".to_owned());
    assert_eq!((names.id("argocd"), names.id("dash")), (None, Some(2)));
}
