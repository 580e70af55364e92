//! Ways into a lab that is up: a shell on a host, and the lines that say how. Owns nothing: leaving the shell
//! changes nothing, and `down` ends it.

use crate::background::ID;
use anyhow::{Context, Result, bail};
use gwpool_harness::net::gateway::user_binary;
use gwpool_harness::net::nat_pool::WEB;
use gwpool_harness::net::run::Owner;
use gwpool_harness::net::site::Site;
use std::os::unix::process::CommandExt;

/// Says how to enter and how to end it.
pub fn print_ways_in(site: &Site) {
    println!();
    println!(
        "the lab is up; everything of it is under {}",
        site.directory.display()
    );
    println!(
        "  cargo xtask lab shell [HOST]    one of {}; without a name the client",
        names(site)
    );
    println!("  cargo xtask lab down            takes it down");
    for gateway in site.both_pools() {
        let (name, runtime) = (&gateway.name, gateway.runtime_dir());
        println!(
            "  {name} at {}: gwpool-user stats --runtime-dir {}",
            gateway.gateway_network,
            runtime.display()
        );
    }
}

/// Becomes a shell on that host, with gwpool-user in its PATH.
pub fn enter(name: &str) -> Result<()> {
    if !Owner::read(ID).is_some_and(Owner::alive) {
        bail!("no lab is up: `cargo xtask lab up` builds one");
    }
    let site = Site::of(ID);
    let Some((_, namespace)) = site.hosts().find(|(host, _)| *host == name) else {
        bail!("no host {name:?} in the lab; it has {}", names(&site));
    };
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let mut command = namespace.command(shell);
    let binary = user_binary()?;
    let folder = binary
        .parent()
        .context("the daemon's binary lies in no folder")?;
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("GWPOOL_LAB_HOST", name);
    println!("this is {name}; exit leaves it");
    let gateways = site.both_pools();
    if let Some(gateway) = gateways.iter().find(|gateway| gateway.name == name) {
        println!(
            "gwpool-user stats --runtime-dir {}",
            gateway.runtime_dir().display()
        );
    } else if site.nat_pool.boxes.iter().any(|host| host.name == name) {
        println!("curl -i http://{WEB}");
    } else {
        println!("curl http://{}:PORT", site.gateway(1).gateway_network);
    }
    bail!("becoming a shell: {}", command.exec())
}

/// Every host that can be entered.
fn names(site: &Site) -> String {
    let names: Vec<_> = site.hosts().map(|(name, _)| name).collect();
    names.join(", ")
}
