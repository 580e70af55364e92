//! One packet of a case on a subject: run, and held against what the case expects of it.

use crate::case::Expected;
use crate::frames::Frame;
use crate::subject::{Action, Hook, State, Subject};
use anyhow::{Context, Result, ensure};
use gwpool_common::reason::Reason;
use gwpool_common::route::Route;
use gwpool_user::plan::MapWrite;
use std::fmt::Write as _;

/// A packet that was run, and what became of it.
pub struct Sent {
    hook: Hook,
    interface: u32,
    frame: Vec<u8>,
    action: Action,
    bytes: Vec<u8>,
}

/// Runs one packet.
pub fn send(subject: &mut dyn Subject, hook: Hook, interface: u32, frame: &Frame) -> Result<Sent> {
    let frame = frame.bytes();
    let (action, bytes) = subject.run(hook, interface, &frame)?;
    Ok(Sent {
        hook,
        interface,
        frame,
        action,
        bytes,
    })
}

impl Sent {
    /// The same packet again.
    pub fn again(&self, subject: &mut dyn Subject) -> Result<Sent> {
        let (action, bytes) = subject.run(self.hook, self.interface, &self.frame)?;
        Ok(Sent {
            frame: self.frame.clone(),
            action,
            bytes,
            ..*self
        })
    }

    /// The same packet at TC, which XDP must have left it to.
    pub fn finish(&self, subject: &mut dyn Subject) -> Result<Sent> {
        ensure!(
            self.action == Action::Unfinished,
            "wanted it left to TC, found {:?}",
            self.action
        );
        let (action, bytes) = subject.run(Hook::Tc, self.interface, &self.frame)?;
        Ok(Sent {
            hook: Hook::Tc,
            frame: self.frame.clone(),
            action,
            bytes,
            ..*self
        })
    }

    /// What became of it against what was expected, and nothing else may have moved.
    pub fn check(&self, expected: &Expected, before: &State, after: &State) -> Result<()> {
        let passed_out = self.hook == Hook::Egress && expected.reason == Some(Reason::NotOurs);
        let wanted = expected
            .reason
            .filter(|_| !passed_out)
            .map(|reason| (reason.name(), 1));
        let moved = moved(before, after);
        let only: Vec<_> = wanted.into_iter().collect();
        ensure!(
            moved == only,
            "wanted the counts {only:?} to move, found {moved:?}"
        );
        let mut held = before.held.clone();
        if expected.reason == Some(Reason::FragmentHeld) {
            held.push((self.interface, self.frame.clone()));
        }
        ensure!(
            after.held == held,
            "wanted {} frames held, found {}, or others",
            held.len(),
            after.held.len()
        );
        let action = expected.action();
        ensure!(
            self.action == action,
            "wanted {action:?}, found {:?}",
            self.action
        );
        if action == Action::Drop {
            return Ok(());
        }
        let mut bytes = expected
            .frame
            .as_ref()
            .map_or_else(|| self.frame.clone(), Frame::bytes);
        // What the local stack sends or gets has its Ethernet addresses already.
        if expected.resolved_later || expected.reason == Some(Reason::HostTranslated) {
            bytes[..12].copy_from_slice(&self.frame[..12]);
        }
        if expected.answered {
            let (destination, source) = self.frame[..12].split_at(6);
            bytes[..12].copy_from_slice(&[source, destination].concat());
        }
        ensure!(
            self.bytes == bytes,
            "wanted the frame\n{}found\n{}",
            dump(&bytes),
            dump(&self.bytes)
        );
        Ok(())
    }
}

/// The reasons whose count is another than before, and by how much.
fn moved(before: &State, after: &State) -> Vec<(&'static str, u64)> {
    let earlier = |name| before.reasons.get(name).copied().unwrap_or_default();
    let grown = |(name, count): (&&'static str, &u64)| (*name, count - earlier(*name));
    after
        .reasons
        .iter()
        .map(grown)
        .filter(|(_, by)| *by > 0)
        .collect()
}

/// The route loses its backends.
pub fn empty(subject: &mut dyn Subject, route: &str) -> Result<()> {
    let id = subject
        .image()
        .route_id(route)
        .with_context(|| format!("no route {route:?}"))?;
    let emptied = Route {
        slot_count: 0,
        ..subject.image().routes[&id]
    };
    subject.write(&MapWrite::Route(id, Some(emptied)))
}

/// The connections given to each of the route's backends, in the order of their first turns.
pub fn carried(subject: &dyn Subject, route: &str, wanted: &[u64]) -> Result<()> {
    let image = subject.image();
    let id = image
        .route_id(route)
        .with_context(|| format!("no route {route:?}"))?;
    let counters = subject.state()?.counters;
    let connections = |backend: &u32| {
        counters
            .get(backend)
            .map_or(0, |counters| counters.connections)
    };
    let mut takers: Vec<&u32> = Vec::new();
    for backend in image.run(&image.routes[&id]) {
        if !takers.contains(&backend) {
            takers.push(backend);
        }
    }
    let found: Vec<u64> = takers.into_iter().map(connections).collect();
    ensure!(
        found == wanted,
        "wanted connections {wanted:?}, found {found:?}"
    );
    Ok(())
}

fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(16) {
        for byte in line {
            let _ = write!(text, "{byte:02x} ");
        }
        text.push('\n');
    }
    text
}
