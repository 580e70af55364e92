//! How anything here is measured: contestants take turns at the same tasks, round by round, on a quiet machine.
//!
//! The machine's speed drifts from minute to minute, so no figure is compared but with those of its own round: a
//! ratio is the median of the rounds' ratios. A shot that others' work has disturbed is taken again, and left out and
//! named if it stays so.

mod quiet;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, Instant};

/// How often a disturbed shot is taken again.
const AGAIN: usize = 2;
/// Rounds that are held however long they take.
const LEAST: usize = 3;

/// Who does what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `hit, 64k flows`.
    pub task: String,
    /// `gwpool, XDP`.
    pub contestant: String,
}

impl Entry {
    /// This contestant at this task.
    pub fn new(task: impl Into<String>, contestant: impl Into<String>) -> Entry {
        Entry {
            task: task.into(),
            contestant: contestant.into(),
        }
    }
}

/// What stands, or why it does not, which is said at once: `what` of a bench that was to be set up.
pub fn told<T>(bench: &str, what: &str, made: Result<T>) -> Result<T, String> {
    made.map_err(|error| {
        let why = format!("{error:#}");
        eprintln!("{bench}: {what}: {why}");
        why
    })
}

/// It, if it stands.
pub fn there<T>(part: &mut Result<T, String>) -> Result<&mut T> {
    part.as_mut().map_err(|why| anyhow!("not set up: {why}"))
}

/// What is measured of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Metric {
    /// `packet`, `requests`, `p99`.
    pub name: &'static str,
    /// `ns`, `1/s`, `us`.
    pub unit: &'static str,
}

/// What can be measured: the contestants, set up side by side.
pub trait Ground {
    /// The bench's name: `pps`.
    fn name(&self) -> &'static str;

    /// Everything to be measured in one round, in this order.
    fn entries(&self) -> Vec<Entry>;

    /// Takes one shot.
    ///
    /// # Errors
    /// The contestant could not do it: there is no figure then, and the report says why.
    fn shoot(&mut self, entry: &Entry) -> Result<Vec<(Metric, f64)>>;
}

/// One contestant's figure at one task, round by round.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Who and what.
    #[serde(flatten)]
    pub entry: Entry,
    /// Of what.
    pub metric: Metric,
    /// By round; `None`: disturbed, or it failed.
    pub rounds: Vec<Option<f64>>,
}

/// A shot that does not count.
#[derive(Clone, Debug, Serialize)]
pub struct Lost {
    /// Who and what.
    #[serde(flatten)]
    pub entry: Entry,
    /// In which round, from 1.
    pub round: usize,
    /// Why.
    pub why: String,
}

/// All that one bench has measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// The bench.
    pub bench: &'static str,
    /// What was measured.
    pub rows: Vec<Row>,
    /// What was left out.
    pub lost: Vec<Lost>,
    /// How many rounds were held.
    pub rounds: usize,
    /// How long it took to set up, and to hold, seconds.
    pub seconds: f64,
    /// Why it was not held at all.
    pub failed: Option<String>,
}

/// The middle of some figures, and their ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
    /// How many there are.
    pub count: usize,
}

impl Spread {
    /// Of these; `None`: there are none.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut all: Vec<f64> = figures.into_iter().collect();
        all.sort_by(f64::total_cmp);
        let (least, most) = (*all.first()?, *all.last()?);
        let middle = all.len() / 2;
        let median = if all.len() % 2 == 1 {
            all[middle]
        } else {
            (all[middle - 1] + all[middle]) / 2.0
        };
        Some(Spread {
            median,
            least,
            most,
            count: all.len(),
        })
    }
}

impl fmt::Display for Spread {
    /// `2.31 [2.25-2.40]`
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread {
            median,
            least,
            most,
            ..
        } = self;
        write!(out, "{median:.2} [{least:.2}-{most:.2}]")
    }
}

impl Row {
    /// Over the rounds that count.
    pub fn spread(&self) -> Option<Spread> {
        Spread::of(self.rounds.iter().flatten().copied())
    }
}

impl Figures {
    /// One row.
    pub fn row(&self, task: &str, contestant: &str, metric: &str) -> Option<&Row> {
        self.rows.iter().find(|row| {
            (row.entry.task.as_str(), row.entry.contestant.as_str()) == (task, contestant)
                && row.metric.name == metric
        })
    }

    fn row_mut(&mut self, entry: &Entry, metric: Metric) -> &mut Row {
        let known = |row: &Row| row.entry == *entry && row.metric == metric;
        let place = self.rows.iter().position(known).unwrap_or(self.rows.len());
        if place == self.rows.len() {
            self.rows.push(Row {
                entry: entry.clone(),
                metric,
                rounds: Vec::new(),
            });
        }
        &mut self.rows[place]
    }
}

/// One row over another, round by round.
pub fn ratio(row: &Row, over: &Row) -> Option<Spread> {
    let pairs = row.rounds.iter().zip(&over.rounds);
    Spread::of(pairs.filter_map(|(one, other)| Some((*one)? / (*other)?)))
}

/// How a contest is held.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Rules {
    /// How often everything is measured, where there is time for it
    #[arg(long, default_value_t = 7)]
    pub rounds: usize,
    /// Time for each bench, setting up included, in place of its own: no round is begun that would end later, but for
    /// the first three
    #[arg(long)]
    pub minutes: Option<f64>,
    /// For trying out: no quiet moment is waited for, and nothing is left out
    #[arg(long)]
    pub rough: bool,
    /// Only what has this in its task's or contestant's name
    #[arg(long, value_name = "PART")]
    pub only: Option<String>,
}

impl Rules {
    fn ask_for(&self, entry: &Entry) -> bool {
        let names = [&entry.task, &entry.contestant];
        let named = |part: &String| names.iter().any(|name| name.contains(part.as_str()));
        self.only.as_ref().is_none_or(named)
    }
}

/// Holds the contest, which has this much time; what is going on goes to stderr.
pub fn hold(ground: &mut dyn Ground, rules: &Rules, time: Duration) -> Figures {
    let mut contest = Contest {
        figures: Figures {
            bench: ground.name(),
            ..Figures::default()
        },
        rules: rules.clone(),
        time,
        start: Instant::now(),
        patience: quiet::Patience::of(time),
    };
    let mut entries = ground.entries();
    entries.retain(|entry| rules.ask_for(entry));
    for round in 1..=rules.rounds {
        if !contest.has_time() {
            eprintln!("{}: no time for round {round}", ground.name());
            break;
        }
        for (number, entry) in entries.iter().enumerate() {
            contest.announce(round, (number + 1, entries.len()), entry);
            contest.turn(ground, entry, round);
        }
        contest.figures.rounds = round;
    }
    contest.figures.seconds = contest.start.elapsed().as_secs_f64();
    contest.figures
}

/// A contest that is being held.
struct Contest {
    figures: Figures,
    rules: Rules,
    time: Duration,
    start: Instant,
    patience: quiet::Patience,
}

impl Contest {
    /// Whether another round fits, by the pace of those that were.
    fn has_time(&self) -> bool {
        let (rounds, passed) = (self.figures.rounds as u32, self.start.elapsed());
        rounds < LEAST as u32 || passed + passed / rounds <= self.time
    }

    fn announce(&self, round: usize, (number, count): (usize, usize), entry: &Entry) {
        let (bench, rounds) = (self.figures.bench, self.rules.rounds);
        let passed = self.start.elapsed().as_secs();
        let Entry { task, contestant } = entry;
        eprintln!(
            "{bench}: {passed:>4} s, round {round}/{rounds}, {number:>2}/{count}: {task}, {contestant}"
        );
    }

    /// One contestant's turn: as many shots as it takes until one counts.
    fn turn(&mut self, ground: &mut dyn Ground, entry: &Entry, round: usize) {
        let mut why = String::new();
        for _ in 0..=AGAIN {
            let watch = (!self.rules.rough).then(|| quiet::Watch::begin(&mut self.patience));
            let shot = ground
                .shoot(entry)
                .with_context(|| format!("{}: {}", entry.contestant, entry.task));
            let disturbed = watch.and_then(quiet::Watch::end);
            match (shot, disturbed) {
                (Ok(shot), None) => {
                    for (metric, figure) in shot {
                        let row = self.figures.row_mut(entry, metric);
                        row.rounds.resize(round - 1, None);
                        row.rounds.push(Some(figure));
                    }
                    return;
                }
                (Ok(_), Some(disturbed)) => why = disturbed,
                (Err(error), _) => {
                    why = format!("{error:#}");
                    break;
                }
            }
            if self.start.elapsed() > self.time {
                break;
            }
        }
        eprintln!("{}: left out: {why}", self.figures.bench);
        self.figures.lost.push(Lost {
            entry: entry.clone(),
            round,
            why,
        });
    }
}

#[cfg(test)]
mod tests;
