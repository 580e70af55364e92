//! Disagreements between files, one at a time.

use super::super::Page;
use super::{check, map_lines};

const REASONS: &str = "//! x\nreasons! {\n    ToBackend \"to_backend\" Carried \"sent\";\n    \
                       NoMetadata \"no_metadata\" Dropped \"x\";\n    Overtaken \"overtaken\" Dropped \"x\";\n    RewriteFailed \"rewrite_failed\" Dropped \"x\";\n}\n";
const README: &str = "# x\n\n## The map of the code\n\n```\ngwpool-common/       contract\n  src/reason.rs      reasons\n\
                      gwpool-ebpf/  the rest\n  src/kernel/  maps\ntests/\n```\n\n\
                      | reason | |\n|---|---|\n| `to_backend` | |\n| `no_metadata` | |\n| `overtaken` | |\n| `rewrite_failed` | |\n";
const MAPS: &str = "#[btf_map]\npub static A: Array<u32, { limits::A }> = Array::new();\n";

fn messages(change: impl Fn(&str, &str) -> String) -> Vec<String> {
    let files = [
        ("gwpool-common/src/reason.rs", REASONS),
        ("gwpool-ebpf/src/kernel/maps.rs", MAPS),
        ("tests/cases/forward.case", "count to_backend 1\n"),
        ("README.md", README),
    ];
    let page = |(path, text): (&str, &str)| Page {
        path: path.into(),
        text: change(path, text),
    };
    check(&files.map(page))
        .into_iter()
        .map(|finding| finding.to_string())
        .collect()
}

fn change(file: &'static str, from: &'static str, to: &'static str) -> Vec<String> {
    messages(|path, text| {
        if path == file {
            text.replace(from, to)
        } else {
            text.to_owned()
        }
    })
}

#[test]
fn files_that_agree_have_no_finding() {
    assert_eq!(messages(|_, text| text.to_owned()), [""; 0]);
}

#[test]
fn a_reason_needs_a_row_and_a_case() {
    assert_eq!(
        change("README.md", "| `to_backend` |", "| to backend |"),
        [
            "gwpool-common/src/reason.rs:3: reason `to_backend` has no row in README's table of reasons"
        ]
    );
    assert_eq!(
        change("tests/cases/forward.case", "to_backend", "to_backends"),
        ["gwpool-common/src/reason.rs:3: no golden case in tests/cases/ names reason `to_backend`"]
    );
}

#[test]
fn an_exemption_that_is_not_needed_is_found() {
    assert_eq!(
        change("tests/cases/forward.case", "1", "1 rewrite_failed"),
        [
            "gwpool-common/src/reason.rs:6: reason `rewrite_failed` has a golden case: tidy need not exempt it"
        ]
    );
}

#[test]
fn a_map_takes_its_size_from_the_limits() {
    assert_eq!(
        change("gwpool-ebpf/src/kernel/maps.rs", "limits::A", "512"),
        ["gwpool-ebpf/src/kernel/maps.rs:2: the size of `A` is no name of limits.rs"]
    );
}

#[test]
fn the_map_and_the_tree_agree() {
    assert_eq!(
        change("README.md", "src/reason.rs  ", "src/reasons.rs  "),
        [
            "README.md:7: the map names `src/reasons.rs`, which is not there",
            // `reasons` in the text beside it is another word.
            "README.md:6: the map does not name `gwpool-common/src/reason.rs`",
        ]
    );
    assert_eq!(
        change("README.md", "\ntests/\n", "\n"),
        ["README.md:6: the map does not name `tests`"]
    );
}

#[test]
fn the_map_is_the_block_under_its_heading() {
    let lines = map_lines(
        "```\nno\n```\n## Map of the code\ntext\n```text\na/\n\n b.rs\n```\n```\nno\n```\n",
    );
    assert_eq!(lines, [(7, "a/"), (9, " b.rs")]);
}
