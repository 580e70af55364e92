//! Keys spread over sets, whatever of them changes.

use super::*;

fn key(host: u16, port: u16) -> FlowKey<V4> {
    let [a, b] = host.to_be_bytes();
    FlowKey {
        source: [198, 18, a, b],
        destination: [10, 9, 0, 1],
        source_port: port.to_be_bytes(),
        destination_port: [0, 80],
        protocol: 6,
        pad: [0; 3],
    }
}

#[test]
fn sets_fill_evenly_by_hosts_and_by_ports() {
    const SETS: u32 = 1000;
    for seed in [0, 1, 0xdead_beef] {
        let mut filled = vec![0u32; SETS as usize];
        for number in 0..7 * SETS as u16 {
            let by_port = place(words(&key(1, number)), seed, SETS);
            let by_host = place(words(&key(number, 40_000)), seed, SETS);
            for (set, tag) in [by_port, by_host] {
                assert!(set < SETS && tag & LIVE == LIVE);
                filled[set as usize] += 1;
            }
        }
        // Thrown at random, 14 a set: the fullest of a thousand has about 28.
        let most = filled.iter().max().copied().unwrap_or_default();
        assert!(most < 40, "{most} of 14,000 keys in one of 1,000 sets");
    }
}

#[test]
fn another_seed_is_another_place() {
    let key = key(1, 2);
    let places: std::collections::BTreeSet<u32> = (0..64)
        .map(|seed| place(words(&key), seed, 1 << 16).0)
        .collect();
    assert!(places.len() > 60, "{places:?}");
}

#[test]
fn what_differs_has_other_words() {
    let one = key(1, 2);
    let others = [
        FlowKey {
            source: [0; 4],
            ..one
        },
        FlowKey {
            destination: [0; 4],
            ..one
        },
        FlowKey {
            source_port: [9, 9],
            ..one
        },
        FlowKey {
            destination_port: [9, 9],
            ..one
        },
        FlowKey {
            protocol: 17,
            ..one
        },
    ];
    for other in others {
        assert_ne!(words(&one), words(&other));
    }
}

#[test]
fn there_are_half_as_many_ways_more_than_entries() {
    for entries in [1, 14, 32, 131_072] {
        let (wanted, room) = (entries + entries / 2, room(entries));
        assert!(
            (wanted..wanted + WAYS as u32).contains(&room),
            "{entries}: {room}"
        );
    }
    assert!(evicting(u32::MAX) >= u32::MAX / WAYS as u32);
}

/// Puts keys into the sets of an established tier, in turn and without anything going: the sets' fills and `away`s.
fn keep(keys: u32, seed: u32) -> Option<Vec<(usize, u32)>> {
    let sets = keeping(keys);
    let mut tier = vec![(0, 0u32); sets as usize];
    for number in 0..keys {
        let [_, high, low, port] = number.to_be_bytes();
        let key = key(u16::from_be_bytes([high, low]), u16::from(port));
        let (home, _) = place(words(&key), seed, sets);
        let (mut set, mut step) = (home, 0);
        while tier[set as usize].0 == WAYS {
            (set, step) = (following(set, sets), step + 1);
            if step > FOLLOWING {
                return None;
            }
        }
        tier[set as usize].0 += 1;
        if set != home {
            let away = &mut tier[home as usize].1;
            *away = away.wrapping_add(gone(*away, step));
        }
    }
    Some(tier)
}

#[test]
fn a_full_established_tier_has_room_for_every_key() {
    for keys in [2, 10, 22, 128, 524_288] {
        for seed in [1, 7, 0xdead_beef] {
            let tier = keep(keys, seed).unwrap_or_else(|| panic!("{keys} keys, seed {seed}"));
            let filled: usize = tier.iter().map(|(fill, _)| fill).sum();
            assert_eq!(filled, keys as usize);
            let away = tier.iter().filter(|(_, away)| far(*away) > 0).count();
            assert!(
                away <= tier.len() / 6 + 2,
                "{away} of {} sets have keys elsewhere",
                tier.len()
            );
        }
    }
}

#[test]
fn a_set_knows_how_far_off_its_keys_may_be() {
    let mut away = 0;
    let mut go = |steps: u32| {
        away = gone(away, steps).wrapping_add(away);
        (far(away), away)
    };
    assert_eq!(go(3).0, 3);
    assert_eq!(go(1).0, 3);
    let (farthest, two_more) = go(16);
    assert_eq!(farthest, 16);
    // All three come back, or end: the next one that goes says anew how far.
    let none = two_more - 3;
    assert_eq!(far(none), 0);
    assert_eq!(far(none.wrapping_add(gone(none, 2))), 2);
}

/// As the programs look.
fn look(tags: &[u32; WAYS], tag: u32) -> usize {
    let twice = u64::from(tag) << 32 | u64::from(tag);
    let words = tags.chunks(2).enumerate();
    let all = words.map(|(word, two)| {
        let two = u64::from(two[1]) << 32 | u64::from(two[0]);
        equal(two, twice) >> word
    });
    number(all.fold(0, |all, word| all | word)) as usize
}

#[test]
fn every_way_is_found_by_its_tag_and_by_being_free() {
    let tag = |way: usize| (way as u32) << 16 | LIVE;
    let tags: [u32; WAYS] = std::array::from_fn(tag);
    for way in 0..WAYS {
        assert_eq!(look(&tags, tag(way)), way + 1);
        let mut one_free = tags;
        one_free[way] = 0;
        assert_eq!(look(&one_free, 0), way + 1);
        assert_eq!(look(&one_free, tag(way)), 0);
        let mut others_free = [0; WAYS];
        others_free[way] = tag(way);
        assert_eq!(look(&others_free, tag(way)), way + 1);
        others_free[way] = FlowSet::CLAIMED;
        assert!(![0, way + 1].contains(&look(&others_free, 0)));
    }
    assert_eq!(look(&tags, 0), 0);
    assert_eq!(look(&tags, tag(WAYS)), 0);
}

#[test]
fn a_tag_beside_a_free_way_is_not_taken_for_another() {
    for tag in [LIVE, LIVE | 2, u32::MAX, 0x8000_0000 | LIVE] {
        for way in 0..WAYS - 1 {
            let mut tags = [0; WAYS];
            tags[way] = tag;
            assert_eq!(look(&tags, tag), way + 1);
            let others = look(&tags, 0) - 1;
            assert!(others != way && tags[others] == 0);
        }
    }
}
