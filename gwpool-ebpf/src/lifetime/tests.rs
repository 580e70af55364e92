//! The timers, one row a case.

use super::*;
use crate::parse::UDP;

#[test]
fn a_backends_own_time_holds_against_its_protocols_but_not_over_a_closed_flow() {
    for (protocol, closed, idle_s, wanted) in [
        (TCP, false, 0, limits::TCP_ESTABLISHED_S),
        (TCP, false, 60, 60),
        (TCP, true, 0, 9),
        (TCP, true, 60, 9),
        (UDP, false, 0, limits::UDP_S),
        (UDP, false, 7, 7),
        (UDP, true, 0, limits::UDP_S),
        (UDP, true, 7, 7),
    ] {
        let found = limit_s(protocol, closed, idle_s, 9);
        assert_eq!(found, wanted, "{protocol} {closed} {idle_s}");
    }
}
