//! Numbers, letters, padding, steps, and ranges that are none.

use super::*;

#[test]
fn ranges_are_expanded() {
    let cases = [
        ("web", "web"),
        ("web[1:3]", "web1 web2 web3"),
        ("web[08:10].x", "web08.x web09.x web10.x"),
        ("web[:1]", "web0 web1"),
        ("web[1:5:2]", "web1 web3 web5"),
        ("[a:c]", "a b c"),
        ("r[1:2]h[1:2]", "r1h1 r1h2 r2h1 r2h2"),
    ];
    for (pattern, expected) in cases {
        assert_eq!(
            expand(pattern).map(|names| names.join(" ")),
            Ok(expected.to_owned()),
            "{pattern}"
        );
    }
}

#[test]
fn what_is_no_range_is_refused() {
    for pattern in [
        "a[1",
        "a[1]",
        "a[2:1]",
        "a[1:x]",
        "a[1:9:0]",
        "a[0:999999999]",
        "a[0:4000][0:4000]",
    ] {
        assert!(expand(pattern).is_err(), "{pattern}");
    }
}
