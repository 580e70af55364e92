//! What is marked is what flows may have, once and for good.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::super::diff::diff;
use super::super::world::{adopted, host, installed, plan, step};
use super::*;
use std::collections::BTreeSet;

/// The marked ports.
fn ports(image: &Image, which: FlowPorts) -> BTreeSet<u16> {
    let marked = |port: &u16| {
        let (index, bit) = which.place(*port);
        image
            .flow_ports
            .get(&index)
            .is_some_and(|marks| marks & bit != 0)
    };
    (0..=u16::MAX).filter(marked).collect()
}

#[test]
fn listen_ports_and_backends_ports_are_marked_apart() {
    let mut plan = plan();
    for backend in &mut plan.routes[1].backends {
        backend.port = 8082;
    }
    let image = step(&Image::default(), &plan);
    assert_eq!(
        ports(&image, FlowPorts::Listens),
        BTreeSet::from([30080, 30082])
    );
    assert_eq!(
        ports(&image, FlowPorts::Answers),
        BTreeSet::from([30080, 8082])
    );
}

#[test]
fn a_range_is_marked_as_far_as_listeners_that_go_may_still_reach() {
    let mut plan = plan();
    (plan.routes[1].ports, plan.routes[1].shifts) = (3, true);
    let image = step(&installed(), &plan);
    assert_eq!(
        ports(&image, FlowPorts::Answers),
        BTreeSet::from([30080, 30082, 30083, 30084])
    );
    plan.routes[1].ports = 1;
    for backend in &mut plan.routes[1].backends {
        backend.port = 9000;
    }
    let image = step(&image, &plan);
    assert_eq!(
        ports(&image, FlowPorts::Answers),
        BTreeSet::from([30080, 30082, 30083, 30084, 9000, 9001, 9002])
    );
}

#[test]
fn a_port_stays_marked_when_its_route_is_gone_and_after_a_restart() {
    let image = installed();
    let mut plan = plan();
    plan.routes.pop();
    let image = adopted(&step(&image, &plan));
    assert_eq!(
        ports(&image, FlowPorts::Listens),
        BTreeSet::from([30080, 30082])
    );
    assert_eq!(diff(&image, &plan, &host()).unwrap().writes, []);
}
