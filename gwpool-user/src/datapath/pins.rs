//! Where programs outlive the daemon: `PIN_DIR/v<CONTRACT_VERSION>/{maps,links}` on a bpf file system.
//!
//! A map is pinned under its name, a link under `INDEX-PLACE` of its interface (bpffs takes no dots in names); index 0
//! is none.

use super::error::Error;
use gwpool_common::CONTRACT_VERSION;
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The pins of one instance.
#[derive(Clone, Debug)]
pub struct Pins {
    root: PathBuf,
}

/// Where on an interface a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// XDP in the driver.
    Native,
    /// XDP in the kernel's generic mode.
    Generic,
    /// TC ingress.
    Ingress,
    /// TC egress.
    Egress,
    /// On no interface: bind(2).
    Bind,
    /// The same: a socket is closed.
    Close,
    /// Beside `Bind`, until it takes its place.
    NextBind,
    /// Beside `Close`.
    NextClose,
}

impl Place {
    /// All of them.
    pub const ALL: [Place; 8] = [
        Place::Native,
        Place::Generic,
        Place::Ingress,
        Place::Egress,
        Place::Bind,
        Place::Close,
        Place::NextBind,
        Place::NextClose,
    ];

    const fn name(self) -> &'static str {
        match self {
            Place::Native => "native",
            Place::Generic => "generic",
            Place::Ingress => "ingress",
            Place::Egress => "egress",
            Place::Bind => "bind",
            Place::Close => "close",
            Place::NextBind => "nextbind",
            Place::NextClose => "nextclose",
        }
    }
}

impl Pins {
    /// The pins under a directory, which need not exist yet.
    pub fn new(pin_dir: &Path) -> Self {
        Pins {
            root: pin_dir.join(format!("v{CONTRACT_VERSION}")),
        }
    }

    /// Where a map is pinned.
    pub fn map(&self, name: &str) -> PathBuf {
        self.root.join("maps").join(name)
    }

    /// Where a link is pinned.
    pub fn link(&self, interface: u32, place: Place) -> PathBuf {
        self.root
            .join("links")
            .join(format!("{interface}-{}", place.name()))
    }

    /// Whether there is anything to adopt.
    pub fn exist(&self) -> bool {
        self.root.exists()
    }

    /// Makes the directories, for root alone, on a bpf file system.
    pub fn create(&self) -> Result<(), Error> {
        let existing = self
            .root
            .ancestors()
            .find(|path| path.exists())
            .unwrap_or(Path::new("/"));
        let pinned = |path: &Path, what, source| Error::Pin {
            path: path.to_owned(),
            what,
            source,
        };
        let found = statfs(existing)
            .map_err(|errno| pinned(existing, "cannot look at it", errno.into()))?;
        if found.filesystem_type() != BPF_FS_MAGIC {
            return Err(Error::NotBpffs {
                path: self.root.clone(),
            });
        }
        for folder in ["maps", "links"] {
            let path = self.root.join(folder);
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|source| pinned(&path, "cannot create it", source))?;
        }
        Ok(())
    }

    /// The links that are pinned.
    pub fn links(&self) -> Result<Vec<(u32, Place)>, Error> {
        let folder = self.root.join("links");
        let failed = |source| Error::Pin {
            path: folder.clone(),
            what: "cannot list it",
            source,
        };
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut links = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            links.extend(name.to_str().and_then(parse));
        }
        links.sort_unstable();
        Ok(links)
    }

    /// Removes a pin; a missing one is fine.
    pub fn remove(path: &Path) -> Result<(), Error> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|source| Error::Pin {
                path: path.to_owned(),
                what: "cannot remove it",
                source,
            }),
        }
    }

    /// Removes every map's pin and the directories. Links go first, see [`super::attach::detach_all`].
    pub fn remove_maps(&self) -> Result<(), Error> {
        let folder = self.root.join("maps");
        if let Ok(entries) = fs::read_dir(&folder) {
            for entry in entries.flatten() {
                Self::remove(&entry.path())?;
            }
        }
        for path in [folder.as_path(), &self.root.join("links"), &self.root] {
            match fs::remove_dir(path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::Pin {
                        path: path.to_owned(),
                        what: "cannot remove it",
                        source,
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn parse(name: &str) -> Option<(u32, Place)> {
    let (index, place) = name.split_once('-')?;
    let place = Place::ALL.into_iter().find(|known| known.name() == place)?;
    Some((index.parse().ok()?, place))
}
