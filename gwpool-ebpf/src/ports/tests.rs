//! Where searches begin.

use super::*;
use crate::family::Ipv4;
use core::ops::RangeInclusive;
use std::collections::BTreeSet;

/// Linux's own range.
const HOSTS_OWN: RangeInclusive<u16> = 32_768..=60_999;

/// As the daemon lays them for such a host: 36,280 ports are left, and the next prime is the modulus.
fn settings(port_seed: u32) -> Settings {
    Settings {
        port_seed,
        port_low_first: 1024,
        port_low_count: 31_744,
        port_high_first: 61_000,
        port_high_count: 4_536,
        port_modulus: 36_293,
        ..Settings::default()
    }
}

/// The first port that is tried in place of this one of a client's; `None`: a place that stands for no port.
fn first(settings: &Settings, client: u8, port: u16) -> Option<u16> {
    let key = FlowKey {
        source: [10, 9, 0, client],
        destination: [10, 9, 0, 1],
        source_port: port.to_be_bytes(),
        destination_port: [0, 80],
        protocol: 6,
        pad: [0; 3],
    };
    let backend = ([192, 168, 1, 2], [0, 80]);
    let mut search = Search::<Ipv4>::new(settings, &key, [192, 168, 1, 1], backend, false);
    assert_eq!(search.candidate(settings, 0), None);
    search.candidate(settings, 1).map(u16::from_be_bytes)
}

#[test]
fn one_clients_ports_do_not_meet() {
    for seed in [0, 1, 0xdead_beef] {
        let settings = settings(seed);
        let tried = |port| first(&settings, 100, port);
        let found: Vec<u16> = HOSTS_OWN.filter_map(tried).collect();
        // All but those at the 13 places that stand for none.
        assert!(found.len() + 13 >= HOSTS_OWN.len());
        assert!(found.iter().all(|port| !HOSTS_OWN.contains(port)));
        let distinct: BTreeSet<_> = found.iter().collect();
        assert_eq!(distinct.len(), found.len());
    }
}

#[test]
fn clients_and_seeds_begin_elsewhere() {
    let begin = |seed, client| first(&settings(seed), client, 40_000);
    let clients: BTreeSet<_> = (0..100).map(|client| begin(7, client)).collect();
    let seeds: BTreeSet<_> = (0..100).map(|seed| begin(seed, 100)).collect();
    assert!(clients.len() > 95, "{clients:?}");
    assert!(seeds.len() > 95, "{seeds:?}");
}
