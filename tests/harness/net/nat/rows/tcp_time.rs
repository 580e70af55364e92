//! How long connections last, and what makes them last (RFC 5382 REQ-5, RFC 7857 2). Time is divided (`timers`); these
//! rows run all at once with `time`'s, each with ports of its own.

use super::super::ground::{E, Ground};
use super::super::probe::{just_before, tcp};
use super::super::row::{
    Level::{Must, Should},
    Row, Seen, judge,
};
use super::super::subject::Setting;
use super::super::timers::{ESTABLISHED, TRANSITORY};
use super::played::Played;
use super::time::{lasts, meanwhile};
use crate::net::sockets::{self, carry, close_half, rest, tell};
use anyhow::Result;
use std::io::Read;

pub const ROWS: &[Row] = &[
    Row::new(
        "tcp_established_lasts",
        "RFC 5382 REQ-5",
        Must,
        "an idle connection lasts two hours and four minutes",
        established,
    )
    .under(Setting::Hurried),
    Row::new(
        "tcp_half_open_lasts",
        "RFC 5382 REQ-5",
        Must,
        "an unanswered SYN's mapping lasts four minutes",
        half_open,
    )
    .under(Setting::Hurried)
    .linux_breaks("heard: false"),
    Row::new(
        "tcp_half_closed_lasts",
        "RFC 5382 REQ-5",
        Must,
        "an idle half-closed connection lasts four minutes",
        half_closed,
    )
    .under(Setting::Hurried)
    .linux_breaks("heard: false"),
    Row::new(
        "tcp_half_closed_in_use_stays",
        "RFC 5382 REQ-5",
        Must,
        "a half-closed connection stays while its other half is used",
        half_closed_in_use,
    )
    .under(Setting::Hurried),
    Row::new(
        "tcp_closing_lasts",
        "RFC 5382 REQ-5",
        Must,
        "a connection that both sides have closed lasts four minutes",
        closing,
    )
    .under(Setting::Hurried)
    .linux_breaks("heard: false"),
    Row::new(
        "tcp_closed_ends_before_idle",
        "RFC 7857 2.1",
        Should,
        "it ends long before one that is only idle",
        closed_ends,
    )
    .under(Setting::Hurried),
    Row::new(
        "tcp_reset_lasts",
        "RFC 7857 2.2",
        Should,
        "a reset connection's mapping lasts four minutes",
        reset_lasts,
    )
    .under(Setting::Hurried)
    .linux_breaks("heard: false"),
    Row::new(
        "tcp_data_after_a_reset_revives",
        "RFC 7857 2.2",
        Should,
        "data after a reset makes the connection a standing one again",
        revived,
    )
    .under(Setting::Hurried)
    .not_of_linux(),
];

fn established(ground: &Ground) -> Seen {
    let limit = ESTABLISHED.scaled(7440);
    let begin = |attempt| {
        let pair = tcp(ground, &ground.c1, 45_040 + attempt, (E, 8140 + attempt))?;
        carry(&pair.client, &pair.backend, b"before")?;
        Ok(pair)
    };
    let ask = |pair: &sockets::Pair| tell(&pair.backend, b"after");
    let answered = |pair: &sockets::Pair| {
        Ok((&pair.client)
            .read(&mut [0; 10])
            .is_ok_and(|length| length > 0))
    };
    lasts(limit, 7440, just_before(limit, begin, ask, answered)?)
}

/// A connection whose inside has closed its half.
fn half(ground: &Ground, inside: u16, outside: u16) -> Result<sockets::Pair> {
    let pair = tcp(ground, &ground.c1, inside, (E, outside))?;
    carry(&pair.client, &pair.backend, b"before")?;
    close_half(&pair.client)?;
    rest(&pair.backend)?;
    Ok(pair)
}

fn half_closed(ground: &Ground) -> Seen {
    let limit = TRANSITORY.scaled(240);
    let begin = |attempt| half(ground, 45_050 + attempt, 8150 + attempt);
    let ask = |pair: &sockets::Pair| tell(&pair.backend, b"after");
    let answered = |pair: &sockets::Pair| {
        Ok((&pair.client)
            .read(&mut [0; 10])
            .is_ok_and(|length| length > 0))
    };
    lasts(limit, 240, just_before(limit, begin, ask, answered)?)
}

fn half_closed_in_use(ground: &Ground) -> Seen {
    let pair = half(ground, 45_060, 8160)?;
    let limit = TRANSITORY.scaled(240) * 3 / 2;
    let carried = meanwhile(limit, || {
        carry(&pair.backend, &pair.client, b"the other half")
    });
    judge(
        carried.is_ok(),
        format!("for {limit:?} the other half speaks: {carried:?}"),
    )
}

fn half_open(ground: &Ground) -> Seen {
    let limit = TRANSITORY.scaled(240);
    let begin = |attempt| Played::opens(ground, 45_500 + attempt, 9010 + attempt);
    lasts(
        limit,
        240,
        just_before(limit, begin, Played::outside_answers, Played::inside_sees)?,
    )
}

fn closing(ground: &Ground) -> Seen {
    let limit = TRANSITORY.scaled(240);
    let begin = |attempt| Played::closed(ground, 45_510 + attempt, 9015 + attempt);
    lasts(
        limit,
        240,
        just_before(limit, begin, Played::outside_speaks, Played::inside_sees)?,
    )
}

fn closed_ends(ground: &Ground) -> Seen {
    let played = Played::closed(ground, 45_520, 9020)?;
    let limit = TRANSITORY.scaled(240) * 5 / 2;
    std::thread::sleep(limit);
    played.outside_speaks()?;
    let heard = played.inside_sees()?;
    let idle = ESTABLISHED.scaled(7440);
    judge(
        !heard,
        format!(
            "{limit:?} after both FINs (idle ones last {idle:?}) the outside is heard: {heard}"
        ),
    )
}

fn reset_lasts(ground: &Ground) -> Seen {
    let limit = TRANSITORY.scaled(240);
    let begin = |attempt| Played::reset(ground, 45_530 + attempt, 9030 + attempt);
    lasts(
        limit,
        240,
        just_before(limit, begin, Played::outside_speaks, Played::inside_sees)?,
    )
}

fn revived(ground: &Ground) -> Seen {
    let played = Played::reset(ground, 45_540, 9040)?;
    // Not what was on its way already.
    std::thread::sleep(TRANSITORY.scaled(240) / 3);
    played.inside_speaks()?;
    let limit = TRANSITORY.scaled(240) * 2;
    std::thread::sleep(limit);
    played.outside_speaks()?;
    let heard = played.inside_sees()?;
    judge(
        heard,
        format!("{limit:?} after a reset and data the outside is heard: {heard}"),
    )
}
