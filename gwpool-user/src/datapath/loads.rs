//! The census's word in `LOADS`, `SHARES`, `SOURCES` and `SUBSCRIBERS`: what was found, less what the programs have moved
//! by then.
//!
//! The programs go on moving while it is written. `moved` is read right before and written back with `base`, so what
//! moves in that instant is lost, until the next census sets the count anew.

use super::census::Census;
use super::error::Error;
use super::loader::Datapath;
use super::tables::Named;
use aya::maps::{HashMap, MapData, MapError};
use gwpool_common::net::V4;
use gwpool_common::route::{Load, Source};
use std::collections::HashMap as Counts;

/// Entries between two looks at other work.
const WRITES: usize = 1024;

impl Datapath {
    /// Sets the bases that are not right; the result is how many entries were written. `heavy`: clients that hold
    /// fewer flows, found and counted, are left as they are, so that the entries written are few.
    pub async fn set_loads(&mut self, census: &Census, heavy: u32) -> Result<u64, Error> {
        let mut wrong = Vec::new();
        let differs = |id: &u32, load: &Load| {
            if load.flows() != census.active(*id) {
                wrong.push(*id);
            }
        };
        self.flows.loads.each(differs).await?;
        for (number, id) in wrong.iter().enumerate() {
            set("LOADS", &mut self.maps.loads, *id, census.active(*id))?;
            rest(number).await;
        }
        let mut written = wrong.len();
        for (index, found) in (0..).zip(census.shares()) {
            let share = self.maps.shares.get(&index, 0).map_err(failed("SHARES"))?;
            if share.flows() != found {
                set("SHARES", &mut self.maps.shares, index, found)?;
                written += 1;
            }
        }
        let sources = Holders {
            name: "SOURCES",
            map: &mut self.maps.sources,
            table: &self.flows.sources,
        };
        Ok((written + sources.set(census.clients(), heavy).await?) as u64)
    }

    /// The same for mappings, by inside host.
    pub async fn set_subscribers(
        &mut self,
        hosts: &Counts<V4, u32>,
        heavy: u32,
    ) -> Result<usize, Error> {
        let subscribers = Holders {
            name: "SUBSCRIBERS",
            map: &mut self.maps.subscribers,
            table: &self.flows.subscribers,
        };
        subscribers.set(hosts, heavy).await
    }
}

/// Who holds how much.
struct Holders<'a> {
    name: &'static str,
    map: &'a mut HashMap<MapData, V4, Source>,
    table: &'a Named<V4, Source>,
}

impl Holders<'_> {
    async fn set(self, found: &Counts<V4, u32>, heavy: u32) -> Result<usize, Error> {
        let (held, heavy) = (
            |holder: &V4| found.get(holder).copied().unwrap_or(0),
            heavy.max(1),
        );
        // Those of whom much was found; who is in the map and right is taken out.
        let mut wrong: Vec<V4> = found
            .iter()
            .filter(|(_, found)| **found >= heavy)
            .map(|(holder, _)| *holder)
            .collect();
        wrong.sort_unstable();
        let mut right = vec![false; wrong.len()];
        let mut fewer = Vec::new();
        let compare = |holder: &V4, source: &Source| {
            let agrees = source.flows() == held(holder);
            match wrong.binary_search(holder) {
                Ok(place) => right[place] = agrees,
                Err(_) if !agrees && source.flows() >= heavy => fewer.push(*holder),
                Err(_) => {}
            }
        };
        self.table.each(compare).await?;
        let mut right = right.into_iter();
        wrong.retain(|_| !right.next().unwrap_or(false));
        wrong.append(&mut fewer);
        for (number, holder) in wrong.iter().enumerate() {
            let known = match self.map.get(holder, 0) {
                Err(MapError::KeyNotFound) => Source::default(),
                known => known.map_err(failed(self.name))?,
            };
            let source = Source {
                base: held(holder).wrapping_sub(known.moved),
                ..known
            };
            let written = self.map.insert(holder, source, 0);
            written.map_err(failed(self.name))?;
            rest(number).await;
        }
        Ok(wrong.len())
    }
}

fn set(
    map: &'static str,
    loads: &mut aya::maps::Array<aya::maps::MapData, Load>,
    index: u32,
    found: u64,
) -> Result<(), Error> {
    let known = loads.get(&index, 0).map_err(failed(map))?;
    let load = Load {
        base: found.wrapping_sub(known.moved),
        ..known
    };
    loads.set(index, load, 0).map_err(failed(map))
}

async fn rest(number: usize) {
    if number % WRITES == WRITES - 1 {
        tokio::task::yield_now().await;
    }
}

fn failed(map: &'static str) -> impl Fn(MapError) -> Error {
    move |source| Error::Map {
        map,
        what: "cannot set what the census found".to_owned(),
        source,
    }
}
