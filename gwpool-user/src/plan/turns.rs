//! Weights to turns: one cycle of a route, spread as smoothly as it goes.
//!
//! What the programs walk is a run of backend ids, one a turn. Weights exist only here: a backend stands in the run
//! as often as its weight says, after division by what all weights have in common, and never in a heap.
#![forbid(unsafe_code)]

/// Turns in one cycle of a route with weights: sixteen backends of weight 256, or a hundred of forty and one.
pub const ROUTE_TURNS_MAX: u64 = 4_096;

/// The largest weight, as in HAProxy.
pub const WEIGHT_MAX: u16 = 256;

/// How many turns one cycle has.
pub fn length(weights: &[u16]) -> u64 {
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    sum / u64::from(common(weights))
}

/// The most turns a cycle may have: [`ROUTE_TURNS_MAX`], but each backend may always have one.
pub fn most(weights: &[u16]) -> u64 {
    ROUTE_TURNS_MAX.max(weights.len() as u64)
}

/// One cycle: who takes each turn, as an index into `weights`. Weight 0 takes none.
///
/// nginx's smooth round robin: before each turn everybody gains its weight, the richest takes the turn (the first
/// of equals) and pays what all gained together.
pub fn cycle(weights: &[u16]) -> Vec<usize> {
    let unit = common(weights);
    let mut takers: Vec<Taker> = weights
        .iter()
        .enumerate()
        .filter(|(_, weight)| **weight != 0)
        .map(|(index, weight)| Taker {
            index,
            gain: i64::from(weight / unit),
            wealth: 0,
        })
        .collect();
    let all = length(weights) as i64;
    if all == takers.len() as i64 {
        return takers.iter().map(|taker| taker.index).collect();
    }
    (0..all).filter_map(|_| turn(&mut takers, all)).collect()
}

struct Taker {
    index: usize,
    gain: i64,
    wealth: i64,
}

/// Whose turn it is. `None`: nobody takes turns.
fn turn(takers: &mut [Taker], price: i64) -> Option<usize> {
    for taker in &mut *takers {
        taker.wealth += taker.gain;
    }
    // `max_by_key` gives the last of equals.
    let richest = takers.iter_mut().rev().max_by_key(|taker| taker.wealth)?;
    richest.wealth -= price;
    Some(richest.index)
}

/// What all weights can be divided by; 1 if all are 0.
fn common(weights: &[u16]) -> u16 {
    weights
        .iter()
        .fold(0, |one, other| divisor(one, *other))
        .max(1)
}

fn divisor(mut one: u16, mut other: u16) -> u16 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests;
