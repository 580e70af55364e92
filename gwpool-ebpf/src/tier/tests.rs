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
                assert!(set < SETS && tag != 0);
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
    assert!(sets(u32::MAX) >= u32::MAX / WAYS as u32);
}
