//! A contestant's row with a sender at the client's end, and a sink at both.

use super::link::{Hook, Link};
use super::sender::{Amount, Course, Sender, Sent};
use super::sink::Sink;
use crate::row::{self, CLIENTS, Row};
use anyhow::{Result, ensure};
use gwpool_harness::net::LIMIT;
use gwpool_harness::net::wait::wait_for;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Frames may be on their way when the last one is sent: for so long nothing new has come when all have that will.
const STILL: Duration = Duration::from_millis(20);
/// How often flows are made that have not all been answered: the first packets may meet a neighbour whose address must
/// be asked for.
const ATTEMPTS: usize = 5;
/// Flows that are made at a time.
const PART: u32 = 16_000;

/// All of it; the row goes last.
pub struct Chain {
    sender: Sender,
    near: Sink,
    far: Sink,
    /// Where it is.
    pub row: Row,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shot {
    /// Frames that were sent.
    pub sent: u64,
    /// Those that have arrived.
    pub arrived: u64,
    /// How long it took.
    pub took: Duration,
}

impl Shot {
    /// Both, one after the other.
    pub fn and(self, other: Shot) -> Shot {
        Shot {
            sent: self.sent + other.sent,
            arrived: self.arrived + other.arrived,
            took: self.took + other.took,
        }
    }

    /// Millions a second that have arrived.
    pub fn rate(self) -> f64 {
        self.arrived as f64 / self.took.as_secs_f64() / 1e6
    }

    /// Per cent of what was sent.
    pub fn arrived_percent(self) -> f64 {
        100.0 * self.arrived as f64 / self.sent.max(1) as f64
    }
}

impl Chain {
    /// Sends to that address. Every link takes frames, whoever sends them: without GRO, a veth that is sent frames
    /// would have lost them.
    pub fn up(row: Row, target: Ipv4Addr, hook: Hook) -> Result<Chain> {
        for (host, name) in row.links() {
            row::offload(host, name, &["gro", "on"])?;
        }
        let [client, front, _, backends] = row.links();
        let client = Link::of(client.0, client.1)?;
        let front = Link::of(front.0, front.1)?;
        let backends = Link::of(backends.0, backends.1)?;
        Ok(Chain {
            near: Sink::attach(&client, hook)?,
            far: Sink::attach(&backends, hook)?,
            sender: Sender::new(client, front.mac, CLIENTS, target)?,
            row,
        })
    }

    /// Sends, and counts what arrives at the backends.
    pub fn send(&mut self, course: Course, amount: Amount) -> Result<Shot> {
        let before = self.far.arrived()?;
        let Sent { frames, took } = self.sender.send(course, amount)?;
        let arrived = settle(&self.far, before, frames)?;
        Ok(Shot {
            sent: frames,
            arrived,
            took,
        })
    }

    /// Waits until a packet comes through and its answer comes back.
    pub fn open(&mut self) -> Result<()> {
        wait_for("an answer", LIMIT, || self.converse(Course::onward(0, 1)))
    }

    /// Makes so many flows, of which each is what a client and a server that speak with each other have: a packet there,
    /// its answer, and another packet there. In parts, so that no table of half-open ones makes the first give way.
    pub fn establish(&mut self, flows: u32) -> Result<()> {
        for first in (0..flows).step_by(PART as usize) {
            let part = Course::onward(first, PART.min(flows - first));
            let mut tried = self.converse(part);
            for _ in 1..ATTEMPTS {
                if tried.is_err() {
                    tried = self.converse(part);
                }
            }
            tried?;
            self.send(part, Amount::Frames(part.flows()))?;
        }
        Ok(())
    }

    /// A packet of each of these flows, which must be answered.
    fn converse(&mut self, course: Course) -> Result<()> {
        self.far.answer(true)?;
        let (before, frames) = (self.near.arrived()?, course.flows());
        let sent = self.send(course, Amount::Frames(frames));
        let answered = settle(&self.near, before, frames);
        self.far.answer(false)?;
        let (sent, answered) = (sent?, answered?);
        ensure!(
            answered == frames,
            "of {frames} flows' packets {} arrived, and {answered} answers",
            sent.arrived
        );
        Ok(())
    }
}

/// What has come since, when it is all that was sent or nothing more comes.
fn settle(sink: &Sink, before: u64, sent: u64) -> Result<u64> {
    let (mut seen, mut since) = (sink.arrived()? - before, Instant::now());
    while seen < sent && since.elapsed() < STILL {
        std::thread::yield_now();
        let now = sink.arrived()? - before;
        if now > seen {
            (seen, since) = (now, Instant::now());
        }
    }
    Ok(seen)
}
