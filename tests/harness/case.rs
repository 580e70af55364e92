//! Golden cases: a sentence, a world, and packets with what becomes of each. `tests/cases/README.md` has the grammar.
//!
//! A case runs on any [`Subject`], at XDP and at TC alike, unless it says where. Besides what a step expects, nothing
//! else may move: exactly one reason counts, and the flow tables are as large as the case says they are.

use crate::bed;
use crate::frames::Frame;
use crate::subject::{Action, Hook, State, Subject, on_host};
use crate::trial::{Sent, carried, empty, send};
use anyhow::{Context, Result, bail, ensure};
use gwpool_common::reason::{Fate, Reason};
use std::path::{Path, PathBuf};

/// One case file.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file's name without its ending: a sentence.
    pub name: String,
    /// Whose plan the host has.
    pub world: String,
    /// `net.ipv4.ip_local_port_range`.
    pub local_ports: (u16, u16),
    /// Flows the established tier holds.
    pub flows: Option<u32>,
    /// Where it is run; egress steps run at egress everywhere.
    pub hooks: Vec<Hook>,
    steps: Vec<(usize, Step)>,
}

#[derive(Clone, Debug)]
enum Step {
    In {
        interface: u32,
        frame: Frame,
    },
    Out {
        interface: u32,
        frame: Frame,
    },
    Expect {
        only: Option<Hook>,
        expected: Expected,
    },
    Same,
    /// The route loses every backend.
    Empty(String),
    Clock(u32),
    /// Answers that may be made in a tick.
    Answers(u32),
    Forwarding {
        interface: String,
        on: bool,
    },
    Tables {
        established: usize,
        embryonic: usize,
    },
    /// Mappings there are.
    Mappings(usize),
    Carried {
        route: String,
        connections: Vec<u64>,
    },
}

/// What a packet is expected to end as.
#[derive(Clone, Debug)]
pub struct Expected {
    /// `None`: unfinished at XDP.
    pub reason: Option<Reason>,
    /// `None`: as it came.
    pub frame: Option<Frame>,
    /// Sent by way of the kernel's neighbour resolution, which writes the Ethernet addresses after us.
    pub resolved_later: bool,
    /// It leaves by an interface at ingress.
    pub sent: bool,
    /// The frame is the answer to its sender.
    pub answered: bool,
}

impl Expected {
    /// What the program does with such a packet.
    pub fn action(&self) -> Action {
        match self.reason {
            None => Action::Unfinished,
            Some(_) if self.answered => Action::Send,
            Some(reason) if reason.fate() == Fate::Dropped => Action::Drop,
            // An error is sent on, unless it was this host's stack that it concerns or comes from.
            Some(_) if self.sent => Action::Send,
            Some(_) => Action::Pass,
        }
    }
}

/// Every case of `tests/cases`, in the order of their names.
pub fn all() -> Result<Vec<Case>> {
    let folder = bed::root().join("tests/cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "case"));
    paths.sort();
    ensure!(!paths.is_empty(), "no cases in {}", folder.display());
    paths.iter().map(|path| read(path)).collect()
}

/// Runs every case on the model; one line for each that failed.
pub fn failures_on_host() -> Result<Vec<String>> {
    let mut failures = Vec::new();
    for case in all()? {
        for hook in &case.hooks {
            let mut subject = on_host(&case.world, case.local_ports, case.flows)?;
            failures.extend(
                case.run(&mut subject, *hook)
                    .err()
                    .map(|error| format!("{error:#}")),
            );
        }
    }
    Ok(failures)
}

fn read(path: &Path) -> Result<Case> {
    let mut case = Case {
        name: path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        world: "seed".into(),
        local_ports: (32768, 60999),
        flows: None,
        hooks: vec![Hook::Xdp, Hook::Tc],
        steps: Vec::new(),
    };
    for (number, line) in (1..).zip(std::fs::read_to_string(path)?.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            let place = || format!("{}:{number}: {line}", path.display());
            case.line(number, line).with_context(place)?;
        }
    }
    Ok(case)
}

impl Case {
    /// Takes a line that says something of the whole case; false: it is a step.
    fn heading(&mut self, word: &str, rest: &str) -> Result<bool> {
        match word {
            "world" => self.world = rest.to_owned(),
            "hook" => self.hooks = vec![hook(rest)?],
            "flows" => self.flows = Some(rest.parse()?),
            "local-ports" => {
                let (low, high) = rest.split_once('-').context("wanted LOW-HIGH")?;
                self.local_ports = (low.parse()?, high.parse()?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn line(&mut self, number: usize, line: &str) -> Result<()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if self.heading(word, rest)? {
            return Ok(());
        }
        let step = match word {
            "in" | "out" => {
                let (interface, frame) = located(rest)?;
                if word == "in" {
                    Step::In { interface, frame }
                } else {
                    Step::Out { interface, frame }
                }
            }
            "forwarding" => {
                let (interface, on) = rest.split_once(' ').context("wanted INTERFACE on|off")?;
                Step::Forwarding {
                    interface: interface.to_owned(),
                    on: on == "on",
                }
            }
            "clock" => Step::Clock(rest.parse()?),
            "answers" => Step::Answers(rest.parse()?),
            "tables" => {
                let (established, embryonic) = rest
                    .split_once(' ')
                    .context("wanted ESTABLISHED EMBRYONIC")?;
                Step::Tables {
                    established: established.parse()?,
                    embryonic: embryonic.parse()?,
                }
            }
            "connections" => {
                let (route, counts) = rest.split_once(' ').context("wanted ROUTE COUNT...")?;
                let connections = counts
                    .split(' ')
                    .map(str::parse)
                    .collect::<Result<_, _>>()?;
                Step::Carried {
                    route: route.to_owned(),
                    connections,
                }
            }
            "mappings" => Step::Mappings(rest.parse()?),
            "same" => Step::Same,
            "empty" => Step::Empty(rest.to_owned()),
            _ => expectation(line)?,
        };
        self.steps.push((number, step));
        Ok(())
    }

    /// Runs the case at one hook.
    pub fn run(&self, subject: &mut dyn Subject, at: Hook) -> Result<()> {
        let mut last = None;
        let mut before = subject.state()?;
        for (number, step) in &self.steps {
            let place = || format!("{}.case:{number} at {at:?}", self.name);
            match step {
                Step::In { interface, frame } => {
                    before = subject.state()?;
                    last = Some(send(subject, at, *interface, frame).with_context(place)?);
                }
                Step::Out { interface, frame } => {
                    before = subject.state()?;
                    last =
                        Some(send(subject, Hook::Egress, *interface, frame).with_context(place)?);
                }
                Step::Same => {
                    let sent = last
                        .as_ref()
                        .context("nothing to send again")
                        .with_context(place)?;
                    before = subject.state()?;
                    last = Some(sent.again(subject).with_context(place)?);
                }
                Step::Expect {
                    only: Some(only), ..
                } if *only != at => {}
                Step::Expect { expected, .. } => {
                    let sent = last
                        .as_ref()
                        .context("no packet before")
                        .with_context(place)?;
                    hold(sent, expected, at, subject, &before).with_context(place)?;
                }
                Step::Empty(route) => empty(subject, route).with_context(place)?,
                Step::Forwarding { interface, on } => {
                    subject.forwarding(interface, *on).with_context(place)?;
                }
                Step::Answers(count) => subject.answers(*count).with_context(place)?,
                Step::Clock(tick) => subject.clock(*tick).with_context(place)?,
                Step::Tables {
                    established,
                    embryonic,
                } => {
                    tables(subject, (*established, *embryonic)).with_context(place)?;
                }
                Step::Mappings(wanted) => {
                    let found = subject.state()?.mappings.len();
                    ensure!(
                        found == 2 * wanted,
                        "{}: wanted {wanted} mappings, found {found} ends",
                        place()
                    );
                }
                Step::Carried { route, connections } => {
                    carried(subject, route, connections).with_context(place)?;
                }
            }
        }
        Ok(())
    }
}

/// The flow tables hold as many entries as wanted.
fn tables(subject: &dyn Subject, wanted: (usize, usize)) -> Result<()> {
    let state = subject.state()?;
    let found = (state.established.len(), state.embryonic.len());
    ensure!(found == wanted, "wanted tables {wanted:?}, found {found:?}");
    Ok(())
}

/// Holds a packet against what is expected of it; what XDP leaves to TC to be answered is finished there first.
fn hold(
    sent: &Sent,
    expected: &Expected,
    at: Hook,
    subject: &mut dyn Subject,
    before: &State,
) -> Result<()> {
    if expected.answered && at == Hook::Xdp {
        let finished = sent.finish(subject)?;
        return finished.check(expected, before, &subject.state()?);
    }
    sent.check(expected, before, &subject.state()?)
}

fn expectation(line: &str) -> Result<Step> {
    let (only, line) = match line.split_once(": ") {
        Some((at, rest)) => (Some(hook(at)?), rest),
        None => (None, line),
    };
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut expected = Expected {
        reason: None,
        frame: None,
        resolved_later: false,
        sent: false,
        answered: false,
    };
    if word != "unfinished" {
        let known = Reason::ALL.iter().find(|reason| reason.name() == word);
        expected.reason = Some(*known.with_context(|| format!("no step and no reason: {word:?}"))?);
    }
    let rest = match rest.strip_prefix("resolve ") {
        Some(rest) => {
            expected.resolved_later = true;
            rest
        }
        None => rest,
    };
    let rest = match rest.strip_prefix("local ") {
        Some(rest) => rest,
        None => {
            expected.sent = matches!(
                expected.reason,
                Some(
                    Reason::ToBackend
                        | Reason::ToClient
                        | Reason::ToOutside
                        | Reason::ToInside
                        | Reason::IcmpError
                )
            );
            rest
        }
    };
    if !rest.is_empty() {
        let (interface, frame) = located(rest)?;
        // What is dropped and has a frame all the same is answered: to whom it came from, whoever that is.
        expected.answered = expected
            .reason
            .is_some_and(|reason| reason.fate() == Fate::Dropped);
        // The Ethernet addresses of the next hop, once the frame is ours to send.
        let next = (bed::next_mac(frame.destination()), bed::own_mac(interface));
        expected.frame = Some(if expected.sent {
            frame.via(next.0, next.1)
        } else {
            frame
        });
    }
    Ok(Step::Expect { only, expected })
}

fn located(text: &str) -> Result<(u32, Frame)> {
    let (interface, frame) = text.split_once(' ').context("wanted INTERFACE FRAME")?;
    Ok((bed::interface(interface)?, Frame::parse(frame)?))
}

fn hook(name: &str) -> Result<Hook> {
    match name {
        "xdp" => Ok(Hook::Xdp),
        "tc" => Ok(Hook::Tc),
        other => bail!("wanted xdp or tc, found {other:?}"),
    }
}
