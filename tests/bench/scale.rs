//! How costs grow: with 6, 1,000 and 10,000 routes, and with 1k, 64k and 1M flows.
//!
//! Routes are loaded as their users load them: gwpool's daemon reads its inventory anew, `nft -f` fills a map,
//! `iptables-restore` takes a list. Packets then ask for the last route. The same packets are given to our programs alone,
//! where no sender is in the figure: what 10,000 routes cost beyond 6 is told by those. Limits that are not defaults are
//! those that 10,000 routes need (`gwpool.limits.routes`, `listeners`, `backends`), at every number of routes, and `flows`
//! for a million of them. conntrack ends at its own default of 262,144 flows, which is the whole machine's to change.

mod apart;
mod crowds;
mod flows;
mod programs;
mod routes;

use crate::contest::{Entry, Ground, Metric, there, told};
use anyhow::{Context, Result};
use apart::Apart;
use crowds::Crowds;
use flows::Flows;
use programs::Programs;
use routes::{Routes, Who};

/// A packet's way, or what a program needs for it.
const PACKET: Metric = Metric {
    name: "packet",
    unit: "ns",
};
/// A command, from its start to its end.
const COMMAND: Metric = Metric {
    name: "command",
    unit: "ms",
};
/// Of the daemon's work for it, what comes after the inventory is read.
const LAYING: Metric = Metric {
    name: "laying",
    unit: "ms",
};
/// CPU time.
const CPU: Metric = Metric {
    name: "CPU",
    unit: "ms",
};
/// Kernel memory.
const MEMORY: Metric = Metric {
    name: "memory",
    unit: "B",
};

/// Numbers of routes, and as tasks name them.
const ROUTES: [(usize, &str); 3] = [(6, "6"), (1_000, "1,000"), (10_000, "10,000")];

/// What is measured.
#[derive(Clone, Copy, Debug)]
enum Task {
    /// All routes are loaded, where there was one.
    Load(usize, Who),
    /// One more.
    Change(usize, Who),
    /// A packet that opens a flow of the last route.
    New(usize, Who),
    /// A packet of one of a thousand flows of it.
    Hit(usize, Who),
    /// The programs alone.
    ProgramNew(usize),
    /// See above.
    ProgramHit(usize),
    /// With so many flows.
    Flows(flows::Task, flows::Who),
    /// A pass of the sweep over so many.
    Sweep(u32),
    /// Of a connection.
    Memory,
    /// Of one of conntrack's.
    PeerMemory,
}

/// All of it, side by side; each part, or why it does not stand.
pub struct Scale {
    routes: Result<Routes, String>,
    programs: Result<Apart<Programs>, String>,
    flows: Result<Flows, String>,
    crowds: Result<Crowds, String>,
}

impl Scale {
    /// Sets everything up.
    pub fn new() -> Result<Scale> {
        Ok(Scale {
            routes: told("scale", "routes", Routes::up()),
            programs: told(
                "scale",
                "programs",
                Apart::new(|| Programs::new(ROUTES.map(|size| size.0))),
            ),
            flows: told("scale", "flows", Flows::up()),
            crowds: told("scale", "crowds", Crowds::new()),
        })
    }

    fn measure(&mut self, task: Task) -> Result<Vec<(Metric, f64)>> {
        let one = |metric: Metric, figure: f64| vec![(metric, figure)];
        Ok(match task {
            Task::Load(routes, who) => there(&mut self.routes)?.load(who, routes)?,
            Task::Change(routes, who) => there(&mut self.routes)?.change(who, routes)?,
            Task::New(routes, who) => one(PACKET, there(&mut self.routes)?.open(who, routes)?),
            Task::Hit(routes, who) => one(PACKET, there(&mut self.routes)?.hit(who, routes)?),
            Task::ProgramNew(routes) => {
                let programs = there(&mut self.programs)?;
                one(PACKET, programs.ask(move |all| all.new_flow(routes))?)
            }
            Task::ProgramHit(routes) => {
                let programs = there(&mut self.programs)?;
                one(PACKET, programs.ask(move |all| all.hit(routes))?)
            }
            Task::Flows(task, who) => there(&mut self.flows)?.measure(task, who)?,
            Task::Sweep(flows) => one(CPU, there(&mut self.crowds)?.pass(flows)?),
            Task::Memory => one(MEMORY, there(&mut self.crowds)?.memory),
            Task::PeerMemory => one(MEMORY, there(&mut self.flows)?.memory),
        })
    }
}

/// All tasks, with who does them.
fn tasks() -> Vec<(String, &'static str, Task)> {
    let mut tasks = Vec::new();
    for (count, name) in ROUTES {
        let ways = [Task::Load, Task::Change, Task::New, Task::Hit];
        for (what, task) in ["load all", "one more", "new flow", "hit"].iter().zip(ways) {
            for (who, contestant) in Who::ALL {
                tasks.push((
                    format!("{name} routes: {what}"),
                    contestant,
                    task(count, who),
                ));
            }
        }
        let ways = [Task::ProgramNew, Task::ProgramHit];
        for (what, task) in ["new flow", "hit"].iter().zip(ways) {
            let what = format!("program, {name} routes: {what}");
            tasks.push((what, "gwpool XDP", task(count)));
        }
    }
    for (what, task) in flows::TASKS {
        for (who, contestant) in flows::Who::ALL {
            tasks.push((what.to_owned(), contestant, Task::Flows(task, who)));
        }
    }
    for (flows, name) in crowds::SIZES {
        tasks.push((format!("sweep, {name} flows"), "gwpool", Task::Sweep(flows)));
    }
    for (who, task) in [("gwpool", Task::Memory), ("conntrack", Task::PeerMemory)] {
        tasks.push(("memory of a flow".to_owned(), who, task));
    }
    tasks
}

impl Ground for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn entries(&self) -> Vec<Entry> {
        let all = tasks().into_iter();
        all.map(|(task, contestant, _)| Entry::new(task, contestant))
            .collect()
    }

    fn shoot(&mut self, entry: &Entry) -> Result<Vec<(Metric, f64)>> {
        let mut tasks = tasks().into_iter();
        let found = tasks.find(|(task, who, _)| *task == entry.task && *who == entry.contestant);
        let (.., task) = found.context("no such task")?;
        self.measure(task)
    }
}

#[cfg(test)]
mod tests;
