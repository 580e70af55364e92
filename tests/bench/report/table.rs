//! Figures as text: a block for each task and metric, a line for each contestant, each over the block's reference.

use super::goals::Verdict;
use super::short;
use crate::contest::{Figures, Lost, Row, Spread, ratio};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Over whom a bench's contestants are put: the first of these that has done the same.
const REFERENCES: [(&str, &[&str]); 4] = [
    ("micro", &[]),
    ("pps", &["nft DNAT+masquerade", "nft masquerade"]),
    ("tcp", &["kernel routing"]),
    ("scale", &["nft map", "nft masquerade", "conntrack"]),
];
/// Where nobody else can do the same, what the same entry into the kernel costs: who, and over which floor.
const FLOORS: [(&str, &str); 2] = [("TC", "TC redirect"), ("", "XDP_TX")];

/// Everything that one bench has measured, and what it has not.
pub fn figures(figures: &Figures) -> String {
    let Figures {
        bench,
        rounds,
        seconds,
        ..
    } = figures;
    let mut text = format!("\n{bench}: {rounds} rounds in {seconds:.0} s\n");
    if let Some(why) = &figures.failed {
        let _ = writeln!(text, "  not held: {why}");
    }
    for (number, first) in figures.rows.iter().enumerate() {
        let block = |row: &&Row| (&row.entry.task, row.metric) == (&first.entry.task, first.metric);
        if figures.rows[..number].iter().any(|row| block(&row)) {
            continue;
        }
        let Row { entry, metric, .. } = first;
        let _ = writeln!(text, "  {}, {} {}", entry.task, metric.name, metric.unit);
        for row in figures.rows.iter().filter(block) {
            let _ = writeln!(text, "{}", line(figures, row));
        }
    }
    text + &lost(&figures.lost)
}

fn line(figures: &Figures, row: &Row) -> String {
    let (median, range) = row.spread().map_or_else(
        || ("-".to_owned(), String::new()),
        |spread| {
            let range = format!("{}-{}", short(spread.least), short(spread.most));
            (short(spread.median), range)
        },
    );
    let over = reference(figures, row).and_then(|base| Some((base, ratio(row, base)?)));
    let over = over.map_or_else(String::new, |(base, spread)| {
        format!("{}  {}", times(spread), base.entry.contestant)
    });
    let who = &row.entry.contestant;
    format!("    {who:<26} {median:>8} {range:>17}  {over}")
        .trim_end()
        .to_owned()
}

/// `2.31x [2.25-2.40]`
fn times(spread: Spread) -> String {
    let Spread {
        median,
        least,
        most,
        ..
    } = spread;
    format!("{median:>6.2}x [{least:.2}-{most:.2}]")
}

/// What the row is put over: a row of the same task, else a floor; never itself.
fn reference<'a>(figures: &'a Figures, row: &Row) -> Option<&'a Row> {
    let metric = row.metric.name;
    let (_, names) = REFERENCES
        .iter()
        .find(|(bench, _)| *bench == figures.bench)?;
    let mut peers = names.iter();
    let peer = peers.find_map(|name| figures.row(&row.entry.task, name, metric));
    let floor = || {
        let (_, floor) = FLOORS
            .iter()
            .find(|(part, _)| row.entry.contestant.contains(part))?;
        figures.row("floor", floor, metric)
    };
    peer.or_else(floor).filter(|base| base.entry != row.entry)
}

/// What was left out, each reason once with its rounds.
fn lost(all: &[Lost]) -> String {
    let mut reasons: BTreeMap<(&str, &str, &str), Vec<String>> = BTreeMap::new();
    for lost in all {
        let (who, task) = (&lost.entry.contestant, &lost.entry.task);
        let rounds = reasons.entry((who, task, &lost.why)).or_default();
        rounds.push(lost.round.to_string());
    }
    let mut text = String::new();
    for ((who, task, why), rounds) in reasons {
        let rounds = rounds.join(", ");
        let _ = writeln!(text, "  left out: {who}: {task}: round {rounds}: {why}");
    }
    text
}

/// The goals and what has become of them.
pub fn goals(verdicts: &[Verdict]) -> String {
    if verdicts.is_empty() {
        return String::new();
    }
    let lengths = verdicts.iter().map(|verdict| verdict.what.chars().count());
    let width = lengths.max().unwrap_or(0);
    let mut text = format!(
        "\n{:<width$}  {:>16}  {:>8}  {:<22} reached\n",
        "goal", "must", "aim", "measured"
    );
    for verdict in verdicts {
        let (what, bound) = (&verdict.what, verdict.bound());
        let (aim, found) = (verdict.amount(verdict.aim), verdict.found());
        let _ = writeln!(
            text,
            "{what:<width$}  {bound:>16}  {aim:>8}  {found:<22} {}",
            verdict.word()
        );
    }
    text
}
