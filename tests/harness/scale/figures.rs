//! The measurement itself, round by round, and its table.

use super::packets::Cost;
use super::{FEW, Ground, Laid, Size};
use anyhow::{Result, ensure};
use gwpool_user::plan::Plan;
use std::fmt;
use std::time::Duration;

/// One of the costs.
type Part = fn(&Cost) -> Duration;

/// A step that was timed in each round.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it is.
    pub what: &'static str,
    /// Each time it was taken.
    pub took: Vec<Duration>,
    /// Map entries written.
    pub writes: usize,
    /// System calls made for them.
    pub calls: usize,
}

/// What packets cost with few routes and with all, each round.
#[derive(Clone, Debug, Default)]
pub struct Packets {
    few: Vec<Cost>,
    many: Vec<Cost>,
}

/// All that was measured.
#[derive(Clone, Debug)]
pub struct Figures {
    size: Size,
    /// The daemon's part.
    pub steps: Vec<Step>,
    /// The programs' part.
    pub packets: Packets,
}

impl Figures {
    /// Measures, so many rounds.
    pub fn measure(size: Size, rounds: usize) -> Result<Figures> {
        ensure!(
            size.routes > FEW && rounds > 0,
            "more routes than {FEW}, and a round"
        );
        let mut ground = Ground::new(size)?;
        let mut figures = Figures {
            size,
            steps: Vec::new(),
            packets: Packets::default(),
        };
        for round in 0..rounds {
            figures.round(&mut ground, round)?;
        }
        Ok(figures)
    }

    fn round(&mut self, ground: &mut Ground, round: usize) -> Result<()> {
        ground.clear()?;
        let mut plan = ground.plan(self.size.routes)?;
        self.laid("every route", ground.lay(&plan)?);
        self.laid("the same plan again", ground.lay(&plan)?);
        self.changes(ground, &mut plan)?;
        let (_, took) = ground.read()?;
        self.step("taking over: reading the maps", took, 0, 0);
        let (difference, took) = ground.take_over(&plan)?;
        let writes = difference.writes.len();
        self.step("taking over: comparing", took, writes, 0);
        self.packets.many.push(ground.cost(&plan, 2 * round)?);
        let few = ground.plan(FEW)?;
        ground.clear()?;
        ground.lay(&few)?;
        self.packets.few.push(ground.cost(&few, 2 * round + 1)?);
        Ok(())
    }

    /// One route is another, in each of the ways.
    fn changes(&mut self, ground: &mut Ground, plan: &mut Plan) -> Result<()> {
        let middle = plan.routes.len() / 2;
        let whole = plan.clone();
        plan.routes[middle].backends[1].weight = 2;
        self.laid("one route: a weight", ground.lay(plan)?);
        plan.routes[middle].backends.pop();
        self.laid("one route: a backend less", ground.lay(plan)?);
        plan.routes[middle].port = 9_999;
        self.laid("one route: another port", ground.lay(plan)?);
        plan.routes.remove(middle);
        self.laid("one route less", ground.lay(plan)?);
        *plan = whole;
        self.laid("one route more", ground.lay(plan)?);
        Ok(())
    }

    fn laid(&mut self, what: &'static str, laid: Laid) {
        self.step(what, laid.took, laid.writes.len(), laid.calls);
    }

    fn step(&mut self, what: &'static str, took: Duration, writes: usize, calls: usize) {
        match self.steps.iter_mut().find(|step| step.what == what) {
            Some(step) => step.took.push(took),
            None => self.steps.push(Step {
                what,
                took: vec![took],
                writes,
                calls,
            }),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { routes, backends } = self.size;
        let rounds = self.packets.many.len();
        writeln!(
            out,
            "{routes} routes x {backends} backends, {rounds} round(s)\n"
        )?;
        writeln!(
            out,
            "{:<34} {:>12} {:>12} {:>8} {:>8}",
            "from the plan to the last write", "median", "worst", "writes", "calls"
        )?;
        for step in &self.steps {
            let (median, worst) = (middle(step.took.iter()), step.took.iter().max());
            let worst = worst.copied().unwrap_or_default();
            write!(
                out,
                "{:<34} {:>9.3} ms",
                step.what,
                median.as_secs_f64() * 1e3
            )?;
            write!(out, " {:>9.3} ms", worst.as_secs_f64() * 1e3)?;
            writeln!(out, " {:>8} {:>8}", step.writes, step.calls)?;
        }
        writeln!(
            out,
            "\n{:<34} {:>12} {:>12} {:>8}",
            "a packet, at XDP",
            format!("{FEW} routes"),
            format!("{routes} routes"),
            "ratio"
        )?;
        let rows: [(&str, Part); 4] = [
            ("of a known flow", |cost| cost.known),
            ("without a flow, to the last route", |cost| cost.looked_up),
            ("that opens one, to the last route", |cost| cost.opened),
            ("that opens one, each to another", |cost| cost.spread),
        ];
        for (what, of) in rows {
            let few: Vec<Duration> = self.packets.few.iter().map(of).collect();
            let many: Vec<Duration> = self.packets.many.iter().map(of).collect();
            let (few, many) = (middle(few.iter()), middle(many.iter()));
            let ratio = many.as_secs_f64() / few.as_secs_f64();
            let (few, many) = (few.as_nanos(), many.as_nanos());
            writeln!(out, "{what:<34} {few:>9} ns {many:>9} ns {ratio:>8.2}")?;
        }
        Ok(())
    }
}

fn middle<'a>(all: impl Iterator<Item = &'a Duration>) -> Duration {
    let mut all: Vec<Duration> = all.copied().collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
