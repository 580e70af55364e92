//! Every golden case on the host, at XDP and at TC; and the races that only the model can be stopped in.

use gwpool_harness::{case, races};

#[test]
fn every_case_holds_on_the_host() {
    let failures = case::failures_on_host().expect("the cases run");
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn what_two_cpus_do_at_once_ends_well() {
    let failures = races::failures();
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
