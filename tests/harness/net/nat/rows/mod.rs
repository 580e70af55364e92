//! The checklist, in its order. A row's inside ports are its own: no row meets another's mappings.

mod errors;
mod filtering;
mod fragments;
mod hairpin;
mod host;
mod limits;
mod mapping;
mod path;
mod played;
mod protocols;
mod race;
mod state;
mod tcp;
mod tcp_time;
mod time;

use super::row::Row;

/// The row about all others: nothing has leaked.
pub const LEAK: &str = "nothing_leaks";

/// What gwpool does not do, on purpose; README says why. Never a MUST.
pub const UNMET: &[&str] = &[
    "fragments_with_equal_ids",
    "a_port_rests_before_its_next_host",
];

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Row> {
    [
        mapping::ROWS,
        filtering::ROWS,
        hairpin::ROWS,
        tcp::ROWS,
        state::ROWS,
        time::ROWS,
        tcp_time::ROWS,
        errors::ROWS,
        path::ROWS,
        fragments::ROWS,
        protocols::ROWS,
        limits::ROWS,
        host::ROWS,
        fragments::FLOOD,
        state::LEAKS,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests;
