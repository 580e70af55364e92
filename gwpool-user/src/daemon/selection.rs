//! Whom a verb means: `ROUTE` and `ROUTE/BACKEND`, each part a name or a pattern in which `*` and `?` stand for
//! anything; pure. What matches nothing is wrong input, and the answer lists what there is.
#![forbid(unsafe_code)]

use super::answer::Wrong;
use crate::plan::pattern::{listed, matches};
use crate::plan::{Backend, Plan, Route};

/// A backend, and its place in its route's pool.
pub(super) struct Chosen<'a> {
    /// The route.
    pub(super) route: &'a Route,
    /// Where it stands among the route's backends.
    pub(super) place: usize,
}

impl Chosen<'_> {
    /// `ROUTE/BACKEND`.
    pub(super) fn name(&self) -> String {
        full_name(self.route, &self.route.backends[self.place])
    }
}

/// The routes that match.
pub(super) fn routes<'a>(plan: &'a Plan, pattern: &str) -> Result<Vec<&'a Route>, Wrong> {
    let routes: Vec<&Route> = plan
        .routes
        .iter()
        .filter(|route| matches(pattern, &route.name))
        .collect();
    if routes.is_empty() {
        let known = plan.routes.iter().map(|route| route.name.clone());
        return Err(Wrong(format!(
            "no route is called {pattern}; there are: {}",
            listed(known)
        )));
    }
    Ok(routes)
}

/// The backends that match `ROUTE/BACKEND`, in the plan's order.
pub(super) fn backends<'a>(plan: &'a Plan, pattern: &str) -> Result<Vec<Chosen<'a>>, Wrong> {
    let Some((route, backend)) = pattern.rsplit_once('/') else {
        return Err(Wrong(format!(
            "wanted ROUTE/BACKEND, found {pattern}: `{pattern}/*` is all of a route's, `*/{pattern}` a backend on every \
             route"
        )));
    };
    let routes = routes(plan, route)?;
    let of_route = |route: &&'a Route| {
        let route = *route;
        (0..route.backends.len()).map(move |place| Chosen { route, place })
    };
    let chosen: Vec<Chosen<'_>> = routes
        .iter()
        .flat_map(of_route)
        .filter(|chosen| matches(backend, &chosen.route.backends[chosen.place].name))
        .collect();
    if chosen.is_empty() {
        let known = routes.iter().flat_map(of_route).map(|chosen| chosen.name());
        return Err(Wrong(format!(
            "no backend is called {pattern}; there are: {}",
            listed(known)
        )));
    }
    Ok(chosen)
}

fn full_name(route: &Route, backend: &Backend) -> String {
    format!("{}/{}", route.name, backend.name)
}

#[cfg(test)]
mod tests;
