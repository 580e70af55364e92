//! Ports as written: one, or a range as `8000-8010`; and onto which ports of the backends those of a route go.
#![forbid(unsafe_code)]

use super::report::{Findings, Place};
use super::schema::wrong;
use super::tree::{Node, Value};
use crate::plan::{Backend, Route};
use std::fmt;

/// One port or several, side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The first.
    pub first: u16,
    /// How many: at least one, and never past 65535.
    pub count: u16,
}

impl Ports {
    /// Reads `80` or `8000-8010`.
    pub fn read(node: &Node, findings: &Findings) -> Option<Ports> {
        let (ports, advice) = match &node.value {
            Value::Integer(port) => (Ports::between(*port, *port), ""),
            Value::Text(text) => parsed(text),
            _ => (None, ""),
        };
        let wanted = "a port from 1 to 65535, or a range as 8000-8010";
        ports.or_else(|| wrong(node, wanted, advice, findings))
    }

    fn between(first: i64, last: i64) -> Option<Ports> {
        let (first, last) = (u16::try_from(first).ok()?, u16::try_from(last).ok()?);
        let is_good = first >= 1 && first <= last;
        is_good.then(|| Ports {
            first,
            count: last - first + 1,
        })
    }

    /// Those that a route listens on.
    pub fn listened(route: &Route) -> Ports {
        Ports {
            first: route.port,
            count: route.ports,
        }
    }

    /// Those by which it reaches a backend of its own.
    pub fn reached(route: &Route, backend: &Backend) -> Ports {
        Ports {
            first: backend.port,
            count: if route.shifts { route.ports } else { 1 },
        }
    }

    /// The last.
    pub fn last(self) -> u16 {
        self.first + (self.count - 1)
    }

    /// Whether some port is in both.
    pub fn meets(self, other: Ports) -> bool {
        self.first <= other.last() && other.first <= self.last()
    }
}

fn parsed(text: &str) -> (Option<Ports>, &'static str) {
    let number = |text: &str| text.trim().parse::<i64>().ok();
    let (first, last) = match text.split_once(['-', ':']) {
        Some(ends) => ends,
        None => (text, text),
    };
    match (number(first), number(last)) {
        (Some(_), Some(_)) if text.contains(':') => {
            (None, "the ends of a range stand beside a `-`")
        }
        (Some(first), Some(last)) if first > last => (None, "a range goes upwards"),
        (Some(first), Some(last)) => (Ports::between(first, last), ""),
        _ => (None, ""),
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "{}", self.first),
            _ => write!(f, "{}-{}", self.first, self.last()),
        }
    }
}

/// Where the ports of a route go: as many ports of a backend, or one for all.
///
/// `listens` and `to` stand beside their places; without `to` it is the same ports. `None`: the widths do not match,
/// and that has been said.
pub fn destination(
    listens: (Ports, &Place),
    to: Option<(Ports, &Node)>,
    findings: &Findings,
) -> Option<Ports> {
    let (listen, at) = listens;
    let Some((to, node)) = to else {
        return Some(listen);
    };
    if to.count == 1 || to.count == listen.count {
        return Some(to);
    }
    let wanted = match listen.count {
        1 => format!("one destination port, as the route listens on one ({listen} at {at})"),
        count => {
            let width = format!("as wide as the route's ({listen}: {count} ports, at {at})");
            format!("one destination port, or a range {width}")
        }
    };
    let width = format!("the range is of {} ports", to.count);
    wrong(node, &wanted, &width, findings)
}
