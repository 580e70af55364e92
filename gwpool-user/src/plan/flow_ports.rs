//! Which ports flows of routes may have: by them the programs know most packets that are no flow's.
#![forbid(unsafe_code)]

use super::image::Image;
use gwpool_common::limits;
use gwpool_common::net::V4;
use gwpool_common::route::{Backend, FlowPorts, Listener, Listening};

/// The entries of `FLOW_PORTS` that change by these listeners, which are all that there will be, and these backends,
/// which are new or different. What was marked stays: flows live on after their route.
pub fn wanted(
    installed: &Image,
    listeners: &[(Listener<V4>, Listening)],
    backends: &[(u32, Backend<V4>)],
) -> Vec<(u32, u64)> {
    let mut marks = vec![0; limits::FLOW_PORTS as usize];
    for (index, known) in &installed.flow_ports {
        if let Some(marks) = marks.get_mut(*index as usize) {
            *marks = *known;
        }
    }
    let mut mark = |which: FlowPorts, port: u16| {
        let (index, bit) = which.place(port);
        marks[index as usize] |= bit;
    };
    for (listener, _) in listeners {
        mark(FlowPorts::Listens, u16::from_be_bytes(listener.port));
    }
    let furthest = furthest(installed, listeners);
    let known = installed.backends.values();
    for backend in known.chain(backends.iter().map(|(_, backend)| backend)) {
        let furthest = furthest.get(backend.route as usize).copied();
        for offset in 0..=furthest.unwrap_or_default() {
            let first = u16::from_be_bytes(backend.port);
            mark(FlowPorts::Answers, first.wrapping_add(offset));
        }
    }
    let changed = |(index, marks): &(u32, u64)| {
        installed.flow_ports.get(index).copied().unwrap_or_default() != *marks
    };
    (0..).zip(marks).filter(changed).collect()
}

/// By route id, the furthest that a listener is from the first port of its range. Also of those that go: while the plan
/// is being laid, a packet may meet one of them and a new backend.
fn furthest(installed: &Image, listeners: &[(Listener<V4>, Listening)]) -> Vec<u16> {
    let mut furthest = Vec::new();
    let wanted = listeners.iter().map(|(_, listening)| listening);
    for listening in installed.listeners.values().chain(wanted) {
        let route = listening.route as usize;
        if route >= furthest.len() {
            furthest.resize(route + 1, 0);
        }
        furthest[route] = furthest[route].max(listening.port_offset);
    }
    furthest
}

#[cfg(test)]
mod tests;
