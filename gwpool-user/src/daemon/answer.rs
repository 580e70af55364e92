//! What an instance answers at its socket: the snapshot, and the verbs that change it.

use super::instance::{Instance, chain};
use crate::datapath::mode::Mode;
use crate::plan::diff;
use crate::stats::driver::{self, Request};
use crate::stats::snapshot::{self, Snapshot};
use anyhow::{Result, anyhow, bail};
use gwpool_common::route::Route;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tracing::info;

impl Instance {
    pub(super) async fn answer(&mut self, request: Request) {
        let answer = match request.body["verb"].as_str() {
            Some("stats") => self
                .snapshot()
                .await
                .and_then(|snapshot| Ok(serde_json::to_value(snapshot)?)),
            Some("route") => self.switch(&request.body),
            Some("stop") => Ok(json!({ "stopping": true })),
            Some(verb) => Err(anyhow!("this daemon does not know the verb {verb}")),
            None => Err(anyhow!("the request names no verb")),
        };
        let answer = answer.unwrap_or_else(|error| driver::refusal(&chain(&error)));
        // A client that has left wants no answer.
        let _ = request.answer.send(answer);
    }

    async fn snapshot(&self) -> Result<Snapshot> {
        let census = self.datapath.flows.census().await?;
        let mut counters = BTreeMap::new();
        for id in self.image.backends.keys() {
            counters.insert(*id, self.datapath.counters(*id)?);
        }
        let modes: BTreeMap<String, Mode> = self
            .attached
            .values()
            .map(|choice| (choice.interface.clone(), choice.mode))
            .collect();
        Ok(Snapshot::of(&snapshot::Sources {
            plan: &self.plan,
            image: &self.image,
            uptime_seconds: self.started.elapsed().as_secs(),
            modes: &modes,
            counters: &counters,
            reasons: &self.datapath.reasons()?,
            census: &census,
            fragments: self.fragments.counts(),
        }))
    }

    /// `route on|off`: `*` means all of them.
    fn switch(&mut self, body: &Value) -> Result<Value> {
        let (Some(name), Some(on)) = (body["route"].as_str(), body["on"].as_bool()) else {
            bail!("the request lacks a route, or whether it is to be on");
        };
        let named = |route: &&crate::plan::Route| name == "*" || route.name == name;
        let routes: BTreeSet<u32> = self
            .plan
            .routes
            .iter()
            .filter(named)
            .filter_map(|route| self.image.route_id(&route.name))
            .collect();
        if routes.is_empty() {
            let known: Vec<&str> = self
                .plan
                .routes
                .iter()
                .map(|route| route.name.as_str())
                .collect();
            bail!("no route is called {name}; there are: {}", known.join(", "));
        }
        let difference = diff::switch(&self.image, &self.plan, &self.host, &routes, on)?;
        let changed = !difference.writes.is_empty();
        self.write(difference)?;
        let is_off = |id: &u32| {
            self.image
                .routes
                .get(id)
                .is_some_and(|route| route.flags & Route::ENABLED == 0)
        };
        if on && routes.iter().any(is_off) {
            bail!(
                "the plan says enabled: false, which `route on` does not change: change the inventory"
            );
        }
        info!("route {name} switched {}", if on { "on" } else { "off" });
        Ok(json!({ "changed": changed }))
    }
}
