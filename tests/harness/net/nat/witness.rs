//! T-LEAK: packet sockets on every outside host, read all the time while the suite runs. What comes in there with a
//! box address as its source has leaked, whatever else it is.

use crate::net::namespace::Namespace;
use crate::net::wire::{Packet, Tap};
use anyhow::Result;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a look takes that sees nothing.
const PACE: Duration = Duration::from_millis(2);

/// Whether a packet says that it comes from the box network.
pub fn from_the_box(packet: &Packet) -> bool {
    let [a, b, c, _] = Ipv4Addr::octets(&packet.source());
    [a, b, c] == [192, 168, 1]
}

/// Reads until it is dropped.
pub struct Witness {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Default)]
struct Shared {
    /// Packets of all kinds: who sees nothing finds nothing.
    seen: AtomicU64,
    leaks: Mutex<Vec<String>>,
    ending: AtomicBool,
}

impl Witness {
    /// Begins.
    pub fn watch(hosts: &[(&'static str, &Namespace)]) -> Result<Witness> {
        let taps = hosts
            .iter()
            .map(|(name, host)| Ok((*name, Tap::open(host)?)))
            .collect::<Result<Vec<_>>>()?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || theirs.read(&taps));
        Ok(Witness {
            shared,
            thread: Some(thread),
        })
    }

    /// Packets seen so far.
    pub fn seen(&self) -> u64 {
        self.shared.seen.load(Relaxed)
    }

    /// What has leaked so far.
    pub fn leaks(&self) -> Vec<String> {
        self.shared
            .leaks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether it still reads.
    pub fn awake(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }
}

impl Shared {
    fn read(&self, taps: &[(&'static str, Tap)]) -> Result<()> {
        while !self.ending.load(Relaxed) {
            let mut idle = true;
            for (name, tap) in taps {
                for packet in tap.drain()? {
                    idle = false;
                    self.seen.fetch_add(1, Relaxed);
                    if from_the_box(&packet) {
                        let mut leaks = self.leaks.lock().unwrap_or_else(PoisonError::into_inner);
                        leaks.push(format!("{name}: {packet:?}"));
                    }
                }
            }
            if idle {
                std::thread::sleep(PACE);
            }
        }
        Ok(())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.shared.ending.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
