//! The report, on figures of a bench that nobody held; and README's table, on those that were published.

use super::goals::Goal;
use super::*;
use crate::contest::{Entry, Lost, Metric, Row};
use gwpool_harness::net::site::project;

fn row(task: &str, contestant: &str, rounds: &[f64]) -> Row {
    Row {
        entry: Entry {
            task: task.to_owned(),
            contestant: contestant.to_owned(),
        },
        metric: Metric {
            name: "packet",
            unit: "ns",
        },
        rounds: rounds.iter().copied().map(Some).collect(),
    }
}

fn figures() -> Figures {
    let ours = row("hit, 1 flow", "gwpool XDP", &[80.0, 99.0, 200.0]);
    Figures {
        bench: "micro",
        lost: [2, 3]
            .map(|round| Lost {
                entry: Entry {
                    task: "hit".to_owned(),
                    contestant: "parse".to_owned(),
                },
                round,
                why: "no such program".to_owned(),
            })
            .into(),
        rows: vec![row("floor", "XDP_TX", &[40.0, 33.0, 50.0]), ours],
        rounds: 3,
        ..Figures::default()
    }
}

fn verdict(must: f64, aim: f64) -> Verdict {
    let goal = Goal {
        what: "hit",
        row: ("micro", "hit, 1 flow", "gwpool XDP", "packet"),
        over: Some(("micro", "floor", "XDP_TX", "packet")),
        unit: "x",
        must,
        aim,
    };
    Verdict::of(&goal, &[figures()])
}

#[test]
fn a_goal_is_reached_by_the_median_of_the_rounds_ratios() {
    let found = verdict(2.8, 2.3);
    assert_eq!(
        (found.word(), found.found()),
        ("missed", "3.00x [2.00-4.00]".to_owned())
    );
    assert_eq!(verdict(3.0, 2.3).word(), "must");
    assert_eq!(verdict(3.1, 3.0).word(), "aim");
    // More is better where the aim is the larger one.
    assert_eq!(verdict(3.1, 3.2).word(), "missed");
    assert_eq!(verdict(2.9, 3.2).word(), "must");
    assert_eq!(verdict(2.9, 3.0).word(), "aim");
    assert_eq!(verdict(2.9, 3.0).bound(), "at least 2.90x");
}

#[test]
fn goals_of_benches_that_were_not_held_are_not_asked_for() {
    let verdicts = goals::verdicts(&[figures()]);
    let of_micro = GOALS.iter().filter(|goal| goal.row.0 == "micro");
    assert_eq!(verdicts.len(), of_micro.count());
    assert!(goals::verdicts(&[]).is_empty());
    let first = &verdicts[0];
    assert_eq!(first.measured.map(|spread| spread.median), Some(3.0));
    assert_eq!(verdicts[1].word(), "not measured");
}

#[test]
fn goals_are_told_apart_by_their_words_and_by_must_and_aim() {
    for (number, goal) in GOALS.iter().enumerate() {
        let others = GOALS.iter().skip(number + 1);
        assert!(
            others.clone().all(|other| other.what != goal.what),
            "{}",
            goal.what
        );
        assert_ne!(goal.must, goal.aim, "{}", goal.what);
    }
}

#[test]
fn the_table_has_ratios_over_the_floor_and_says_what_is_missing() {
    let text = table::figures(&figures());
    assert_eq!(
        text,
        "
micro: 3 rounds in 0 s
  floor, packet ns
    XDP_TX                         40.0         33.0-50.0
  hit, 1 flow, packet ns
    gwpool XDP                     99.0          80.0-200    3.00x [2.00-4.00]  XDP_TX
  left out: parse: hit: round 2, 3: no such program
"
    );
}

#[test]
fn contestants_of_a_task_stand_together_for_each_metric() {
    let mut figures = figures();
    figures.rows = ["a", "b"]
        .iter()
        .flat_map(|who| {
            let mut other = row("hit", who, &[1.0]);
            other.metric.name = "other";
            [row("hit", who, &[1.0]), other]
        })
        .collect();
    let text = table::figures(&figures);
    let order: Vec<&str> = text
        .split_whitespace()
        .filter(|word| ["packet", "other", "a", "b"].contains(word))
        .collect();
    assert_eq!(order, ["packet", "a", "b", "other", "a", "b"]);
}

#[test]
fn a_chart_has_a_bar_for_each_row() {
    let text = chart::svg(&figures());
    assert_eq!(text.matches("<rect ").count(), 2, "{text}");
    assert!(
        text.contains(">hit, 1 flow: packet, ns, less is better<"),
        "{text}"
    );
    let mut odd = figures();
    odd.rows[0].entry.contestant = "<&>".to_owned();
    assert!(chart::svg(&odd).contains("&lt;&amp;&gt;"));
}

#[test]
fn figures_are_said_in_three_digits() {
    let said = [0.5, 9.996, 99.96, 1234.0, 15_100.0, 1_020_000.0].map(short);
    assert_eq!(said, ["0.50", "10.0", "100", "1234", "15.1k", "1.02M"]);
}

#[test]
fn what_is_written_is_what_readme_is_made_of() -> Result<()> {
    let root = std::env::temp_dir().join(format!("gwpool-report-{}", std::process::id()));
    let rules = Rules {
        rounds: 3,
        minutes: None,
        rough: true,
        only: None,
    };
    let report = Report::new(rules, vec![figures()]);
    report.write_into(&root.join("docs/bench"), "figures")?;
    let read = published::published(&root);
    let charts = fs::read_to_string(root.join("docs/bench/micro.svg"));
    fs::remove_dir_all(&root)?;
    let table = read?.context("figures.json")?.table();
    let row = "| hit, 1 flow, over XDP_TX | at most 2.80x | 2.30x | 3.00x [2.00-4.00] | missed |\n";
    assert!(table.contains(row), "{table}");
    assert!(
        table.contains("\n![micro](docs/bench/micro.svg)\n"),
        "{table}"
    );
    assert!(charts?.contains("gwpool XDP"));
    let readme = "before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n";
    let new = published::replaced(readme, "new\n")?;
    assert_eq!(new, readme.replace("old", "new"));
    assert!(published::replaced("no marks", "new").is_err());
    Ok(())
}

#[test]
fn readme_shows_the_published_figures() -> Result<()> {
    let readme = fs::read_to_string(project().join("README.md"))?;
    let Some(published) = published::published(project())? else {
        assert_eq!(
            published::replaced(&readme, "")?,
            readme,
            "a table of no figures"
        );
        return Ok(());
    };
    assert_eq!(
        published::replaced(&readme, &published.table())?,
        readme,
        "`cargo xtask bench --publish`"
    );
    let then = published.goals.iter();
    let then = then.map(|goal| (goal.what.as_str(), goal.must, goal.aim));
    let now = GOALS.iter().map(|goal| (goal.what, goal.must, goal.aim));
    assert!(
        then.eq(now),
        "the goals have changed: `cargo xtask bench --publish`"
    );
    Ok(())
}
