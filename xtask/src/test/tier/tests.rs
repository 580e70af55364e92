//! Which tests belong where.

use super::{Tier, batches};
use crate::workspace::Target;

fn target(package: &str, name: &str, kind: &str, tested: bool) -> Target {
    Target {
        package: package.into(),
        name: name.into(),
        kind: kind.into(),
        tested,
    }
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
