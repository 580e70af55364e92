//! What the programs know of a packet by its ports alone is what they would find by asking every table: the same packets
//! on a host that knows the ports of its flows, and on one for which every port may be a flow's.

use gwpool_common::limits;
use gwpool_harness::random::{Random, packet};
use gwpool_harness::subject::{Hook, OnHost, Subject};
use gwpool_harness::{bed, subject};
use gwpool_user::plan::{MapWrite, Plan};

const WORLDS: [(&str, Hook, u64); 6] = [
    ("seed", Hook::Xdp, 1),
    ("seed", Hook::Tc, 2),
    ("remote", Hook::Xdp, 3),
    ("balance", Hook::Xdp, 4),
    ("balance", Hook::Tc, 5),
    ("nat", Hook::Tc, 6),
];
const PACKETS: usize = 3_000;
const LOCAL_PORTS: (u16, u16) = (32768, 60999);

#[test]
fn what_is_known_by_its_ports_is_what_the_tables_say() {
    for (world, hook, seed) in WORLDS {
        compare(world, hook, seed);
    }
}

fn compare(world: &str, hook: Hook, seed: u64) {
    let mut knows = subject::on_host(world, LOCAL_PORTS, None).expect("the model fills");
    let mut asks = subject::on_host(world, LOCAL_PORTS, None).expect("the model fills");
    let plan = bed::plan(world, None).expect("the world's plan");
    let mut random = Random::new(seed);
    for number in 0..PACKETS {
        if number % 500 == 0 {
            // Routes come and go: their flows go on.
            let fewer = number % 1000 != 0;
            lay(&mut knows, &plan, fewer);
            lay(&mut asks, &plan, fewer);
            every_port(&mut asks);
        }
        let state = asks.state().expect("the model's state");
        let met = packet(&mut random, &state, hook).expect("a frame's text");
        let wanted = asks.run(met.hook, met.interface, &met.frame);
        let found = knows.run(met.hook, met.interface, &met.frame);
        assert_eq!(
            wanted.expect("the model runs"),
            found.expect("the model runs"),
            "world {world}, seed {seed}, packet {number}: {:?} {:02x?}",
            met.hook,
            met.frame
        );
        if number % 50 == 49 {
            let (wanted, found) = (asks.state(), knows.state());
            assert_eq!(
                wanted.expect("the model's state"),
                found.expect("the model's state"),
                "world {world}, seed {seed}, packet {number}"
            );
        }
    }
    let marked = &knows.image().flow_ports;
    assert!(
        !marked.is_empty() && marked != &asks.image().flow_ports,
        "world {world}: both know the same"
    );
    let reasons = knows.state().expect("the model's state").reasons;
    for reason in ["not_ours", "spoofed_source"] {
        assert!(reasons.contains_key(reason), "seed {seed}: {reasons:?}");
    }
}

/// The plan, or the first half of its routes.
fn lay(subject: &mut OnHost, plan: &Plan, fewer: bool) {
    let mut plan = plan.clone();
    if fewer {
        plan.routes.truncate(plan.routes.len() / 2);
    }
    let host = bed::host(LOCAL_PORTS);
    subject.fill(&plan, &host).expect("the model fills");
}

/// Any port may be a flow's.
fn every_port(subject: &mut OnHost) {
    for index in 0..limits::FLOW_PORTS {
        let write = MapWrite::FlowPorts(index, u64::MAX);
        subject.write(&write).expect("the model is written");
    }
}
