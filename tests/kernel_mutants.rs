//! The pipeline with one thing wrong, fifteen times over: the golden cases and races must object each time.

use gwpool_harness::mutants;

#[test]
fn every_mutant_is_caught() {
    let judges = mutants::build().expect("the mutants build");
    let mut survivors = Vec::new();
    for (mutant, judge) in mutants::ALL.iter().zip(judges) {
        let objections = mutants::judge(&judge).expect("the judge runs");
        println!(
            "{}: {}",
            mutant.name,
            objections.first().map_or("nobody objects", String::as_str)
        );
        if objections.is_empty() != (mutant.name == "nothing") {
            survivors.push(mutant.name);
        }
    }
    assert!(survivors.is_empty(), "judged wrongly: {survivors:?}");
}
