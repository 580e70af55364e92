//! The rules between files: what the contract declares is in README's tables, in golden cases, in the limits; and
//! README's map is the tree as it is.

use super::{Finding, Page};
use crate::contract;
use std::collections::BTreeSet;

const README: &str = "README.md";
const CASES: &str = "tests/cases/";
/// The heading above README's map, in lower case.
const MAP_HEADING: &str = "map of the code";

/// Reasons that no golden case can end in, and why.
const NO_CASE: &[(&str, &str)] = &[
    (
        "no_metadata",
        "only a driver without room for metadata gives it; the kernel tier's test run has that room",
    ),
    (
        "overtaken",
        "takes two CPUs at the same moment; a case is one packet after the other",
    ),
    (
        "rewrite_failed",
        "only a failing helper gives it; a host packet has no helpers, and test runs no failing ones",
    ),
];

/// All that does not agree.
pub fn check(all: &[Page]) -> Vec<Finding> {
    let mut findings = reasons(all);
    findings.extend(maps(all));
    findings.extend(map_of_the_code(all));
    findings
}

fn page<'a>(all: &'a [Page], path: &str) -> Option<&'a Page> {
    all.iter().find(|page| page.path == path)
}

fn missing(path: &str) -> Vec<Finding> {
    vec![Finding::new(path, 1, "is missing")]
}

fn reasons(all: &[Page]) -> Vec<Finding> {
    let Some(source) = page(all, contract::REASONS) else {
        return missing(contract::REASONS);
    };
    let cases: BTreeSet<&str> = all
        .iter()
        .filter(|page| page.path.starts_with(CASES) && page.path.ends_with(".case"))
        .flat_map(|case| case.text.lines())
        .filter(|line| !line.starts_with('#'))
        .flat_map(names)
        .collect();
    let readme = page(all, README).map_or("", |page| &page.text);
    let rows: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with('|'))
        .collect();
    let mut findings = Vec::new();
    let declared = contract::reasons(&source.text);
    for reason in &declared {
        let name = &reason.name;
        let mut find =
            |message: String| findings.push(Finding::new(&source.path, reason.line, message));
        if !rows.iter().any(|row| row.contains(&format!("`{name}`"))) {
            find(format!(
                "reason `{name}` has no row in README's table of reasons"
            ));
        }
        let exempt = NO_CASE.iter().any(|(exempt, _)| exempt == name);
        match (cases.contains(name.as_str()), exempt) {
            (false, false) => find(format!("no golden case in {CASES} names reason `{name}`")),
            (true, true) => find(format!(
                "reason `{name}` has a golden case: tidy need not exempt it"
            )),
            _ => {}
        }
    }
    let unknown = NO_CASE
        .iter()
        .filter(|(name, _)| !declared.iter().any(|reason| reason.name == *name));
    findings.extend(unknown.map(|(name, _)| {
        Finding::new(
            &source.path,
            1,
            format!("tidy exempts `{name}`, which is no reason"),
        )
    }));
    findings
}

fn maps(all: &[Page]) -> Vec<Finding> {
    let Some(source) = page(all, contract::MAPS) else {
        return missing(contract::MAPS);
    };
    let declared = contract::maps(&source.text).into_iter();
    let unnamed = declared.filter(|map| !map.text.contains("limits::"));
    unnamed
        .map(|map| {
            Finding::new(
                &source.path,
                map.line,
                format!("the size of `{}` is no name of limits.rs", map.name),
            )
        })
        .collect()
}

/// Each path in the map exists, and what must be in the map is.
fn map_of_the_code(all: &[Page]) -> Vec<Finding> {
    let Some(readme) = page(all, README) else {
        return missing(README);
    };
    let map = map_lines(&readme.text);
    if map.is_empty() {
        return vec![Finding::new(
            README,
            1,
            format!("no block under a heading that says `{MAP_HEADING}`"),
        )];
    }
    let exists: BTreeSet<&str> = all.iter().flat_map(|page| ancestors(&page.path)).collect();
    let mut findings = Vec::new();
    let mut above: Vec<(usize, String)> = Vec::new();
    for (line, text) in &map {
        let indent = text.len() - text.trim_start().len();
        above.retain(|(outer, _)| *outer < indent);
        let parent = above.last().map_or("", |(_, path)| path).to_owned();
        // The first column; two blanks end it.
        let column = text.trim_start().split("  ").next().unwrap_or_default();
        for path in column
            .split_whitespace()
            .filter(|word| word.contains(['/', '.']))
        {
            let found = [format!("{parent}{path}"), path.to_owned()]
                .into_iter()
                .find(|path| exists.contains(path.trim_end_matches('/')));
            match found {
                Some(found) if found.ends_with('/') => above.push((indent, found)),
                Some(_) => {}
                None => findings.push(Finding::new(
                    README,
                    *line,
                    format!("the map names `{path}`, which is not there"),
                )),
            }
        }
    }
    let named: BTreeSet<&str> = map.iter().flat_map(|(_, text)| names(text)).collect();
    let first = map[0].0;
    let absent = places(&exists)
        .into_iter()
        .filter(|place| !named.contains(stem(place)));
    findings.extend(
        absent.map(|place| Finding::new(README, first, format!("the map does not name `{place}`"))),
    );
    findings
}

/// The lines of the first fenced block under the map's heading, with their numbers.
fn map_lines(readme: &str) -> Vec<(usize, &str)> {
    let is_heading =
        |line: &str| line.starts_with('#') && line.to_lowercase().contains(MAP_HEADING);
    let lines = readme
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line));
    let below = lines
        .skip_while(|(_, line)| !is_heading(line))
        .skip_while(|(_, line)| !line.starts_with("```"));
    let block = below
        .skip(1)
        .take_while(|(_, line)| !line.starts_with("```"));
    block.filter(|(_, line)| !line.trim().is_empty()).collect()
}

/// What the map must name: every folder at the root, and every file and folder of a crate's source.
fn places<'a>(exists: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let is_module = |place: &str| !["lib", "main", "mod", "tests"].contains(&stem(place));
    let wanted = exists.iter().filter(|place| {
        let parts: Vec<&str> = place.split('/').collect();
        match parts[..] {
            [folder] => !folder.contains('.'),
            [_, "src", place] => is_module(place),
            _ => false,
        }
    });
    wanted
        .copied()
        .filter(|place| !["LICENSE", "target"].contains(place))
        .collect()
}

fn stem(place: &str) -> &str {
    let name = place.rsplit('/').next().unwrap_or(place);
    name.strip_suffix(".rs").unwrap_or(name)
}

/// A path and every folder above it.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
    folders.chain(std::iter::once(path))
}

/// Words that may be names: with `_` and `-`.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|at: char| !at.is_alphanumeric() && at != '_' && at != '-')
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests;
