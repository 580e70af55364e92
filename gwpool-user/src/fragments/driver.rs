//! From the ring buffer to the holder, from `FRAGMENTS` to the holder, and back into the interface. A thread of its
//! own: it works in rounds, each of bounded work, and not at all while nothing is held.
//!
//! A frame is sent in again by a run of `gwpool_reinject`, which lets a copy of it come in by the interface; the
//! program there takes it as any other. Beside native XDP, which never sees it, it carries the mark that the TC program
//! knows.

use super::machine::{Counts, Frame, Holder, Packet};
use crate::datapath::pins::Pins;
use crate::datapath::{Datapath, Error};
use aya::maps::{HashMap, Map, MapData, RingBuf};
use aya::programs::{SchedClassifier, TestRun, TestRunOptions};
use gwpool_common::fragment::First;
use gwpool_common::limits;
use gwpool_common::net::V4;
use gwpool_ebpf::family::{Family as _, Ipv4};
use gwpool_ebpf::fragment;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use tracing::warn;

/// The program that lets a frame come in again.
const REINJECT: &str = "gwpool_reinject";

/// What the daemon and the thread tell each other.
#[derive(Clone, Debug, Default)]
pub struct Handle {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    counts: Counts,
    /// Interfaces with native XDP.
    native: BTreeSet<u32>,
}

impl Handle {
    /// What has become of the fragments so far.
    pub fn counts(&self) -> Counts {
        self.with(|shared| shared.counts)
    }

    /// Tells by which interfaces native XDP stands.
    pub fn native(&self, interfaces: BTreeSet<u32>) {
        self.with(|shared| shared.native = interfaces);
    }

    fn with<T>(&self, work: impl FnOnce(&mut Shared) -> T) -> T {
        work(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The thread's own.
struct Driver {
    ring: RingBuf<MapData>,
    firsts: HashMap<MapData, Packet, First>,
    program: SchedClassifier,
    holder: Holder,
    /// Where the holder's time begins.
    begin: Instant,
    handle: Handle,
    /// Something has failed and was said.
    said: bool,
}

/// Begins to hold what the programs give; where that cannot be, it is said, and such fragments are the kernel's.
pub fn start(datapath: &mut Datapath, pins: &Pins) -> Handle {
    let handle = Handle::default();
    match Driver::new(datapath, pins, handle.clone()) {
        Ok(driver) => {
            thread::spawn(|| driver.run());
        }
        Err(error) => warn!(
            "fragments that come before their first one are left to the kernel, which knows no flow: {error:#}"
        ),
    }
    handle
}

impl Driver {
    fn new(datapath: &mut Datapath, pins: &Pins, handle: Handle) -> anyhow::Result<Self> {
        let firsts = MapData::from_pin(pins.map("FRAGMENTS"))?;
        let ring = datapath.maps.held.take().ok_or(Error::Lacks {
            kind: "map",
            name: "HELD".to_owned(),
        })?;
        Ok(Driver {
            program: own(datapath, pins)?,
            ring,
            firsts: HashMap::try_from(Map::LruHashMap(firsts))?,
            holder: Holder::default(),
            begin: Instant::now(),
            handle,
            said: false,
        })
    }

    /// Rounds, until the process ends.
    fn run(mut self) {
        loop {
            if let Err(error) = self.wait() {
                return warn!("held fragments can no longer be waited for: {error}");
            }
            let now = self.begin.elapsed();
            take(&mut self.ring, &mut self.holder, now);
            self.round(now);
            sleep(Duration::from_millis(limits::HELD_ROUND_MS));
        }
    }

    /// Until there is something to do.
    fn wait(&self) -> io::Result<()> {
        let timeout = match self.holder.next_deadline() {
            Some(deadline) => {
                let left = deadline.saturating_sub(self.begin.elapsed());
                // At most `limits::HELD_MS`, and rounded up.
                PollTimeout::from(left.as_millis() as u16 + 1)
            }
            None => PollTimeout::NONE,
        };
        let mut ring = [PollFd::new(self.ring.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ring, timeout) {
            Err(Errno::EINTR) | Ok(_) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Gives up what is over and lets in what has been waited for.
    fn round(&mut self, now: Duration) {
        self.holder.expire(now);
        for _ in 0..limits::HELD_LOOKS {
            let Some(packet) = self.holder.due(now) else {
                break;
            };
            let first = self.firsts.get(&packet, 0).ok();
            for frame in self.holder.looked(&packet, first, now) {
                let again = self.send_in(&frame);
                self.holder.sent(again);
            }
        }
        let counts = self.holder.counts();
        self.handle.with(|shared| shared.counts = counts);
    }

    fn send_in(&mut self, frame: &Frame) -> bool {
        let native = self
            .handle
            .with(|shared| shared.native.contains(&frame.interface));
        let context = context(frame.interface, native);
        let mut options = TestRunOptions::new();
        options.data_in = Some(&frame.bytes);
        options.ctx_in = Some(&context);
        let why = match self.program.test_run(options) {
            Ok(run) if run.return_value == 0 => return true,
            Ok(run) => format!("the kernel did not take it ({})", run.return_value as i32),
            Err(error) => error.to_string(),
        };
        // An interface that has just gone, most likely: worth one line.
        if !std::mem::replace(&mut self.said, true) {
            warn!(
                "a held fragment cannot be sent in by interface {}: {why}",
                frame.interface
            );
        }
        false
    }
}

/// A handle of the program that is the thread's own: aya lends one only through its name on a bpf file system.
fn own(datapath: &mut Datapath, pins: &Pins) -> anyhow::Result<SchedClassifier> {
    let path = pins.map(REINJECT);
    Pins::remove(&path)?;
    datapath.classifier(REINJECT)?.pin(&path)?;
    let opened = SchedClassifier::from_pin(&path);
    Pins::remove(&path)?;
    Ok(opened?)
}

/// Takes frames from the ring buffer, so many at most.
fn take(ring: &mut RingBuf<MapData>, holder: &mut Holder, now: Duration) {
    for _ in 0..limits::HELD_TAKEN {
        let Some(entry) = ring.next() else {
            return;
        };
        if let Some(held) = Held::read(&entry) {
            let mut bytes = held.frame.to_vec();
            // The programs have read this header before.
            if let Ok(network) = Ipv4::read(&mut gwpool_ebpf::packet::Frame::new(&mut bytes)) {
                let packet = fragment::packet::<V4>(&network);
                let frame = Frame {
                    interface: held.interface,
                    bytes,
                };
                holder.hold(packet, held.seen, frame, now);
            }
        }
    }
}

/// An entry of the ring buffer (`gwpool_common::fragment::Held`).
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Index of the interface it came in by.
    pub interface: u32,
    /// The tick in which it came.
    pub seen: u16,
    /// Ethernet header and all.
    pub frame: &'a [u8],
}

impl<'a> Held<'a> {
    /// Reads one; `None` if it is not whole.
    pub fn read(entry: &'a [u8]) -> Option<Self> {
        let (interface, rest) = entry.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (seen, rest) = rest.split_first_chunk()?;
        Some(Held {
            interface: u32::from_ne_bytes(*interface),
            seen: u16::from_ne_bytes(*seen),
            frame: rest.get(..usize::from(u16::from_ne_bytes(*length)))?,
        })
    }
}

/// The beginning of `struct __sk_buff` (linux/bpf.h): len, pkt_type, mark, queue_mapping, protocol, vlan_present,
/// vlan_tci, vlan_proto, priority, ingress_ifindex, ifindex; what follows is taken as zero.
fn context(interface: u32, native: bool) -> Vec<u8> {
    let mark = if native { limits::MARK_AGAIN } else { 0 };
    let words: [u32; 11] = [0, 0, mark, 0, 0, 0, 0, 0, 0, 0, interface];
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}
