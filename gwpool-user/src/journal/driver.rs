//! From the programs' ring buffer, and from the sweep, into the daemon's log. A thread of its own: a log that is slow to
//! take lines delays nobody, and what its buffer has no room for meanwhile is found by a later sweep.

use super::machine::{Journal, Line, Pair};
use crate::datapath::Datapath;
use crate::datapath::release::Released;
use aya::maps::{MapData, RingBuf};
use gwpool_common::limits;
use gwpool_common::nat::{End, Mapped};
use gwpool_common::net::V4;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use tracing::{info, warn};

/// Sweeps on their way. Where there is no room the next ones find the same.
const SWEEPS: usize = 2;
/// Entries between two looks at what the sweep tells: more than the ring buffer has.
const ROUND: usize = limits::MAPPED_BYTES as usize / size_of::<Mapped<V4>>();

/// By which the sweep tells the log; once there is no handle any more the log ends.
#[derive(Clone, Debug)]
pub struct Handle {
    sweeps: SyncSender<Swept>,
    /// A byte wakes the log.
    bell: Arc<UnixStream>,
}

/// What a sweep tells.
#[derive(Debug)]
enum Swept {
    /// Nothing is logged.
    Off,
    On {
        over: Vec<Pair>,
        live: Vec<Pair>,
    },
}

impl Handle {
    /// Tells what a sweep has found. `on`: mappings are logged.
    pub fn swept(&self, on: bool, released: Released) {
        let Released { over, live, .. } = released;
        let swept = if on {
            Swept::On { over, live }
        } else {
            Swept::Off
        };
        // No room for either: see `SWEEPS`.
        let _ = self.sweeps.try_send(swept);
        let _ = self.bell.as_ref().write(&[1]);
    }
}

/// The thread's own.
struct Driver {
    ring: RingBuf<MapData>,
    sweeps: Receiver<Swept>,
    bell: UnixStream,
    journal: Journal,
}

/// Begins to log.
pub fn start(datapath: &mut Datapath) -> io::Result<Handle> {
    let (sweeps, receiver) = sync_channel(SWEEPS);
    let (bell, rings) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    rings.set_nonblocking(true)?;
    if let Some(ring) = datapath.maps.mapped.take() {
        let driver = Driver {
            ring,
            sweeps: receiver,
            bell: rings,
            journal: Journal::default(),
        };
        thread::spawn(|| driver.run());
    }
    Ok(Handle {
        sweeps,
        bell: Arc::new(bell),
    })
}

impl Driver {
    fn run(mut self) {
        loop {
            match self.wait() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return warn!("mappings can no longer be logged: {error}"),
            }
            // What was told before a sweep comes before it.
            drain(&mut self.ring, &mut self.journal);
            while let Ok(swept) = self.sweeps.try_recv() {
                match swept {
                    Swept::On { over, live } => say(self.journal.swept(&over, &live)),
                    Swept::Off => self.journal.forget(),
                }
            }
        }
    }

    /// Until there is something to do; false: there will be nothing more.
    fn wait(&mut self) -> io::Result<bool> {
        let mut fds = [
            PollFd::new(self.ring.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.bell.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => return Ok(true),
            polled => polled?,
        };
        let mut rung = [0; 64];
        match self.bell.read(&mut rung) {
            Ok(bytes) => Ok(bytes != 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }
}

fn drain(ring: &mut RingBuf<MapData>, journal: &mut Journal) {
    for _ in 0..ROUND {
        let Some(entry) = ring.next() else {
            return;
        };
        if let Some(mapped) = read(&entry) {
            say(journal.told(&mapped));
        }
    }
}

fn say(lines: Vec<Line>) {
    for line in lines {
        info!("{line}");
    }
}

/// An entry of the ring buffer ([`Mapped`]); `None` if it is not whole.
pub fn read(entry: &[u8]) -> Option<Mapped<V4>> {
    let (inside, rest) = entry.split_first_chunk()?;
    let (outside, rest) = rest.split_first_chunk()?;
    let (what, _) = rest.split_first_chunk()?;
    Some(Mapped {
        inside: end(*inside),
        outside: end(*outside),
        what: u32::from_ne_bytes(*what),
    })
}

fn end([a, b, c, d, high, low, protocol, side]: [u8; 8]) -> End<V4> {
    End {
        address: [a, b, c, d],
        port: [high, low],
        protocol,
        side,
    }
}
