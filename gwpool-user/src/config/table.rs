//! A resolved plan as a table for people: what `gwpool-user check` prints.
//!
//! Nothing is decided here, and nothing is left out but table sizes.
#![forbid(unsafe_code)]

use super::Loaded;
use super::ports::Ports;
use crate::plan::{Backend, Datapath, ListenAddress, Network, Plan, Route, Timeout};
use comfy_table::{Table, presets};
use gwpool_common::limits::REDISPATCHES;

/// Node, networks, routes, peers, then the notes, one a line.
pub fn table(loaded: &Loaded) -> String {
    let plan = &loaded.plan;
    let mut parts = vec![
        format!("node {}, datapath {}", plan.node, datapath(plan.datapath)),
        networks(plan),
    ];
    if plan.routes.is_empty() {
        parts.push("no routes".to_owned());
    } else {
        parts.push(routes(plan));
    }
    if !plan.peers.is_empty() {
        parts.push(peers(plan));
    }
    if !loaded.notes.is_empty() {
        let notes: Vec<String> = loaded
            .notes
            .iter()
            .map(|note| format!("note: {note}"))
            .collect();
        parts.push(notes.join("\n"));
    }
    parts.join("\n\n") + "\n"
}

/// The word for a datapath, as in the inventory.
pub fn datapath(datapath: Datapath) -> &'static str {
    match datapath {
        Datapath::Auto => "auto",
        Datapath::Native => "native",
        Datapath::Generic => "generic",
        Datapath::Tc => "tc",
    }
}

fn networks(plan: &Plan) -> String {
    let row = |network: &Network| {
        let side = if network.inner { "inner" } else { "front" };
        let address = network
            .address
            .map_or("the interface's".to_owned(), |address| address.to_string());
        vec![
            network.name.clone(),
            network.interface.clone(),
            side.to_owned(),
            address,
        ]
    };
    drawn(
        &["network", "interface", "side", "our address"],
        plan.networks.iter().map(row),
    )
}

fn routes(plan: &Plan) -> String {
    let row = |route: &Route| {
        let ports = Ports::listened(route);
        let listen: Vec<String> = route
            .listen
            .iter()
            .map(|listen| format!("{}:{ports}", address(listen)))
            .collect();
        let backend = |one: &Backend| {
            let place = backend(one, route);
            if route.is_weighted() {
                format!("{place} weight {}", one.weight)
            } else {
                place
            }
        };
        let backends: Vec<String> = route.backends.iter().map(backend).collect();
        let state = if route.enabled { "on" } else { "off" };
        vec![
            route.name.clone(),
            route.mode.clone(),
            listen.join("\n"),
            route.protocol.name().to_owned(),
            route.balance.name().to_owned(),
            backends.join("\n"),
            route.network.clone(),
            state.to_owned(),
            besides(route).join("\n"),
        ]
    };
    let head = [
        "route", "mode", "listen", "protocol", "balance", "backends", "network", "state", "besides",
    ];
    let besides = plan.routes.iter().any(|route| !besides(route).is_empty());
    let columns = head.len() - usize::from(!besides);
    let rows = plan.routes.iter().map(|route| {
        let mut row = row(route);
        row.truncate(columns);
        row
    });
    drawn(&head[..columns], rows)
}

/// What is not as it would be without a word.
fn besides(route: &Route) -> Vec<String> {
    let mut besides = Vec::new();
    if route.preserve {
        besides.push("source preserve".to_owned());
    }
    let lists = [("allow", &route.access.allow), ("deny", &route.access.deny)];
    for (word, prefixes) in lists {
        besides.extend(prefixes.iter().map(|prefix| format!("{word} {prefix}")));
    }
    if route.timeout.connect_s != Timeout::default().connect_s {
        besides.push(format!("connect {} s", route.timeout.connect_s));
    }
    if let Some(idle_s) = route.timeout.idle_s {
        besides.push(format!("idle {idle_s} s"));
    }
    if route.redispatches != REDISPATCHES {
        besides.push(format!("redispatches {}", route.redispatches));
    }
    besides
}

fn address(listen: &ListenAddress) -> String {
    match listen {
        ListenAddress::Any => "*".to_owned(),
        ListenAddress::One(address) => address.to_string(),
    }
}

fn backend(backend: &Backend, route: &Route) -> String {
    let ports = Ports::reached(route, backend);
    match backend.address {
        None => format!("{} this node:{ports}", backend.name),
        Some(address) if address.to_string() == backend.name => format!("{address}:{ports}"),
        Some(address) => format!("{} {address}:{ports}", backend.name),
    }
}

fn peers(plan: &Plan) -> String {
    let rows = plan.peers.iter();
    drawn(
        &["peer", "network", "address"],
        rows.map(|peer| {
            vec![
                peer.name.clone(),
                peer.network.clone(),
                peer.address.to_string(),
            ]
        }),
    )
}

fn drawn(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_header(head)
        .add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}
