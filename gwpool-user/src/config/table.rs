//! A resolved plan as a table for people: what `gwpool-user check` prints.
//!
//! Nothing is decided here, and nothing is left out but table sizes.
#![forbid(unsafe_code)]

use super::Loaded;
use super::ports::Ports;
use crate::plan::{
    Access, Backend, Datapath, ListenAddress, Nat, Network, Plan, Route, SeenAs, Timeout,
};
use comfy_table::{Table, presets};
use gwpool_common::limits::REDISPATCHES;
use std::ops::RangeInclusive;

/// Node, networks, routes, peers, translation, then the notes, one a line.
pub fn table(loaded: &Loaded) -> String {
    let plan = &loaded.plan;
    let mut parts = vec![
        format!("node {}, datapath {}", plan.node, datapath(plan.datapath)),
        networks(plan),
    ];
    if !plan.routes.is_empty() {
        parts.push(routes(plan));
    } else if plan.nat.is_none() {
        parts.push("no routes".to_owned());
    }
    if !plan.peers.is_empty() {
        parts.push(peers(plan));
    }
    parts.extend(plan.nat.as_ref().map(translation));
    if !loaded.notes.is_empty() {
        let notes: Vec<String> = loaded
            .notes
            .iter()
            .map(|note| match note.is_warning {
                true => format!("warning: {note}"),
                false => format!("note: {note}"),
            })
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
    besides.extend(access(&route.access));
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

fn translation(nat: &Nat) -> String {
    let mut sources = vec!["what it is connected to".to_owned()];
    sources.extend(nat.sources.iter().map(ToString::to_string));
    let address = match &nat.seen_as {
        SeenAs::Vips(vips) => listed(vips, |vip| format!("{vip} (VIP)")),
        SeenAs::Given(addresses) => listed(addresses, ToString::to_string),
        SeenAs::Interface => "the interface's".to_owned(),
    };
    let filtering = format!(
        "tcp {}, udp {}",
        nat.tcp_filtering.name(),
        nat.udp_filtering.name()
    );
    let row = vec![
        nat.inside.clone(),
        sources.join("\n"),
        nat.outside.clone(),
        address,
        listed(&nat.ports, ports),
        filtering,
        unusual(nat).join("\n"),
    ];
    let head = [
        "inside",
        "sources",
        "outside",
        "seen as",
        "ports",
        "filtering",
        "besides",
    ];
    let columns = head.len() - usize::from(row.last().is_some_and(String::is_empty));
    let row = row.into_iter().take(columns).collect();
    drawn(&head[..columns], std::iter::once(row))
}

/// What of a translation is not as it would be without a word.
fn unusual(nat: &Nat) -> Vec<String> {
    let usual = Nat::default();
    let mut besides = Vec::new();
    if !nat.host_ports.is_empty() {
        let own: Vec<String> = nat.host_ports.iter().map(ports).collect();
        besides.push(format!("host ports {}", own.join(", ")));
    }
    if nat.ports_per_host != usual.ports_per_host {
        besides.push(format!("{} ports a host", nat.ports_per_host));
    }
    for (word, is_on) in [("overload", nat.overload), ("log", nat.log)] {
        besides.extend(is_on.then(|| word.to_owned()));
    }
    let names = [
        "tcp_established",
        "tcp_transitory",
        "udp",
        "udp_unreplied",
        "icmp",
        "other",
    ];
    let timers = nat.timers.all().into_iter().zip(usual.timers.all());
    for (name, (given, usual)) in names.into_iter().zip(timers) {
        besides.extend((given != usual).then(|| format!("{name} {given} s")));
    }
    besides.extend(access(&nat.access));
    besides
}

fn access(access: &Access) -> Vec<String> {
    let lists = [("allow", &access.allow), ("deny", &access.deny)];
    let said = lists.iter().flat_map(|(word, prefixes)| {
        prefixes
            .iter()
            .map(move |prefix| format!("{word} {prefix}"))
    });
    said.collect()
}

fn listed<T>(all: &[T], name: impl Fn(&T) -> String) -> String {
    all.iter().map(name).collect::<Vec<_>>().join("\n")
}

fn ports(range: &RangeInclusive<u16>) -> String {
    match (range.start(), range.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    }
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
