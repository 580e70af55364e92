//! The tables walked for whoever asks: listed, followed, or taken out. Each request is a task of its own that waits for
//! its reader and holds nothing meanwhile: neither the daemon's loop, nor a table, nor more than a few lines.
//!
//! Embryonic flows come first: one that is promoted during the walk is then seen in one tier or in both, and said once.

use super::difference::{Event, FOLLOWED_MAX, Look};
use super::entry::Entry;
use super::filter::{Filter, Names};
use super::row::{FlowRow, MappingRow, Row};
use crate::datapath::Error;
use crate::datapath::expiry::Timers;
use crate::datapath::flows::{Flows, is_client_side};
use crate::datapath::release::{Pair, free, take_out_all};
use crate::datapath::tier::Tier;
use gwpool_common::flow::FlowKey;
use gwpool_common::nat::{End, Mapping, Nat};
use gwpool_common::net::V4;
use gwpool_ebpf::lifetime::{age, ticks};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};
use tracing::{info, warn};

/// Requests at a time.
const PLACES: usize = 8;
/// Parts on their way to a reader.
const PARTS: usize = 4;
/// Rows that are a part, between two looks at other work: some 64 KiB of lines.
const ROWS: usize = 256;
/// Time between two looks of a follower.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Of which flows and mappings.
    pub filter: Filter,
    /// At most so many.
    pub limit: Option<u64>,
    /// What becomes of them.
    pub what: What,
    /// Who asks and for what, for the log.
    pub who: String,
}

/// What becomes of the flows and mappings that are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// They are said.
    List,
    /// Those that come and go are said, until the reader leaves.
    Follow,
    /// They are said and taken out.
    Delete,
}

/// What a walk goes by: as it was when it began.
#[derive(Debug)]
pub struct Ground {
    /// The tables.
    pub flows: Arc<Flows>,
    /// When what is over.
    pub timers: Timers,
    /// Backends.
    pub names: Names,
    /// Whose the ports are,
    pub nat: Nat<V4>,
    /// and the words of those that are never given out.
    pub reserved: Vec<u64>,
    /// The programs' tick,
    pub tick: u16,
    /// at this time,
    pub since: Instant,
    /// and how many there are in 1024 s.
    pub ticks_per_1024_s: u32,
}

/// Where requests are taken.
#[derive(Clone, Debug)]
pub struct Desk {
    places: Arc<Semaphore>,
}

impl Default for Desk {
    fn default() -> Self {
        Desk {
            places: Arc::new(Semaphore::new(PLACES)),
        }
    }
}

impl Desk {
    /// Begins; lines come out in parts. `None`: too many have begun and not ended.
    pub fn begin(&self, asked: Asked, ground: Ground) -> Option<mpsc::Receiver<String>> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let (lines, parts) = mpsc::channel(PARTS);
        tokio::spawn(async move {
            let mut walk = Walk {
                left: asked.limit.unwrap_or(u64::MAX),
                asked,
                ground,
                part: String::new(),
                lines,
                flows: 0,
                mappings: 0,
                freed: HashSet::new(),
            };
            if let Err(Ended::Failed(error)) = walk.run().await {
                warn!("{}: {error:#}", walk.asked.who);
                walk.write(&json!({ "error": format!("{error:#}") }));
                let _ = walk.flush().await;
            }
            drop(place);
        });
        Some(parts)
    }
}

/// Why a walk ends early.
enum Ended {
    /// Nobody reads on.
    Left,
    Failed(anyhow::Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Ended::Failed(error.into())
    }
}

struct Walk {
    asked: Asked,
    ground: Ground,
    part: String,
    lines: mpsc::Sender<String>,
    /// How many more may be said.
    left: u64,
    flows: u64,
    mappings: u64,
    /// Outside ends that were taken out.
    freed: HashSet<End<V4>>,
}

impl Walk {
    async fn run(&mut self) -> Result<(), Ended> {
        if self.asked.what == What::Follow {
            self.follow().await?;
        } else {
            let walked = self.list().await;
            if self.asked.what == What::Delete {
                free(
                    &self.ground.flows,
                    &self.freed,
                    &self.ground.nat,
                    &self.ground.reserved,
                )
                .await?;
                info!(
                    "{}: {} flow(s), {} mapping(s) removed",
                    self.asked.who, self.flows, self.mappings
                );
            }
            walked?;
        }
        let (flows, mappings, more) = (self.flows, self.mappings, self.left == 0);
        self.write(&json!({ "end": { "flows": flows, "mappings": mappings, "more": more } }));
        self.flush().await
    }

    async fn list(&mut self) -> Result<(), Ended> {
        let flows = Arc::clone(&self.ground.flows);
        if !self.asked.filter.excludes_flows() {
            let mut said = HashSet::new();
            for tier in [Tier::Embryonic, Tier::Established] {
                self.tier(&flows, tier, &mut said).await?;
            }
        }
        if !self.asked.filter.excludes_mappings() {
            self.all_mappings(&flows).await?;
        }
        Ok(())
    }

    async fn tier(
        &mut self,
        flows: &Flows,
        tier: Tier,
        said: &mut HashSet<FlowKey<V4>>,
    ) -> Result<(), Ended> {
        let established = tier == Tier::Established;
        for entries in flows.tier(tier).slices() {
            let rows: Vec<FlowRow> = entries
                .iter()
                .map(|(key, embryo)| (key, &embryo.flow))
                .filter(|(_, flow)| is_client_side(flow))
                .map(|(key, flow)| FlowRow::of_half(key, flow, established))
                .filter(|row| self.asked.filter.suspects(&Row::Flow(*row)))
                .collect();
            for rows in rows.chunks(ROWS) {
                let mut over = Vec::new();
                for row in rows {
                    let Some((row, whole)) = self.joined(flows, tier, row)? else {
                        continue;
                    };
                    if self.left == 0 || said.contains(&row.key) {
                        continue;
                    }
                    if !established {
                        said.insert(row.key);
                    }
                    self.say(&Row::Flow(row), None);
                    self.flows += 1;
                    // Backend side first, as the sweep does.
                    over.extend(whole.then_some(row.back));
                    over.push(row.key);
                }
                if self.asked.what == What::Delete {
                    let tier = flows.tier(tier);
                    over.iter().try_for_each(|key| tier.remove(key))?;
                }
                self.flush().await?;
            }
            if self.left == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// The row with what its other half says, if it is meant and not over, and whether that half is there.
    fn joined(
        &self,
        flows: &Flows,
        tier: Tier,
        row: &FlowRow,
    ) -> Result<Option<(FlowRow, bool)>, Error> {
        let now = self.now();
        let other = flows.tier(tier).get(&row.back)?;
        let other = other.map(|other| FlowRow::of_half(&row.back, &other.flow, row.established));
        let other = other.filter(|other| other.key == row.key);
        let joined = other.map_or(*row, |other| row.joined(&other, now));
        let waited_for = joined.established
            || age(joined.seen, now)
                < self
                    .ground
                    .timers
                    .waits(joined.key.protocol, joined.backend);
        let meant = waited_for && self.asked.filter.takes(&Row::Flow(joined));
        Ok(meant.then_some((joined, other.is_some())))
    }

    async fn all_mappings(&mut self, flows: &Flows) -> Result<(), Ended> {
        let mut slices = flows.mappings.slices();
        while let Some((ends, mappings)) = slices.next_slice()? {
            let is_inside = |(end, _): &(&End<V4>, &Mapping<V4>)| end.side == End::<V4>::INSIDE;
            let rows: Vec<MappingRow> = ends
                .iter()
                .zip(mappings)
                .filter(is_inside)
                .map(|(end, mapping)| MappingRow::of(end, mapping))
                .filter(|row| self.asked.filter.takes(&Row::Mapping(*row)))
                .collect();
            for rows in rows.chunks(ROWS) {
                let rows = &rows[..rows.len().min(self.left.try_into().unwrap_or(usize::MAX))];
                for row in rows {
                    self.say(&Row::Mapping(*row), None);
                    self.mappings += 1;
                }
                if self.asked.what == What::Delete {
                    let pairs: Vec<Pair> =
                        rows.iter().map(|row| (row.inside, row.outside)).collect();
                    self.freed.extend(take_out_all(flows, &pairs).await?);
                }
                self.flush().await?;
            }
            if self.left == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn follow(&mut self) -> Result<(), Ended> {
        let mut before = self.look().await?;
        let following = json!({ "following": before.len() });
        self.write(&following);
        self.flush().await?;
        while self.left != 0 {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = self.lines.closed() => return Err(Ended::Left),
            }
            let look = self.look().await?;
            for events in look.since(&before, &self.asked.filter).chunks(ROWS) {
                for (event, row) in events
                    .iter()
                    .take(self.left.try_into().unwrap_or(usize::MAX))
                {
                    self.say(row, Some(*event));
                    match row {
                        Row::Flow(_) => self.flows += 1,
                        Row::Mapping(_) => self.mappings += 1,
                    }
                }
                self.flush().await?;
            }
            before = look;
        }
        Ok(())
    }

    async fn look(&self) -> Result<Look, Ended> {
        let (flows, filter, now) = (&self.ground.flows, &self.asked.filter, self.now());
        let mut look = Look::default();
        if !filter.excludes_flows() {
            let see = |key: &_, flow: &_| look.see_flow(filter, key, flow, false, now);
            flows.embryonic.each(see).await;
            let see = |key: &_, flow: &_| look.see_flow(filter, key, flow, true, now);
            flows.established.each(see).await;
        }
        if !filter.excludes_mappings() {
            let see = |end: &_, mapping: &_| look.see_mapping(filter, end, mapping);
            flows.each_mapping(see).await?;
        }
        look.close();
        if look.len() > FOLLOWED_MAX {
            return Err(Ended::Failed(anyhow::anyhow!(
                "{} flows and mappings are more than one may follow ({FOLLOWED_MAX}): narrow it by a FILTER",
                look.len()
            )));
        }
        Ok(look)
    }

    /// The programs' tick now, without asking them.
    fn now(&self) -> u16 {
        let seconds = self.ground.since.elapsed().as_secs();
        let passed = seconds.min(u64::from(u16::MAX)) as u16;
        let passed = ticks(passed, self.ground.ticks_per_1024_s);
        self.ground.tick.wrapping_add(passed)
    }

    fn say(&mut self, row: &Row, event: Option<Event>) {
        let name = match row {
            Row::Flow(flow) => self.ground.names.get(&flow.backend),
            Row::Mapping(_) => None,
        };
        let mut entry = Entry::of(row, name, &self.ground.timers, self.now());
        entry.event = event.map(|event| event.name().to_owned());
        self.left -= 1;
        self.write(&entry);
    }

    fn write(&mut self, line: &impl serde::Serialize) {
        let line = serde_json::to_string(line).expect("strings, numbers and names of fields");
        self.part.push_str(&line);
        self.part.push('\n');
    }

    /// Sends what there is, when its reader has taken most of what came before.
    async fn flush(&mut self) -> Result<(), Ended> {
        let part = std::mem::take(&mut self.part);
        if part.is_empty() {
            return if self.lines.is_closed() {
                Err(Ended::Left)
            } else {
                Ok(())
            };
        }
        self.lines.send(part).await.map_err(|_| Ended::Left)
    }
}
