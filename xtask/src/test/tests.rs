//! Which tests belong where, and what is counted.

use super::{Count, TIERS, Tier, batches, wanted};
use crate::workspace::Target;

fn target(package: &str, name: &str, kind: &str, tested: bool) -> Target {
    Target {
        package: package.into(),
        name: name.into(),
        kind: kind.into(),
        tested,
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_first_word_that_is_a_tier_is_no_filter() {
    assert_eq!(
        wanted(&words("net six_routes")).ok(),
        Some((vec![Tier::Net], words("six_routes")))
    );
    assert_eq!(
        wanted(&words("six_routes net")).ok(),
        Some((TIERS.to_vec(), words("six_routes net")))
    );
    assert_eq!(wanted(&[]).ok(), Some((TIERS.to_vec(), vec![])));
    assert!(wanted(&words("host --nocapture")).is_err());
}

#[test]
fn the_name_of_a_target_says_its_tier_and_units_are_the_hosts() {
    let targets = [
        target("gwpool-ebpf", "gwpool-ebpf", "bin", false),
        target("gwpool-ebpf", "gwpool_ebpf", "lib", true),
        target("gwpool-user", "build-script-build", "custom-build", false),
        target("gwpool-tests", "net_routes", "test", true),
        target("gwpool-tests", "host_golden", "test", true),
        target("gwpool-tests", "kernel_golden", "test", true),
        target("xtask", "xtask", "bin", true),
    ];
    let batches = |tier| {
        let calls = batches(&targets, tier)
            .into_iter()
            .map(|batch| batch.args.join(" "));
        calls.collect::<Vec<_>>()
    };
    assert_eq!(
        batches(Tier::Host),
        ["--lib --bin xtask", "--test host_golden"]
    );
    assert_eq!(batches(Tier::Kernel), ["--test kernel_golden"]);
    assert_eq!(batches(Tier::Net), ["--test net_routes"]);
}

#[test]
fn result_lines_add_up_and_others_do_not_count() {
    let mut count = Count::default();
    count.add("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.02s");
    count.add("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.5s");
    count.add("7 passed, 7 failed");
    assert_eq!(
        count,
        Count {
            passed: 14,
            failed: 1,
            ignored: 1
        }
    );
}
