//! One NAT address, given out port by port: whether the last one is found, and what a new mapping costs on the way.
//!
//! The real programs on their bed; every mapping is made by a packet of an inside socket that nobody has seen before.
//! `kernel_ports` holds the count against what there is, `cargo xtask bench ports` prints what it takes.

use crate::bed::{self, BOX_NETWORK};
use crate::frames::Frame;
use crate::kernel::InKernel;
use crate::subject::{Action, Hook, Subject};
use anyhow::{Context, Result, ensure};
use gwpool_user::plan::Limits;
use std::fmt;
use std::time::Duration;

/// Ports of an address that are given out to sockets with a port of their class: 1024 and above.
pub const PORTS: u32 = 65_536 - 1_024;
/// Inside hosts that ask for them.
const HOSTS: u32 = 200;
/// Mappings that one figure is taken over.
const SAMPLES: u32 = 640;
/// Where figures are taken, in mappings that there are.
const FILLS: [u32; 4] = [
    0,
    PORTS / 2,
    PORTS / 10 * 9,
    PORTS - PORTS / 100 - SAMPLES / 2,
];
/// Where the outside port stands in a frame: UDP behind 20 bytes of IPv4.
const PORT: usize = 34;

/// The address, and how many sockets have asked.
pub struct Address {
    kernel: InKernel,
    asked: u32,
}

impl Address {
    /// Loads the programs. [`bed::build`] must have run in this thread.
    pub fn new() -> Result<Address> {
        let mut plan = bed::plan("nat", None)?;
        plan.limits = Limits {
            flows: 64,
            // An embryonic flow for each: none gives way before all have asked.
            embryonic: 2 * PORTS,
            mappings: PORTS + 1_024,
            subscribers: 4 * HOSTS,
            permissions: 2 * PORTS,
            ..plan.limits
        };
        let mut kernel = InKernel::new(&plan.limits)?;
        kernel.fill(&plan, &bed::host((32_768, 60_999)))?;
        Ok(Address { kernel, asked: 0 })
    }

    /// The next socket's first packet: hosts take turns, each with ports in an order that is not the search's.
    fn frame(&mut self) -> Result<Vec<u8>> {
        let (host, turn) = (10 + self.asked % HOSTS, self.asked / HOSTS);
        let port = 1_024 + (turn * 7_919 + host * 331) % PORTS;
        self.asked += 1;
        let text = format!("udp 192.168.1.{host}:{port} > 10.9.0.100:53 len=9");
        Ok(Frame::parse(&text)?.bytes())
    }

    /// The outside port that the next socket gets; `None`: there is none left.
    pub fn one_more(&mut self) -> Result<Option<u16>> {
        let frame = self.frame()?;
        self.given(&frame)
    }

    /// The outside port that an inside host's socket gets, which has this port.
    pub fn asked_by(&mut self, host: u8, port: u16) -> Result<Option<u16>> {
        let text = format!("udp 192.168.1.{host}:{port} > 10.9.0.100:53 len=9");
        let frame = Frame::parse(&text)?.bytes();
        self.given(&frame)
    }

    /// The hint says that every port is taken.
    pub fn mislead(&mut self) -> Result<()> {
        let ports = &mut self.kernel.datapath.maps.ports;
        (0..ports.len()).try_for_each(|word| Ok(ports.set(word, u64::MAX, 0)?))
    }

    fn given(&mut self, frame: &[u8]) -> Result<Option<u16>> {
        let (action, bytes) = self.kernel.run(Hook::Xdp, BOX_NETWORK, frame)?;
        if action != Action::Send {
            return Ok(None);
        }
        let port = bytes.get(PORT..PORT + 2).context("a frame without ports")?;
        Ok(Some(u16::from_be_bytes([port[0], port[1]])))
    }

    /// What the next socket's first packet takes.
    fn timed(&mut self) -> Result<Duration> {
        let frame = self.frame()?;
        self.kernel.timed("gwpool_xdp", BOX_NETWORK, &frame, 1)
    }
}

/// What a new mapping costs, by how full the address is.
pub struct Figures(Vec<(u32, Vec<Duration>, Vec<Duration>)>);

impl Figures {
    /// Fills an address so often; of each round the median and the 99th percentile are kept.
    pub fn measure(rounds: usize) -> Result<Figures> {
        let mut figures = FILLS.map(|fill| (fill, Vec::new(), Vec::new()));
        for round in 1..=rounds {
            eprintln!("round {round} of {rounds}: {PORTS} mappings");
            let mut address = Address::new()?;
            for (fill, medians, tails) in &mut figures {
                while address.asked < *fill {
                    ensure!(
                        address.one_more()?.is_some(),
                        "no port at {}",
                        address.asked
                    );
                }
                let mut took = (0..SAMPLES)
                    .map(|_| address.timed())
                    .collect::<Result<Vec<_>>>()?;
                took.sort();
                medians.push(took[took.len() / 2]);
                tails.push(took[took.len() * 99 / 100]);
            }
        }
        Ok(Figures(figures.into()))
    }
}

fn middle(of: &[Duration]) -> Duration {
    let mut sorted = of.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "a packet that opens a mapping, one NAT address, medians over rounds; against the empty address"
        )?;
        writeln!(
            out,
            "{:>9}  {:>9}  {:>6}  {:>9}  {:>6}",
            "mappings", "median", "", "p99", ""
        )?;
        let base = self
            .0
            .first()
            .map(|(_, medians, tails)| (middle(medians), middle(tails)));
        let (first, first_tail) = base.unwrap_or_default();
        for (fill, medians, tails) in &self.0 {
            let (median, tail) = (middle(medians), middle(tails));
            let ratio = |one: Duration, of: Duration| one.as_secs_f64() / of.as_secs_f64();
            writeln!(
                out,
                "{:>8.1}%  {:>6} ns  {:>5.2}x  {:>6} ns  {:>5.2}x",
                100.0 * f64::from(*fill) / f64::from(PORTS),
                median.as_nanos(),
                ratio(median, first),
                tail.as_nanos(),
                ratio(tail, first_tail),
            )?;
        }
        Ok(())
    }
}
