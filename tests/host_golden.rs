//! Every golden case on the host: the pipeline over the model, at XDP and at TC.

use gwpool_harness::{case, subject};

#[test]
fn every_case_holds_on_the_host() {
    let mut failures = Vec::new();
    let cases = case::all().expect("the cases read");
    for case in &cases {
        for hook in &case.hooks {
            let mut subject = subject::on_host(&case.world, case.local_ports, case.flows)
                .expect("the world fills");
            if let Err(error) = case.run(&mut subject, *hook) {
                failures.push(format!("{error:#}"));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
    println!("{} cases on the host", cases.len());
}
