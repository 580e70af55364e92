//! Flows put in one by one, and what is counted of them.

use super::*;
use gwpool_common::net::Port;
use gwpool_ebpf::parse::UDP;

/// A census of so many TCP flows to the backend, each of another client.
pub fn census_of(backend: u32, flows: u16) -> Census {
    let mut census = Census::default();
    for number in 0..flows {
        let [high, low] = number.to_be_bytes();
        enter(&mut census, [10, 1, high, low], [0, 80], TCP, backend);
    }
    census
}

fn enter(census: &mut Census, client: V4, port: Port, protocol: u8, backend: u32) -> FlowKey<V4> {
    let key = FlowKey {
        source: client,
        source_port: port,
        protocol,
        ..FlowKey::default()
    };
    let [low, middle, high, _] = backend.to_le_bytes();
    let mut flow = Flow {
        backend: [low, middle, high],
        ..Flow::default()
    };
    census.see(&key, &flow);
    flow.flags = Flow::<V4>::BACKEND_SIDE;
    census.see(&gwpool_ebpf::pair::mate(protocol, &flow.rewrite), &flow);
    key
}

#[test]
fn a_flow_is_counted_once_by_protocol_backend_and_client() {
    let (one, other) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let mut census = Census::default();
    enter(&mut census, one, [0, 1], TCP, 3);
    enter(&mut census, one, [0, 2], TCP, 70_000);
    enter(&mut census, other, [0, 1], UDP, 3);
    assert_eq!((census.established(), census.shares()), (3, [2, 1]));
    assert_eq!([3, 70_000, 4].map(|id| census.active(id)), [2, 1, 0]);
    assert_eq!(
        [one, other, [9; 4]].map(|client| census.held(&client)),
        [2, 1, 0]
    );
}

#[test]
fn a_closed_flow_is_held_but_not_active() {
    let mut census = census_of(3, 2);
    census.closed(3);
    assert_eq!((census.established(), census.active(3)), (2, 1));
}

#[test]
fn what_is_removed_is_counted_no_longer() {
    let mut census = Census::default();
    let closed = enter(&mut census, [10, 0, 0, 1], [0, 1], TCP, 3);
    let idle = enter(&mut census, [10, 0, 0, 1], [0, 2], TCP, 3);
    enter(&mut census, [10, 0, 0, 1], [0, 3], TCP, 3);
    census.closed(3);
    census.removed(&closed, 3, true);
    assert_eq!((census.established(), census.active(3)), (2, 2));
    census.removed(&idle, 3, false);
    assert_eq!((census.established(), census.active(3)), (1, 1));
    assert_eq!(census.held(&[10, 0, 0, 1]), 1);
}

#[test]
fn a_backend_is_named_by_half_a_flow_too() {
    let mut census = Census::default();
    let half = Flow::<V4> {
        backend: [7, 0, 0],
        flags: Flow::<V4>::BACKEND_SIDE,
        ..Flow::default()
    };
    census.see(&FlowKey::default(), &half);
    assert!(census.names(7) && !census.names(6));
    assert_eq!((census.established(), census.active(7)), (0, 0));
}
