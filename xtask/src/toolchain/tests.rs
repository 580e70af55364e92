//! What rustup and rustc print, and which toolchain is tried first.

use super::{Version, in_order, number, parse_toolchains, parse_version};

const LISTED: &str = "\
stable-x86_64-unknown-linux-gnu (active, default) /home/me/.rustup/toolchains/stable-x86_64-unknown-linux-gnu
1.95.0-x86_64-unknown-linux-gnu /home/me/.rustup/toolchains/1.95.0-x86_64-unknown-linux-gnu
nightly-x86_64-unknown-linux-gnu\t/home/me/my rust/nightly
";

#[test]
fn toolchains_are_read_with_marks_tabs_and_blanks_in_paths() {
    let toolchains = parse_toolchains(LISTED);
    let names: Vec<_> = toolchains
        .iter()
        .map(|toolchain| (toolchain.name.as_str(), toolchain.active))
        .collect();
    let suffix = "-x86_64-unknown-linux-gnu";
    let expected = [("stable", true), ("1.95.0", false), ("nightly", false)]
        .map(|(n, a)| (format!("{n}{suffix}"), a));
    assert_eq!(names, expected.each_ref().map(|(n, a)| (n.as_str(), *a)));
    assert_eq!(
        toolchains[2].path.to_str(),
        Some("/home/me/my rust/nightly")
    );
}

#[test]
fn an_older_rustup_marks_the_override() {
    let toolchains = parse_toolchains("stable-x (default)\t/a\n1.90-x (override)\t/b\n");
    assert_eq!(
        toolchains
            .iter()
            .map(|toolchain| toolchain.active)
            .collect::<Vec<_>>(),
        [false, true]
    );
}

#[test]
fn nightly_is_tried_before_the_active_one_before_the_others() {
    let order = in_order(parse_toolchains(
        "1.95.0 /c\nmine (active) /b\nstable /d\nnightly /a\n",
    ));
    let names: Vec<_> = order
        .iter()
        .map(|toolchain| toolchain.name.as_str())
        .collect();
    assert_eq!(names, ["nightly", "mine", "stable", "1.95.0"]);
}

#[test]
fn nothing_installed_is_an_empty_list() {
    assert_eq!(parse_toolchains("no installed toolchains\n"), []);
}

#[test]
fn a_version_is_read_from_rustc() {
    let said = "rustc 1.96.0 (ac68faa20 2026-05-25)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n\
                release: 1.96.0\nLLVM version: 22.1.8\n";
    let version = parse_version(said).expect("all fields are there");
    let expected = Version {
        release: "1.96.0".into(),
        llvm: "22.1.8".into(),
        host: "x86_64-unknown-linux-gnu".into(),
    };
    assert_eq!(version, expected);
    assert_eq!(
        (version.llvm_major(), version.architecture()),
        ("22", "x86_64")
    );
    assert_eq!(parse_version("rustc 1.96.0"), None);
}

#[test]
fn versions_compare_as_numbers() {
    assert!(number("1.100.0") > number("1.95"));
    assert!(number("1.97.0-nightly") >= number("1.95"));
    assert!(number("1.95.0") >= number("1.95"));
    assert!(number("1.94.1") < number("1.95"));
}
