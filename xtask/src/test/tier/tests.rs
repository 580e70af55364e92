//! Which tests belong where.

use super::{Tier, batches, named};
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

#[test]
fn a_filter_that_names_targets_chooses_them_and_is_no_part_of_a_tests_name() {
    let targets = ["net_nat", "net_nat_nftables", "net_native", "net_balance"]
        .map(|name| target("gwpool-tests", name, "test", true));
    let chosen = |filters: &[&str]| {
        let filters: Vec<String> = filters.iter().map(ToString::to_string).collect();
        let (batches, parts) = named(batches(&targets, Tier::Net), Tier::Net, &filters);
        let names: Vec<String> = batches.into_iter().map(|batch| batch.what).collect();
        (names.join(" "), parts.join(" "))
    };
    assert_eq!(
        chosen(&["nat"]),
        ("net_nat net_nat_nftables".into(), String::new())
    );
    assert_eq!(
        chosen(&["nat", "hairpin"]),
        ("net_nat net_nat_nftables".into(), "hairpin".into())
    );
    let all = "net_nat net_nat_nftables net_native net_balance";
    assert_eq!(chosen(&["hairpin"]), (all.into(), "hairpin".into()));
    assert_eq!(chosen(&[]), (all.into(), String::new()));
}
