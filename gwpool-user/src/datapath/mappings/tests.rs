//! Small pools: which entries go, in which order, and which bits stay. At the timers here a TCP mapping is over after
//! 100 ticks.

use super::*;
use crate::plan::{self, world};
use gwpool_common::limits::Settings;
use gwpool_common::net::Port;
use gwpool_ebpf::parse::{TCP, UDP};

const HOST: V4 = [192, 168, 1, 11];
const NEIGHBOUR: V4 = [192, 168, 1, 12];
const OUTSIDE: V4 = [10, 9, 0, 254];
const NOW: u16 = 1000;
const OLD: u16 = NOW - 101;

fn timers() -> Timers {
    let settings = Settings {
        ticks_per_1024_s: 1024,
        ..Settings::default()
    };
    let nat = Nat {
        tcp_established_s: 1000,
        tcp_transitory_s: 100,
        udp_unreplied_s: 50,
        icmp_s: 20,
        ..nat()
    };
    Timers::of(&settings, &nat, [].into_iter())
}

fn nat() -> Nat<V4> {
    Nat {
        addresses: [
            OUTSIDE,
            [10, 9, 0, 253],
            [0; 4],
            [0; 4],
            [0; 4],
            [0; 4],
            [0; 4],
            [0; 4],
        ],
        address_count: 2,
        ..Nat::default()
    }
}

fn end(side: u8, address: V4, port: u16, protocol: u8) -> End<V4> {
    End {
        address,
        port: port.to_be_bytes(),
        protocol,
        side,
    }
}

fn inside(address: V4, port: u16) -> End<V4> {
    end(End::<V4>::INSIDE, address, port, TCP)
}

fn outside(port: u16) -> End<V4> {
    end(End::<V4>::OUTSIDE, OUTSIDE, port, TCP)
}

fn to(end: End<V4>, seen: u16) -> Mapping<V4> {
    Mapping {
        address: end.address,
        port: end.port,
        seen,
    }
}

/// Both entries of a mapping.
fn mapped(entries: &mut Entries, near: End<V4>, far: End<V4>, seen: u16) {
    entries.insert(near, to(far, seen));
    entries.insert(far, to(near, 1));
}

/// The client side of a flow of this mapping.
fn flow(near: End<V4>, far: End<V4>) -> (FlowKey<V4>, Flow<V4>) {
    let key = FlowKey {
        source: near.address,
        source_port: near.port,
        destination: [10, 9, 0, 100],
        destination_port: [0, 80],
        protocol: near.protocol,
        pad: [0; 3],
    };
    let mut flow = Flow {
        flags: Flow::<V4>::NAT,
        ..Flow::default()
    };
    (flow.rewrite.source, flow.rewrite.source_port) = (far.address, far.port);
    (key, flow)
}

fn suspects(entries: &Entries) -> Suspects {
    let mut suspects = Suspects::default();
    for entry in entries {
        suspects.see(entries, entry, &timers(), NOW);
    }
    suspects
}

/// What two passes over the same entries end.
fn over(entries: &Entries, flows: &[(FlowKey<V4>, Flow<V4>)]) -> Vec<End<V4>> {
    let mut suspects = suspects(entries);
    for (key, flow) in flows {
        suspects.clear(key, flow);
    }
    let (over, marked) = suspects.over(entries, &Entries::new());
    assert!(over.is_empty(), "the first pass only marks");
    let (over, again) = suspects.over(entries, &marked);
    assert_eq!(again, Entries::new());
    over
}

#[test]
fn a_mapping_is_over_when_it_is_idle_and_no_flow_names_it() {
    let (near, far) = (inside(HOST, 41000), outside(41000));
    for (seen, flows, wanted) in [
        (OLD, vec![], vec![near, far]),
        (OLD + 1, vec![], vec![]),
        (NOW + 1, vec![], vec![]),
        (OLD, vec![flow(near, far)], vec![]),
        (
            OLD,
            vec![flow(inside(HOST, 41001), outside(41001))],
            vec![near, far],
        ),
        (
            OLD,
            vec![flow(inside(NEIGHBOUR, 41000), outside(2))],
            vec![near, far],
        ),
    ] {
        let mut entries = Entries::new();
        mapped(&mut entries, near, far, seen);
        assert_eq!(over(&entries, &flows), wanted, "{seen} {}", flows.len());
    }
}

#[test]
fn each_protocol_has_its_own_time() {
    for (protocol, limit) in [(TCP, 101), (UDP, 51), (1, 21)] {
        let near = end(End::<V4>::INSIDE, HOST, 41000, protocol);
        let far = end(End::<V4>::OUTSIDE, OUTSIDE, 41000, protocol);
        for (age, wanted) in [(limit - 1, 0), (limit, 2)] {
            let mut entries = Entries::new();
            mapped(&mut entries, near, far, NOW - age);
            assert_eq!(over(&entries, &[]).len(), wanted, "{protocol} {age}");
        }
    }
}

#[test]
fn what_moves_between_two_passes_lives_on() {
    let (near, far) = (inside(HOST, 41000), outside(41000));
    let mut entries = Entries::new();
    mapped(&mut entries, near, far, OLD - 50);
    let (_, marked) = suspects(&entries).over(&entries, &Entries::new());
    // Used again, and idle again.
    entries.insert(near, to(far, OLD));
    let suspects = suspects(&entries);
    let (over, marked) = suspects.over(&entries, &marked);
    assert_eq!(
        over,
        [far],
        "which stays as long as an inside entry points to it"
    );
    assert_eq!(marked, Entries::from([(near, to(far, OLD))]));
}

#[test]
fn an_outside_entry_alone_goes_unless_a_flow_has_its_port() {
    let (near, far, lost) = (inside(HOST, 41000), outside(41000), outside(5000));
    let mut entries = Entries::new();
    // The loser of a race for the same inside end.
    mapped(&mut entries, near, far, NOW);
    entries.insert(lost, to(near, NOW));
    // An inside end that is no more.
    entries.insert(outside(5001), to(inside(NEIGHBOUR, 7), NOW));
    assert_eq!(over(&entries, &[]), [lost, outside(5001)]);
    assert_eq!(over(&entries, &[flow(near, lost)]), [outside(5001)]);
}

#[test]
fn what_keeps_a_mapping_from_being_made_anew_goes_however_busy() {
    let (near, far) = (inside(HOST, 41000), outside(41000));
    let entries = Entries::from([(far, to(near, 1))]);
    assert_eq!(over(&entries, &[flow(near, far)]), [far]);
    let sharer = flow(inside(NEIGHBOUR, 41000), far);
    assert_eq!(over(&entries, &[sharer]), [], "it has the port, too");
}

#[test]
fn an_inside_entry_without_a_port_goes_however_busy() {
    let near = inside(HOST, 41000);
    let entries = |seen| Entries::from([(near, to(outside(41000), seen))]);
    let busy = flow(near, outside(41000));
    assert_eq!(over(&entries(NOW), &[busy]), [near]);
    let (first, second) = (entries(NOW - 1), entries(NOW));
    let (_, marked) = suspects(&first).over(&first, &Entries::new());
    let (over, _) = suspects(&second).over(&second, &marked);
    assert_eq!(over, [near]);
}

#[test]
fn two_hosts_on_one_port_end_one_after_the_other() {
    let (near, second, far) = (
        inside(HOST, 41000),
        inside(NEIGHBOUR, 41000),
        outside(41000),
    );
    let mut entries = Entries::new();
    mapped(&mut entries, near, far, OLD);
    entries.insert(second, to(far, NOW));
    let busy = flow(second, far);
    assert_eq!(
        over(&entries, &[busy]),
        [near],
        "the port is the other's, too"
    );
    entries.remove(&near);
    assert_eq!(over(&entries, &[busy]), []);
    entries.insert(second, to(far, OLD));
    assert_eq!(over(&entries, &[]), [second, far]);
}

#[test]
fn mappings_are_counted_by_inside_host() {
    let mut entries = Entries::new();
    for port in [1, 2] {
        mapped(&mut entries, inside(HOST, port), outside(port), NOW);
    }
    let udp = |side, address| end(side, address, 9, UDP);
    let (near, far) = (
        udp(End::<V4>::INSIDE, NEIGHBOUR),
        udp(End::<V4>::OUTSIDE, OUTSIDE),
    );
    mapped(&mut entries, near, far, NOW);
    mapped(&mut entries, inside(OUTSIDE, 22), outside(22), NOW);
    entries.insert(inside(NEIGHBOUR, 1), to(outside(1), NOW));
    let mut tally = Tally::default();
    entries.iter().for_each(|entry| tally.see(entry));
    assert_eq!(tally.mappings, 5);
    let hosts = HashMap::from([(HOST, 2), (NEIGHBOUR, 2)]);
    assert_eq!(tally.hosts, hosts, "this host's own are nobody's");
}

#[test]
fn words_are_what_is_mapped_and_what_is_reserved() {
    let mut entries = Entries::new();
    let port = |bytes: Port| u16::from_be_bytes(bytes);
    mapped(&mut entries, inside(HOST, 1), outside(64), NOW);
    let second = end(End::<V4>::OUTSIDE, [10, 9, 0, 253], port([0, 5]), 1);
    entries.insert(second, to(end(End::<V4>::INSIDE, HOST, 5, 1), NOW));
    let stranger = end(End::<V4>::OUTSIDE, [10, 9, 0, 252], 5, TCP);
    entries.insert(stranger, to(inside(HOST, 9), NOW));
    let plan = Plan {
        nat: Some(plan::Nat::default()),
        routes: Vec::new(),
        ..world::plan()
    };
    let words = words(&entries, &nat(), &plan);
    let set: Vec<(u32, u64)> = (0..).zip(words).filter(|(_, word)| *word != 0).collect();
    // Port 0 of TCP and UDP is nobody's.
    let mut expected = vec![(0, 1), (1, 1)];
    for (address, place) in [(0, 1), (1, 0), (1, 1)] {
        expected.push((pool::words(address, place), 1));
    }
    expected.push((pool::words(1, 2), 1 << 5));
    assert_eq!(set, expected);
}

#[test]
fn a_freed_port_is_free_unless_it_is_reserved() {
    let mut now = vec![0u64; PORTS as usize];
    let reserved: Vec<u64> = (0..PORTS).map(|index| u64::from(index == 1)).collect();
    let full = PORT_WORDS as usize;
    (now[1], now[2], now[full]) = (0b111, u64::MAX, 0b100);
    let ends = [64, 65, 130].map(outside);
    let expected = [(1, 0b101), (2, !0b100), (full as u32, 0)];
    assert_eq!(freed(ends.iter(), &nat(), &reserved, &now), expected);
    let inside = [inside(OUTSIDE, 65)];
    assert_eq!(freed(inside.iter(), &nat(), &reserved, &now), []);
}

#[test]
fn only_what_differs_is_written_and_what_has_come_since_stays() {
    let mut wanted = vec![0u64; PORTS as usize];
    let mut before = wanted.clone();
    // Of a mapping that is over; of one that came during the walk; in place already.
    before[7] = 0b01;
    let mut now = before.clone();
    now[7] |= 0b10;
    (wanted[9], before[9], now[9]) = (4, 4, 4);
    assert_eq!(corrections(wanted.clone(), &before, &now), [(7, 0b10)]);
    // A word that is full is said to be so in the level above, which follows the word by itself.
    let full = (PORT_WORDS + 1) as usize;
    wanted[65] = u64::MAX;
    (before[full], now[full]) = (1, 1);
    let expected = [(7, 0b10), (65, u64::MAX), (full as u32, 0b10)];
    assert_eq!(corrections(wanted, &before, &now), expected);
    assert_eq!(corrections(Vec::new(), &[], &[]), []);
}

#[test]
fn a_port_that_was_freed_during_the_walk_stays_free() {
    let words = || vec![0u64; PORTS as usize];
    // The walk has still seen both mappings; one was removed by hand since.
    let (mut seen, mut before, mut now) = (words(), words(), words());
    (seen[20], before[20], now[20]) = (0b11, 0b11, 0b01);
    assert_eq!(corrections(seen, &before, &now), []);
}
