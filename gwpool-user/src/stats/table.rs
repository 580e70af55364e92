//! A snapshot as a person reads it: interfaces, routes with their backends, and the reasons that were met.

use super::fill::Fill;
use super::snapshot::{Backend, Mappings, Nat, Route, Snapshot};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

/// The whole text, with a newline at its end. `route`: only this one.
pub fn render(snapshot: &Snapshot, route: Option<&str>) -> String {
    let routes: Vec<&Route> = snapshot
        .routes
        .iter()
        .filter(|known| route.is_none_or(|name| known.name == name))
        .collect();
    let mut text = String::new();
    if route.is_none() {
        text.push_str(&head(snapshot));
    }
    text.push_str(&lines(&backends(&routes)));
    let met: Vec<_> = snapshot
        .reasons
        .iter()
        .filter(|(_, packets)| **packets != 0)
        .collect();
    if route.is_none() && !snapshot.datapath.limits.is_empty() {
        text.push('\n');
        text.push_str(&lines(&limits(snapshot)));
    }
    if route.is_none() && !met.is_empty() {
        let mut table = columns(&["REASON", "PACKETS"], 1);
        for (reason, packets) in met {
            table.add_row([reason.clone(), packets.to_string()]);
        }
        text.push('\n');
        text.push_str(&lines(&table));
    }
    text
}

fn head(snapshot: &Snapshot) -> String {
    let flows = &snapshot.datapath.flows;
    let interfaces: Vec<_> = snapshot
        .datapath
        .interfaces
        .iter()
        .map(|interface| format!("{} ({})", interface.name, interface.mode))
        .collect();
    let answers = &snapshot.datapath.answers;
    format!(
        "{}, gwpool {}, up {}\ninterfaces: {}\nflows: {} established of {}, {} embryonic\n\
         answers of our own: {} sent, {} withheld\n{}\n",
        snapshot.node,
        snapshot.version,
        duration(snapshot.uptime_seconds),
        some(&interfaces),
        flows.established,
        flows.capacity,
        flows.embryonic,
        answers.sent_total,
        answers.withheld_total,
        nat(&snapshot.nat),
    )
}

/// Nothing where nothing is translated.
fn nat(nat: &Nat) -> String {
    if nat.sources.is_empty() && nat.addresses.is_empty() {
        return String::new();
    }
    let Mappings {
        tcp,
        udp,
        icmp,
        other,
    } = nat.mappings;
    format!(
        "nat: {} as {} ({})\n\
         mappings: {tcp} tcp, {udp} udp, {icmp} icmp, {other} other; {} refused, {} overloaded; leaks prevented: {}\n\
         translated: {} connections, {} active; {} packets out, {} in\n",
        some(&nat.sources),
        some(&nat.addresses),
        if nat.active { "active" } else { "standby" },
        nat.allocation_failures_total,
        nat.overloaded_total,
        nat.leaks_prevented_total,
        nat.connections_total,
        nat.flows_active,
        nat.to_outside.packets,
        nat.to_inside.packets,
    )
}

fn some(list: &[String]) -> String {
    if list.is_empty() {
        "none".to_owned()
    } else {
        list.join(", ")
    }
}

fn limits(snapshot: &Snapshot) -> Table {
    let mut table = columns(&["LIMIT", "USED", "OF", "FULL"], 1);
    for (name, Fill { used, capacity }) in &snapshot.datapath.limits {
        // What takes no memory here cannot be full.
        let Some(full) = (used * 100).checked_div(*capacity) else {
            continue;
        };
        table.add_row([
            name.clone(),
            used.to_string(),
            capacity.to_string(),
            format!("{full}%"),
        ]);
    }
    table
}

fn backends(routes: &[&Route]) -> Table {
    let known = routes.iter().flat_map(|route| &route.backends);
    let weighted = known.into_iter().any(|backend| backend.weight != 1);
    let weight: &[&str] = if weighted { &["WEIGHT"] } else { &[] };
    let known = routes.iter().flat_map(|route| &route.backends);
    let redispatched = known
        .into_iter()
        .any(|backend| backend.redispatches_total != 0);
    let redispatches: &[&str] = if redispatched { &["REDISPATCHED"] } else { &[] };
    let head = [
        &["ROUTE", "LISTEN", "BACKEND", "ADDRESS", "STATE"],
        weight,
        &[
            "CONNS", "ACTIVE", "PACKETS>", "BYTES>", "<PACKETS", "<BYTES",
        ],
        redispatches,
    ];
    let mut table = columns(&head.concat(), 5);
    for route in routes {
        let listen = listen(route);
        let name = if route.enabled {
            route.name.clone()
        } else {
            format!("{} (off)", route.name)
        };
        for (number, backend) in route.backends.iter().enumerate() {
            let first = number == 0;
            let mut row = vec![
                if first { name.clone() } else { String::new() },
                if first { listen.clone() } else { String::new() },
                backend.name.clone(),
                format!("{}:{}", backend.address, backend.port),
                backend.state.clone(),
            ];
            row.extend(weighted.then(|| backend.weight.to_string()));
            row.extend(counts(backend).map(|count| count.to_string()));
            row.extend(redispatched.then(|| backend.redispatches_total.to_string()));
            table.add_row(row);
        }
        if route.backends.is_empty() {
            table.add_row([name, listen, "(no backend)".to_owned()]);
        }
    }
    table
}

/// Where it listens; and how it balances, if not in turn.
fn listen(route: &Route) -> String {
    let listen = format!("{}/{}", route.listen.join(","), route.protocol);
    match route.balance.as_str() {
        "roundrobin" => listen,
        balance => format!("{listen} {balance}"),
    }
}

fn counts(backend: &Backend) -> [u64; 6] {
    [
        backend.connections_total,
        backend.flows_active,
        backend.to_backend.packets,
        backend.to_backend.bytes,
        backend.to_client.packets,
        backend.to_client.bytes,
    ]
}

/// A table without lines; from column `numbers` on, what stands there is a number.
fn columns(head: &[&str], numbers: usize) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(head);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
        if column.index >= numbers {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn lines(table: &Table) -> String {
    table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests;
