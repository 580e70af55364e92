//! Installing Debian packages, when we are root on Debian; never starting a service by it.

use crate::command;
use anyhow::{Context, Result, bail};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, process};

/// Programs by which a package's scripts start and enable services.
const STARTERS: [&str; 4] = [
    "invoke-rc.d",
    "deb-systemd-invoke",
    "deb-systemd-helper",
    "update-rc.d",
];

/// Whether this is Debian (or a child of it) and we may install.
pub fn usable() -> Result<()> {
    if !Path::new("/etc/debian_version").exists() || command::find("apt-get").is_none() {
        bail!("not a Debian system");
    }
    if !command::is_root() {
        bail!("not root");
    }
    Ok(())
}

/// What a person would type for it.
pub fn line(packages: &[&str]) -> String {
    format!(
        "apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    )
}

/// Installs all of them in one call. The lists are fetched only if the first try fails: they are missing on a fresh
/// machine, and old ones name files that are gone.
pub fn install(packages: &[&str]) -> Result<()> {
    usable()?;
    let no_starters = NoStarters::make()?;
    if no_starters.install(packages).is_ok() {
        return Ok(());
    }
    command::output(Command::new("apt-get").args(["update", "-q"]))?;
    no_starters.install(packages)
}

/// A folder in front of dpkg's PATH in which every service starter is `true`: what is installed for tests (nginx)
/// is neither started nor enabled, and nothing on the host has to be changed for that, not even for a moment.
struct NoStarters(PathBuf);

impl NoStarters {
    fn make() -> Result<NoStarters> {
        let folder = NoStarters(env::temp_dir().join(format!("gwpool-setup-{}", process::id())));
        fs::create_dir(&folder.0).with_context(|| format!("cannot make {}", folder.0.display()))?;
        for name in STARTERS {
            symlink("/bin/true", folder.0.join(name))
                .with_context(|| format!("cannot make {name}"))?;
        }
        Ok(folder)
    }

    fn install(&self, packages: &[&str]) -> Result<()> {
        let path = format!(
            "DPkg::Path={}:/usr/sbin:/usr/bin:/sbin:/bin",
            self.0.display()
        );
        let mut install = Command::new("apt-get");
        install
            .args([
                "install",
                "-q",
                "-y",
                "--no-install-recommends",
                "-o",
                &path,
            ])
            .args(packages);
        command::output(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
        Ok(())
    }
}

impl Drop for NoStarters {
    fn drop(&mut self) {
        // Left behind it is four dangling names in the temporary folder; not worth an error.
        let _ = fs::remove_dir_all(&self.0);
    }
}
