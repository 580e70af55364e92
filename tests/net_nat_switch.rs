//! From nftables to gwpool and back, under live connections of an inside host: idle ones, and busy ones of which half
//! only ever hear the outside. None ends, and each keeps its port.
//!
//! gateway-2 is the inside host, the client the one outside.

use anyhow::{Context, Result, ensure};
use gwpool_harness::in_native_and_tc;
use gwpool_harness::net::LIMIT;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::inside::{self, INVENTORY, VIP};
use gwpool_harness::net::site::CLIENT;
use gwpool_harness::net::sockets::{self, Pair};
use gwpool_harness::net::wait::wait_until;
use gwpool_harness::net::world::World;
use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const ASKED: u16 = 7000;
/// Connections of each kind.
const FLOWS: u16 = 200;
const FIRST: u16 = 20_000;
/// More than a window in all: the kernel's conntrack, which sees nothing of it, would take it for a stranger's.
const CHUNK: [u8; 4096] = [0x5a; 4096];
/// Rounds that must go by before the next thing happens.
const ROUNDS: usize = 20;

const RULES: &str = "table ip old {
chain leave { type nat hook postrouting priority srcnat
  ip saddr 192.168.1.0/24 oifname gateway-network snat to 10.9.0.50
}
}
";

/// One direction, or both, in turn with the others.
fn busy(pairs: &[Pair], stop: &AtomicBool, rounds: &AtomicUsize) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        for (number, pair) in pairs.iter().enumerate() {
            let when = || format!("busy connection {number}, round {rounds:?}");
            sockets::carry(&pair.backend, &pair.client, &CHUNK).with_context(when)?;
            // The other half only ever listens inside.
            if number % 2 == 0 {
                sockets::carry(&pair.client, &pair.backend, &CHUNK).with_context(when)?;
            }
        }
        rounds.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Half of the idle ones hear from outside first.
fn speak(idle: &[Pair], when: &str) -> Result<()> {
    for (number, pair) in idle.iter().enumerate() {
        let place = || format!("idle connection {number}, {when}");
        let ends = if number % 2 == 0 {
            [&pair.client, &pair.backend]
        } else {
            [&pair.backend, &pair.client]
        };
        let [one, other] = ends;
        sockets::carry(one, other, b"still there?").with_context(place)?;
        sockets::carry(other, one, b"yes").with_context(place)?;
    }
    Ok(())
}

/// Returns when that many rounds have gone by, or those who make them have given up.
fn pass(rounds: &AtomicUsize, stop: &AtomicBool) -> Result<()> {
    let from = rounds.load(Ordering::Relaxed);
    wait_until("the busy ones to go on", 4 * LIMIT, || {
        stop.load(Ordering::Relaxed) || rounds.load(Ordering::Relaxed) >= from + ROUNDS
    })
}

fn connect(world: &World, first: u16) -> Result<Vec<Pair>> {
    let listener = sockets::listen(&world.site.client.namespace, CLIENT, ASKED)?;
    let inside = inside::host(world);
    let to = SocketAddrV4::new(CLIENT, ASKED);
    (first..first + FLOWS)
        .map(|port| {
            let pair = sockets::pair(inside, port, to, &listener)?;
            ensure!(pair.seen == SocketAddrV4::new(VIP, port), "{}", pair.seen);
            Ok(pair)
        })
        .collect()
}

fn there_and_back_no_connection_ends(datapath: Datapath) -> Result<()> {
    let mut world = World::links(&World::fresh_id("t"), datapath)?;
    let gateway = world.site.gateway(1).clone();
    let host = &gateway.namespace;
    host.ip(&[format!("addr add {VIP}/32 dev gateway-network")])?;
    host.nft(RULES)?;
    inside::route(&world)?;
    let (idle, pairs) = (connect(&world, FIRST)?, connect(&world, FIRST + FLOWS)?);
    speak(&idle, "under nftables")?;

    let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| -> Result<()> {
        let busy = scope.spawn(|| {
            let ended = busy(&pairs, &stop, &rounds);
            stop.store(true, Ordering::Relaxed);
            ended
        });
        let switched = (|| -> Result<()> {
            pass(&rounds, &stop)?;
            let inventory = format!("{INVENTORY}gwpool: {{datapath: {}}}\n", datapath.name());
            world.start_on(&gateway, &inventory)?;
            pass(&rounds, &stop)?;
            speak(&idle, "under gwpool")?;
            let stats = gateway.stats()?;
            for way in ["to_outside", "to_inside"] {
                ensure!(stats.reasons[way] > 0, "nothing goes {way}");
            }
            let log = std::fs::read_to_string(gateway.log())?;
            ensure!(log.contains("Take it out: nft delete rule"), "{log}");
            ensure!(log.contains("400 flow(s) of inside hosts"), "{log}");
            // What README says of the way back.
            host.sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", "1")?;
            gateway.tell(&["stop", "--detach"])?;
            pass(&rounds, &stop)?;
            speak(&idle, "under nftables again")
        })();
        stop.store(true, Ordering::Relaxed);
        busy.join().expect("the busy ones end")?;
        switched
    })?;
    let seen: BTreeSet<_> = idle
        .iter()
        .chain(&pairs)
        .map(|pair| pair.seen.port())
        .collect();
    assert_eq!(seen.len(), 2 * usize::from(FLOWS));
    println!(
        "{} connections, {rounds:?} rounds of busy ones: none ended",
        seen.len()
    );
    Ok(())
}

in_native_and_tc! {
    there_and_back_no_connection_ends
}
