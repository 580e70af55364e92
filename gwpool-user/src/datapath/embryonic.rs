//! The embryonic tier as the daemon sees it: the programs' own memory, mapped. Read while they write: an entry that changes
//! under the reader is passed over, as one that comes or goes during any walk.

use super::error::Error;
use super::tables::{Named, named};
use aya::maps::{Array, IterableMap as _, MapData, MapError};
use gwpool_common::flow::{Embryo, EmbryoSet, FlowKey, WAYS, Way};
use gwpool_common::limits::Settings;
use gwpool_common::net::V4;
use gwpool_ebpf::tier::{place, words};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

type Set = EmbryoSet<V4>;

/// Sets that a slice of a walk shows.
const SLICE: u32 = 256;

/// The tier.
#[derive(Debug)]
pub struct Embryonic {
    memory: NonNull<Set>,
    sets: u32,
    /// They say the seed, once the daemon has set it.
    settings: Named<u32, Settings>,
}

/// An entry, and where its tag is.
struct Found<'a> {
    embryo: Embryo<V4>,
    label: &'a AtomicU32,
    tag: u32,
}

// SAFETY: the memory is shared with the kernel's programs in any case: all access is by whole words that are atomic or
// looked at twice.
unsafe impl Send for Embryonic {}
// SAFETY: as above.
unsafe impl Sync for Embryonic {}

impl Embryonic {
    /// Maps it.
    pub fn of(
        map: &Array<MapData, Set>,
        settings: &Array<MapData, Settings>,
    ) -> Result<Self, Error> {
        let (sets, fd) = (map.len(), map.map().fd().as_fd().as_raw_fd());
        let length = length(sets);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the kernel chooses the place; the map is as long (`Array` has compared the value's size).
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                access,
                libc::MAP_SHARED,
                fd,
                0,
            )
        };
        let memory = NonNull::new(memory.cast()).filter(|_| memory != libc::MAP_FAILED);
        let memory = memory.ok_or_else(|| Error::Map {
            map: "EMBRYONIC",
            what: "cannot be mapped into memory".to_owned(),
            source: MapError::IoError(io::Error::last_os_error()),
        })?;
        Ok(Embryonic {
            memory,
            sets,
            settings: named("SETTINGS", settings)?,
        })
    }

    /// The next entries from a set on, which is moved; `None`: there are no more.
    pub fn next_slice(&self, from: &mut u32) -> Option<Vec<(FlowKey<V4>, Embryo<V4>)>> {
        if *from >= self.sets {
            return None;
        }
        let end = from.saturating_add(SLICE).min(self.sets);
        let sets = std::mem::replace(from, end)..end;
        let ways = sets.flat_map(|set| (0..WAYS).filter_map(move |way| self.read(set, way)));
        Some(ways.map(|way| (way.key, way.embryo)).collect())
    }

    /// Every entry.
    pub fn all(&self) -> Vec<(FlowKey<V4>, Embryo<V4>)> {
        let mut from = 0;
        std::iter::from_fn(|| self.next_slice(&mut from))
            .flatten()
            .collect()
    }

    /// Shows every entry, slice by slice: no walk holds a thread for long.
    pub async fn each(&self, mut see: impl FnMut(&FlowKey<V4>, &Embryo<V4>)) {
        let mut from = 0;
        while let Some(entries) = self.next_slice(&mut from) {
            entries.iter().for_each(|(key, embryo)| see(key, embryo));
            tokio::task::yield_now().await;
        }
    }

    /// One entry.
    pub fn get(&self, key: &FlowKey<V4>) -> Result<Option<Embryo<V4>>, Error> {
        Ok(self.find(key)?.map(|found| found.embryo))
    }

    /// Takes an entry out, if it is there.
    pub fn remove(&self, key: &FlowKey<V4>) -> Result<(), Error> {
        if let Some(Found { label, tag, .. }) = self.find(key)? {
            // A program may have put another there.
            let _ = label.compare_exchange(tag, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        Ok(())
    }

    fn find(&self, key: &FlowKey<V4>) -> Result<Option<Found<'_>>, Error> {
        let seed = self.settings.get(&0)?.unwrap_or_default().port_seed;
        let (set, tag) = place(words(key), seed, self.sets);
        let mut ways = (0..WAYS).filter_map(|way| {
            let label = self.label(set, way);
            let entry = self.read(set, way)?;
            let same = words(&entry.key) == words(key);
            same.then_some(Found {
                embryo: entry.embryo,
                label,
                tag,
            })
        });
        Ok(ways.next())
    }

    /// The entry in this way, if there is one and it stays while it is read.
    fn read(&self, set: u32, way: usize) -> Option<Way<V4>> {
        let label = self.label(set, way);
        let before = label.load(Ordering::Acquire);
        if before == 0 {
            return None;
        }
        // SAFETY: inside the mapping, which `sets` and WAYS bound; any bytes are a `Way`.
        let entry = unsafe {
            let ways = &raw const (*self.memory.as_ptr().add(set as usize)).ways;
            ways.cast::<Way<V4>>().add(way).read_volatile()
        };
        fence(Ordering::Acquire);
        (label.load(Ordering::Relaxed) == before).then_some(entry)
    }

    fn label(&self, set: u32, way: usize) -> &AtomicU32 {
        assert!(set < self.sets && way < WAYS, "inside the mapping");
        // SAFETY: inside the mapping by the line above, aligned, and as long-lived as `self`.
        unsafe {
            let tags = &raw mut (*self.memory.as_ptr().add(set as usize)).tags;
            AtomicU32::from_ptr(tags.cast::<u32>().add(way))
        }
    }
}

impl Drop for Embryonic {
    fn drop(&mut self) {
        // SAFETY: what `of` has mapped; nothing of it is borrowed any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), length(self.sets)) };
    }
}

/// Bytes of the mapping: the kernel rounds up to pages.
fn length(sets: u32) -> usize {
    sets as usize * size_of::<Set>()
}
