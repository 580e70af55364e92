//! The maps of configuration, to be read and written many entries at a time: as [`super::maps`] types them, except
//! where a batch needs plainer bytes.

use super::batch::{Slice, Stopped, Table, Walk};
use super::error::Error;
use super::maps::Maps;
use aya::Pod;
use aya::maps::{IterableMap, MapError};
use gwpool_common::limits::Settings;
use gwpool_common::nat::Nat;
use gwpool_common::net::{Address, Interface, Network, V4};
use gwpool_common::route::{Backend, Counters, Listener, Listening, ROUTE_NAME_BYTES, Route};
use ipnet::Ipv4Net;
use std::fmt::Debug;
use std::io;

/// A name, zero-padded, in halves: arrays this long have no default value.
pub type Name = [[u8; ROUTE_NAME_BYTES / 2]; 2];
/// A key of the trie: prefix length, route id, prefix.
pub type Prefix = [[u8; 4]; 3];

/// A handle of a map, and its name.
#[derive(Debug)]
pub struct Named<K, V> {
    name: &'static str,
    table: Table<K, V>,
}

/// A walk through a table, slice by slice, whose taker may do other work between two of them.
#[derive(Debug)]
pub struct Slices<'a, K, V> {
    of: &'a Named<K, V>,
    walk: Walk<'a, K, V>,
}

/// The maps of configuration.
#[derive(Debug)]
pub struct Tables {
    /// One entry.
    pub settings: Named<u32, Settings>,
    /// One entry.
    pub nat: Named<u32, Nat<V4>>,
    /// By interface index.
    pub interfaces: Named<u32, Interface>,
    /// Guarded prefixes.
    pub networks: Named<u32, Network<V4>>,
    /// Own and peer addresses.
    pub addresses: Named<V4, Address>,
    /// Which ports flows of routes may have.
    pub flow_ports: Named<u32, u64>,
    /// Who listens where.
    pub listeners: Named<Listener<V4>, Listening>,
    /// Whom routes allow and deny.
    pub access: Named<Prefix, u32>,
    /// By id.
    pub routes: Named<u32, Route>,
    /// By route id.
    pub names: Named<u32, Name>,
    /// Runs of backend ids.
    pub slots: Named<u32, u32>,
    /// By id.
    pub backends: Named<u32, Backend<V4>>,
    /// By backend id, on each CPU.
    pub counters: Named<u32, Counters>,
}

impl Tables {
    /// Handles of their own.
    pub fn of(maps: &Maps) -> Result<Self, Error> {
        Ok(Tables {
            settings: named("SETTINGS", &maps.settings)?,
            nat: named("NAT", &maps.nat)?,
            interfaces: named("INTERFACES", &maps.interfaces)?,
            networks: named("NETWORKS", &maps.networks)?,
            addresses: named("ADDRESSES", &maps.addresses)?,
            flow_ports: named("FLOW_PORTS", &maps.flow_ports)?,
            listeners: named("LISTENERS", &maps.listeners)?,
            access: named("ACCESS", &maps.access)?,
            routes: named("ROUTES", &maps.routes)?,
            names: named("ROUTE_NAMES", &maps.names)?,
            slots: named("SLOTS", &maps.slots)?,
            backends: named("BACKENDS", &maps.backends)?,
            counters: named("COUNTERS", &maps.counters)?,
        })
    }
}

/// A handle of the map, many entries at a time.
pub fn named<AK: Pod, AV, K: Pod + Default, V: Pod + Default>(
    name: &'static str,
    map: &impl IterableMap<AK, AV>,
) -> Result<Named<K, V>, Error> {
    let table = Table::of(map.map()).map_err(|source| Error::Batch { map: name, source })?;
    Ok(Named { name, table })
}

impl<K: Pod + Default, V: Pod + Default> Named<K, V> {
    /// Every entry; of an array every index, in order.
    pub fn all(&self) -> Result<Vec<(K, V)>, Error> {
        self.first(usize::MAX)
    }

    /// The first entries, so many at least if there are; of an array its first indexes.
    pub fn first(&self, least: usize) -> Result<Vec<(K, V)>, Error> {
        let mut all = Vec::new();
        let mut walk = self.table.walk();
        while all.len() < least
            && let Some((keys, values)) = self.slice(&mut walk)?
        {
            all.extend(keys.iter().copied().zip(values.iter().copied()));
        }
        Ok(all)
    }

    /// One entry.
    pub fn get(&self, key: &K) -> Result<Option<V>, Error> {
        self.table.get(key).map_err(|source| Error::Batch {
            map: self.name,
            source,
        })
    }

    /// Every entry, slice by slice.
    pub fn slices(&self) -> Slices<'_, K, V> {
        Slices {
            of: self,
            walk: self.table.walk(),
        }
    }

    /// Shows every entry, slice by slice: no walk holds a thread for long.
    pub async fn each(&self, mut see: impl FnMut(&K, &V)) -> Result<(), Error> {
        let mut walk = self.table.walk();
        while let Some((keys, values)) = self.slice(&mut walk)? {
            for (key, value) in keys.iter().zip(values) {
                see(key, value);
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn slice<'a>(&self, walk: &'a mut Walk<'_, K, V>) -> Result<Option<Slice<'a, K, V>>, Error> {
        walk.next_slice().map_err(|source| Error::Batch {
            map: self.name,
            source,
        })
    }

    /// Sets and removes entries, in the order they come, which has all of one sort before the other; how many system
    /// calls that took.
    pub fn write<W: Debug>(
        &self,
        writes: &[W],
        entry: impl Fn(&W) -> Option<(K, Option<V>)>,
    ) -> Result<usize, Error> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (key, value) in writes.iter().filter_map(entry) {
            keys.push(key);
            values.extend(value);
        }
        let result = if values.is_empty() {
            self.table.remove(&keys)
        } else {
            self.table.set(&keys, &values)
        };
        result.map_err(|stopped| self.stopped(writes, stopped))
    }

    fn stopped<W: Debug>(&self, writes: &[W], Stopped { done, error }: Stopped) -> Error {
        let what = match writes.get(done) {
            Some(write) => format!("cannot write {write:?}"),
            None => "cannot be written".to_owned(),
        };
        Error::Map {
            map: self.name,
            what,
            source: MapError::IoError(error),
        }
    }
}

impl<K: Pod + Default, V: Pod + Default> Slices<'_, K, V> {
    /// The next ones; `None` at the end.
    pub fn next_slice(&mut self) -> Result<Option<Slice<'_, K, V>>, Error> {
        self.of.slice(&mut self.walk)
    }
}

impl Named<u32, Counters> {
    /// Sets these backends' counts to zero; how many system calls that took.
    pub fn clear(&self, ids: &[u32]) -> Result<usize, Error> {
        let cpus = aya::util::nr_cpus().map_err(|(file, error)| Error::Map {
            map: self.name,
            what: format!("cannot count the CPUs in {file}"),
            source: MapError::IoError(error),
        })?;
        let result = self.table.clear_per_cpu(ids, cpus);
        result.map_err(|stopped| self.stopped(ids, stopped))
    }
}

/// As a value of the map.
pub fn padded(name: &str) -> Name {
    let mut bytes = [0; ROUTE_NAME_BYTES];
    let length = name.len().min(ROUTE_NAME_BYTES);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    let mut padded = Name::default();
    for (half, part) in padded.iter_mut().zip(bytes.chunks(ROUTE_NAME_BYTES / 2)) {
        half.copy_from_slice(part);
    }
    padded
}

/// The name in a value of the map.
pub fn name(padded: &Name) -> String {
    let bytes = padded.as_flattened();
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

/// As a key of the trie: the route's 32 bits are the first of the prefix.
pub fn prefix(route: u32, prefix: Ipv4Net) -> Prefix {
    let length = u32::BITS + u32::from(prefix.prefix_len());
    [
        length.to_ne_bytes(),
        route.to_ne_bytes(),
        prefix.network().octets(),
    ]
}

/// The route id and the prefix in a key of the trie.
pub fn guarded([length, route, first]: Prefix) -> Result<(u32, Ipv4Net), Error> {
    let length = u32::from_ne_bytes(length).saturating_sub(u32::BITS);
    let prefix = u8::try_from(length)
        .ok()
        .and_then(|length| Ipv4Net::new(first.into(), length).ok());
    let prefix = prefix.ok_or_else(|| Error::Batch {
        map: "ACCESS",
        source: io::Error::from(io::ErrorKind::InvalidData),
    })?;
    Ok((u32::from_ne_bytes(route), prefix))
}

#[cfg(test)]
mod tests;
