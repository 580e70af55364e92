//! Which way of attaching an interface gets, and why; pure.
//!
//! Native XDP cannot repair a partial checksum, so where one can occur (veth, tun, virtio and all that stands on
//! another interface) `auto` takes TC, whose helpers know the packet's state.
#![forbid(unsafe_code)]

use super::error::Error;
use crate::host::Link;
use crate::plan;

/// How our programs stand on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// XDP in the driver, TC beside it.
    Native,
    /// XDP in the kernel's generic mode, TC beside it.
    Generic,
    /// TC alone.
    Tc,
}

impl Mode {
    /// The word for it, everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Native => "native",
            Mode::Generic => "generic",
            Mode::Tc => "tc",
        }
    }

    /// Whether a program of ours is on the interface as XDP.
    pub const fn is_xdp(self) -> bool {
        !matches!(self, Mode::Tc)
    }
}

/// What was decided for an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its name.
    pub interface: String,
    /// Its index.
    pub index: u32,
    /// Its driver; empty where there is none.
    pub driver: String,
    /// The mode.
    pub mode: Mode,
    /// Why.
    pub why: String,
    /// The inventory insists: no other mode will do.
    pub insists: bool,
}

/// Drivers with native XDP that deliver finished checksums.
const NATIVE: [&str; 33] = [
    "am65-cpsw-nuss",
    "atlantic",
    "bnxt_en",
    "cpsw-switch",
    "ena",
    "enic",
    "fsl_dpa",
    "fsl_dpaa2_eth",
    "fsl_enetc",
    "fsl_enetc_vf",
    "funeth",
    "gve",
    "i40e",
    "iavf",
    "ice",
    "igb",
    "igc",
    "ixgbe",
    "ixgbevf",
    "lan966x-switch",
    "mlx4_en",
    "mlx5_core",
    "mvneta",
    "mvpp2",
    "netsec",
    "nfp",
    "qede",
    "rvu_nicpf",
    "sfc",
    "stmmaceth",
    "thunder-nicvf",
    "tsnep",
    "wx",
];

/// Decides. `foreign`: another's XDP program is on the interface.
pub fn choose(
    wanted: plan::Datapath,
    interface: &str,
    link: &Link,
    foreign: bool,
) -> Result<Choice, Error> {
    let insists = !matches!(wanted, plan::Datapath::Auto);
    let choice = |mode, why: String| Choice {
        interface: interface.to_owned(),
        index: link.index,
        driver: link.driver.clone(),
        mode,
        why,
        insists,
    };
    let asked = |mode: Mode| choice(mode, format!("gwpool.datapath is {}", mode.name()));
    match wanted {
        plan::Datapath::Tc => Ok(asked(Mode::Tc)),
        plan::Datapath::Native | plan::Datapath::Generic if foreign => Err(Error::NoXdp {
            interface: interface.to_owned(),
            driver: link.driver.clone(),
            reason: "another XDP program is attached to it, which stays".to_owned(),
        }),
        plan::Datapath::Native => Ok(asked(Mode::Native)),
        plan::Datapath::Generic => Ok(asked(Mode::Generic)),
        plan::Datapath::Auto if foreign => Ok(choice(
            Mode::Tc,
            "another XDP program is attached to it, which stays".to_owned(),
        )),
        plan::Datapath::Auto if NATIVE.contains(&link.driver.as_str()) => {
            Ok(choice(Mode::Native, "the driver has native XDP".to_owned()))
        }
        plan::Datapath::Auto => Ok(choice(Mode::Tc, doubt(&link.driver))),
    }
}

/// Why `auto` does not take XDP with this driver.
fn doubt(driver: &str) -> String {
    match driver {
        "" => "no driver, so no native XDP".to_owned(),
        "veth" | "tun" | "tap" | "virtio_net" | "xen_netfront" | "hv_netvsc" | "vmxnet3" => {
            "partial checksums can come in here, which native XDP cannot finish".to_owned()
        }
        "bridge" | "vlan" | "bond" | "team" | "macvlan" | "ipvlan" | "vxlan" | "wireguard" => {
            "it stands on other interfaces".to_owned()
        }
        other => {
            format!("{other} is not known to have native XDP (gwpool.datapath: native insists)")
        }
    }
}

#[cfg(test)]
mod tests;
