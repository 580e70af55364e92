//! One row a driver and wish.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use crate::plan::Datapath::{Auto, Generic, Native, Tc};

fn mode(wanted: plan::Datapath, driver: &str, foreign: bool) -> Result<Mode, String> {
    let link = Link {
        index: 3,
        driver: driver.to_owned(),
        ..Link::default()
    };
    choose(wanted, "box-network", &link, foreign)
        .map(|choice| choice.mode)
        .map_err(|error| error.to_string())
}

#[test]
fn auto_takes_native_xdp_only_where_checksums_are_finished() {
    for (driver, expected) in [
        ("mlx5_core", Mode::Native),
        ("ice", Mode::Native),
        ("veth", Mode::Tc),
        ("virtio_net", Mode::Tc),
        ("vlan", Mode::Tc),
        ("bridge", Mode::Tc),
        ("tun", Mode::Tc),
        ("", Mode::Tc),
        ("unheard_of", Mode::Tc),
    ] {
        assert_eq!(mode(Auto, driver, false), Ok(expected), "{driver}");
    }
}

#[test]
fn what_is_asked_for_is_taken_whatever_the_driver() {
    assert_eq!(mode(Native, "veth", false), Ok(Mode::Native));
    assert_eq!(mode(Generic, "mlx5_core", false), Ok(Mode::Generic));
    assert_eq!(mode(Tc, "mlx5_core", true), Ok(Mode::Tc));
}

#[test]
fn anothers_xdp_program_stays() {
    assert_eq!(mode(Auto, "mlx5_core", true), Ok(Mode::Tc));
    for wanted in [Native, Generic] {
        let error = mode(wanted, "mlx5_core", true).unwrap_err();
        assert!(
            error.contains("box-network") && error.contains("mlx5_core"),
            "{error}"
        );
    }
}
