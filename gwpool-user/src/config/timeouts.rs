//! What a route does after a while: `timeout`, by HAProxy's names, and how often a handshake goes to another backend.
//!
//! Durations are HAProxy's: milliseconds, or a number with a suffix; [`Unit`]: those of others. The programs count in ticks of about a second.
#![forbid(unsafe_code)]

use super::report::{Cause, Findings};
use super::schema::{Section, items, number, text, wrong};
use super::tree::{Node, Value};
use crate::plan::Timeout;
use gwpool_common::limits::{REDISPATCHES, TIMER_MAX_S};

/// HAProxy's suffixes, in microseconds.
const UNITS: [(&str, u128); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60 * 1_000_000),
    ("h", 3_600 * 1_000_000),
    ("d", 86_400 * 1_000_000),
];
/// What a bare number may count.
const MILLISECOND: u128 = 1_000;
const SECOND: u128 = 1_000_000;

/// Reads `timeout`. As in HAProxy `tunnel` replaces `client` and `server`, of which the longer one holds here.
pub fn timeout(section: &Section) -> Option<Timeout> {
    const KEYS: [&str; 4] = ["connect", "client", "server", "tunnel"];
    let findings = section.findings;
    let Some(node) = section.get("timeout") else {
        return Some(Timeout::default());
    };
    let section = Section::open(node, "`timeout`", &KEYS, &[], findings)?;
    let [connect, client, server, tunnel] = KEYS.map(|key| match section.get(key) {
        Some(node) => seconds(node, Unit::Milliseconds, findings).map(Some),
        None => Some(None),
    });
    let (connect, client, server, tunnel) = (connect?, client?, server?, tunnel?);
    Some(Timeout {
        connect_s: connect.unwrap_or(Timeout::default().connect_s),
        idle_s: tunnel.or(client.max(server)),
    })
}

/// What a number without a suffix counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// As in HAProxy.
    Milliseconds,
    /// As in keepalived, and in gwpool's own keys.
    Seconds,
}

impl Unit {
    const fn micros(self) -> u128 {
        match self {
            Unit::Milliseconds => MILLISECOND,
            Unit::Seconds => SECOND,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Unit::Milliseconds => "milliseconds",
            Unit::Seconds => "seconds",
        }
    }
}

/// A duration, rounded up to seconds.
pub fn seconds(node: &Node, unit: Unit, findings: &Findings) -> Option<u16> {
    let micros = match &node.value {
        Value::Integer(number) => {
            let number = u128::try_from(*number).ok();
            number.map(|number| number * unit.micros())
        }
        Value::Text(text) => parsed(text.trim(), unit),
        _ => None,
    };
    let whole = micros.map(|micros| micros.div_ceil(SECOND));
    let found = whole.and_then(|seconds| u16::try_from(seconds).ok());
    let advice = match (whole, unit) {
        (Some(0), Unit::Milliseconds) => {
            "0 is for ever in HAProxy; here every flow ends, so leave it out"
        }
        (Some(0), Unit::Seconds) => "here every flow ends, and none at once: leave it out",
        _ => "",
    };
    found
        .filter(|seconds| (1..=TIMER_MAX_S).contains(seconds))
        .or_else(|| {
            let hours = TIMER_MAX_S / 3_600;
            let wanted = format!(
                "{}, or a number with us, ms, s, m, h or d, of at most {hours}h",
                unit.name()
            );
            wrong(node, &wanted, advice, findings)
        })
}

fn parsed(text: &str, unit: Unit) -> Option<u128> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let unit = match suffix {
        "" => unit.micros(),
        suffix => UNITS.iter().find(|(name, _)| *name == suffix)?.1,
    };
    u128::from(digits.parse::<u64>().ok()?).checked_mul(unit)
}

/// Reads `options` and `retries`: how many backends may fail a handshake before its client hears of it.
pub fn redispatches(section: &Section) -> Option<u8> {
    let findings = section.findings;
    let retries = match section.get("retries") {
        Some(node) => number(node, "retries", 0..=i64::from(u8::MAX), findings)
            .and_then(|number| u8::try_from(number).ok()),
        None => Some(REDISPATCHES),
    };
    let mut said: Option<(bool, &Node)> = None;
    for option in section.get("options").map(items).unwrap_or_default() {
        let Some(word) = text(option, "the name of an HAProxy option", findings) else {
            continue;
        };
        let on = match word {
            "redispatch" => true,
            "no redispatch" => false,
            _ => {
                let said = "is read, but not honoured: gwpool sees connections, not requests";
                findings.note(&option.at, format!("`options: {word}` {said}"));
                continue;
            }
        };
        if let Some((other, first)) = said.filter(|(other, _)| *other != on) {
            let word = if other { "redispatch" } else { "no redispatch" };
            let wanted = format!(
                "one of `redispatch` and `no redispatch`, as `{word}` at {}",
                first.at
            );
            findings.error(&option.at, Cause::wanted(wanted, "both", "remove one"));
        }
        said = Some((on, option));
    }
    match said {
        Some((false, _)) => retries.map(|_| 0),
        _ => retries,
    }
}
