//! What the sources declare, read as text: the reasons of the contract, the maps of the programs.
//!
//! `ebpf` compares the object with it, `tidy` the README and the golden cases. Text, because xtask must build
//! where neither crate does.

/// Every way a packet can end.
pub const REASONS: &str = "gwpool-common/src/reason.rs";
/// Every map of the programs.
pub const MAPS: &str = "gwpool-ebpf/src/kernel/maps.rs";

/// A declaration and the line (from 1) on which it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its line.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// The whole declaration.
    pub text: String,
}

/// The names of the table `reasons! { … }`: `Variant "name" Fate "help";`.
pub fn reasons(source: &str) -> Vec<Declared> {
    let table = source
        .lines()
        .enumerate()
        .skip_while(|(_, line)| !line.starts_with("reasons! {"));
    let rows = table.skip(1).take_while(|(_, line)| !line.starts_with('}'));
    rows.filter_map(|(index, line)| {
        let name = line.split('"').nth(1)?.to_owned();
        Some(Declared {
            line: index + 1,
            name,
            text: line.trim().to_owned(),
        })
    })
    .collect()
}

/// The statics under `#[btf_map]`: `static NAME: Kind<…> = …;`, over as many lines as it takes.
pub fn maps(source: &str) -> Vec<Declared> {
    let mut found = Vec::new();
    let lines: Vec<&str> = source.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let is_map = index > 0 && ["#[btf_map]", "#[map]"].contains(&lines[index - 1].trim());
        let declared = line
            .split_once("static ")
            .and_then(|(_, rest)| rest.split_once(':'));
        let (true, Some((name, _))) = (is_map, declared) else {
            continue;
        };
        let end = lines[index..]
            .iter()
            .position(|line| line.trim_end().ends_with(';'));
        let text = lines[index..=index + end.unwrap_or(0)].join(" ");
        found.push(Declared {
            line: index + 1,
            name: name.trim().to_owned(),
            text,
        });
    }
    found
}

#[cfg(test)]
mod tests;
