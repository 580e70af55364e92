//! The same thousands of seeded packets, whole, cut and bent, on the host and in the kernel: the same verdicts, bytes,
//! tables and counts. A seed that fails is printed; add it to `SEEDS`.

use gwpool_harness::random::{Random, packet};
use gwpool_harness::subject::{Hook, State, Subject};
use gwpool_harness::{bed, kernel, subject};

/// A world, its host's ephemeral ports (few left: collisions and exhaustion happen), a hook and a seed.
const SEEDS: [(&str, (u16, u16), Hook, u64); 12] = [
    ("nat", (32768, 60999), Hook::Xdp, 10),
    ("nat_small", (32768, 60999), Hook::Xdp, 11),
    ("nat_small", (32768, 60999), Hook::Tc, 12),
    ("seed", (32768, 60999), Hook::Xdp, 1),
    ("seed", (32768, 60999), Hook::Tc, 2),
    ("remote", (32768, 60999), Hook::Xdp, 3),
    ("remote", (32768, 60999), Hook::Tc, 4),
    ("remote", (1024, 65531), Hook::Xdp, 5),
    ("remote", (1024, 65531), Hook::Tc, 6),
    ("balance", (32768, 60999), Hook::Xdp, 7),
    ("balance", (1024, 65531), Hook::Tc, 8),
    ("share", (32768, 60999), Hook::Tc, 9),
];
const PACKETS: usize = 2_000;
/// Flows that the established tier holds: it fills up.
const FLOWS: u32 = 6;

#[test]
fn the_kernel_does_what_the_host_does() {
    bed::build().expect("the bed's namespace");
    for (world, ports, hook, seed) in SEEDS {
        compare(world, ports, hook, seed);
    }
    println!("{} packets: host == kernel", SEEDS.len() * PACKETS);
}

fn compare(world: &str, ports: (u16, u16), hook: Hook, seed: u64) {
    let mut host = subject::on_host(world, ports, Some(FLOWS)).expect("the model fills");
    let mut kernel = kernel::in_kernel(world, ports, Some(FLOWS)).expect("the maps fill");
    let mut random = Random::new(seed);
    let mut tick = 1000;
    for number in 0..PACKETS {
        let place =
            || format!("world {world}, ports {ports:?}, {hook:?}, seed {seed}, packet {number}");
        if random.below(40) == 0 {
            tick += random.below(200) as u32;
            host.clock(tick).expect("the model's clock");
            kernel.clock(tick).expect("the kernel's clock");
        }
        let state = host.state().expect("the model's state");
        let met = packet(&mut random, &state, hook).expect("a frame's text");
        let wanted = host
            .run(met.hook, met.interface, &met.frame)
            .expect("the model runs");
        let found = kernel.run(met.hook, met.interface, &met.frame);
        let found = found.unwrap_or_else(|error| panic!("{}: {error:#}", place()));
        assert_eq!(
            wanted,
            found,
            "{}: {:?} {:02x?}",
            place(),
            met.hook,
            met.frame
        );
        if number % 100 == 99 {
            let after = host.state().expect("the model's state");
            assert_eq!(after, kernel.state().expect("the maps"), "{}", place());
        }
    }
    reached(world, seed, &host.state().expect("the model's state"));
}

/// The run must have been to the places it is for.
fn reached(world: &str, seed: u64, state: &State) {
    let translated = [
        "to_outside",
        "to_inside",
        "unsolicited",
        "leak_prevented",
        "left_to_kernel",
    ];
    let translated = translated.into_iter().filter(|_| world.starts_with("nat"));
    let all = [
        "to_backend",
        "to_client",
        "not_ours",
        "spoofed_source",
        "malformed",
        "fragment",
        "fragment_held",
        "icmp_error",
    ];
    for reason in all.into_iter().chain(translated) {
        let reached =
            state.reasons.contains_key(reason) || world == "seed" && reason.starts_with("to_");
        assert!(
            reached,
            "seed {seed} never reached {reason}: {:?}",
            state.reasons
        );
    }
}
