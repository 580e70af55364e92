//! Asks the kernel's own firewall, by its tools, which of its rules translate what inside hosts send outside.
//!
//! Nothing is changed, and no table comes to be because it was asked for.

use super::rules::{Outbound, Table, iptables, nftables};
use std::fs;
use std::io;
use std::process::Command;

/// Tables of the older iptables that are there; asking for one that is not would make it.
const LEGACY_TABLES: &str = "/proc/net/ip_tables_names";

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Commands that take out what translates.
    pub removals: Vec<String>,
    /// What could not be asked, and why.
    pub unasked: Vec<String>,
}

/// Asks both firewalls there may be.
pub fn translating(outbound: &Outbound) -> Answer {
    let mut answer = Answer::default();
    match nf_tables(outbound) {
        Ok(tables) => answer
            .removals
            .extend(tables.iter().flat_map(Table::translating)),
        Err(why) => answer.unasked.push(format!("nf_tables ({why})")),
    }
    match legacy(outbound) {
        Ok(table) => answer.removals.extend(table.translating()),
        Err(why) => answer.unasked.push(format!("iptables-legacy ({why})")),
    }
    answer
}

fn nf_tables(outbound: &Outbound) -> Result<Vec<Table>, String> {
    match said("nft", &["-j", "list", "ruleset"]) {
        Ok(text) => {
            nftables::read(&text, outbound).ok_or("nft's answer is not understood".to_owned())
        }
        Err(first) => {
            let text = said("iptables-nft-save", &["-t", "nat"]);
            let text = text.map_err(|second| format!("{first}; {second}"))?;
            Ok(vec![iptables::read(&text, "iptables-nft", outbound)])
        }
    }
}

fn legacy(outbound: &Outbound) -> Result<Table, String> {
    let tables = match fs::read_to_string(LEGACY_TABLES) {
        // Its module was never loaded.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Table::default()),
        Err(error) => return Err(format!("{LEGACY_TABLES}: {error}")),
        Ok(tables) => tables,
    };
    if !tables.lines().any(|table| table == "nat") {
        return Ok(Table::default());
    }
    for (save, tool) in [
        ("iptables-legacy-save", "iptables-legacy"),
        ("iptables-save", "iptables"),
    ] {
        if let Ok(text) = said(save, &["-t", "nat"]) {
            return Ok(iptables::read(&text, tool, outbound));
        }
    }
    Err("neither iptables-legacy-save nor iptables-save answers".to_owned())
}

fn said(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program}: {}", why.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
