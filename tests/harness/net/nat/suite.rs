//! Runs the rows as tests that xtask counts like any others (`test NAME ... ok`, one result line at the end) and
//! prints the table, requirement by requirement. A runner of its own, because a world costs seconds and all rows of
//! one subject share it. Rows whose time is divided run all at once: they mostly wait.

use super::ground::Ground;
use super::row::{Finding, Level, Linux, Row};
use super::rows;
use super::subject::{Setting, Subject};
use anyhow::Result;
use std::process::ExitCode;

/// How one test ended.
struct Outcome {
    name: String,
    row: &'static Row,
    /// "yes", "no" or "error", as the table says it.
    result: &'static str,
    evidence: String,
    failure: Option<String>,
}

/// The whole program: arguments are as libtest's, as far as xtask gives them.
pub fn main(subjects: &[Subject]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let list = arguments.iter().any(|word| word == "--list");
    let filters: Vec<&String> = arguments
        .iter()
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wanted = |subject: Subject, row: &Row| {
        let name = test_name(subject, row.name);
        filters.is_empty() || filters.iter().any(|filter| name.contains(*filter))
    };
    let plan: Vec<(Subject, Vec<&'static Row>)> = subjects
        .iter()
        .map(|&subject| {
            let asked = rows::all()
                .filter(|row| row.linux != Linux::Absent || subject != Subject::Nftables);
            (subject, asked.filter(|row| wanted(subject, row)).collect())
        })
        .collect();
    let count: usize = plan.iter().map(|(_, rows)| rows.len()).sum();
    if list {
        for (subject, rows) in &plan {
            rows.iter()
                .for_each(|row| println!("{}: test", test_name(*subject, row.name)));
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {count} tests");
    let mut failed = Vec::new();
    for (subject, rows) in plan.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        match of(subject, rows) {
            Ok(outcomes) => {
                table(subject, &outcomes);
                failed.extend(
                    outcomes
                        .into_iter()
                        .filter(|outcome| outcome.failure.is_some()),
                );
            }
            Err(error) => {
                println!("\nno world with {}: {error:#}", subject.name());
                return result(0, count);
            }
        }
    }
    for outcome in &failed {
        println!(
            "\n---- {} ----\n{}",
            outcome.name,
            outcome.failure.as_deref().unwrap_or_default()
        );
    }
    result(count - failed.len(), failed.len())
}

fn test_name(subject: Subject, row: &str) -> String {
    format!("nat::{}::{row}", subject.name())
}

/// The line that is counted.
fn result(passed: usize, failed: usize) -> ExitCode {
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored\n");
    ExitCode::from(u8::from(failed > 0))
}

/// All rows with one subject, those of one setting after the other.
fn of(subject: Subject, rows: Vec<&'static Row>) -> Result<Vec<Outcome>> {
    let mut settings: Vec<Setting> = Vec::new();
    for row in rows.iter().filter(|row| row.name != rows::LEAK) {
        if !settings.contains(&row.setting) {
            settings.push(row.setting);
        }
    }
    let mut ground = Ground::up(subject)?;
    let mut outcomes = Vec::new();
    for setting in settings {
        let rows: Vec<_> = rows
            .iter()
            .filter(|row| row.setting == setting && row.name != rows::LEAK)
            .collect();
        ground.apply(setting)?;
        let ground = &ground;
        if setting == Setting::Hurried {
            std::thread::scope(|scope| {
                let threads: Vec<_> = rows
                    .iter()
                    .map(|row| scope.spawn(move || tried(ground, row)))
                    .collect();
                outcomes.extend(threads.into_iter().map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                }));
            });
        } else {
            outcomes.extend(rows.iter().map(|row| tried(ground, row)));
        }
    }
    let last = rows.iter().find(|row| row.name == rows::LEAK);
    outcomes.extend(last.map(|row| tried(&ground, row)));
    outcomes.sort_by_key(|outcome| rows.iter().position(|row| row.name == outcome.row.name));
    Ok(outcomes)
}

/// One row.
fn tried(ground: &Ground, row: &'static Row) -> Outcome {
    let before = ground.witness.leaks().len();
    let counted = ground.reasons();
    let seen = (row.probe)(ground);
    let leaked = ground.witness.leaks().split_off(before);
    let (result, evidence) = match &seen {
        Ok(Finding::Kept(evidence)) => ("yes", evidence.clone()),
        Ok(Finding::Broken(evidence)) => ("no", evidence.clone()),
        Err(error) => ("error", format!("{error:#}")),
    };
    let mut failure = match ground.subject {
        Subject::Nftables => as_linux(row, result, &evidence),
        Subject::Gwpool(_) => as_asked(row, result),
    };
    // Rows that run at once cannot say whose leak it was.
    let leaks_are_ours = row.setting != Setting::Hurried;
    let may_leak = ground.subject == Subject::Nftables && row.linux_leaks;
    if leaks_are_ours && leaked.is_empty() == may_leak && row.name != rows::LEAK {
        let known = if may_leak {
            "known to leak, and did not"
        } else {
            "leaked"
        };
        failure = Some(format!(
            "{known}: {leaked:?}; {}",
            failure.unwrap_or_default()
        ));
    }
    if failure.is_some() {
        let moved = ground.reasons().into_iter().filter_map(|(reason, count)| {
            let more = count - counted.get(&reason).copied().unwrap_or(0);
            (more > 0).then(|| format!("{reason} {more}"))
        });
        let moved: Vec<String> = moved.collect();
        failure = failure.map(|why| format!("{why}; meanwhile counted: {}", moved.join(", ")));
    }
    let name = test_name(ground.subject, row.name);
    let word = if failure.is_none() { "ok" } else { "FAILED" };
    println!("test {name} ... {word}");
    Outcome {
        name,
        row,
        result,
        failure: failure.map(|why| format!("{why}\n{}: {}\n{evidence}", row.source, row.says)),
        evidence,
    }
}

/// What is wrong with gwpool's result.
fn as_asked(row: &Row, result: &str) -> Option<String> {
    let unmet = rows::UNMET.contains(&row.name);
    match result {
        "yes" if unmet => Some("listed as not met, and it is".into()),
        "no" if unmet && row.level != Level::Must => None,
        "yes" => None,
        other => Some(format!("asked for is yes, found is {other}")),
    }
}

/// What differs from what is known of Linux.
fn as_linux(row: &Row, result: &str, evidence: &str) -> Option<String> {
    match (row.linux, result) {
        (Linux::Keeps, "yes") | (Linux::Absent, _) => None,
        (Linux::Breaks(words), "no") if evidence.contains(words) => None,
        (known, found) => Some(format!("Linux is known as {known:?}, found is {found}")),
    }
}

fn table(subject: Subject, outcomes: &[Outcome]) {
    println!("\n{}: asked for, kept, how it was seen", subject.name());
    for outcome in outcomes {
        println!(
            "  {:<20} {:<6} {:<5} {}\n{:>35} {}",
            outcome.row.source,
            outcome.row.level.name(),
            outcome.result,
            outcome.row.says,
            "",
            outcome.evidence
        );
    }
    let met = |level: Level| {
        let of_level = outcomes.iter().filter(|outcome| outcome.row.level == level);
        let met = of_level.clone().filter(|outcome| outcome.result == "yes");
        format!("{} {} of {}", level.name(), met.count(), of_level.count())
    };
    let levels = [Level::Must, Level::Should, Level::May].map(met);
    println!("{} keeps: {}\n", subject.name(), levels.join(", "));
}
