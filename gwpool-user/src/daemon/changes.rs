//! What is changed by hand while routes run: a route on or off, a backend's state, a backend's weight.
//!
//! Nothing of it touches a live flow, and all of it stands in the pinned maps: restarts and reloads keep it.

use super::answer::Wrong;
use super::instance::Instance;
use super::selection::{self, Chosen};
use crate::plan::diff::{self, State};
use crate::plan::turns::WEIGHT_MAX;
use crate::plan::{Difference, Route};
use anyhow::{Result, bail};
use gwpool_common::route::Route as MapRoute;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The backends that a request means.
struct Meant {
    names: Vec<String>,
    ids: BTreeSet<u32>,
    routes: BTreeSet<String>,
}

impl Instance {
    /// `route on|off`.
    pub(super) fn switch(&mut self, body: &Value) -> Result<Value> {
        let (Some(name), Some(on)) = (body["route"].as_str(), body["on"].as_bool()) else {
            bail!("the request lacks a route, or whether it is to be on");
        };
        let routes = selection::routes(&self.plan, name)?;
        let disabled: Vec<String> = routes
            .iter()
            .filter(|route| on && !route.enabled)
            .map(|route| route.name.clone())
            .collect();
        if disabled.len() == routes.len() {
            bail!(
                "the plan says enabled: false, which `route on` does not change: change the inventory"
            );
        }
        let id = |route: &&Route| self.image.route_id(&route.name);
        let ids: BTreeSet<u32> = routes.iter().filter_map(id).collect();
        let difference = diff::switch(&self.image, &self.plan, &self.host, &ids, on)?;
        let mut answer = self.change(difference)?;
        answer["disabled"] = json!(disabled);
        Ok(answer)
    }

    /// `backend drain|ready|maint`.
    pub(super) fn set_state(&mut self, body: &Value) -> Result<Value> {
        let state = match body["state"].as_str() {
            Some("ready") => State::Ready,
            Some("drain") => State::Drain,
            Some("maint") => State::Maint,
            _ => bail!("the request lacks a state: ready, drain or maint"),
        };
        let meant = self.meant(body)?;
        let difference = diff::set_states(&self.image, &self.plan, &self.host, &meant.ids, state)?;
        self.change_backends(difference, &meant)
    }

    /// `weight`; without a number the plan's own holds again.
    pub(super) fn set_weight(&mut self, body: &Value) -> Result<Value> {
        let weight = weight(&body["weight"])?;
        let meant = self.meant(body)?;
        let difference = diff::set_weight(&self.image, &self.plan, &self.host, &meant.ids, weight)?;
        self.change_backends(difference, &meant)
    }

    fn meant(&self, body: &Value) -> Result<Meant> {
        let Some(pattern) = body["backend"].as_str() else {
            bail!("the request lacks a backend");
        };
        let chosen = selection::backends(&self.plan, pattern)?;
        let id = |chosen: &Chosen<'_>| {
            let route = self.image.route_id(&chosen.route.name)?;
            self.image.pools.get(&route)?.get(chosen.place).copied()
        };
        let route = |chosen: &Chosen<'_>| chosen.route.name.clone();
        Ok(Meant {
            names: chosen.iter().map(Chosen::name).collect(),
            ids: chosen.iter().filter_map(id).collect(),
            routes: chosen.iter().map(route).collect(),
        })
    }

    fn change(&mut self, difference: Difference) -> Result<Value> {
        let writes = difference.writes.len();
        self.write(difference)?;
        Ok(json!({ "changed": writes != 0, "writes": writes }))
    }

    /// Writes; the answer says whom it concerned, and which of their routes now have nobody.
    fn change_backends(&mut self, difference: Difference, meant: &Meant) -> Result<Value> {
        let mut answer = self.change(difference)?;
        let is_empty = |name: &&String| {
            let id = self.image.route_id(name);
            let route = id.and_then(|id| self.image.routes.get(&id));
            route.is_some_and(|route| route.slot_count == 0 && route.flags & MapRoute::ENABLED != 0)
        };
        answer["without_backend"] = json!(meant.routes.iter().filter(is_empty).collect::<Vec<_>>());
        answer["backends"] = json!(meant.names);
        Ok(answer)
    }
}

fn weight(given: &Value) -> Result<Option<u16>, Wrong> {
    if given.is_null() {
        return Ok(None);
    }
    let number = given.as_u64().and_then(|weight| u16::try_from(weight).ok());
    match number {
        Some(weight) if weight <= WEIGHT_MAX => Ok(number),
        _ => Err(Wrong(format!(
            "wanted a weight from 0 to {WEIGHT_MAX}, found {given}"
        ))),
    }
}
