//! The tiers in the kernel. Embryonic: whoever came last is there, however many came before, no key is two flows', on
//! however many CPUs they come, and a flow that has lost one half goes on. Established: as many as there may be, each of
//! them to be found, and not one more.

use anyhow::{Context, Result, bail, ensure};
use gwpool_common::flow::{Embryo, Flow, FlowKey};
use gwpool_common::limits;
use gwpool_common::net::V4;
use gwpool_ebpf::pair::mate;
use gwpool_harness::bed::{self, BOX_NETWORK, GATEWAY_NETWORK};
use gwpool_harness::crowd::{Crowd, ROUTES};
use gwpool_harness::frames::Frame;
use gwpool_harness::kernel::{InKernel, in_kernel};
use gwpool_harness::subject::{Action, Hook, Subject};
use gwpool_user::plan::Limits;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::collections::BTreeMap;

/// Flows that are remembered of those that came first, and last.
const SOME: u32 = 500;

fn gateway() -> Result<InKernel> {
    bed::build()?;
    in_kernel("remote", (32_768, 60_999), None)
}

/// The first packet of a client with this port.
fn first(client: u32, port: u32) -> Result<Vec<u8>> {
    let [_, _, high, low] = client.to_be_bytes();
    let text = format!("tcp 172.16.{high}.{low}:{port} > 10.9.0.1:80 S seq=1");
    Ok(Frame::parse(&text)?.bytes())
}

type Tier = BTreeMap<FlowKey<V4>, Embryo<V4>>;

/// The entry that a client's flow has, and whether the other half names it.
fn flow(tier: &Tier, client: u32, port: u32) -> Option<bool> {
    let [_, _, high, low] = client.to_be_bytes();
    let (key, embryo) = tier.iter().find(|(key, _)| {
        key.source == [172, 16, high, low] && key.source_port == (port as u16).to_be_bytes()
    })?;
    let back = mate(key.protocol, &embryo.flow.rewrite);
    let other = tier.get(&back)?;
    let names = mate(key.protocol, &other.flow.rewrite) == *key;
    Some(names && other.flow.flags & Flow::<V4>::BACKEND_SIDE != 0)
}

#[test]
fn the_oldest_give_way() -> Result<()> {
    let gateway = gateway()?;
    // Ways for four times fewer.
    let flows = 24_000;
    for number in 0..flows {
        gateway.timed(
            "gwpool_xdp",
            GATEWAY_NETWORK,
            &first(number / 64, 2_000 + number % 64)?,
            1,
        )?;
    }
    let tier = gateway.state()?.embryonic;
    let there = |number: u32| flow(&tier, number / 64, 2_000 + number % 64);
    let old = (0..SOME).filter(|number| there(*number).is_some()).count();
    let new = (flows - SOME..flows)
        .filter(|number| there(*number) == Some(true))
        .count();
    ensure!(old == 0, "{old} of the first {SOME} flows are still there");
    ensure!(
        new == SOME as usize,
        "{new} of the last {SOME} flows are there, both halves"
    );
    Ok(())
}

#[test]
fn no_port_is_two_clients_of_two_cpus() -> Result<()> {
    let gateway = gateway()?;
    let online = CpuSet::count()
        .min(std::thread::available_parallelism()?.get())
        .max(2);
    let flows = SOME / 2;
    // Both ask for the same ports towards the same backends.
    std::thread::scope(|scope| {
        let open = |client: u32| {
            let gateway = &gateway;
            move || -> Result<()> {
                let mut cpu = CpuSet::new();
                cpu.set(client as usize % online)?;
                // Where there is one CPU they take turns.
                let _ = sched_setaffinity(Pid::from_raw(0), &cpu);
                for port in 2_000..2_000 + flows {
                    gateway.timed("gwpool_xdp", GATEWAY_NETWORK, &first(client, port)?, 1)?;
                }
                Ok(())
            }
        };
        let both = [0, 1].map(|client| scope.spawn(open(client)));
        both.into_iter()
            .try_for_each(|thread| thread.join().ok().context("a panic")?)
    })?;
    let tier = gateway.state()?.embryonic;
    for client in [0, 1] {
        for port in 2_000..2_000 + flows {
            let whole = flow(&tier, client, port);
            ensure!(
                whole == Some(true),
                "client {client}, port {port}: {whole:?}"
            );
        }
    }
    ensure!(tier.len() == 4 * flows as usize, "{} entries", tier.len());
    Ok(())
}

#[test]
fn as_many_are_established_as_there_may_be() -> Result<()> {
    bed::build()?;
    let flows = 512;
    let entries = 2 * flows as usize;
    let mut crowd = Crowd::new(flows)?;
    for round in 0..2 {
        crowd.connect(flows)?;
        ensure!(
            crowd.entries()? == (entries, 0),
            "round {round}: halves are lost"
        );
        let (counted, away) = crowd.placed()?;
        ensure!(counted == entries as u64, "{counted} are counted");
        ensure!(away > 0, "every key is in its own set: nothing is tested");
        for number in crowd.flows - flows..crowd.flows {
            match number % ROUTES {
                route if route == ROUTES - 1 => crowd.exchange(number, "", "")?,
                _ => crowd.exchange(number, "A seq=101 ack=501", "A seq=501 ack=101")?,
            }
        }
        ensure!(crowd.connect(1).is_err(), "one more is established");
        ensure!(crowd.entries()? == (entries, 0), "it has left something");
        ensure!(crowd.placed()? == (counted, away), "it is counted");
        // All of them over.
        crowd.wait(u32::from(limits::TCP_ESTABLISHED_S))?;
        crowd.pass()?;
        crowd.pass()?;
        ensure!(crowd.entries()? == (0, 0), "something is left");
        ensure!(crowd.placed()? == (0, 0), "what is gone is counted");
    }
    Ok(())
}

/// Sockets of an inside host that speak with one outside: fewer than the tier has room for, and yet some sets are too small.
const SOCKETS: u16 = 3_750;
const PORTS: std::ops::Range<u16> = 2_000..2_000 + SOCKETS;
const OUTSIDE: &str = "10.9.0.100:53";

fn translating() -> Result<InKernel> {
    bed::build()?;
    let mut plan = bed::plan("nat", None)?;
    let sockets = u32::from(SOCKETS);
    plan.limits = Limits {
        mappings: sockets,
        permissions: 2 * sockets,
        ..plan.limits
    };
    ensure!(plan.limits.embryonic > sockets, "there is room for all");
    let mut gateway = InKernel::new(&plan.limits)?;
    gateway.fill(&plan, &bed::host((32_768, 60_999)))?;
    Ok(gateway)
}

/// Where a packet of the socket with this port goes, or one to what it is seen as, which is the same port; and the port.
fn carried(gateway: &mut InKernel, out: bool, port: u16) -> Result<(Action, u16)> {
    let (interface, text, place) = if out {
        let text = format!("udp 192.168.1.2:{port} > {OUTSIDE} len=9");
        (BOX_NETWORK, text, 34)
    } else {
        let text = format!("udp {OUTSIDE} > 10.9.0.1:{port} len=9");
        (GATEWAY_NETWORK, text, 36)
    };
    let frame = Frame::parse(&text)?.bytes();
    let (action, bytes) = gateway.run(Hook::Tc, interface, &frame)?;
    Ok((action, u16::from_be_bytes([bytes[place], bytes[place + 1]])))
}

/// Ports of the sockets whose flow has lost the half that its packets look for, `out` or back, and no other.
fn bereft(gateway: &InKernel, out: bool) -> Result<Vec<u16>> {
    let tier = gateway.state()?.embryonic;
    let alone = |(key, embryo): (&FlowKey<V4>, &Embryo<V4>)| {
        let is_back = embryo.flow.flags & Flow::<V4>::BACKEND_SIDE != 0;
        let port = if is_back {
            key.destination_port
        } else {
            key.source_port
        };
        let other = mate(key.protocol, &embryo.flow.rewrite);
        (is_back == out && !tier.contains_key(&other)).then_some(u16::from_be_bytes(port))
    };
    Ok(tier.iter().filter_map(alone).collect())
}

#[test]
fn a_translated_flow_of_which_a_half_gave_way_goes_on() -> Result<()> {
    let mut gateway = translating()?;
    for port in PORTS {
        let there = carried(&mut gateway, true, port)?;
        ensure!(there == (Action::Send, port), "socket {port}: {there:?}");
    }
    for (out, what) in [(true, "to outside"), (false, "to inside")] {
        let lost = bereft(&gateway, out)?;
        ensure!(!lost.is_empty(), "every flow has both halves");
        for port in &lost {
            let gone_on = carried(&mut gateway, out, *port)?;
            if gone_on != (Action::Send, *port) {
                let reasons = gateway.state()?.reasons;
                bail!(
                    "of {} flows, {port} {what}: {gone_on:?}, {reasons:?}",
                    lost.len()
                );
            }
        }
    }
    Ok(())
}
