//! A request for single flows, on its way to the task that answers it: understood here, with the names and timers of
//! this moment.

use super::answer::Wrong;
use super::instance::Instance;
use crate::datapath::expiry::Timers;
use crate::datapath::mappings;
use crate::flows::driver::{Asked, Ground, What};
use crate::flows::filter::{Filter, Names};
use crate::plan::{Image, Plan};
use anyhow::{Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

impl Instance {
    /// `flows`: the lines come as they are read.
    pub(super) fn list_flows(&self, body: &Value, uid: u32) -> Result<mpsc::Receiver<String>> {
        let words = body["filter"].as_array().into_iter().flatten();
        let words: Vec<String> = words.filter_map(Value::as_str).map(str::to_owned).collect();
        let names = names(&self.plan, &self.image);
        let filter = Filter::parse(&words, &names).map_err(Wrong)?;
        let what = match (body["follow"] == true, body["delete"] == true) {
            (false, false) => What::List,
            (true, false) => What::Follow,
            (false, true) if words.is_empty() => {
                return Err(Wrong(
                    "which flows are to be removed? A FILTER says it; client=0.0.0.0/0 is all"
                        .to_owned(),
                )
                .into());
            }
            (false, true) => What::Delete,
            (true, true) => bail!("to follow and to delete are two things"),
        };
        let asked = Asked {
            filter,
            limit: body["limit"].as_u64(),
            what,
            who: format!("uid {uid}: flows{} {}", verb(what), words.join(" ")),
        };
        let settings = &self.image.settings;
        let idle_s = self
            .image
            .backends
            .iter()
            .map(|(id, own)| (*id, own.idle_s));
        let ground = Ground {
            flows: Arc::clone(&self.datapath.flows),
            timers: Timers::of(settings, &self.image.nat, idle_s),
            names,
            nat: self.image.nat,
            reserved: mappings::words(&mappings::Entries::new(), &self.image.nat, &self.plan),
            tick: self.datapath.tick()?,
            since: Instant::now(),
            ticks_per_1024_s: settings.ticks_per_1024_s,
        };
        match self.desk.begin(asked, ground) {
            Some(lines) => Ok(lines),
            None => {
                bail!("flows are listed or followed by as many as may at a time: end one of them")
            }
        }
    }
}

fn verb(what: What) -> &'static str {
    match what {
        What::List => "",
        What::Follow => " --follow",
        What::Delete => " --delete",
    }
}

/// Route and backend by backend id. A backend that the plan no longer has is called by its address.
fn names(plan: &Plan, image: &Image) -> Names {
    let mut names: Names = BTreeMap::new();
    for (id, backend) in image.backends.iter() {
        let address = Ipv4Addr::from(backend.address);
        let port = u16::from_be_bytes(backend.port);
        let route = image.names.get(&backend.route).cloned();
        names.insert(*id, (route, format!("{address}:{port}")));
    }
    for route in &plan.routes {
        let pool = image
            .route_id(&route.name)
            .and_then(|id| image.pools.get(&id));
        for (backend, id) in route.backends.iter().zip(pool.into_iter().flatten()) {
            names.insert(*id, (Some(route.name.clone()), backend.name.clone()));
        }
    }
    names
}
