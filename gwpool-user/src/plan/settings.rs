//! What the programs are told of host and plan: ports they may use, timers, shares, in the units they count in.
#![forbid(unsafe_code)]

use super::error::Error;
use super::ground::{Links, link};
use super::plan::Plan;
use crate::host::Host;
use gwpool_common::limits::{self, Settings};
use gwpool_common::net::{Address, V4};

/// The settings as they should be: what was chosen once (the seed, the epoch) stays.
pub fn wanted(
    installed: &Settings,
    plan: &Plan,
    host: &Host,
    links: &Links,
    addresses: &[(V4, Address)],
) -> Result<Settings, Error> {
    let hz = u64::from(if host.hz == 0 { Host::HZ } else { host.hz });
    let tick_shift = hz.next_power_of_two().trailing_zeros();
    let ticks_per_1024_s = ((1024 * hz) >> tick_shift) as u32;
    let per_tick = |per_second: u32| {
        let whole = u64::from(per_second) * 1024 / u64::from(ticks_per_1024_s);
        u32::try_from(whole).unwrap_or(u32::MAX)
    };
    let (low, high) = host.local_ports;
    let mut settings = Settings {
        epoch: installed.epoch.max(host.epoch).max(1),
        port_seed: if installed.port_seed == 0 {
            host.port_seed
        } else {
            installed.port_seed
        },
        tick_shift,
        ticks_per_1024_s,
        port_low_first: 1024,
        port_low_count: low.saturating_sub(1024),
        port_high_first: high.saturating_add(1),
        port_high_count: u16::MAX - high,
        port_modulus: 0,
        shortest_s: shortest_s(plan),
        flows_per_source: plan.limits.flows_per_source,
        new_flows_per_source: per_tick(plan.limits.new_flows_per_source),
        udp_flows: plan.limits.udp_flows,
        answers_per_tick: per_tick(plan.limits.answers_per_second),
        closing_s: match installed.closing_s {
            0 => limits::TCP_CLOSING_S,
            chosen => chosen,
        },
        flags: if plan.routes.iter().any(|route| route.preserve) {
            Settings::PRESERVES
        } else {
            0
        },
        own: marks(installed.own, addresses, Address::OWN),
        known: marks(installed.known, addresses, Address::OWN | Address::PEER),
        ..undeclared(plan, links)?
    };
    if settings.port_low_count == 0 && settings.port_high_count == 0 {
        return Err(Error::NoPorts { low, high });
    }
    let ports = u32::from(settings.port_low_count) + u32::from(settings.port_high_count);
    settings.port_modulus = prime(ports);
    Ok(settings)
}

/// Marks stay: flows of an address that has moved on live on as long as packets come for it.
fn marks(mut marks: [u32; 2], addresses: &[(V4, Address)], kinds: u32) -> [u32; 2] {
    for (address, what) in addresses {
        if what.flags & kinds != 0 {
            let mark = Settings::mark(u32::from_be_bytes(*address));
            marks[mark as usize / 32] |= 1 << (mark % 32);
        }
    }
    marks
}

/// Only what `reject` asks for is the programs' business.
fn undeclared(plan: &Plan, links: &Links) -> Result<Settings, Error> {
    let Some(undeclared) = plan.undeclared.as_ref().filter(|range| range.reject) else {
        return Ok(Settings::default());
    };
    Ok(Settings {
        undeclared_interface: link(links, &undeclared.network, "gwpool.undeclared")?.index,
        undeclared_first: undeclared.port,
        undeclared_count: undeclared.ports,
        ..Settings::default()
    })
}

/// The smallest prime that is not below `floor`.
fn prime(floor: u32) -> u32 {
    let is_prime = |candidate: &u32| {
        (2..)
            .take_while(|divisor| divisor * divisor <= *candidate)
            .all(|divisor| !candidate.is_multiple_of(divisor))
    };
    (floor.max(2)..).find(is_prime).expect("primes do not end")
}

/// The shortest of all timers of established flows.
fn shortest_s(plan: &Plan) -> u16 {
    let routes = plan.routes.iter().filter_map(|route| route.timeout.idle_s);
    let nat = plan.nat.iter().flat_map(|nat| nat.timers.all());
    routes
        .chain(nat)
        .min()
        .unwrap_or(u16::MAX)
        .min(limits::TCP_CLOSING_HURRIED_S)
}
