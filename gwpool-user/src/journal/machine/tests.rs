//! What is said, sweep by sweep.

use super::*;

fn pair(port: u16, outside: u16) -> Pair {
    let end = |address, port: u16, side| End {
        address,
        port: port.to_be_bytes(),
        protocol: 17,
        side,
    };
    (
        end([192, 168, 1, 11], port, End::<V4>::INSIDE),
        end([10, 9, 0, 254], outside, End::<V4>::OUTSIDE),
    )
}

fn told(journal: &mut Journal, (inside, outside): Pair, what: u32) -> Vec<(What, Pair)> {
    let mapped = Mapped {
        inside,
        outside,
        what,
    };
    said(journal.told(&mapped))
}

fn said(lines: Vec<Line>) -> Vec<(What, Pair)> {
    lines
        .into_iter()
        .map(|line| (line.what, line.pair))
        .collect()
}

const BEGINS: u32 = Mapped::<V4>::BEGINS;
const ENDS: u32 = Mapped::<V4>::ENDS;

#[test]
fn a_line_names_both_ends() {
    let line = Line::of(What::Begins, pair(41000, 41001));
    let text = "nat mapping begins: udp 192.168.1.11:41000 as 10.9.0.254:41001";
    assert_eq!(line.to_string(), text);
    let ends = Line::of(What::Ends, pair(1, 2)).to_string();
    assert!(ends.starts_with("nat mapping ends: "), "{ends}");
}

#[test]
fn what_is_told_is_said_once_and_its_end_too() {
    let mut journal = Journal::default();
    let one = pair(1, 1);
    assert_eq!(told(&mut journal, one, BEGINS), [(What::Begins, one)]);
    for _ in 0..3 {
        assert_eq!(said(journal.swept(&[], &[one])), []);
    }
    assert_eq!(said(journal.swept(&[one], &[])), [(What::Ends, one)]);
    for _ in 0..3 {
        assert_eq!(said(journal.swept(&[], &[])), []);
    }
}

#[test]
fn what_nobody_told_is_found_when_two_sweeps_agree() {
    let mut journal = Journal::default();
    let (lost, brief) = (pair(1, 1), pair(2, 2));
    assert_eq!(said(journal.swept(&[], &[lost, brief])), []);
    assert_eq!(said(journal.swept(&[], &[lost])), [(What::Found, lost)]);
    assert_eq!(said(journal.swept(&[], &[lost])), []);
    assert_eq!(
        told(&mut journal, lost, BEGINS),
        [],
        "that late it is known"
    );
}

#[test]
fn what_crosses_a_sweep_is_said_once() {
    let mut journal = Journal::default();
    let one = pair(1, 1);
    // The sweep has seen it before it was told, and the other way round.
    assert_eq!(said(journal.swept(&[], &[one])), []);
    assert_eq!(told(&mut journal, one, BEGINS), [(What::Begins, one)]);
    assert_eq!(said(journal.swept(&[], &[])), []);
    assert_eq!(said(journal.swept(&[], &[one])), []);
    assert_eq!(said(journal.swept(&[], &[one])), []);
}

#[test]
fn what_went_by_another_hand_ends_when_two_sweeps_agree() {
    let mut journal = Journal::default();
    let one = pair(1, 1);
    told(&mut journal, one, BEGINS);
    assert_eq!(said(journal.swept(&[], &[])), []);
    assert_eq!(said(journal.swept(&[], &[])), [(What::Ends, one)]);
    assert_eq!(said(journal.swept(&[], &[])), []);
}

#[test]
fn a_socket_that_is_mapped_anew_ends_as_what_it_was() {
    let mut journal = Journal::default();
    let (old, new) = (pair(1, 1), pair(1, 2));
    told(&mut journal, old, BEGINS);
    let lines = told(&mut journal, new, BEGINS);
    assert_eq!(lines, [(What::Ends, old), (What::Begins, new)]);
    assert_eq!(told(&mut journal, old, ENDS), [(What::Ends, old)]);
    assert_eq!(said(journal.swept(&[], &[new])), [], "it is still there");
}

#[test]
fn what_was_forgotten_is_found_again() {
    let mut journal = Journal::default();
    let one = pair(1, 1);
    told(&mut journal, one, BEGINS);
    journal.forget();
    assert_eq!(said(journal.swept(&[], &[one])), []);
    assert_eq!(said(journal.swept(&[], &[one])), [(What::Found, one)]);
}
