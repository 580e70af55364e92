//! The checklist as a list: each row has a name of its own, and README says what is not kept.

use super::super::row::Level;
use super::{LEAK, UNMET, all};
use crate::net::site::project;
use std::collections::BTreeSet;

#[test]
fn every_row_has_a_name_of_its_own_and_the_leak_is_one_of_them() {
    let names: Vec<&str> = all().map(|row| row.name).collect();
    let different: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), different.len());
    assert!(different.contains(LEAK));
}

#[test]
fn what_is_not_met_is_no_must() {
    for name in UNMET {
        let row = all().find(|row| row.name == *name);
        assert!(row.is_some_and(|row| row.level != Level::Must), "{name}");
    }
}

#[test]
fn readme_gives_a_reason_for_each_row_that_is_not_met() -> std::io::Result<()> {
    let readme = std::fs::read_to_string(project().join("README.md"))?;
    let (_, section) = readme
        .split_once("**What is not kept**")
        .unwrap_or_default();
    let table = section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2);
    let listed: Vec<&str> = table
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert_eq!(listed, UNMET);
    Ok(())
}
