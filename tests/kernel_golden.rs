//! Every golden case in the kernel: the loaded programs, byte for byte what the host does.
//!
//! The programs are loaded once for each size of the tables; from case to case the plan's difference is written, as a
//! reload would.

use gwpool_harness::kernel::InKernel;
use gwpool_harness::subject::Subject;
use gwpool_harness::{bed, case, kernel};

#[test]
fn every_case_holds_in_the_kernel() {
    bed::build().expect("the bed's namespace");
    let mut failures = Vec::new();
    let mut loaded: Option<(Option<u32>, InKernel)> = None;
    let mut cases = case::all().expect("the cases read");
    cases.sort_by_key(|case| case.flows);
    for case in &cases {
        for hook in &case.hooks {
            if loaded
                .as_ref()
                .is_none_or(|(flows, _)| *flows != case.flows)
            {
                // The one before lets go of the interfaces first.
                loaded = None;
            }
            let (_, subject) = loaded.get_or_insert_with(|| {
                let subject = kernel::in_kernel("seed", case.local_ports, case.flows);
                (case.flows, subject.expect("the programs load"))
            });
            subject.reset().expect("the tables empty");
            let plan = bed::plan(&case.world, case.flows).expect("the world's plan");
            subject
                .fill(&plan, &bed::host(case.local_ports))
                .expect("the world fills");
            if let Err(error) = case.run(subject, *hook) {
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
    println!("{} cases in the kernel", cases.len());
}
