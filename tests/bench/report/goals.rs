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

/// A line each: what; bench and metric; task and contestant, over task and contestant; must, aim.
macro_rules! goals {
    ($($what:literal: $bench:literal $metric:literal, $task:literal $who:literal $(/ $base:literal $whom:literal)?, $must:literal $aim:literal $unit:literal;)*) => {
        &[$(Goal {
            what: $what,
            row: ($bench, $task, $who, $metric),
            over: [$(($bench, $base, $whom, $metric))?].first().copied(),
            unit: $unit,
            must: $must,
            aim: $aim,
        }),*]
    };
}

/// All of them.
pub const GOALS: &[Goal] = goals! {
    "hit, 1 flow, over XDP_TX": "micro" "packet", "hit, 1 flow" "gwpool XDP" / "floor" "XDP_TX", 2.8 2.3 "x";
    "hit, 64k random flows, over XDP_TX": "micro" "packet", "hit, 64k flows" "gwpool XDP" / "floor" "XDP_TX", 8.5 4.7 "x";
    "new flow, both directions, over XDP_TX": "micro" "packet", "new flow" "gwpool XDP" / "floor" "XDP_TX", 26.0 18.0 "x";
    "the same with the embryonic tier full": "micro" "packet", "new flow, tier full" "gwpool XDP" / "floor" "XDP_TX", 48.0 22.0 "x";
    "a packet to another host, over XDP_TX": "micro" "packet", "pass, another host's" "gwpool XDP" / "floor" "XDP_TX", 1.5 1.25 "x";
    "a packet to this host, not ours, over XDP_TX": "micro" "packet", "pass, this host's" "gwpool XDP" / "floor" "XDP_TX", 1.5 1.25 "x";
    "TC hit, 1 flow, over TC redirect": "micro" "packet", "hit, 1 flow" "gwpool TC" / "floor" "TC redirect", 3.2 2.6 "x";
    "pps over nft DNAT + masquerade, 64k flows": "pps" "packets", "64k flows" "gwpool XDP" / "64k flows" "nft DNAT+masquerade", 3.5 4.2 "x";
    "the same, new flows": "pps" "packets", "new flows" "gwpool XDP" / "new flows" "nft DNAT+masquerade", 3.2 5.0 "x";
    "the same, new flows with our tier full": "pps" "packets", "new flows, tier full" "gwpool XDP" / "new flows" "nft DNAT+masquerade", 2.3 4.0 "x";
    "pps over nft masquerade (SNAT), 60k flows": "pps" "packets", "SNAT, 60k flows" "gwpool XDP" / "SNAT, 60k flows" "nft masquerade", 3.0 3.6 "x";
    "TCP over kernel routing without NAT, MTU-sized: Gb/s": "tcp" "throughput", "1 stream, MTU-sized" "gwpool XDP" / "1 stream, MTU-sized" "kernel routing", 1.15 1.25 "x";
    "the same, keep-alive requests": "tcp" "requests", "keep-alive, MTU-sized" "gwpool XDP" / "keep-alive, MTU-sized" "kernel routing", 0.95 1.1 "x";
    "the same, connections": "tcp" "requests", "close, MTU-sized" "gwpool XDP" / "close, MTU-sized" "kernel routing", 0.95 1.1 "x";
    "TC over kernel routing, offloads: Gb/s, 4 streams": "tcp" "throughput", "4 streams, offloads" "gwpool TC" / "4 streams, offloads" "kernel routing", 0.95 1.0 "x";
    "TC over HAProxy tcp, keep-alive requests": "tcp" "requests", "keep-alive, offloads" "gwpool TC" / "keep-alive, offloads" "HAProxy tcp", 1.9 2.1 "x";
    "TC over HAProxy tcp, connections": "tcp" "requests", "close, offloads" "gwpool TC" / "close, offloads" "HAProxy tcp", 1.6 1.8 "x";
    "TC over HAProxy tcp, p99 of keep-alive requests": "tcp" "p99", "keep-alive, offloads" "gwpool TC" / "keep-alive, offloads" "HAProxy tcp", 0.4 0.3 "x";
    "10,000 routes over 6, hit": "scale" "packet", "program, 10,000 routes: hit" "gwpool XDP" / "program, 6 routes: hit" "gwpool XDP", 1.1 1.03 "x";
    "10,000 routes over 6, new flow": "scale" "packet", "program, 10,000 routes: new flow" "gwpool XDP" / "program, 6 routes: new flow" "gwpool XDP", 1.1 1.03 "x";
    "map memory of an IPv4 connection at capacity": "scale" "memory", "memory of a flow" "gwpool", 208.0 128.0 "B";
};

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

fn find(benches: &[Figures], (bench, task, contestant, metric): Of) -> Option<&Row> {
    let figures = benches.iter().find(|figures| figures.bench == bench)?;
    figures.row(task, contestant, metric)
}
