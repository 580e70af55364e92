//! Whom a verb means: `ROUTE` and `ROUTE/BACKEND`, each part a name or a pattern in which `*` and `?` stand for
//! anything; pure. What matches nothing is wrong input, and the answer lists what there is.
#![forbid(unsafe_code)]

use super::answer::Wrong;
use crate::plan::{Backend, Plan, Route};

/// Names that a sentence lists before it only counts.
const LISTED: usize = 24;

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

/// The first of these names, and how many more there are.
pub(super) fn listed(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    let shown = names[..names.len().min(LISTED)].join(", ");
    match names.len().saturating_sub(LISTED) {
        _ if names.is_empty() => "none".to_owned(),
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn full_name(route: &Route, backend: &Backend) -> String {
    format!("{}/{}", route.name, backend.name)
}

/// Whether the whole name is what the pattern says.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // The last star, and how much of the name it has taken: where to go on when something after it does not fit.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((place, taken)) = star else {
                    return false;
                };
                star = Some((place, taken + 1));
                at = place + 1;
                seen = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests;
