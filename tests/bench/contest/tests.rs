//! The method, on a ground that only counts.

use super::*;

struct Counting {
    shots: usize,
}

const TIME: Metric = Metric {
    name: "packet",
    unit: "ns",
};

impl Ground for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn entries(&self) -> Vec<Entry> {
        let entry = |contestant: &str| Entry {
            task: "hit".into(),
            contestant: contestant.into(),
        };
        vec![entry("ours"), entry("theirs"), entry("broken")]
    }

    fn shoot(&mut self, entry: &Entry) -> Result<Vec<(Metric, f64)>> {
        self.shots += 1;
        match entry.contestant.as_str() {
            "ours" => Ok(vec![(TIME, self.shots as f64)]),
            "theirs" => Ok(vec![(TIME, 10.0 * self.shots as f64)]),
            _ => anyhow::bail!("no such program"),
        }
    }
}

#[test]
fn a_median_is_the_middle_and_the_mean_of_two() {
    let spread = Spread::of([5.0, 1.0, 3.0]).expect("figures");
    assert_eq!(
        (spread.median, spread.least, spread.most, spread.count),
        (3.0, 1.0, 5.0, 3)
    );
    assert_eq!(
        Spread::of([4.0, 1.0]).map(|spread| spread.median),
        Some(2.5)
    );
    assert_eq!(Spread::of([]), None);
    assert_eq!(spread.to_string(), "3.00 [1.00-5.00]");
}

#[test]
fn a_ratio_pairs_rounds_and_skips_what_was_lost() {
    let row = |rounds: Vec<Option<f64>>| Row {
        entry: Entry {
            task: String::new(),
            contestant: String::new(),
        },
        metric: TIME,
        rounds,
    };
    let one = row(vec![Some(2.0), None, Some(9.0), Some(4.0)]);
    let other = row(vec![Some(1.0), Some(1.0), Some(3.0)]);
    let spread = ratio(&one, &other).expect("two pairs");
    assert_eq!((spread.median, spread.count), (2.5, 2));
    assert_eq!(ratio(&one, &row(vec![])), None);
}

fn rules(only: Option<&str>) -> Rules {
    Rules {
        rounds: 3,
        rough: true,
        only: only.map(str::to_owned),
    }
}

#[test]
fn one_contestant_is_asked_for_alone() {
    let figures = hold(&mut Counting { shots: 0 }, &rules(Some("their")));
    let who: Vec<&str> = figures
        .rows
        .iter()
        .map(|row| row.entry.contestant.as_str())
        .collect();
    assert_eq!(who, ["theirs"]);
    assert!(figures.lost.is_empty());
}

#[test]
fn contestants_take_turns_and_who_fails_is_named() {
    let figures = hold(&mut Counting { shots: 0 }, &rules(None));
    let ours = figures.row("hit", "ours", "packet").expect("ours");
    let seen: Vec<usize> = ours
        .rounds
        .iter()
        .flatten()
        .map(|shot| *shot as usize)
        .collect();
    assert!(seen.is_sorted(), "{seen:?}");
    assert!(figures.row("hit", "broken", "packet").is_none());
    let broken = figures
        .lost
        .iter()
        .filter(|lost| lost.entry.contestant == "broken");
    let rounds: Vec<usize> = broken.map(|lost| lost.round).collect();
    assert_eq!(rounds, [1, 2, 3]);
    let why = &figures
        .lost
        .iter()
        .find(|lost| lost.entry.contestant == "broken")
        .expect("why")
        .why;
    assert!(why.contains("no such program"), "{why}");
}
