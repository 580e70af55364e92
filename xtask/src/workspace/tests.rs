//! What a child cargo may inherit, and what `cargo metadata` tells.

use super::{Target, is_outer, targets};

#[test]
fn flags_and_toolchains_of_the_outer_cargo_are_dropped() {
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC_WRAPPER",
        "RUSTUP_TOOLCHAIN",
        "CARGO",
    ] {
        assert!(is_outer(name), "{name}");
    }
}

#[test]
fn what_says_where_crates_come_from_is_kept() {
    for name in [
        "CARGO_HOME",
        "CARGO_HTTP_CAINFO",
        "CARGO_NET_OFFLINE",
        "CARGO_REGISTRIES_X_INDEX",
        "RUSTUP_HOME",
        "PATH",
    ] {
        assert!(!is_outer(name), "{name}");
    }
}

#[test]
fn targets_are_read_from_metadata() {
    let metadata = serde_json::json!({"packages": [{"name": "gwpool-tests", "targets": [
        {"name": "net_routes", "kind": ["test"], "test": true}]}]});
    let expected = Target {
        package: "gwpool-tests".into(),
        name: "net_routes".into(),
        kind: "test".into(),
        tested: true,
    };
    assert_eq!(targets(&metadata), [expected]);
}
