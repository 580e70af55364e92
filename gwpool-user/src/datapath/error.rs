//! What can go wrong between the daemon and the programs: what was wanted, what was found, what to do.

use aya::maps::MapError;
use aya::programs::ProgramError;
use std::io;
use std::path::PathBuf;

/// What stands between the daemon and running programs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The build carries an empty object.
    #[error("this gwpool-user was built without its programs; build it with: cargo xtask build")]
    NoPrograms,
    /// aya does not take the object.
    #[error("the programs' object cannot be loaded")]
    Object(#[source] Box<aya::EbpfError>),
    /// The object lacks a program or a map.
    #[error(
        "the programs' object has no {kind} {name}: object and daemon are of different versions"
    )]
    Lacks {
        /// "program" or "map".
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The network namespace has no name that programs know.
    #[error("cannot ask for the network namespace's cookie (Linux 5.14)")]
    Namespace(#[source] io::Error),
    /// There is no root of cgroups to put a program on.
    #[error(
        "cannot open the root of the cgroups, by which ports are known that this host has bound"
    )]
    Cgroup(#[source] io::Error),
    /// The kernel's verifier refused a program.
    #[error("the kernel refused the program {name}: {reason}\n{log}")]
    Refused {
        /// Its name.
        name: String,
        /// The kernel's errno.
        reason: io::Error,
        /// The end of the verifier's log.
        log: String,
    },
    /// Something else about a program.
    #[error("program {name}: {what}")]
    Program {
        /// Its name.
        name: String,
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: ProgramError,
    },
    /// A map cannot be read or written.
    #[error("map {map}: {what}")]
    Map {
        /// Its name.
        map: &'static str,
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: MapError,
    },
    /// A table cannot be read in batches.
    #[error("map {map}: batch read failed")]
    Batch {
        /// Its name.
        map: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A pinned map is not the one this daemon needs.
    #[error(
        "the pinned map {path} is {found}, this daemon needs {wanted}: either put gwpool.limits back to what it was, \
         or take the running data plane off with `gwpool-user stop --detach` (live flows end) and start again",
        path = path.display()
    )]
    Shape {
        /// Where it is pinned.
        path: PathBuf,
        /// Its shape.
        found: String,
        /// The shape needed.
        wanted: String,
    },
    /// The pin directory is not on a bpffs.
    #[error(
        "the pin directory {path} is not on a bpf file system; mount one: mount -t bpf bpf /sys/fs/bpf, \
         or name another place with --pin-dir",
        path = path.display()
    )]
    NotBpffs {
        /// The directory.
        path: PathBuf,
    },
    /// A file operation on a pin.
    #[error("pin {path}: {what}", path = path.display())]
    Pin {
        /// The file.
        path: PathBuf,
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// XDP is wanted and cannot be had.
    #[error("interface {interface} (driver {driver}): {reason}; set gwpool.datapath to auto or tc")]
    NoXdp {
        /// Its name.
        interface: String,
        /// Its driver.
        driver: String,
        /// Why not.
        reason: String,
    },
    /// A program cannot be attached.
    #[error("interface {interface}: cannot attach {program}")]
    Attach {
        /// The interface.
        interface: String,
        /// The program.
        program: &'static str,
        /// Why.
        #[source]
        source: ProgramError,
    },
    /// Taken off, but still there.
    #[error(
        "{count} link(s) are still attached {seconds} s after their pins were removed: who else holds them?"
    )]
    StillAttached {
        /// How many.
        count: usize,
        /// How long was waited.
        seconds: u64,
    },
}
