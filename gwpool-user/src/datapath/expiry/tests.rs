//! One row a protocol, state and age. At 250 Hz a tick is 1.024 s.

use super::*;
use crate::datapath::halves::{Halves, Part};
use gwpool_common::flow::FlowKey;
use gwpool_ebpf::lifetime::AHEAD_TICKS;
use gwpool_ebpf::pair::{mate, reverse};

const FIN: u8 = Flow::<V4>::FIN;
const RST: u8 = Flow::<V4>::RST;
/// The backend that has an idle time of its own.
const OWN: u8 = 5;

/// What translated flows go by, in seconds that no route has.
fn nat() -> Nat<V4> {
    Nat {
        tcp_established_s: 1024,
        tcp_transitory_s: 128,
        udp_s: 64,
        udp_unreplied_s: 32,
        icmp_s: 16,
        other_s: 8,
        ..Nat::default()
    }
}

fn timers(closing_s: u16) -> Timers {
    let settings = Settings {
        tick_shift: 8,
        ticks_per_1024_s: 1000,
        closing_s,
        ..Settings::default()
    };
    Timers::of(
        &settings,
        &nat(),
        [(4, 0), (u32::from(OWN), 60)].into_iter(),
    )
}

fn half(backend: u8, flags: u8, seen: u16) -> Flow<V4> {
    Flow {
        backend: [backend, 0, 0],
        flags,
        seen,
        ..Flow::default()
    }
}

/// What the sweep asks of a flow whose two halves it has seen.
fn over(timers: &Timers, protocol: u8, one: Flow<V4>, other: Flow<V4>, now: u16) -> bool {
    let mut halves = Halves::default();
    let key = FlowKey {
        protocol,
        ..FlowKey::default()
    };
    halves.add(&key, &one);
    let other = Flow {
        rewrite: reverse(&key, &one.rewrite),
        flags: other.flags | Flow::<V4>::BACKEND_SIDE,
        ..other
    };
    halves.add(&mate(protocol, &one.rewrite), &other);
    let flow = halves.parts().flat_map(Part::flows).next();
    flow.is_some_and(|flow| flow.idle(now) >= timers.limit(protocol, flow.closed(), flow.backend()))
}

#[test]
fn seconds_become_ticks_that_take_as_long_in_any_case() {
    let timers = timers(240);
    let limits = |backend| {
        [(TCP, false), (TCP, true), (UDP, false)]
            .map(|(protocol, closed)| timers.limit(protocol, closed, backend))
    };
    assert_eq!(limits(4), [7267, 236, 294]);
    assert_eq!(limits(900), limits(4));
    assert_eq!([limits(5)[0], limits(5)[2]], [60, 60]);
}

#[test]
fn a_flow_is_over_when_both_halves_are_idle_long_enough() {
    // protocol, flags and ages of the halves, over?
    for (protocol, flags, ages, wanted) in [
        (TCP, (0, 0), (7267, 7267), true),
        (TCP, (0, 0), (7266, 7267), false),
        (TCP, (0, 0), (9000, 1), false),
        (TCP, (FIN, 0), (300, 300), false),
        (TCP, (FIN, FIN), (236, 236), true),
        (TCP, (FIN, FIN), (300, 235), false),
        (TCP, (RST, 0), (236, 240), true),
        (TCP, (0, RST), (236, 240), true),
        (TCP, (0, RST), (236, 0), false),
        (UDP, (0, 0), (294, 294), true),
        (UDP, (0, 0), (294, 293), false),
        (UDP, (FIN, FIN), (250, 250), false),
    ] {
        for now in [10_000u16, 100, 65_535] {
            let one = half(4, flags.0, now.wrapping_sub(ages.0));
            let other = half(4, flags.1, now.wrapping_sub(ages.1));
            let row = (protocol, flags, ages, now);
            let timers = timers(240);
            assert_eq!(over(&timers, protocol, one, other, now), wanted, "{row:?}");
            assert_eq!(
                over(&timers, protocol, other, one, now),
                wanted,
                "mirrored {row:?}"
            );
        }
    }
}

#[test]
fn whoever_is_over_is_suspected_by_one_of_its_halves() {
    let timers = timers(240);
    for flags in [(0, 0), (FIN, FIN), (RST, 0), (0, RST), (FIN, RST)] {
        for ages in [(60, 60), (300, 300), (236, 7000), (8000, 8000), (100, 9000)] {
            for protocol in [TCP, UDP] {
                for backend in [4, OWN] {
                    let now = 12_345u16;
                    let (one, other) = (
                        half(backend, flags.0, now - ages.0),
                        half(backend, flags.1, now - ages.1),
                    );
                    let over = over(&timers, protocol, one, other, now);
                    let suspected = timers.suspects(protocol, &one, now)
                        || timers.suspects(protocol, &other, now);
                    assert!(
                        suspected || !over,
                        "{flags:?} {ages:?} {protocol} {backend}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_backends_own_time_ends_its_flows_and_nobody_elses() {
    let timers = timers(240);
    for protocol in [TCP, UDP] {
        let quiet = |backend, age: u16| {
            over(
                &timers,
                protocol,
                half(backend, 0, 100u16 - age),
                half(backend, 0, 0),
                100,
            )
        };
        assert!(quiet(OWN, 60) && !quiet(OWN, 59) && !quiet(4, 60));
    }
}

#[test]
fn a_mark_ahead_of_the_clock_is_fresh() {
    let timers = timers(240);
    assert!(!timers.suspects(TCP, &half(4, RST, 1010), 1000));
    assert!(timers.suspects(TCP, &half(4, RST, 1000), 999 - AHEAD_TICKS));
}

#[test]
fn hurried_settings_let_go_of_closed_flows_early() {
    let quiet = |flags| (half(4, flags, 0), half(4, 0, 0));
    let (one, other) = quiet(RST);
    assert!(over(&timers(10), TCP, one, other, 11));
    assert!(!over(&timers(240), TCP, one, other, 11));
    let (one, other) = quiet(0);
    assert!(!over(&timers(10), TCP, one, other, 11));
}

#[test]
fn closed_flows_are_hurried_above_nine_tenths_until_below_eight() {
    let (slow, quick) = (TCP_CLOSING_S, TCP_CLOSING_HURRIED_S);
    for (present, entries, wanted) in [
        (slow, 0, slow),
        (slow, 180, slow),
        (slow, 181, quick),
        (quick, 181, quick),
        (quick, 160, quick),
        (quick, 159, slow),
        (0, 170, slow),
    ] {
        assert_eq!(
            closing_s(present, entries, 200),
            wanted,
            "{present} {entries}"
        );
    }
}

#[test]
fn translated_flows_go_by_the_nats_timers() {
    let timers = timers(TCP_CLOSING_S);
    for (protocol, closed, wanted) in [
        (TCP, false, 1001),
        (TCP, true, 126),
        (UDP, false, 64),
        (UDP, true, 64),
        (1, false, 17),
        (47, false, 9),
    ] {
        assert_eq!(timers.limit(protocol, closed, NAT), wanted, "{protocol}");
        assert_ne!(timers.limit(protocol, closed, 4), wanted, "{protocol}");
    }
    let mappings = [TCP, UDP, 1, 47].map(|protocol| timers.mapping(protocol));
    assert_eq!(mappings, [126, 33, 17, 9]);
    let waits = [TCP, UDP, 1].map(|protocol| timers.waits(protocol, NAT));
    assert_eq!(waits, [126, 33, 17]);
    assert_eq!([timers.waits(TCP, 4), timers.waits(UDP, 4)], [236, 119]);
    assert_eq!(timers.seconds(1000), 1024);
}

#[test]
fn a_closed_translated_flow_is_hurried_with_the_others() {
    let closed = |closing_s| timers(closing_s).limit(TCP, true, NAT);
    assert_eq!(
        [TCP_CLOSING_HURRIED_S, TCP_CLOSING_S].map(closed),
        [11, 126]
    );
}

#[test]
fn where_nothing_is_translated_any_more_flows_end_in_their_protocols_time() {
    let settings = Settings {
        ticks_per_1024_s: 1000,
        closing_s: TCP_CLOSING_S,
        ..Settings::default()
    };
    let timers = Timers::of(&settings, &Nat::default(), [].into_iter());
    assert_eq!(timers.limit(TCP, false, NAT), timers.limit(TCP, false, 4));
    assert_eq!(timers.limit(UDP, false, NAT), timers.limit(UDP, false, 4));
    assert_eq!(
        [1, 47].map(|protocol| timers.limit(protocol, false, NAT)),
        [60, 294]
    );
}
