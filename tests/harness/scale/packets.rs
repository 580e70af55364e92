//! What one packet costs the programs, by the kernel's own clock in `BPF_PROG_TEST_RUN`.
//!
//! A repeated run starts from what the run before left, so what is repeated are packets that the programs leave as
//! they are: those of a known flow to this host, and those that belong to no flow. New connections are run once each.

use super::{Ground, PORT};
use crate::bed::{GATEWAY_NETWORK, own_mac};
use crate::frames::{Frame, mac};
use crate::subject::{Action, Hook, Subject};
use anyhow::{Result, ensure};
use gwpool_user::plan::Plan;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Runs of a packet that is repeated.
const REPEATS: u32 = 200_000;
/// New connections that are opened.
const CONNECTIONS: usize = 20_000;

/// What each kind of packet costs.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// A packet of an established flow.
    pub known: Duration,
    /// A packet without a flow, to the last route's listen address.
    pub looked_up: Duration,
    /// A new connection's first packet, to the last route.
    pub opened: Duration,
    /// The same, each to the next route: what many routes cost beyond their tables is the CPU's cache.
    pub spread: Duration,
}

impl Ground {
    /// What packets cost with this plan laid. `round` keeps the connections of one measurement from another's.
    pub fn cost(&mut self, plan: &Plan, round: usize) -> Result<Cost> {
        self.kernel.reset()?;
        let routes = plan.routes.len();
        let last = PORT + routes as u16 - 1;
        self.establish(last)?;
        let data = segment(100, 40_000, last, "A seq=101 ack=1001 len=64")?;
        let stray = segment(101, 40_001, last, "A seq=7 ack=7 len=64")?;
        Ok(Cost {
            known: self.repeated(&data)?,
            looked_up: self.repeated(&stray)?,
            opened: self.opened(3 * round, |_| last)?,
            spread: self.opened(3 * round + 1, |number| PORT + (number % routes) as u16)?,
        })
    }

    /// The next `count` connections to the route: where each was sent.
    pub fn connect(&mut self, port: u16, count: u16) -> Result<Vec<(Ipv4Addr, u16)>> {
        let mut reached = Vec::new();
        for number in 0..count {
            let frame = segment(100, 41_000 + number, port, "S seq=100")?;
            let (action, bytes) = self.kernel.run(Hook::Xdp, GATEWAY_NETWORK, &frame)?;
            let (address, port) = destination(&bytes);
            // What is delivered here has kept the address it came to.
            reached.push(match action {
                Action::Pass => (Ipv4Addr::new(192, 168, 1, 1), port),
                _ => (address, port),
            });
        }
        Ok(reached)
    }

    /// A connection whose backend, the first of the last route, is this host.
    fn establish(&mut self, port: u16) -> Result<()> {
        let steps = [
            (Hook::Xdp, segment(100, 40_000, port, "S seq=100")?),
            (Hook::Egress, answer(port)?),
            (Hook::Xdp, segment(100, 40_000, port, "A seq=101 ack=1001")?),
        ];
        for (hook, frame) in steps {
            let (action, bytes) = self.kernel.run(hook, GATEWAY_NETWORK, &frame)?;
            ensure!(
                action == Action::Pass && bytes == frame,
                "{hook:?}: {action:?}"
            );
        }
        let established = self.kernel.state()?.established.len();
        ensure!(established == 2, "{established} entries are established");
        Ok(())
    }

    fn repeated(&self, frame: &[u8]) -> Result<Duration> {
        self.kernel
            .timed("gwpool_xdp", GATEWAY_NETWORK, frame, REPEATS)
    }

    /// New connections from a client of their own, each to the port that its number gives.
    fn opened(&self, client: usize, port: impl Fn(usize) -> u16) -> Result<Duration> {
        let mut all = Duration::ZERO;
        for number in 0..CONNECTIONS {
            let from = (20_000 + number % 40_000) as u16;
            let frame = segment(1 + client as u8 % 90, from, port(number), "S seq=100")?;
            all += self
                .kernel
                .timed("gwpool_xdp", GATEWAY_NETWORK, &frame, 1)?;
        }
        Ok(all / CONNECTIONS as u32)
    }
}

/// From the client to this host.
fn segment(client: u8, from: u16, to: u16, rest: &str) -> Result<Vec<u8>> {
    let client = Ipv4Addr::new(10, 9, 0, client);
    let text = format!("tcp {client}:{from} > 10.9.0.1:{to} {rest}");
    let frame = Frame::parse(&text)?.via(own_mac(GATEWAY_NETWORK), mac(client));
    Ok(frame.bytes())
}

/// What the local stack answers to the SYN.
fn answer(port: u16) -> Result<Vec<u8>> {
    let text = format!("tcp 10.9.0.1:{port} > 10.9.0.100:40000 SA seq=1000 ack=101");
    let client = mac(Ipv4Addr::new(10, 9, 0, 100));
    let frame = Frame::parse(&text)?.via(client, own_mac(GATEWAY_NETWORK));
    Ok(frame.bytes())
}

/// Of a TCP segment in an Ethernet frame without IP options.
fn destination(frame: &[u8]) -> (Ipv4Addr, u16) {
    let byte = |at: usize| frame.get(at).copied().unwrap_or_default();
    let address = Ipv4Addr::new(byte(30), byte(31), byte(32), byte(33));
    (address, u16::from_be_bytes([byte(36), byte(37)]))
}
