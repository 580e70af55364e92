//! Names, patterns, and what is said when nothing fits.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use crate::plan::world;

fn names(pattern: &str) -> Vec<String> {
    let plan = world::plan();
    let chosen = backends(&plan, pattern).unwrap();
    chosen.iter().map(Chosen::name).collect()
}

#[test]
fn each_part_is_chosen_by_itself() {
    assert_eq!(names("argocd/gateway-2"), ["argocd/gateway-2"]);
    assert_eq!(names("*/gateway-2"), ["argocd/gateway-2", "dash/gateway-2"]);
    assert_eq!(
        names("dash/*"),
        ["dash/gateway-1", "dash/gateway-2", "dash/gateway-3"]
    );
}

#[test]
fn what_fits_nothing_is_answered_with_what_there_is() {
    let plan = world::plan();
    let said = |pattern| backends(&plan, pattern).err().unwrap().0;
    assert_eq!(
        said("argo/gateway-1"),
        "no route is called argo; there are: argocd, dash"
    );
    assert_eq!(
        said("dash/gateway-9"),
        "no backend is called dash/gateway-9; there are: dash/gateway-1, dash/gateway-2, dash/gateway-3"
    );
    assert!(said("dash").contains("`dash/*`"), "{}", said("dash"));
    assert!(routes(&plan, "d?").is_err());
}
