//! The programs that hear of bind(2) and close(2), on the root of the cgroups: so that a port of this host is not given
//! out from the moment a socket has bound it, before it listens or speaks.
//!
//! Every process of the machine is under that root; the programs keep to this network namespace. Their links are pinned
//! like the others. The kernel cannot replace the program of such a link from here: the new one is put beside the old
//! one, which then goes; a socket that both see counts once.

use super::error::Error;
use super::loader::Datapath;
use super::pins::{Pins, Place};
use aya::programs::links::FdLink;
use aya::programs::{CgroupAttachMode, CgroupSock, ProgramError};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs::{self, File};
use std::io;

/// Stands for an interface's index among the pinned links: these are on none.
pub const NO_INTERFACE: u32 = 0;

impl Datapath {
    /// Puts both programs on, or takes them off where this host does not translate.
    pub fn hear_of_ports(&mut self, pins: &Pins, translates: bool) -> Result<(), Error> {
        let programs = [
            (Place::Close, Place::NextClose, "gwpool_closed"),
            (Place::Bind, Place::NextBind, "gwpool_bound"),
        ];
        let root = if translates {
            Some(root(pins).map_err(Error::Cgroup)?)
        } else {
            None
        };
        for (place, next, name) in programs {
            let (path, beside) = (
                pins.link(NO_INTERFACE, place),
                pins.link(NO_INTERFACE, next),
            );
            // Left by a daemon that was killed in between.
            Pins::remove(&beside)?;
            let Some(root) = &root else {
                Pins::remove(&path)?;
                continue;
            };
            let link = self.hear(root, name)?;
            let pinned = |source: io::Error| Error::Pin {
                path: path.clone(),
                what: "cannot pin the link",
                source,
            };
            link.pin(&beside)
                .map_err(|error| pinned(io::Error::other(error)))?;
            fs::rename(&beside, &path).map_err(pinned)?;
        }
        Ok(())
    }

    fn hear(&mut self, root: &File, name: &'static str) -> Result<FdLink, Error> {
        let failed = |source| Error::Program {
            name: name.to_owned(),
            what: "cannot put it on the root of the cgroups",
            source,
        };
        let program: &mut CgroupSock = self.sockets(name)?;
        // No flags: a link lets others stand beside it anyway, and the kernel refuses to be told so.
        let id = program
            .attach(root, CgroupAttachMode::Single)
            .map_err(failed)?;
        let link = program.take_link(id).map_err(failed)?;
        link.try_into()
            .map_err(|error| failed(ProgramError::IOError(io::Error::other(error))))
    }
}

/// The root of the second version's hierarchy: mounted for a moment where nobody else looks, because the one that the
/// system has may not be seen from here (`ip netns exec` gives a /sys of its own).
fn root(pins: &Pins) -> io::Result<File> {
    let place = pins
        .link(NO_INTERFACE, Place::Bind)
        .with_file_name("cgroup");
    match fs::create_dir(&place) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    let none: Option<&str> = None;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("cgroup2"), &place, Some("cgroup2"), flags, none)?;
    let root = File::open(&place);
    umount2(&place, MntFlags::MNT_DETACH)?;
    fs::remove_dir(&place)?;
    root
}
