//! TCP from end to end: real clients and a real server, and each contestant between them.
//!
//! Client and server have a core each, and everything that the contestant does on the way is done on these two. What
//! goes through is of two kinds, and each is compared only with itself: with veth's offloads segments are larger than
//! frames and checksums unfinished, as between containers; MTU-sized are frames as real network cards deliver them. The
//! gateway's own interfaces have their defaults in both.
//!
//! No peer is tuned. gwpool's inventory has one word that is not a default: `new_flows_per_source`, since all
//! connections here are one client's. HAProxy has a thread for each core, and none is pinned: the kernel's forwarding
//! is done on both, too.
//!
//! Two rows are nobody's, and bound what anybody can reach: the ends on one cable, and a redirect in XDP that does no
//! more than that.

mod load;
mod standing;

use crate::contest::{Entry, Ground, Metric, there, told};
use crate::row::Endpoints;
use anyhow::{Context, Result};
use gwpool_harness::net::fabric::Datapath;
use load::Load;
use standing::{Cores, Forwarder, Standing};

/// Seconds of a shot.
const SHOT_S: u32 = 2;
/// Seconds of a shot at one connection, which is steadier.
const SHORT_S: u32 = 1;

/// What is asked of everybody.
const TASKS: [(&str, Load, u32); 5] = [
    ("keep-alive", Load::KEEP_ALIVE, SHOT_S),
    ("close", Load::CLOSE, SHOT_S),
    ("one connection", Load::ONE, SHORT_S),
    ("1 stream", Load::Streams(1), SHOT_S),
    ("4 streams", Load::Streams(4), SHOT_S),
];

/// What the ends can do without a gateway, and with the least of one, is measured of these: nobody gets beyond it.
const LIMITED: [Load; 3] = [Load::KEEP_ALIVE, Load::CLOSE, Load::Streams(1)];

/// Who forwards, and between which ends.
const CONTESTANTS: [(&str, Endpoints, Forwarder); 12] = [
    ("no gateway", Endpoints::Defaults, Forwarder::Nobody),
    ("kernel routing", Endpoints::Defaults, Forwarder::Kernel),
    (
        "gwpool TC",
        Endpoints::Defaults,
        Forwarder::Gwpool(Datapath::Tc),
    ),
    ("nft DNAT+masquerade", Endpoints::Defaults, Forwarder::Nft),
    (
        "iptables DNAT+MASQUERADE",
        Endpoints::Defaults,
        Forwarder::Iptables,
    ),
    (
        "HAProxy tcp",
        Endpoints::Defaults,
        Forwarder::Haproxy("tcp"),
    ),
    (
        "HAProxy http",
        Endpoints::Defaults,
        Forwarder::Haproxy("http"),
    ),
    ("no gateway", Endpoints::MtuSized, Forwarder::Nobody),
    ("XDP redirect", Endpoints::MtuSized, Forwarder::Redirect),
    ("kernel routing", Endpoints::MtuSized, Forwarder::Kernel),
    (
        "gwpool XDP",
        Endpoints::MtuSized,
        Forwarder::Gwpool(Datapath::Native),
    ),
    ("nft DNAT+masquerade", Endpoints::MtuSized, Forwarder::Nft),
];

/// All of them, side by side.
pub struct Tcp(Vec<Contestant>);

struct Contestant {
    name: &'static str,
    endpoints: Endpoints,
    forwarder: Forwarder,
    /// Or why it does not stand.
    standing: Result<Standing, String>,
}

impl Tcp {
    /// Sets them up, one after the other; who cannot be set up loses every shot, and says why.
    pub fn new() -> Result<Tcp> {
        let cores = Cores::find()?;
        let set_up = |(name, endpoints, forwarder): (&'static str, Endpoints, Forwarder)| {
            eprintln!("tcp: setting up {name}, {}", kind(endpoints));
            Contestant {
                name,
                endpoints,
                forwarder,
                standing: told("tcp", name, Standing::up(endpoints, forwarder, cores)),
            }
        };
        Ok(Tcp(CONTESTANTS.into_iter().map(set_up).collect()))
    }
}

impl Contestant {
    fn does(&self, load: Load) -> bool {
        match self.forwarder {
            // They are there for the limits of what is to be reached.
            Forwarder::Nobody | Forwarder::Redirect => LIMITED.contains(&load),
            // What is no HTTP it would refuse.
            Forwarder::Haproxy("http") => !matches!(load, Load::Streams(_)),
            _ => true,
        }
    }

    fn task(&self, task: &str) -> String {
        format!("{task}, {}", kind(self.endpoints))
    }
}

/// As tasks are called.
fn kind(endpoints: Endpoints) -> &'static str {
    match endpoints {
        Endpoints::Defaults => "offloads",
        Endpoints::MtuSized => "MTU-sized",
    }
}

impl Ground for Tcp {
    fn name(&self) -> &'static str {
        "tcp"
    }

    /// By task: what is compared follows each other as closely as can be.
    fn entries(&self) -> Vec<Entry> {
        let of = |task: &'static str, load| {
            let doing = self
                .0
                .iter()
                .filter(move |contestant| contestant.does(load));
            doing.map(move |contestant| Entry::new(contestant.task(task), contestant.name))
        };
        TASKS
            .iter()
            .flat_map(|(task, load, _)| of(task, *load))
            .collect()
    }

    fn shoot(&mut self, entry: &Entry) -> Result<Vec<(Metric, f64)>> {
        let mut contestants = self.0.iter_mut();
        let (contestant, (_, load, seconds)) = contestants
            .find_map(|contestant| {
                let asked = |(task, _, _): &&(&str, Load, u32)| {
                    contestant.name == entry.contestant && contestant.task(task) == entry.task
                };
                let task = TASKS.iter().find(asked)?;
                Some((contestant, task))
            })
            .context("nobody here does that")?;
        load.put_on(there(&mut contestant.standing)?, *seconds)
    }
}
