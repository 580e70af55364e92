//! What is to be reached, as data: a row over another row of the same round, and how much that must and should be.

use crate::contest::{Figures, Row, Spread, ratio};
use serde::{Deserialize, Serialize};

/// One row of figures: the bench, the task, the contestant, the metric.
type Of = (&'static str, &'static str, &'static str, &'static str);

/// Something to be reached.
pub struct Goal {
    /// In words.
    pub what: &'static str,
    /// What is measured.
    pub row: Of,
    /// Over what; `None`: it counts by itself.
    pub over: Option<Of>,
    /// `x`, or the unit of what counts by itself.
    pub unit: &'static str,
    /// What must be reached.
    pub must: f64,
    /// What should be; if that is less than `must`, less is better.
    pub aim: f64,
}

/// A row over another of the same bench and metric: what, bench, metric, (task, contestant) twice, must and aim.
macro_rules! over {
    ($what:literal, $bench:literal, $metric:literal, ($task:literal, $who:literal), ($base:literal, $whom:literal), $must:literal, $aim:literal) => {
        Goal {
            what: $what,
            row: ($bench, $task, $who, $metric),
            over: Some(($bench, $base, $whom, $metric)),
            unit: "x",
            must: $must,
            aim: $aim,
        }
    };
}

/// All of them.
pub const GOALS: &[Goal] = &[
    over!(
        "hit, 1 flow, over XDP_TX",
        "micro",
        "packet",
        ("hit, 1 flow", "gwpool XDP"),
        ("floor", "XDP_TX"),
        2.8,
        2.3
    ),
    over!(
        "hit, 64k random flows, over XDP_TX",
        "micro",
        "packet",
        ("hit, 64k flows", "gwpool XDP"),
        ("floor", "XDP_TX"),
        8.5,
        4.7
    ),
    over!(
        "new flow, both directions, over XDP_TX",
        "micro",
        "packet",
        ("new flow", "gwpool XDP"),
        ("floor", "XDP_TX"),
        26.0,
        18.0
    ),
    over!(
        "the same, embryonic tier full",
        "micro",
        "packet",
        ("new flow, tier full", "gwpool XDP"),
        ("floor", "XDP_TX"),
        48.0,
        22.0
    ),
    over!(
        "a packet to another host, over XDP_TX",
        "micro",
        "packet",
        ("pass, another host's", "gwpool XDP"),
        ("floor", "XDP_TX"),
        1.5,
        1.25
    ),
    over!(
        "a packet to this host that is not ours, over XDP_TX",
        "micro",
        "packet",
        ("pass, this host's", "gwpool XDP"),
        ("floor", "XDP_TX"),
        1.5,
        1.25
    ),
    over!(
        "hit at TC, 1 flow, over TC redirect",
        "micro",
        "packet",
        ("hit, 1 flow", "gwpool TC"),
        ("floor", "TC redirect"),
        3.2,
        2.6
    ),
];

/// What has become of a goal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The goal.
    pub what: String,
    /// See [`Goal::unit`].
    pub unit: String,
    /// See [`Goal::must`].
    pub must: f64,
    /// See [`Goal::aim`].
    pub aim: f64,
    /// What was measured.
    pub measured: Option<Spread>,
}

impl Verdict {
    /// Of the goal, by these figures.
    pub fn of(goal: &Goal, benches: &[Figures]) -> Verdict {
        let row = find(benches, goal.row);
        let measured = match goal.over {
            None => row.and_then(Row::spread),
            Some(over) => row
                .zip(find(benches, over))
                .and_then(|(row, over)| ratio(row, over)),
        };
        Verdict {
            what: goal.what.to_owned(),
            unit: goal.unit.to_owned(),
            must: goal.must,
            aim: goal.aim,
            measured,
        }
    }

    /// Whether a figure is as good as another.
    fn reaches(&self, figure: f64, wanted: f64) -> bool {
        if self.aim < self.must {
            figure <= wanted
        } else {
            figure >= wanted
        }
    }

    /// In a word: what its median has reached.
    pub fn word(&self) -> &'static str {
        match self.measured {
            None => "not measured",
            Some(spread) if self.reaches(spread.median, self.aim) => "aim",
            Some(spread) if self.reaches(spread.median, self.must) => "must",
            Some(_) => "missed",
        }
    }

    /// `at most 2.80x`
    pub fn bound(&self) -> String {
        let side = if self.aim < self.must {
            "at most"
        } else {
            "at least"
        };
        format!("{side} {}", self.amount(self.must))
    }

    /// A figure in the goal's unit.
    pub fn amount(&self, figure: f64) -> String {
        match self.unit.as_str() {
            "x" => format!("{figure:.2}x"),
            unit => format!("{figure:.1} {unit}"),
        }
    }

    /// `2.31x [2.25-2.40]`, or a dash.
    pub fn found(&self) -> String {
        self.measured.map_or_else(
            || "-".to_owned(),
            |spread| {
                let Spread {
                    median,
                    least,
                    most,
                    ..
                } = spread;
                format!("{} [{least:.2}-{most:.2}]", self.amount(median))
            },
        )
    }
}

/// Of all goals whose bench was held.
pub fn verdicts(benches: &[Figures]) -> Vec<Verdict> {
    let held = |goal: &&Goal| benches.iter().any(|figures| figures.bench == goal.row.0);
    let goals = GOALS.iter().filter(held);
    goals.map(|goal| Verdict::of(goal, benches)).collect()
}

fn find<'a>(benches: &'a [Figures], (bench, task, contestant, metric): Of) -> Option<&'a Row> {
    let figures = benches.iter().find(|figures| figures.bench == bench)?;
    figures.row(task, contestant, metric)
}
