//! The sweep over flows that packets have made: everything counted, nothing live removed, everything over removed,
//! never half a flow. `GWPOOL_SWEEP_FLOWS` says how many flows.

use gwpool_common::limits;
use gwpool_harness::bed;
use gwpool_harness::crowd::{self, Crowd, HEAVY, IDLE_S, ROUTES};

/// Ticks of so many seconds at the bed's 250 Hz: one that is not whole, and one in which what is idle may have begun,
/// counted in.
fn after(seconds: u16) -> u32 {
    u32::from(seconds) * 1000 / 1024 + 2
}

fn flows() -> u32 {
    let wanted = std::env::var("GWPOOL_SWEEP_FLOWS").ok();
    let wanted = wanted.map(|text| text.parse().expect("GWPOOL_SWEEP_FLOWS is a number"));
    // As many for each backend, and for the heavy client.
    wanted.unwrap_or(20_000u32).next_multiple_of(8 * ROUTES)
}

/// Two passes: what is over is marked, then removed.
fn swept(crowd: &mut Crowd) -> u64 {
    let first = crowd.pass().expect("a pass").0;
    assert_eq!(first.flows, 0, "the first pass only marks");
    let (entries, alone) = crowd.entries().expect("the table");
    assert_eq!(alone, 0, "halves alone");
    let second = crowd.pass().expect("a pass").0;
    let left = crowd.entries().expect("the table");
    assert_eq!(left, (entries - 2 * second.flows as usize, 0));
    second.flows
}

#[test]
fn every_flow_is_counted_and_goes_when_it_is_over() {
    bed::build().expect("the bed's namespace");
    let flows = flows();
    let of_route = u64::from(flows / ROUTES);
    let mut crowd = Crowd::new(flows.next_power_of_two()).expect("a gateway");
    crowd.connect(flows).expect("flows");
    crowd.confuse().expect("the counts");

    assert_eq!(swept(&mut crowd), 0, "all are live");
    let mut loads = vec![vec![of_route / 2; 2]; ROUTES as usize];
    assert_eq!(crowd.loads().expect("LOADS"), loads);
    let mut shares = [of_route * u64::from(ROUTES - 1), of_route];
    assert_eq!(crowd.shares().expect("SHARES"), shares);
    assert_eq!(crowd.held(HEAVY).expect("SOURCES"), flows / 4);
    let nobody = crowd.held([172, 16, 200, 1].into()).expect("SOURCES");
    assert_eq!(nobody, 0, "a client whose count was left behind");

    // Closed: a flow of route 1 by two FINs, one of route 2 by a reset; of route 3 only half.
    crowd
        .exchange(1, "FA seq=101 ack=501", "FA seq=501 ack=102")
        .expect("both sides close");
    crowd
        .exchange(2, "A seq=101 ack=501", "RA seq=501 ack=101")
        .expect("a reset");
    crowd
        .exchange(3, "FA seq=101 ack=501", "A seq=501 ack=102")
        .expect("one side closes");
    assert_eq!(swept(&mut crowd), 0);
    (loads[1][0], loads[2][0]) = (of_route / 2 - 1, of_route / 2 - 1);
    assert_eq!(crowd.loads().expect("LOADS"), loads);
    assert_eq!(crowd.shares().expect("SHARES"), shares);

    crowd.wait(after(IDLE_S)).expect("the clock");
    assert_eq!(swept(&mut crowd), of_route, "route 0 has its own idle time");
    loads[0] = vec![0, 0];
    shares[0] -= of_route;
    assert_eq!(crowd.loads().expect("LOADS"), loads);
    assert_eq!(crowd.shares().expect("SHARES"), shares);

    let closing = after(limits::TCP_CLOSING_S) - after(IDLE_S);
    crowd.wait(closing).expect("the clock");
    assert_eq!(swept(&mut crowd), 2, "the closed ones");
    let udp = after(limits::UDP_S) - after(limits::TCP_CLOSING_S);
    crowd.wait(udp).expect("the clock");
    assert_eq!(swept(&mut crowd), of_route, "UDP");
    assert_eq!(crowd.shares().expect("SHARES")[1], 0);

    let rest = after(limits::TCP_ESTABLISHED_S) - after(limits::UDP_S);
    crowd.wait(rest).expect("the clock");
    everything_goes_but_what_begins_anew(&mut crowd, of_route * u64::from(ROUTES - 2) - 2);
}

/// A pass has marked every flow when one of them is opened anew.
fn everything_goes_but_what_begins_anew(crowd: &mut Crowd, flows: u64) {
    crowd.pass().expect("a pass that marks");
    crowd
        .exchange(3 + ROUTES, "S seq=9", "SA seq=19 ack=10")
        .expect("a new flow on the ports of one that is over");
    let (last, _) = crowd.pass().expect("a pass");
    assert_eq!(
        last.flows,
        flows - 1,
        "the new flow's forerunner went by its SYN"
    );
    assert_eq!(crowd.entries().expect("the table"), (0, 0));
    assert_eq!(crowd.shares().expect("SHARES"), [0, 0]);
    assert_eq!(crowd.held(HEAVY).expect("SOURCES"), 0);
}

#[test]
fn a_crowded_table_hurries_closed_flows_and_only_those() {
    bed::build().expect("the bed's namespace");
    let mut crowd = Crowd::new(ROUTES).expect("a gateway");
    crowd.connect(ROUTES - 3).expect("flows");
    assert_eq!(swept(&mut crowd), 0);
    assert_eq!(
        crowd.closing_s().expect("SETTINGS"),
        limits::TCP_CLOSING_HURRIED_S
    );
    for number in 1..10 {
        crowd
            .exchange(number, "A seq=101 ack=501", "RA seq=501 ack=101")
            .expect("a reset");
    }
    crowd
        .wait(after(limits::TCP_CLOSING_HURRIED_S))
        .expect("the clock");
    assert_eq!(swept(&mut crowd), 9);
    assert_eq!(crowd.closing_s().expect("SETTINGS"), limits::TCP_CLOSING_S);
}

#[test]
fn a_flow_takes_no_more_memory_than_two_entries() {
    bed::build().expect("the bed's namespace");
    let figures = crowd::figures(flows()).expect("figures");
    println!("{figures}");
    // What the map itself needs, whatever it holds, is not a flow's.
    let each = figures.memory / u64::from(figures.capacity);
    assert!(each <= 208, "{each} bytes a flow");
}
