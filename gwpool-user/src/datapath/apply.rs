//! Maps to an image, and map writes to maps, in the order they come.
//!
//! What is removed may already be gone; everything else that fails is reported with the map and the write, and the
//! caller reads the maps again before it goes on.

use super::error::Error;
use super::loader::Datapath;
use super::maps::Maps;
use crate::plan::{Image, MapWrite};
use aya::Pod;
use aya::maps::{HashMap, MapData, MapError, PerCpuValues};
use gwpool_common::net::{Address, Interface};
use gwpool_common::route::{Backend, Counters, ROUTE_NAME_BYTES};
use std::borrow::Borrow;
use std::collections::BTreeMap;

impl Datapath {
    /// What the configuration maps hold.
    pub fn installed(&self) -> Result<Image, Error> {
        let maps = &self.maps;
        let backends = (0..)
            .zip(maps.backends.iter())
            .map(|(id, backend)| Ok((id, backend?)))
            .filter(|entry| !matches!(entry, Ok((_, Backend { route: 0, .. }))))
            .collect::<Result<_, MapError>>()
            .map_err(read("BACKENDS"))?;
        let mut slots: Vec<u32> = maps
            .slots
            .iter()
            .collect::<Result<_, _>>()
            .map_err(read("SLOTS"))?;
        slots.truncate(
            slots
                .iter()
                .rposition(|backend| *backend != 0)
                .map_or(0, |last| last + 1),
        );
        let mut networks: Vec<_> = maps
            .networks
            .iter()
            .collect::<Result<_, _>>()
            .map_err(read("NETWORKS"))?;
        let ends = networks.iter().position(|network| network.interface == 0);
        networks.truncate(ends.unwrap_or(networks.len()));
        Ok(Image {
            settings: maps.settings.get(&0, 0).map_err(read("SETTINGS"))?,
            interfaces: entries(&maps.interfaces, "INTERFACES")?,
            networks,
            addresses: entries(&maps.addresses, "ADDRESSES")?,
            listeners: entries(&maps.listeners, "LISTENERS")?,
            routes: entries(&maps.routes, "ROUTES")?,
            names: entries(&maps.names, "ROUTE_NAMES")?
                .into_iter()
                .map(|(id, bytes)| (id, name(&bytes)))
                .collect(),
            slots,
            backends,
            pools: BTreeMap::new(),
            replaced: Vec::new(),
        })
    }

    /// Writes, in order; stops at the first that fails.
    pub fn apply(&mut self, writes: &[MapWrite]) -> Result<(), Error> {
        for write in writes {
            let (map, result) = one(&mut self.maps, write);
            result.map_err(|source| Error::Map {
                map,
                what: format!("cannot write {write:?}"),
                source,
            })?;
        }
        Ok(())
    }
}

fn one(maps: &mut Maps, write: &MapWrite) -> (&'static str, Result<(), MapError>) {
    match write {
        MapWrite::Settings(settings) => ("SETTINGS", maps.settings.set(0, settings, 0)),
        MapWrite::Interface(index, value) => (
            "INTERFACES",
            put::<_, Interface>(&mut maps.interfaces, index, value.as_ref()),
        ),
        MapWrite::Network(index, network) => ("NETWORKS", maps.networks.set(*index, network, 0)),
        MapWrite::Address(address, value) => (
            "ADDRESSES",
            put::<_, Address>(&mut maps.addresses, address, value.as_ref()),
        ),
        MapWrite::Listener(listener, value) => (
            "LISTENERS",
            put(&mut maps.listeners, listener, value.as_ref()),
        ),
        MapWrite::Route(id, value) => ("ROUTES", put(&mut maps.routes, id, value.as_ref())),
        MapWrite::Name(id, value) => {
            let bytes = value.as_deref().map(padded);
            ("ROUTE_NAMES", put(&mut maps.names, id, bytes.as_ref()))
        }
        MapWrite::Slot(index, backend) => ("SLOTS", maps.slots.set(*index, backend, 0)),
        MapWrite::Backend(id, Some(backend)) => ("BACKENDS", maps.backends.set(*id, backend, 0)),
        MapWrite::Backend(id, None) => {
            let cleared = maps.backends.set(*id, Backend::default(), 0);
            ("BACKENDS", cleared.and_then(|()| clear_counters(maps, *id)))
        }
    }
}

/// The id may be another backend's next: it starts from zero.
fn clear_counters(maps: &mut Maps, id: u32) -> Result<(), MapError> {
    let cpus = maps.counters.get(&id, 0)?.len();
    let zeros =
        PerCpuValues::try_from(vec![Counters::default(); cpus]).map_err(MapError::IoError)?;
    maps.counters.set(id, zeros, 0)
}

fn put<K: Pod, V: Pod>(
    map: &mut HashMap<MapData, K, V>,
    key: &K,
    value: Option<&V>,
) -> Result<(), MapError> {
    match value {
        Some(value) => map.insert(key, value, 0),
        None => match map.remove(key) {
            Err(MapError::KeyNotFound) => Ok(()),
            Err(MapError::SyscallError(error))
                if error.io_error.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(())
            }
            other => other,
        },
    }
}

fn entries<K: Pod + Ord, V: Pod>(
    map: &HashMap<impl Borrow<MapData>, K, V>,
    name: &'static str,
) -> Result<BTreeMap<K, V>, Error> {
    map.iter().collect::<Result<_, _>>().map_err(read(name))
}

fn read(map: &'static str) -> impl Fn(MapError) -> Error {
    move |source| Error::Map {
        map,
        what: "cannot read it".to_owned(),
        source,
    }
}

fn padded(name: &str) -> [u8; ROUTE_NAME_BYTES] {
    let mut bytes = [0; ROUTE_NAME_BYTES];
    let length = name.len().min(ROUTE_NAME_BYTES);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    bytes
}

fn name(bytes: &[u8; ROUTE_NAME_BYTES]) -> String {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(ROUTE_NAME_BYTES);
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
