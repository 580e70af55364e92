//! `balance source`: the table in which every client's address has its place, and who has which place.
//!
//! Rendezvous hashing: for each place every backend draws a number from its own address and port, the best draw has
//! it. A backend that comes takes places from the others and moves none between them; one that goes leaves only its
//! own. All gateways draw the same, because nothing but addresses, ports and weights goes in: whole numbers only,
//! no library's logarithm.
#![forbid(unsafe_code)]

use std::cmp::Ordering;

/// Who may have places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taker {
    /// Address and port, network order.
    pub place: ([u8; 4], [u8; 2]),
    /// How many places beside the others; 0: none.
    pub weight: u16,
}

/// Places in a table for this many backends, those of weight 0 included.
///
/// A share of p is off by about sqrt(p (1 - p) / places): three backends by 1.5 points at 1021. From 64 backends on
/// the table grows by steps of four, so that each has 16 places or more; at a step, and only there, a backend more
/// moves most clients. Primes, so that a hash's weak bits do not matter.
pub const fn places(backends: usize) -> u32 {
    match backends {
        0 => 0,
        1..=64 => 1_021,
        65..=256 => 4_093,
        257..=1_024 => 16_381,
        _ => 65_521,
    }
}

/// Who has each place, as an index into `takers`; empty if nobody takes any.
pub fn table(takers: &[Taker]) -> Vec<usize> {
    let drawers: Vec<Drawer> = (0..)
        .zip(takers)
        .filter(|(_, taker)| taker.weight != 0)
        .map(|(index, taker)| Drawer {
            index,
            seed: seed(taker),
            weight: u64::from(taker.weight),
        })
        .collect();
    let even = drawers
        .windows(2)
        .all(|pair| pair[0].weight == pair[1].weight);
    (0..places(takers.len()))
        .map_while(|place| {
            let salt = mix(u64::from(place) + 1);
            let draws = drawers
                .iter()
                .map(|drawer| (mix(drawer.seed ^ salt), drawer));
            let best = if even {
                draws.max_by_key(|(draw, _)| *draw)
            } else {
                draws.max_by(better)
            };
            best.map(|(_, drawer)| drawer.index)
        })
        .collect()
}

struct Drawer {
    index: usize,
    seed: u64,
    weight: u64,
}

/// With weights, the draw u becomes -log(u) / weight and the smallest wins: each wins in proportion to its weight
/// (Schindelhauer and Schomaker's logarithmic method). Compared crosswise, without a division.
fn better(one: &(u64, &Drawer), other: &(u64, &Drawer)) -> Ordering {
    let crosswise = (rarity(other.0) * one.1.weight).cmp(&(rarity(one.0) * other.1.weight));
    crosswise.then(one.0.cmp(&other.0))
}

/// -log2(draw / 2^64), with 32 bits behind the point; the larger the draw, the smaller, never the other way round.
fn rarity(draw: u64) -> u64 {
    let draw = draw | 1;
    let zeros = draw.leading_zeros();
    // Between 1 and 2, 63 bits behind the point; each squaring gives one bit of the logarithm.
    let mut rest = draw << zeros;
    let mut logarithm = 0u64;
    for _ in 0..32 {
        let square = (u128::from(rest) * u128::from(rest)) >> 63;
        let carries = square >> 64 != 0;
        logarithm = logarithm << 1 | u64::from(carries);
        rest = (square >> u32::from(carries)) as u64;
    }
    (u64::from(zeros + 1) << 32) - logarithm
}

fn seed(taker: &Taker) -> u64 {
    let ([a, b, c, d], [high, low]) = taker.place;
    mix(u64::from_be_bytes([0, 0, a, b, c, d, high, low]))
}

/// The finish of splitmix64: every bit of what goes in moves half the bits of what comes out.
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests;
