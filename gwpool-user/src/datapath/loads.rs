//! The census's word in `LOADS`, `SHARES` and `SOURCES`: what was found, less what the programs have moved by then.
//!
//! The programs go on moving while it is written. `moved` is read right before and written back with `base`, so what
//! moves in that instant is lost, until the next census sets the count anew.

use super::census::Census;
use super::error::Error;
use super::loader::Datapath;
use aya::maps::MapError;
use gwpool_common::net::V4;
use gwpool_common::route::{Load, Source};

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
        Ok((written + self.set_sources(census, heavy.max(1)).await?) as u64)
    }

    async fn set_sources(&mut self, census: &Census, heavy: u32) -> Result<usize, Error> {
        // Clients of which much was found; those that are in the map and right are taken out.
        let mut wrong: Vec<V4> = census
            .clients()
            .filter(|(_, found)| **found >= heavy)
            .map(|(client, _)| *client)
            .collect();
        wrong.sort_unstable();
        let mut right = vec![false; wrong.len()];
        let mut fewer = Vec::new();
        let compare = |client: &V4, source: &Source| {
            let agrees = source.flows() == census.held(client);
            match wrong.binary_search(client) {
                Ok(place) => right[place] = agrees,
                Err(_) if !agrees && source.flows() >= heavy => fewer.push(*client),
                Err(_) => {}
            }
        };
        self.flows.sources.each(compare).await?;
        let mut right = right.into_iter();
        wrong.retain(|_| !right.next().unwrap_or(false));
        wrong.append(&mut fewer);
        let sources = &mut self.maps.sources;
        for (number, client) in wrong.iter().enumerate() {
            let known = match sources.get(client, 0) {
                Err(MapError::KeyNotFound) => Source::default(),
                known => known.map_err(failed("SOURCES"))?,
            };
            let source = Source {
                base: census.held(client).wrapping_sub(known.moved),
                ..known
            };
            let written = sources.insert(client, source, 0);
            written.map_err(failed("SOURCES"))?;
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
