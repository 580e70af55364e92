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
fn a_pattern_is_the_whole_name_and_a_star_is_anything() {
    for (pattern, name, fits) in [
        ("argocd", "argocd", true),
        ("argo", "argocd", false),
        ("argocd", "argo", false),
        ("*", "argocd", true),
        ("*", "", true),
        ("a*d", "argocd", true),
        ("*c*", "argocd", true),
        ("*o*o*", "argocd", false),
        ("?rgo??", "argocd", true),
        ("argocd?", "argocd", false),
        ("*-2", "gateway-12-2", true),
        ("", "a", false),
    ] {
        assert_eq!(matches(pattern, name), fits, "{pattern} on {name}");
    }
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

#[test]
fn a_long_list_ends_in_a_number() {
    let names = |count: usize| listed((0..count).map(|number| number.to_string()));
    assert_eq!(names(0), "none");
    assert!(names(LISTED).ends_with(", 23"), "{}", names(LISTED));
    assert!(names(10_000).ends_with("23 and 9976 more"));
}
