//! Pairs, singles and strangers, in whatever order a walk meets them.

use super::*;
use gwpool_common::flow::Rewrite;
use gwpool_ebpf::family::Ipv4;
use gwpool_ebpf::pair;
use gwpool_ebpf::parse::TCP;

const FIN: u8 = Flow::<V4>::FIN;
const RST: u8 = Flow::<V4>::RST;

/// Both entries of the flow of a client port.
fn pair_of(port: u16, flags: (u8, u8), seen: (u16, u16)) -> [(FlowKey<V4>, Flow<V4>); 2] {
    let key = FlowKey {
        source: [10, 9, 0, 100],
        destination: [10, 9, 0, 1],
        source_port: port.to_be_bytes(),
        destination_port: [0, 80],
        protocol: TCP,
        pad: [0; 3],
    };
    let source = ([192, 168, 1, 1], port.to_be_bytes());
    let rewrite = pair::rewrite::<Ipv4>(&key, source, ([192, 168, 1, 2], [0, 80]));
    let half = |rewrite: Rewrite<V4>, flags, seen| Flow {
        rewrite,
        backend: [3, 0, 0],
        flags,
        next_hop: 1,
        seen,
    };
    let back = pair::reverse(&key, &rewrite);
    [
        (key, half(rewrite, flags.0, seen.0)),
        (
            mate(TCP, &rewrite),
            half(back, flags.1 | Flow::<V4>::BACKEND_SIDE, seen.1),
        ),
    ]
}

fn joined(entries: &[(FlowKey<V4>, Flow<V4>)]) -> Vec<Joined> {
    let mut halves = Halves::default();
    for (key, flow) in entries {
        halves.add(key, flow);
    }
    halves.parts().flat_map(Part::flows).collect()
}

#[test]
fn two_halves_are_one_flow_whichever_comes_first() {
    let mut entries: Vec<_> = (1000..1300)
        .flat_map(|port| pair_of(port, (FIN, FIN), (port, port + 1)))
        .collect();
    entries.rotate_left(201);
    entries.reverse();
    let mut flows = joined(&entries);
    flows.sort_by_key(Joined::name);
    assert_eq!(flows.len(), 300);
    for (port, flow) in (1000..).zip(&flows) {
        assert_eq!(flow.name().key(), pair_of(port, (0, 0), (0, 0))[0].0);
        assert_eq!(flow.marks(), (Some(port), Some(port + 1)));
        assert!(flow.closed() && flow.backend() == 3);
    }
}

#[test]
fn a_flow_is_closed_by_two_fins_or_one_reset() {
    for (flags, closed) in [
        ((FIN, FIN), true),
        ((FIN, 0), false),
        ((0, FIN), false),
        ((RST, 0), true),
        ((0, RST), true),
        ((0, 0), false),
    ] {
        let flows = joined(&pair_of(1, flags, (0, 0)));
        assert_eq!(flows.len(), 1);
        assert_eq!(flows[0].closed(), closed, "{flags:?}");
    }
}

#[test]
fn a_half_alone_says_whose_it_is_and_names_the_same_flow() {
    let [client, backend] = pair_of(1, (RST, FIN), (5, 7));
    let (of_client, of_backend) = (joined(&[client])[0], joined(&[backend])[0]);
    assert_eq!(of_client.marks(), (Some(5), None));
    assert_eq!(of_backend.marks(), (None, Some(7)));
    assert_eq!(of_client.name(), of_backend.name());
    assert!(of_client.closed() && !of_backend.closed());
}

#[test]
fn a_half_that_a_walk_shows_twice_is_no_second_half() {
    let [client, _] = pair_of(1, (FIN, FIN), (5, 7));
    let flows = joined(&[client, client]);
    assert_eq!((flows.len(), flows[0].closed()), (1, false));
}

#[test]
fn the_busier_half_says_how_long_a_flow_is_idle() {
    let flow = joined(&pair_of(1, (FIN, FIN), (65_530, 3)))[0];
    assert_eq!(flow.idle(10), 7);
}
