//! Patterns on names, row by row.

use super::*;

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
fn a_long_list_ends_in_a_number() {
    let names = |count: usize| listed((0..count).map(|number| number.to_string()));
    assert_eq!(names(0), "none");
    assert!(names(LISTED).ends_with(", 23"), "{}", names(LISTED));
    assert!(names(10_000).ends_with("23 and 9976 more"));
}
