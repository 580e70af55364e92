//! One row a protocol, state and age. At 250 Hz a tick is 1.024 s.

use super::*;
use gwpool_ebpf::lifetime::AHEAD_TICKS;

const FIN: u8 = Flow::<V4>::FIN;
const RST: u8 = Flow::<V4>::RST;

fn timers(crowded: bool) -> Timers {
    Timers::of(
        &Settings {
            tick_shift: 8,
            ticks_per_1024_s: 1000,
            ..Settings::default()
        },
        crowded,
    )
}

fn half(flags: u8, seen: u16) -> Flow<V4> {
    Flow {
        flags,
        seen,
        ..Flow::default()
    }
}

#[test]
fn seconds_become_ticks_rounded_up() {
    assert_eq!(
        timers(false),
        Timers {
            established: 7266,
            closing: 235,
            udp: 293
        }
    );
    assert_eq!(timers(true).closing, 10);
}

#[test]
fn a_flow_is_over_when_both_halves_are_idle_long_enough() {
    // protocol, flags and ages of the halves, over?
    for (protocol, flags, ages, over) in [
        (TCP, (0, 0), (7266, 7266), true),
        (TCP, (0, 0), (7265, 7266), false),
        (TCP, (0, 0), (9000, 1), false),
        (TCP, (FIN, 0), (300, 300), false),
        (TCP, (FIN, FIN), (235, 235), true),
        (TCP, (FIN, FIN), (300, 234), false),
        (TCP, (RST, 0), (235, 240), true),
        (TCP, (0, RST), (235, 240), true),
        (TCP, (0, RST), (235, 0), false),
        (UDP, (0, 0), (293, 293), true),
        (UDP, (0, 0), (293, 292), false),
        (UDP, (FIN, FIN), (250, 250), false),
    ] {
        for now in [10_000u16, 100, 65_535] {
            let one = half(flags.0, now.wrapping_sub(ages.0));
            let other = half(flags.1, now.wrapping_sub(ages.1));
            let row = (protocol, flags, ages, now);
            assert_eq!(
                timers(false).over(protocol, &one, Some(&other), now),
                over,
                "{row:?}"
            );
            assert_eq!(
                timers(false).over(protocol, &other, Some(&one), now),
                over,
                "mirrored {row:?}"
            );
        }
    }
}

#[test]
fn whoever_is_over_is_suspected_by_one_of_its_halves() {
    for flags in [(0, 0), (FIN, FIN), (RST, 0), (0, RST), (FIN, RST)] {
        for ages in [(300, 300), (235, 7000), (8000, 8000), (100, 9000)] {
            for protocol in [TCP, UDP] {
                let now = 12_345u16;
                let (one, other) = (half(flags.0, now - ages.0), half(flags.1, now - ages.1));
                let over = timers(false).over(protocol, &one, Some(&other), now);
                let suspected = timers(false).suspects(protocol, &one, now)
                    || timers(false).suspects(protocol, &other, now);
                assert!(suspected || !over, "{flags:?} {ages:?} {protocol}");
            }
        }
    }
}

#[test]
fn a_half_without_its_mate_counts_as_closing() {
    assert!(timers(false).over(TCP, &half(0, 0), None, 235));
    assert!(!timers(false).over(TCP, &half(0, 0), None, 234));
}

#[test]
fn a_mark_ahead_of_the_clock_is_fresh() {
    assert!(!timers(false).suspects(TCP, &half(RST, 1010), 1000));
    assert!(timers(false).suspects(TCP, &half(RST, 1000), 999 - AHEAD_TICKS));
}

#[test]
fn a_crowded_table_lets_go_of_closing_flows_early() {
    let (one, other) = (half(RST, 0), half(0, 0));
    assert!(timers(true).over(TCP, &one, Some(&other), 10));
    assert!(!timers(false).over(TCP, &one, Some(&other), 10));
    assert!(!timers(true).over(TCP, &half(0, 0), Some(&half(0, 0)), 10));
}
