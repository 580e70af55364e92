//! Halves that become rows, and what a row is at. A tick is a second here.

use super::*;
use gwpool_common::flow::Rewrite;
use gwpool_common::limits::Settings;
use gwpool_common::nat::Nat;
use gwpool_ebpf::pair::reverse;
use gwpool_ebpf::parse::UDP;

pub const FIN: u8 = Flow::<V4>::FIN;
pub const RST: u8 = Flow::<V4>::RST;
pub const REPLIED: u8 = Flow::<V4>::REPLIED;
pub const NOW: u16 = 1000;

/// Timers by which a translated TCP flow is over after 500 s, others after 50.
pub fn timers() -> Timers {
    let settings = Settings {
        ticks_per_1024_s: 1024,
        closing_s: 240,
        ..Settings::default()
    };
    let nat = Nat {
        tcp_established_s: 500,
        tcp_transitory_s: 50,
        udp_s: 40,
        udp_unreplied_s: 30,
        icmp_s: 20,
        other_s: 10,
        ..Nat::default()
    };
    Timers::of(&settings, &nat, [].into_iter())
}

/// Both halves of a flow: 192.168.1.11:41000 to 10.9.0.100:80, seen as 10.9.0.254:41001.
pub fn halves(protocol: u8, client: u8, server: u8) -> [(FlowKey<V4>, Flow<V4>); 2] {
    let key = FlowKey {
        source: [192, 168, 1, 11],
        destination: [10, 9, 0, 100],
        source_port: 41000u16.to_be_bytes(),
        destination_port: 80u16.to_be_bytes(),
        protocol,
        pad: [0; 3],
    };
    let rewrite = Rewrite {
        source: [10, 9, 0, 254],
        destination: [10, 9, 0, 100],
        source_port: 41001u16.to_be_bytes(),
        destination_port: 80u16.to_be_bytes(),
        ..Rewrite::default()
    };
    let flow = |rewrite, flags, seen| Flow {
        rewrite,
        flags: flags | Flow::<V4>::NAT,
        seen,
        ..Flow::default()
    };
    let back = reverse(&key, &rewrite);
    [
        (key, flow(rewrite, client, NOW - 7)),
        (
            mate(protocol, &rewrite),
            flow(back, server | Flow::<V4>::BACKEND_SIDE, NOW - 3),
        ),
    ]
}

/// The flow of those halves.
pub fn row(protocol: u8, established: bool, client: u8, server: u8) -> FlowRow {
    let [one, other] = halves(protocol, client, server);
    let other = FlowRow::of_half(&other.0, &other.1, established);
    FlowRow::of_half(&one.0, &one.1, established).joined(&other, NOW)
}

/// A mapping of that host.
pub fn mapping() -> MappingRow {
    let inside = End {
        address: [192, 168, 1, 11],
        port: 41000u16.to_be_bytes(),
        protocol: UDP,
        side: End::<V4>::INSIDE,
    };
    let mapping = Mapping {
        address: [10, 9, 0, 254],
        port: 41001u16.to_be_bytes(),
        seen: NOW - 4,
    };
    MappingRow::of(&inside, &mapping)
}

#[test]
fn either_half_names_the_flow() {
    let [one, other] = halves(TCP, 0, 0);
    let (one, other) = (
        FlowRow::of_half(&one.0, &one.1, true),
        FlowRow::of_half(&other.0, &other.1, true),
    );
    assert_eq!((one.key, one.back), (other.key, other.back));
    let (joined, turned) = (one.joined(&other, NOW), other.joined(&one, NOW));
    assert_eq!(joined, turned);
    assert_eq!(joined.seen, NOW - 3, "the later of both");
}

#[test]
fn states_are_conntracks() {
    let picked_up = Flow::<V4>::PICKED_UP;
    for (protocol, established, client, server, wanted) in [
        (TCP, false, 0, 0, State::SynSent),
        (TCP, false, 0, REPLIED, State::SynRecv),
        (TCP, false, picked_up, 0, State::Established),
        (TCP, true, 0, 0, State::Established),
        (TCP, true, FIN, 0, State::FinWait),
        (TCP, true, 0, FIN, State::CloseWait),
        (TCP, true, FIN, FIN, State::TimeWait),
        (TCP, true, FIN, RST, State::Close),
        (UDP, false, 0, 0, State::Unreplied),
        (UDP, false, 0, REPLIED, State::Replied),
        (UDP, true, 0, 0, State::Established),
        (47, true, 0, 0, State::Established),
    ] {
        let row = row(protocol, established, client, server);
        assert_eq!(
            row.state(),
            wanted,
            "{protocol} {established} {client} {server}"
        );
    }
}

#[test]
fn each_state_has_a_word_of_its_own() {
    let words: std::collections::BTreeSet<_> =
        State::ALL.iter().map(|(state, _)| state.name()).collect();
    assert_eq!(words.len(), State::ALL.len());
    assert!(State::ALL.iter().all(|(state, word)| state.name() == *word));
}

#[test]
fn what_is_left_is_the_timer_less_the_time_since_the_last_packet() {
    for (row, wanted) in [
        (row(TCP, true, 0, 0), 498),
        (row(TCP, true, FIN, FIN), 48),
        (row(TCP, false, 0, 0), 48),
        (row(UDP, true, 0, 0), 38),
        (row(UDP, false, 0, 0), 28),
        (row(1, true, 0, 0), 18),
        (row(47, true, 0, 0), 8),
    ] {
        assert_eq!(Row::Flow(row).seconds(&timers(), NOW), wanted, "{row:?}");
        assert_eq!(Row::Flow(row).seconds(&timers(), NOW + 5000), 0);
    }
    assert_eq!(Row::Mapping(mapping()).seconds(&timers(), NOW), 27);
}
