//! What two CPUs can do to one flow at the same moment: a rival acts just before one of our inserts.
//!
//! The kernel's tables cannot be stopped between two helper calls, the model's can.

use crate::bed::{BOX_NETWORK, GATEWAY_NETWORK};
use crate::frames::Frame;
use crate::model::{Model, Rival};
use crate::subject::{Action, Hook, OnHost, Subject, on_host};
use anyhow::{Context, Result, ensure};
use gwpool_common::flow::{Embryo, Flow, FlowKey};
use gwpool_common::net::V4;
use gwpool_ebpf::family::Ipv4;
use gwpool_ebpf::pair;

/// A scenario and its name.
pub type Race = (&'static str, fn() -> Result<()>);

/// All of them.
pub const ALL: [Race; 5] = [
    (
        "a_new_flow_overtaken_by_a_rival_leaves_nothing_behind",
        overtaken,
    ),
    ("a_new_flow_that_a_rival_has_stored_is_followed", shared),
    ("a_promotion_that_a_rival_does_too_is_done", promoted_twice),
    (
        "a_table_that_fills_up_between_both_halves_is_left_as_it_was",
        filled_up,
    ),
    (
        "a_translated_flow_that_has_lost_a_half_goes_on_with_the_other",
        bereft,
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
        send(subject, BOX_NETWORK, ANSWER)? == Action::Send,
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
        state.embryonic.is_empty(),
        "of a half without its other half nothing stays, nor of ours: {:?}",
        state.embryonic
    );
    Ok(())
}

/// The same, and the rival has stored both halves: the packet follows its flow.
fn shared() -> Result<()> {
    let mut subject = world()?;
    subject.rival(0, |model, key| {
        let client = FlowKey {
            source: [10, 9, 0, 100],
            destination: [10, 9, 0, 1],
            source_port: 2000u16.to_be_bytes(),
            destination_port: 80u16.to_be_bytes(),
            ..*key
        };
        let rewrite = pair::rewrite::<Ipv4>(
            &client,
            (key.destination, key.destination_port),
            (key.source, key.source_port),
        );
        let answer = Flow {
            rewrite: pair::reverse(&client, &rewrite),
            flags: Flow::<V4>::BACKEND_SIDE,
            ..lasting(model)
        };
        let asks = Flow {
            rewrite,
            ..lasting(model)
        };
        for (key, flow) in [(client, asks), (*key, answer)] {
            let embryo = Embryo {
                flow,
                ..Embryo::default()
            };
            model.embryonic.insert(key, embryo);
        }
    });
    ensure!(
        send(&mut subject, GATEWAY_NETWORK, SYN)? == Action::Send,
        "the packet goes on"
    );
    let state = subject.state()?;
    ensure!(state.embryonic.len() == 2, "by the rival's flow: {state:?}");
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
    subject.answers(0)?;
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
        subject
            .run(Hook::Tc, GATEWAY_NETWORK, &Frame::parse(PROOF)?.bytes())?
            .0
            == Action::Drop,
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
        state.embryonic.is_empty(),
        "nothing of it is left: {:?}",
        state.embryonic
    );
    Ok(())
}

/// The tier gives up one half of a flow, for another flow: the packet that looks for it makes the flow whole again, and is
/// neither refused a port that nobody else has, nor taken for a stranger's.
fn bereft() -> Result<()> {
    const ASKS: &str = "udp 192.168.1.2:5000 > 10.9.0.100:53 len=9";
    const ANSWERS: &str = "udp 10.9.0.100:53 > 10.9.0.1:5000 len=9";
    const ANOTHER: &str = "udp 192.168.1.2:5001 > 10.9.0.100:53 len=9";
    let client_goes: Rival = |model, _| keep(model, true);
    let backend_goes: Rival = |model, _| keep(model, false);
    let ways = [
        (client_goes, BOX_NETWORK, ASKS),
        (backend_goes, GATEWAY_NETWORK, ANSWERS),
    ];
    for (goes, interface, text) in ways {
        let mut subject = on_host("nat", (32768, 60999), Some(1))?;
        send(&mut subject, BOX_NETWORK, ASKS)?;
        subject.rival(0, goes);
        send(&mut subject, BOX_NETWORK, ANOTHER)?;
        let left = subject.state()?.embryonic.len();
        ensure!(left == 3, "one of four halves gives way, {left} are left");
        let action = send(&mut subject, interface, text)?;
        let state = subject.state()?;
        ensure!(action == Action::Send, "{text}: {:?}", state.reasons);
        ensure!(state.embryonic.len() == 4, "whole again: {state:?}");
    }
    Ok(())
}

/// Only these halves stay.
fn keep(model: &mut Model, backend_side: bool) {
    let is_kept = |_: &FlowKey<V4>, embryo: &mut Embryo<V4>| {
        (embryo.flow.flags & Flow::<V4>::BACKEND_SIDE != 0) == backend_side
    };
    model.embryonic.retain(is_kept);
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
