//! Each rule for one file, broken once.

use super::super::Page;
use super::check;

fn found(path: &str, text: &str) -> Vec<(usize, String)> {
    let page = Page {
        path: path.into(),
        text: text.into(),
    };
    check(&page)
        .into_iter()
        .map(|finding| (finding.line, finding.message))
        .collect()
}

/// The lines of the findings that say `what`.
fn lines(path: &str, text: &str, what: &str) -> Vec<usize> {
    let found = found(path, text).into_iter();
    found
        .filter(|(_, message)| message.contains(what))
        .map(|(line, _)| line)
        .collect()
}

#[test]
fn a_tidy_file_has_no_finding() {
    assert_eq!(
        found(
            "gwpool-user/src/cli.rs",
            "//! What one types.\n\nfn main() {}\n"
        ),
        []
    );
}

#[test]
fn the_limits_are_400_and_60_lines() {
    let file = |lines: usize| "//! Long.\n".to_owned() + &"//\n".repeat(lines - 1);
    assert_eq!(lines("a.rs", &file(400), "lines"), [0; 0]);
    assert_eq!(lines("a.rs", &file(401), "lines"), [400]);
    let function =
        |lines: usize| "//! Long.\nfn f() {\n".to_owned() + &"g();\n".repeat(lines - 2) + "}\n";
    assert_eq!(lines("a.rs", &function(60), "lines"), [0; 0]);
    assert_eq!(lines("a.rs", &function(61), "`f` has 61 lines"), [2]);
}

#[test]
fn a_file_opens_with_a_paragraph_and_has_a_name() {
    assert_eq!(lines("a.rs", "use b;\n", "opens without"), [1]);
    assert_eq!(lines("src/utils.rs", "//! All sorts.\n", "`utils`"), [1]);
    assert_eq!(
        lines("src/helpers/a.rs", "//! All sorts.\n", "`helpers`"),
        [1]
    );
}

#[test]
fn unsafe_stays_where_it_may_be() {
    let text = "//! x\nfn f() {\n    unsafe { g() }\n}\n";
    assert_eq!(lines("gwpool-user/src/daemon.rs", text, "unsafe"), [3]);
    assert_eq!(
        lines("gwpool-ebpf/src/kernel/maps.rs", text, "unsafe"),
        [0; 0]
    );
    let attribute = "//! x\n#[unsafe(no_mangle)]\nstatic A: u8 = 0; // unsafe\n#[deny(unsafe_op_in_unsafe_fn)]\n";
    assert_eq!(
        lines("gwpool-ebpf/src/programs.rs", attribute, "unsafe"),
        [0; 0]
    );
    assert_eq!(lines("gwpool-user/src/daemon.rs", attribute, "unsafe"), [2]);
}

#[test]
fn a_pure_module_forbids_unsafe_and_names_no_clock_or_socket() {
    let path = "gwpool-user/src/plan/diff.rs";
    assert_eq!(lines(path, "//! x\n", "forbid"), [1]);
    assert_eq!(
        lines("gwpool-user/src/plan/diff/tests.rs", "//! x\n", "forbid"),
        [0; 0]
    );
    assert_eq!(
        lines(
            "gwpool-user/src/plan/diff/tests/ids.rs",
            "//! x\n",
            "forbid"
        ),
        [0; 0]
    );
    let text = "//! x\n#![forbid(unsafe_code)]\nuse std::net::Ipv4Addr;\nuse tokio::net;\nlet a = Instant::now();\n\
                let aya_like = \"aya\"; // aya\nUdpSocket::bind(a)\n";
    assert_eq!(lines(path, text, "pure module"), [4, 5, 7]);
    assert_eq!(
        lines("gwpool-user/src/host/driver.rs", text, "pure module"),
        [0; 0]
    );
}

#[test]
fn what_should_not_stay_is_found_in_its_place_only() {
    let allow = concat!("//! x\n#[all", "ow(dead_code)]\nlet a = \"#[allow(\";\n");
    assert_eq!(lines("a.rs", allow, "allow"), [2]);
    let todo = concat!("//! x\n// TO", "DO: later\nlet a = \"FIXME\";\n");
    assert_eq!(lines("a.rs", todo, "write an issue"), [2]);
    let place = concat!("see /ro", "ot/x\n");
    assert_eq!(lines("README.md", place, "one machine"), [1]);
}
