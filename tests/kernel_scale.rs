//! Ten thousand routes with ten backends each, in the loaded programs' own tables: every lookup is right, a packet to
//! the last route reaches its backends in turn, and a plan in which one route is another writes that route alone.
//! The times are printed, not judged: `cargo xtask bench scale` has them of an optimised build.

use gwpool_harness::bed;
use gwpool_harness::scale::{Figures, Ground, Size, whereabouts};
use gwpool_user::plan::MapWrite;

const SIZE: Size = Size {
    routes: 10_000,
    backends: 10,
};

#[test]
fn ten_thousand_routes_are_laid_looked_up_and_taken_over() {
    bed::build().expect("the bed's namespace");
    let mut ground = Ground::new(SIZE).expect("the programs load");
    let mut plan = ground.plan(SIZE.routes).expect("the plan");
    plan.routes[7].access.deny = vec!["10.9.0.0/24".parse().expect("a prefix")];
    let all = ground.lay(&plan).expect("laid");
    let marks = ground.image().flow_ports.len();
    let entries = SIZE.routes * (2 * SIZE.backends + 3) + marks;
    let writes = all.writes.len();
    assert!((entries..entries + 50).contains(&writes), "{writes} writes");
    assert!(
        all.calls * 1_000 < writes,
        "{} calls for {writes}",
        all.calls
    );
    ground.look_up(&plan).expect("every lookup");

    let last = plan.routes.last().expect("a last route");
    let reached = ground.connect(last.port, 2 * SIZE.backends as u16);
    let wanted: Vec<_> = last.backends.iter().map(whereabouts).collect();
    assert_eq!(
        reached.expect("connections"),
        [&wanted[..], &wanted].concat()
    );

    let (read, _) = ground.read().expect("read");
    let mut known = ground.image().clone();
    (known.pools, known.laid) = (read.pools.clone(), read.laid);
    assert!(read == known, "what is read is not what was written");
    let (difference, _) = ground.take_over(&plan).expect("compared");
    assert_eq!(difference.writes, []);

    let middle = SIZE.routes / 2;
    plan.routes[middle].backends[1].weight = 2;
    let weight = ground.lay(&plan).expect("laid");
    let sorts = weight.writes.iter().map(sort).collect::<Vec<_>>();
    let cycle = SIZE.backends + 1;
    assert_eq!(
        sorts,
        [&["backend"][..], &vec!["slot"; cycle], &["route"]].concat()
    );
    assert_eq!(weight.calls, 3);

    // What is to be removed may be gone already.
    let route = plan.routes.remove(middle);
    ground.forget(&route).expect("the listener is there");
    let less = ground.lay(&plan).expect("laid");
    assert_eq!(
        less.writes.iter().map(sort).collect::<Vec<_>>(),
        ["listener", "route"]
    );
    ground.look_up(&plan).expect("every lookup");
    ground.clear().expect("nothing left");
    let (empty, _) = ground.read().expect("read");
    assert!(empty.routes.is_empty() && empty.listeners.is_empty() && empty.names.is_empty());
}

fn sort(write: &MapWrite) -> &'static str {
    match write {
        MapWrite::Backend(..) => "backend",
        MapWrite::Slot(..) => "slot",
        MapWrite::Route(..) => "route",
        MapWrite::Listener(..) => "listener",
        MapWrite::Name(..) => "name",
        _ => "other",
    }
}

#[test]
fn every_step_is_taken_and_one_changed_route_writes_little() {
    bed::build().expect("the bed's namespace");
    let size = Size {
        routes: 500,
        backends: 10,
    };
    let figures = Figures::measure(size, 1).expect("measured");
    println!("{figures}");
    let changes = figures
        .steps
        .iter()
        .filter(|step| step.what.starts_with("one route"));
    let mut seen = 0;
    for step in changes {
        // A run of at most 11 slots, its backends, its route, name and listener.
        assert!((1..=30).contains(&step.writes), "{step:?}");
        assert!(step.calls <= 6, "{step:?}");
        seen += 1;
    }
    assert_eq!(seen, 5);
    let still = figures
        .steps
        .iter()
        .find(|step| step.what == "the same plan again");
    assert_eq!(still.expect("a step").writes, 0);
}
