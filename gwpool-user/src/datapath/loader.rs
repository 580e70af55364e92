//! The programs' object into the kernel: sizes set, maps created or adopted, programs verified; nothing attached.
//!
//! Adoption takes a pinned map only if its shape is the one needed, and resets nothing in it.

use super::error::Error;
use super::flows::Flows;
use super::maps::{Maps, NAMES};
use super::pins::Pins;
use super::tables::Tables;
use crate::host::namespace;
use crate::plan::Limits;
use aya::maps::{MapData, MapInfo};
use aya::programs::{
    CgroupSock, Program, ProgramError, SchedClassifier, TestRun, TestRunOptions, Xdp,
};
use aya::{Ebpf, EbpfLoader};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The object that `cargo xtask build` puts inside; empty in a build without it.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/gwpool.o"));

/// The programs, in the order they are verified.
pub const PROGRAMS: [&str; 6] = [
    "gwpool_clock",
    "gwpool_reinject",
    "gwpool_xdp",
    "gwpool_finish",
    "gwpool_ingress",
    "gwpool_egress",
];

/// What a translating host has besides: programs about its own sockets.
pub const SOCKET_PROGRAMS: [&str; 2] = ["gwpool_bound", "gwpool_closed"];

/// Loaded programs and their maps.
pub struct Datapath {
    ebpf: Ebpf,
    /// The maps.
    pub maps: Maps,
    /// The flow tables, for sweeps and counts.
    pub flows: Arc<Flows>,
    pub(super) tables: Tables,
}

impl Datapath {
    /// Loads with maps of its own: nothing is attached or pinned.
    pub fn load(object: &[u8], limits: &Limits) -> Result<Self, Error> {
        Self::build(object, limits, None, None)
    }

    /// The same with a stopped clock: `Settings::tick_shift` says the tick.
    pub fn load_stopped(object: &[u8], limits: &Limits) -> Result<Self, Error> {
        Self::build(object, limits, None, Some(1))
    }

    /// Loads with the pinned maps, those that are there as they are, the others new.
    pub fn adopt(object: &[u8], limits: &Limits, pins: &Pins) -> Result<Self, Error> {
        Self::build(object, limits, Some(pins), None)
    }

    fn build(
        object: &[u8],
        limits: &Limits,
        pins: Option<&Pins>,
        clock_stopped: Option<u32>,
    ) -> Result<Self, Error> {
        if object.is_empty() {
            return Err(Error::NoPrograms);
        }
        let paths: BTreeMap<&str, _> = pins
            .iter()
            .flat_map(|pins| NAMES.map(|name| (name, pins.map(name))))
            .collect();
        if pins.is_some() {
            check_shapes(object, limits, &paths)?;
        }
        let mut loader = EbpfLoader::new();
        for name in NAMES {
            if let Some(entries) = limits.entries(name) {
                loader.map_max_entries(name, entries);
            }
            if let Some(path) = paths.get(name) {
                loader.map_pin_path(name, path.as_path());
            }
        }
        if let Some(stopped) = &clock_stopped {
            loader.override_global("CLOCK_STOPPED", stopped, true);
        }
        let translates = u32::from(limits.translates());
        loader.override_global("TRANSLATES", &translates, true);
        let sets = ["FLOW_TAGS", "EMBRYO_TAGS"].map(|map| limits.entries(map).unwrap_or(1));
        loader.override_global("ESTABLISHED_SETS", &sets[0], true);
        loader.override_global("EMBRYONIC_SETS", &sets[1], true);
        let entries = limits.flows.saturating_mul(2);
        loader.override_global("ESTABLISHED_ENTRIES", &entries, true);
        let namespace = namespace::cookie().map_err(Error::Namespace)?;
        loader.override_global("NETWORK_NAMESPACE", &namespace, true);
        let mut ebpf = loader
            .load(object)
            .map_err(|source| Error::Object(Box::new(source)))?;
        for name in PROGRAMS {
            verify(&mut ebpf, name)?;
        }
        if limits.translates() {
            for name in SOCKET_PROGRAMS {
                verify(&mut ebpf, name)?;
            }
        }
        let maps = Maps::take(&mut ebpf)?;
        Ok(Datapath {
            ebpf,
            flows: Arc::new(Flows::of(&maps)?),
            tables: Tables::of(&maps)?,
            maps,
        })
    }

    /// A program by name.
    pub fn program(&self, name: &str) -> Result<&Program, Error> {
        self.ebpf.program(name).ok_or_else(|| lacks(name))
    }

    /// An XDP program by name.
    pub fn xdp(&mut self, name: &str) -> Result<&mut Xdp, Error> {
        let program = self.ebpf.program_mut(name).ok_or_else(|| lacks(name))?;
        program.try_into().map_err(|_: ProgramError| lacks(name))
    }

    /// A TC program by name.
    pub fn classifier(&mut self, name: &str) -> Result<&mut SchedClassifier, Error> {
        let program = self.ebpf.program_mut(name).ok_or_else(|| lacks(name))?;
        program.try_into().map_err(|_: ProgramError| lacks(name))
    }

    /// A program about sockets by name.
    pub fn sockets(&mut self, name: &str) -> Result<&mut CgroupSock, Error> {
        let program = self.ebpf.program_mut(name).ok_or_else(|| lacks(name))?;
        program.try_into().map_err(|_: ProgramError| lacks(name))
    }

    /// Now, in the ticks that flows are marked with.
    pub fn tick(&self) -> Result<u16, Error> {
        let name = "gwpool_clock";
        let Program::Xdp(clock) = self.program(name)? else {
            return Err(lacks(name));
        };
        // The kernel takes no frame shorter than an Ethernet header.
        let frame = [0; 64];
        let mut options = TestRunOptions::new();
        options.data_in = Some(&frame);
        let run = clock.test_run(options);
        let run = run.map_err(|source| Error::Program {
            name: name.to_owned(),
            what: "cannot run it",
            source,
        })?;
        Ok(run.return_value as u16)
    }
}

fn lacks(name: &str) -> Error {
    Error::Lacks {
        kind: "program",
        name: name.to_owned(),
    }
}

/// The end of a verifier's log is where it says why.
const LOG_LINES: usize = 20;

fn verify(ebpf: &mut Ebpf, name: &str) -> Result<(), Error> {
    let loaded = match ebpf.program_mut(name).ok_or_else(|| lacks(name))? {
        Program::Xdp(program) => program.load(),
        Program::SchedClassifier(program) => program.load(),
        Program::CgroupSock(program) => program.load(),
        _ => return Err(lacks(name)),
    };
    loaded.map_err(|error| match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            let lines: Vec<&str> = log.lines().collect();
            let log = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            Error::Refused {
                name: name.to_owned(),
                reason: io_error,
                log,
            }
        }
        source => Error::Program {
            name: name.to_owned(),
            what: "cannot load it",
            source,
        },
    })
}

/// aya adopts whatever is pinned under a name, so each is compared first.
fn check_shapes<P: AsRef<Path>>(
    object: &[u8],
    limits: &Limits,
    paths: &BTreeMap<&str, P>,
) -> Result<(), Error> {
    let parsed = aya_obj::Object::parse(object)
        .map_err(|error| Error::Object(Box::new(aya::EbpfError::ParseError(error))))?;
    for (name, path) in paths {
        let definition = parsed.maps.get(*name).ok_or_else(|| Error::Lacks {
            kind: "map",
            name: (*name).to_owned(),
        })?;
        let wanted = Shape {
            kind: definition.map_type(),
            key: definition.key_size(),
            value: definition.value_size(),
            entries: limits.entries(name).unwrap_or(definition.max_entries()),
            flags: definition.map_flags(),
        };
        let path = path.as_ref();
        let Some(found) = pinned(path)? else { continue };
        if found != wanted {
            return Err(Error::Shape {
                path: path.to_owned(),
                found: found.to_string(),
                wanted: wanted.to_string(),
            });
        }
    }
    Ok(())
}

fn pinned(path: &Path) -> Result<Option<Shape>, Error> {
    let failed = |source| Error::Pin {
        path: path.to_owned(),
        what: "cannot open the pinned map",
        source,
    };
    if !path.try_exists().map_err(failed)? {
        return Ok(None);
    }
    let info = MapData::from_pin(path).and_then(|map| map.info());
    let info = info.map_err(|error| failed(io::Error::other(error)))?;
    Ok(Some(Shape::of(&info)))
}

/// What must agree for a map to be the same map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
    flags: u32,
}

impl Shape {
    fn of(info: &MapInfo) -> Self {
        Shape {
            kind: info.map_type().map_or(u32::MAX, |kind| kind as u32),
            key: info.key_size(),
            value: info.value_size(),
            entries: info.max_entries(),
            flags: info.map_flags(),
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shape {
            kind,
            key,
            value,
            entries,
            flags,
        } = self;
        write!(
            out,
            "(map type {kind}, key {key} bytes, value {value} bytes, {entries} entries, flags {flags:#x})"
        )
    }
}
