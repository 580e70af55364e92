//! What two CPUs can do to one flow at the same moment: a rival acts just before one of our inserts.
//!
//! The kernel's tables cannot be stopped between two helper calls, the model's can.

use crate::bed::GATEWAY_NETWORK;
use crate::frames::Frame;
use crate::model::Model;
use crate::subject::{Action, Hook, OnHost, Subject, on_host};
use anyhow::{Context, Result, ensure};
use gwpool_common::flow::{Embryo, Flow, FlowKey};
use gwpool_common::net::V4;

/// A scenario and its name.
pub type Race = (&'static str, fn() -> Result<()>);

/// All of them.
pub const ALL: [Race; 3] = [
    (
        "a_new_flow_overtaken_by_a_rival_leaves_nothing_behind",
        overtaken,
    ),
    ("a_promotion_that_a_rival_does_too_is_done", promoted_twice),
    (
        "a_table_that_fills_up_between_both_halves_is_left_as_it_was",
        filled_up,
    ),
];

const SYN: &str = "tcp 10.9.0.100:2000 > 10.9.0.1:80 S seq=100";
const ANSWER: &str = "tcp 192.168.1.2:8080 > 192.168.1.1:2000 SA seq=500 ack=101";
const PROOF: &str = "tcp 10.9.0.100:2000 > 10.9.0.1:80 A seq=101 ack=501";

fn world() -> Result<OnHost> {
    on_host("remote", (32768, 60999), Some(1))
}

fn send(subject: &mut OnHost, interface: u32, text: &str) -> Result<Action> {
    Ok(subject
        .run(Hook::Xdp, interface, &Frame::parse(text)?.bytes())?
        .0)
}

fn shake_hands(subject: &mut OnHost) -> Result<()> {
    ensure!(
        send(subject, GATEWAY_NETWORK, SYN)? == Action::Send,
        "the SYN goes on"
    );
    ensure!(
        send(subject, crate::bed::BOX_NETWORK, ANSWER)? == Action::Send,
        "so does its answer"
    );
    Ok(())
}

/// The same SYN on another CPU: both find nothing, the rival stores first.
fn overtaken() -> Result<()> {
    let mut subject = world()?;
    // The second insert is the client's half.
    subject.rival(1, |model, key| {
        model.embryonic.insert(
            *key,
            Embryo {
                flow: lasting(model),
                ..Embryo::default()
            },
        );
    });
    ensure!(
        send(&mut subject, GATEWAY_NETWORK, SYN)? == Action::Drop,
        "the packet ends here"
    );
    let state = subject.state()?;
    ensure!(
        state.reasons.get("overtaken") == Some(&1),
        "as overtaken: {:?}",
        state.reasons
    );
    ensure!(
        state.embryonic.len() == 1,
        "only the rival's entry is there: {:?}",
        state.embryonic
    );
    Ok(())
}

/// The proof on two CPUs: the rival's entries are as good as ours.
fn promoted_twice() -> Result<()> {
    let mut subject = world()?;
    shake_hands(&mut subject)?;
    subject.rival(0, |model, key| {
        let flow = model.embryonic[key].flow;
        model.established.insert(*key, flow);
    });
    ensure!(
        send(&mut subject, GATEWAY_NETWORK, PROOF)? == Action::Send,
        "the packet goes on"
    );
    let state = subject.state()?;
    ensure!(
        (state.established.len(), state.embryonic.len()) == (2, 0),
        "one flow, promoted: {state:?}"
    );
    Ok(())
}

/// Another flow takes the last place after our first half: both halves are refused, nothing of ours stays.
fn filled_up() -> Result<()> {
    let mut subject = world()?;
    shake_hands(&mut subject)?;
    subject.rival(1, |model, key| {
        model.established.insert(
            FlowKey {
                protocol: 99,
                ..*key
            },
            lasting(model),
        );
    });
    ensure!(
        send(&mut subject, GATEWAY_NETWORK, PROOF)? == Action::Drop,
        "the packet ends here"
    );
    let state = subject.state()?;
    ensure!(
        state.reasons.get("table_full") == Some(&1),
        "as table_full: {:?}",
        state.reasons
    );
    let ours = state
        .established
        .keys()
        .filter(|key| key.protocol == 6)
        .count();
    ensure!(
        ours == 0,
        "no half of ours is left: {:?}",
        state.established
    );
    ensure!(
        state.embryonic.len() == 2,
        "the embryo waits for room: {:?}",
        state.embryonic
    );
    Ok(())
}

/// A flow seen just now.
fn lasting(model: &Model) -> Flow<V4> {
    Flow {
        seen: model.image.settings.tick_shift as u16,
        ..Flow::default()
    }
}

/// Runs all; one line for each that failed.
pub fn failures() -> Vec<String> {
    let run = |(name, race): &Race| {
        race()
            .context(*name)
            .err()
            .map(|error| format!("{error:#}"))
    };
    ALL.iter().filter_map(run).collect()
}
