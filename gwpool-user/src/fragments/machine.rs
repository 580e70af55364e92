//! Which fragments are kept, when their first one is looked for, and when they are given up.
//!
//! ```text
//!   hold ----> kept ----> looked: the first one has come ----> sent in again
//!               | ^--------- not yet: look again, each time after twice as long
//!               +----> expire, or the oldest of too many ----> given up
//! ```
//! Bounded in frames, bytes and time by `gwpool_common::limits`; when there are too many the oldest go, so that under a
//! flood of lone fragments one whose first is a round trip late still gets through. Time is counted from wherever the
//! caller likes.
#![forbid(unsafe_code)]

use gwpool_common::fragment::{First, Fragmented};
use gwpool_common::limits;
use gwpool_common::net::V4;
use gwpool_ebpf::lifetime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the fragments of one packet have in common.
pub type Packet = Fragmented<V4>;

/// The longest time between two looks.
const PAUSE_MAX: Duration = Duration::from_millis(320);

/// A frame as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Index of the interface it came in by.
    pub interface: u32,
    /// Ethernet header and all.
    pub bytes: Vec<u8>,
}

/// What has become of the fragments so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Taken from the programs.
    pub held_total: u64,
    /// Sent in again.
    pub reinjected_total: u64,
    /// Given up because their first one did not come in time.
    pub expired_total: u64,
    /// Given up because there were too many.
    pub overflow_total: u64,
}

/// All that are kept.
#[derive(Debug, Default)]
pub struct Holder {
    kept: BTreeMap<Packet, Kept>,
    /// By when they came.
    ages: BTreeSet<(Duration, Packet)>,
    /// By when their first one is looked for.
    looks: BTreeSet<(Duration, Packet)>,
    frames: usize,
    bytes: usize,
    counts: Counts,
}

/// Fragments of one packet.
#[derive(Debug)]
struct Kept {
    frames: Vec<Frame>,
    since: Duration,
    /// The programs' tick at that time.
    tick: u16,
    look: Duration,
    pause: Duration,
}

impl Holder {
    /// Keeps a frame that came in `tick`.
    pub fn hold(&mut self, packet: Packet, tick: u16, frame: Frame, now: Duration) {
        self.counts.held_total += 1;
        self.frames += 1;
        self.bytes += frame.bytes.len();
        let kept = self.kept.entry(packet).or_insert_with(|| {
            self.ages.insert((now, packet));
            self.looks.insert((now, packet));
            Kept {
                frames: Vec::new(),
                since: now,
                tick,
                look: now,
                pause: Duration::from_millis(limits::HELD_ROUND_MS),
            }
        });
        kept.frames.push(frame);
        while self.frames > limits::HELD_FRAMES_MAX || self.bytes > limits::HELD_BYTES_MAX {
            let Some((_, oldest)) = self.ages.first().copied() else {
                return;
            };
            self.counts.overflow_total += self.take(&oldest).len() as u64;
        }
    }

    /// A packet whose first fragment is to be looked for now.
    pub fn due(&self, now: Duration) -> Option<Packet> {
        let (look, packet) = self.looks.first()?;
        (*look <= now).then_some(*packet)
    }

    /// What `FRAGMENTS` says of the packet: the frames to be sent in again, in the order they came; none if the first
    /// one has not come yet.
    pub fn looked(&mut self, packet: &Packet, first: Option<First>, now: Duration) -> Vec<Frame> {
        let Some(kept) = self.kept.get_mut(packet) else {
            return Vec::new();
        };
        // What was there before and too old for the programs is an earlier packet's with the same number. Half the
        // time tells them apart, however long a tick is.
        let come = first
            .is_some_and(|first| lifetime::age(first.seen, kept.tick) < limits::FRAGMENT_S / 2);
        if come {
            return self.take(packet);
        }
        self.looks.remove(&(kept.look, *packet));
        kept.look = now + kept.pause;
        kept.pause = PAUSE_MAX.min(kept.pause * 2);
        self.looks.insert((kept.look, *packet));
        Vec::new()
    }

    /// Gives up what has waited too long.
    pub fn expire(&mut self, now: Duration) {
        while let Some((since, oldest)) = self.ages.first().copied()
            && now >= since + Duration::from_millis(limits::HELD_MS)
        {
            self.counts.expired_total += self.take(&oldest).len() as u64;
        }
    }

    /// A frame that `looked` gave was sent in again; or could not be, and is lost.
    pub fn sent(&mut self, again: bool) {
        if again {
            self.counts.reinjected_total += 1;
        } else {
            self.counts.expired_total += 1;
        }
    }

    /// When there is something to do, unless another frame comes before.
    pub fn next_deadline(&self) -> Option<Duration> {
        let (look, _) = self.looks.first()?;
        let (since, _) = self.ages.first()?;
        Some((*look).min(*since + Duration::from_millis(limits::HELD_MS)))
    }

    /// What has become of all of them.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn take(&mut self, packet: &Packet) -> Vec<Frame> {
        let Some(kept) = self.kept.remove(packet) else {
            return Vec::new();
        };
        self.ages.remove(&(kept.since, *packet));
        self.looks.remove(&(kept.look, *packet));
        self.frames -= kept.frames.len();
        self.bytes -= kept
            .frames
            .iter()
            .map(|frame| frame.bytes.len())
            .sum::<usize>();
        kept.frames
    }
}

#[cfg(test)]
mod tests;
