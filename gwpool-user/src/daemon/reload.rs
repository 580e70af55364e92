//! Reload: the inputs are read again beside the loop, and what they mean now is laid by the loop, like every change.
//!
//! All or nothing: on any error the old plan runs on. Who asks while inputs are being read gets a reading of its own
//! afterwards, because files may have changed after they were read.

use super::answer::{Asker, Wrong, refused};
use super::instance::{Instance, chain};
use crate::config::{self, Loaded, Note, Report, Sources};
use crate::datapath::maps::NAMES;
use crate::plan::{Limits, Plan, diff};
use anyhow::{Context as _, Result};
use sd_notify::NotifyState;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tracing::{error, info};

/// The reloads that were asked for.
pub(super) struct Reloads {
    sources: Sources,
    /// What was said about the plan that runs.
    notes: Vec<Note>,
    reading: Option<Reading>,
    waiting: Vec<Asker>,
}

struct Reading {
    askers: Vec<Asker>,
    begun: Instant,
    task: JoinHandle<Result<Loaded, Report>>,
}

/// What came of the inputs.
pub(super) struct Inputs {
    askers: Vec<Asker>,
    begun: Instant,
    took: Duration,
    outcome: Result<Loaded>,
}

/// What a changed plan took.
pub(super) struct Adopted {
    changed: bool,
    writes: usize,
}

impl Reloads {
    /// None yet; the plan that runs comes from these.
    pub(super) fn new(sources: Sources, notes: Vec<Note>) -> Self {
        Reloads {
            sources,
            notes,
            reading: None,
            waiting: Vec::new(),
        }
    }

    /// Begins to read, or will when the present reading is over.
    pub(super) fn ask(&mut self, asker: Asker) {
        self.waiting.push(asker);
        self.begin();
    }

    fn begin(&mut self) {
        if self.reading.is_some() || self.waiting.is_empty() {
            return;
        }
        let monotonic = NotifyState::monotonic_usec_now().into_iter();
        // Without a service manager there is nobody to tell.
        let _ = sd_notify::notify(
            &monotonic
                .chain([NotifyState::Reloading])
                .collect::<Vec<_>>(),
        );
        let sources = self.sources.clone();
        self.reading = Some(Reading {
            askers: std::mem::take(&mut self.waiting),
            begun: Instant::now(),
            // Names are resolved, too: that may take as long as it likes.
            task: tokio::task::spawn_blocking(move || config::load(&sources)),
        });
    }

    /// Returns when inputs have been read. Dropping the future loses nothing.
    pub(super) async fn read(&mut self) -> Inputs {
        let Some(reading) = &mut self.reading else {
            return std::future::pending().await;
        };
        let ended = (&mut reading.task).await;
        let outcome = ended
            .context("reading the inputs broke off")
            .and_then(|loaded| {
                loaded.map_err(|report| {
                    Wrong(format!(
                        "nothing is changed, the plan that ran goes on:\n{report}"
                    ))
                    .into()
                })
            });
        let Reading { askers, begun, .. } = self
            .reading
            .take()
            .expect("it was there, and nobody else takes it");
        Inputs {
            askers,
            begun,
            took: begun.elapsed(),
            outcome,
        }
    }

    /// Lays what was read and tells who asked.
    pub(super) async fn finish(&mut self, inputs: Inputs, instance: &mut Instance) {
        let Inputs {
            askers,
            begun,
            took,
            outcome,
        } = inputs;
        let adopted = match outcome {
            Ok(Loaded { plan, notes }) => {
                instance.reload(plan).await.map(|adopted| (adopted, notes))
            }
            Err(error) => Err(error),
        };
        let names: Vec<&str> = askers.iter().map(|asker| asker.name.as_str()).collect();
        let names = names.join(", ");
        let answer = match adopted {
            Ok((Adopted { changed, writes }, notes)) => {
                let new = notes.iter().filter(|note| !self.notes.contains(note));
                let new: Vec<String> = new.map(ToString::to_string).collect();
                new.iter().for_each(|note| info!("{note}"));
                self.notes = notes;
                let answer = json!({
                    "changed": changed, "writes": writes, "ms": milliseconds(begun.elapsed()),
                    "read_ms": milliseconds(took), "notes": new,
                });
                info!("{names}: reload: {answer}");
                answer
            }
            Err(error) => {
                for line in chain(&error).lines() {
                    error!("{names}: reload: {line}");
                }
                refused(&error)
            }
        };
        for asker in askers.into_iter().filter_map(|asker| asker.answer) {
            // A client that has left wants no answer.
            let _ = asker.send(answer.clone().into());
        }
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        self.begin();
    }
}

impl Instance {
    /// Goes over to a plan, on the host as it is now. On an error the old one runs on, on that same host.
    async fn reload(&mut self, plan: Plan) -> Result<Adopted> {
        let before = self.warnings();
        self.look()
            .await
            .context("cannot look at the host; nothing is changed")?;
        let adopted = self.adopt(plan);
        if adopted.is_err()
            && let Err(error) = self.lay_and_attach()
        {
            error!(
                "the plan that ran does not fit the host any more, going on with what was: {}",
                chain(&error)
            );
        }
        self.warn_unless(&before);
        self.tend().await;
        adopted
    }

    /// What can be known to fail fails before anything is written.
    fn adopt(&mut self, plan: Plan) -> Result<Adopted> {
        let wrong = |error: anyhow::Error| {
            Wrong(format!(
                "nothing is changed, the plan that ran goes on: {error:#}"
            ))
        };
        same_sizes(&self.plan.limits, &plan.limits)?;
        self.mark_xdp()?;
        let difference =
            diff(&self.image, &plan, &self.host).map_err(|error| wrong(error.into()))?;
        let choices = self.choose(&plan).map_err(|error| wrong(error.into()))?;
        let interfaces: Vec<u32> = choices.iter().map(|choice| choice.index).collect();
        let writes = difference.writes.len();
        let changed = writes != 0 || !choices.is_empty() || plan != self.plan;
        let old = std::mem::replace(&mut self.plan, plan);
        let done = self.write(difference).and_then(|()| self.attach(choices));
        if let Err(error) = done {
            self.plan = old;
            // How far it came is not known: all of them are attached again.
            self.attached.retain(|index, _| !interfaces.contains(index));
            return Err(error.context("the plan that ran is restored"));
        }
        Ok(Adopted { changed, writes })
    }
}

/// Tables keep their size while they are pinned.
fn same_sizes(runs: &Limits, wanted: &Limits) -> Result<(), Wrong> {
    let differs = |name: &&&str| runs.entries(name) != wanted.entries(name);
    let of = |limits: &Limits, name: &str| limits.entries(name).unwrap_or_default();
    let tables: Vec<String> = NAMES
        .iter()
        .filter(differs)
        .map(|name| {
            format!(
                "{name} has {} entries and is to have {}",
                of(runs, name),
                of(wanted, name)
            )
        })
        .collect();
    if tables.is_empty() {
        return Ok(());
    }
    Err(Wrong(format!(
        "nothing is changed, the plan that ran goes on: gwpool.limits, and whether the host translates, set the sizes of tables, \
         which stay while they are in use ({}); for other sizes: gwpool-user stop --detach, then gwpool-user run",
        tables.join(", ")
    )))
}

/// To the microsecond.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
