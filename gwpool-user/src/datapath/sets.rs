//! A tier as the daemon sees it: the programs' own memory, mapped. Read while they write: an entry that changes under the
//! reader is passed over, as one that comes or goes during any walk. Where keys lie is said in `gwpool_ebpf::tier`.

use super::error::Error;
use super::mapped::Mapped;
use super::tables::{Named, named};
use aya::maps::{Array, MapData};
use gwpool_common::flow::{Embryo, Flow, FlowKey, FlowSet, WAYS, Way};
use gwpool_common::limits::Settings;
use gwpool_common::net::V4;
use gwpool_ebpf::tier::{FOLLOWING, far, following, gone, place, words};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Sets that a slice of a walk shows.
const SLICE: u32 = 256;

/// A tier.
#[derive(Debug)]
pub struct Sets {
    sets: Mapped<FlowSet>,
    ways: Mapped<Way<V4>>,
    /// Established: how many entries there are.
    entries: Option<Mapped<u64>>,
    /// The seed of their places, once it is known: it stays as long as the tables.
    seed: AtomicU32,
    /// They say it, once the daemon has set it.
    settings: Named<u32, Settings>,
}

/// A half of a flow.
pub type Entry = (FlowKey<V4>, Embryo<V4>);

/// A walk through a tier, whose taker may do other work between two slices.
#[derive(Debug)]
pub struct Slices<'a> {
    of: &'a Sets,
    next: u32,
}

/// An entry, and where it is.
struct Found<'a> {
    embryo: Embryo<V4>,
    label: &'a AtomicU32,
    tag: u32,
    /// Its own set, if that is not where it is.
    away_from: Option<u32>,
}

impl Sets {
    /// Maps it: its tags, its ways, and what counts its entries, where they are counted.
    ///
    /// # Errors
    /// [`Error::Map`]: the kernel does not allow it.
    pub fn of(
        tags: (&'static str, &Array<MapData, FlowSet>),
        ways: (&'static str, &Array<MapData, Way<V4>>),
        entries: Option<&Array<MapData, u64>>,
        settings: &Array<MapData, Settings>,
    ) -> Result<Self, Error> {
        let entries = entries.map(|map| Mapped::of("ENTRIES", map));
        Ok(Sets {
            sets: Mapped::of(tags.0, tags.1)?,
            ways: Mapped::of(ways.0, ways.1)?,
            entries: entries.transpose()?,
            seed: AtomicU32::new(0),
            settings: named("SETTINGS", settings)?,
        })
    }

    /// A walk from the first set on.
    pub fn slices(&self) -> Slices<'_> {
        Slices { of: self, next: 0 }
    }

    /// Every entry.
    pub fn all(&self) -> Vec<Entry> {
        self.slices().flatten().collect()
    }

    /// Shows every entry, slice by slice: no walk holds a thread for long.
    pub async fn each(&self, mut see: impl FnMut(&FlowKey<V4>, &Flow<V4>)) {
        for entries in self.slices() {
            entries
                .iter()
                .for_each(|(key, embryo)| see(key, &embryo.flow));
            tokio::task::yield_now().await;
        }
    }

    /// One entry.
    ///
    /// # Errors
    /// The settings, which say where it is, cannot be read.
    pub fn get(&self, key: &FlowKey<V4>) -> Result<Option<Embryo<V4>>, Error> {
        Ok(self.find(key)?.map(|found| found.embryo))
    }

    /// Takes an entry out, if it is there.
    ///
    /// # Errors
    /// As of [`Sets::get`].
    pub fn remove(&self, key: &FlowKey<V4>) -> Result<(), Error> {
        let Some(found) = self.find(key)? else {
            return Ok(());
        };
        let Found { label, tag, .. } = found;
        // A program may have taken it out, and put another there.
        let taken = label.compare_exchange(tag, 0, Ordering::AcqRel, Ordering::Relaxed);
        if taken.is_ok() {
            if let Some(entries) = self.counted() {
                entries.fetch_sub(1, Ordering::Relaxed);
            }
            if let Some(own) = found.away_from {
                self.away(own).fetch_sub(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Takes every entry out.
    ///
    /// # Errors
    /// As of [`Sets::get`].
    pub fn clear(&self) -> Result<(), Error> {
        let mut entries = self.slices().flatten();
        entries.try_for_each(|(key, _)| self.remove(&key))
    }

    /// Puts an established flow in, before there is a program that does: nobody waits for anybody's lock. False: there
    /// are `most` entries, or no set that it may lie in has room. One that is there stays.
    ///
    /// # Errors
    /// As of [`Sets::get`].
    pub fn insert(&self, key: &FlowKey<V4>, flow: &Flow<V4>, most: u64) -> Result<bool, Error> {
        if self.find(key)?.is_some() {
            return Ok(true);
        }
        let counted = self.counted();
        if counted.is_some_and(|entries| entries.load(Ordering::Relaxed) >= most) {
            return Ok(false);
        }
        let (home, tag) = self.place(key)?;
        let (mut set, mut step) = (home, 0);
        while step <= FOLLOWING {
            let free = (0..WAYS).find(|way| self.label(set, *way).load(Ordering::Relaxed) == 0);
            if let Some(way) = free {
                let embryo = Embryo {
                    flow: *flow,
                    ..Embryo::default()
                };
                let entry = Way {
                    key: *key,
                    embryo,
                    pad: [0; 2],
                };
                // SAFETY: inside the mapping, of which nobody else writes anything yet.
                unsafe { self.way(set, way).write_volatile(entry) };
                if set != home {
                    let away = self.away(home);
                    away.fetch_add(gone(away.load(Ordering::Relaxed), step), Ordering::Relaxed);
                }
                if let Some(entries) = counted {
                    entries.fetch_add(1, Ordering::Relaxed);
                }
                self.label(set, way).store(tag, Ordering::Release);
                return Ok(true);
            }
            (set, step) = (following(set, self.sets.length()), step + 1);
        }
        Ok(false)
    }

    fn find(&self, key: &FlowKey<V4>) -> Result<Option<Found<'_>>, Error> {
        let (home, tag) = self.place(key)?;
        let last = far(self.away(home).load(Ordering::Acquire));
        let mut set = home;
        for _ in 0..=last.min(FOLLOWING) {
            let mut ways = (0..WAYS).filter_map(|way| {
                let label = self.label(set, way);
                if label.load(Ordering::Relaxed) != tag {
                    return None;
                }
                let entry = self.read(set, way)?;
                (words(&entry.key) == words(key)).then_some(Found {
                    embryo: entry.embryo,
                    label,
                    tag,
                    away_from: (set != home).then_some(home),
                })
            });
            if let Some(found) = ways.next() {
                return Ok(Some(found));
            }
            set = following(set, self.sets.length());
        }
        Ok(None)
    }

    fn place(&self, key: &FlowKey<V4>) -> Result<(u32, u32), Error> {
        let mut seed = self.seed.load(Ordering::Relaxed);
        if seed == 0 {
            seed = self.settings.get(&0)?.unwrap_or_default().port_seed;
            self.seed.store(seed, Ordering::Relaxed);
        }
        Ok(place(words(key), seed, self.sets.length()))
    }

    /// The entry in this way, if there is one and it stays while it is read.
    fn read(&self, set: u32, way: usize) -> Option<Way<V4>> {
        let label = self.label(set, way);
        let before = label.load(Ordering::Acquire);
        if before == 0 || before == FlowSet::CLAIMED {
            return None;
        }
        // SAFETY: inside the mapping; any bytes are a `Way`.
        let entry = unsafe { self.way(set, way).read_volatile() };
        fence(Ordering::Acquire);
        (label.load(Ordering::Relaxed) == before).then_some(entry)
    }

    fn way(&self, set: u32, way: usize) -> *mut Way<V4> {
        assert!(way < WAYS, "inside the set");
        self.ways.place(set * WAYS as u32 + way as u32).as_ptr()
    }

    fn label(&self, set: u32, way: usize) -> &AtomicU32 {
        assert!(way < WAYS, "inside the set");
        let set = self.sets.place(set).as_ptr();
        // SAFETY: inside the set by the line above, aligned, and as long-lived as `self`.
        unsafe { AtomicU32::from_ptr((&raw mut (*set).tags).cast::<u32>().add(way)) }
    }

    fn away(&self, set: u32) -> &AtomicU32 {
        let set = self.sets.place(set).as_ptr();
        // SAFETY: a word of the set, aligned, and as long-lived as `self`.
        unsafe { AtomicU32::from_ptr(&raw mut (*set).away) }
    }

    fn counted(&self) -> Option<&AtomicU64> {
        let count = self.entries.as_ref()?.place(0).as_ptr();
        // SAFETY: the only element, aligned, and as long-lived as `self`.
        Some(unsafe { AtomicU64::from_ptr(count) })
    }
}

impl Iterator for Slices<'_> {
    type Item = Vec<Entry>;

    /// The next entries; `None` at the end.
    fn next(&mut self) -> Option<Vec<Entry>> {
        let (sets, all) = (self.of, self.of.sets.length());
        if self.next >= all {
            return None;
        }
        let end = self.next.saturating_add(SLICE).min(all);
        let slice = std::mem::replace(&mut self.next, end)..end;
        let ways = slice.flat_map(|set| (0..WAYS).filter_map(move |way| sets.read(set, way)));
        Some(ways.map(|way| (way.key, way.embryo)).collect())
    }
}
