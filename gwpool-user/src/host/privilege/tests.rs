//! Masks as `/proc/self/status` shows them.

use super::missing_in;

#[test]
fn what_is_missing_is_named() {
    let none = "Name:\tx\nCapEff:\t0000000000000000\n";
    assert_eq!(
        missing_in(none),
        ["CAP_NET_ADMIN", "CAP_PERFMON", "CAP_BPF"]
    );
    assert!(missing_in("CapEff:\t000001ffffffffff\n").is_empty());
    assert_eq!(
        missing_in("CapEff:\t0000000000001000\n"),
        ["CAP_PERFMON", "CAP_BPF"]
    );
}

#[test]
fn cap_sys_admin_stands_for_the_two_younger_ones() {
    assert!(missing_in("CapEff:\t0000000000201000\n").is_empty());
}
