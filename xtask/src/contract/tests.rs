//! The two declarations are read as they are written.

use super::{maps, reasons};

#[test]
fn the_reasons_of_the_contract_are_read() {
    let source = include_str!("../../../gwpool-common/src/reason.rs");
    let found = reasons(source);
    assert!(found.iter().any(|reason| reason.name == "no_live_backend"));
    assert_eq!(
        found.len(),
        source
            .lines()
            .filter(|line| line.starts_with("    ") && line.ends_with("\";"))
            .count()
    );
}

#[test]
fn a_map_is_read_over_several_lines() {
    let source = "#[btf_map]\npub static ROUTES: HashMap<u32, Route, { limits::ROUTES as usize }> = HashMap::new();\n\
                  #[btf_map]\npub(super) static ESTABLISHED:\n    HashMap<FlowKey<V4>, Flow<V4>, 8> =\n    HashMap::new();\n\
                  #[unsafe(no_mangle)]\npub static CLOCK: Global<u32> = Global::new(0);\n";
    let found = maps(source);
    let names: Vec<_> = found
        .iter()
        .map(|map| (map.line, map.name.as_str()))
        .collect();
    assert_eq!(names, [(2, "ROUTES"), (4, "ESTABLISHED")]);
    assert!(found[0].text.contains("limits::") && !found[1].text.contains("limits::"));
    assert!(found[1].text.ends_with("HashMap::new();"));
}
