//! Looks, one after the other.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use crate::flows::filter::Names;
use crate::flows::row::State;
use crate::flows::row::tests::{NOW, REPLIED, halves, mapping};
use gwpool_ebpf::parse::{TCP, UDP};

type Half = (FlowKey<V4>, Flow<V4>);

fn filter(words: &[&str]) -> Filter {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    Filter::parse(&words, &Names::new()).unwrap()
}

fn look(filter: &Filter, embryonic: &[Half], established: &[Half]) -> Look {
    let mut look = Look::default();
    for (tier, halves) in [(false, embryonic), (true, established)] {
        for (key, flow) in halves {
            look.see_flow(filter, key, flow, tier, NOW);
        }
    }
    look.close();
    look
}

fn said(events: &[(Event, Row)]) -> Vec<(&'static str, State)> {
    let one = |(event, row): &(Event, Row)| (event.name(), row.state());
    events.iter().map(one).collect()
}

#[test]
fn a_flow_comes_goes_on_and_ends() {
    let all = filter(&[]);
    let [client, server] = halves(TCP, 0, 0);
    let answered = halves(TCP, 0, REPLIED);
    let looks = [
        look(&all, &[], &[]),
        look(&all, &[server, client], &[]),
        look(&all, &answered, &[]),
        // Promoted during the walk: it stands in both tiers.
        look(&all, &answered, &halves(TCP, 0, 0)),
        look(&all, &[], &halves(TCP, 0, 0)),
        look(&all, &[], &[]),
    ];
    let events: Vec<_> = looks
        .windows(2)
        .map(|pair| said(&pair[1].since(&pair[0], &all)))
        .collect();
    assert_eq!(
        events,
        [
            vec![("new", State::SynSent)],
            vec![("update", State::SynRecv)],
            vec![("update", State::Established)],
            vec![],
            vec![("end", State::Established)],
        ]
    );
}

#[test]
fn half_a_flow_is_none() {
    let all = filter(&[]);
    let [client, server] = halves(UDP, 0, 0);
    assert!(look(&all, &[server], &[]).is_empty());
    assert_eq!(look(&all, &[client], &[]).len(), 1);
}

#[test]
fn another_flow_on_the_same_key_is_an_end_and_a_beginning() {
    let all = filter(&[]);
    let mut other = halves(UDP, 0, 0)[0];
    other.1.rewrite.source_port = [7, 7];
    let before = look(&all, &[], &[halves(UDP, 0, 0)[0]]);
    let now = look(&all, &[], &[other]);
    let words: Vec<_> = now
        .since(&before, &all)
        .iter()
        .map(|(event, _)| *event)
        .collect();
    assert_eq!(words, [Event::End, Event::New]);
}

#[test]
fn only_what_is_meant_is_kept_and_said() {
    let closing = filter(&["state=FIN_WAIT"]);
    let fin = halves(TCP, Flow::<V4>::FIN, 0);
    let (before, now) = (
        look(&closing, &[], &halves(TCP, 0, 0)),
        look(&closing, &[], &fin),
    );
    assert_eq!(
        said(&now.since(&before, &closing)),
        [("update", State::FinWait)]
    );
    let udp = filter(&["proto=udp"]);
    assert!(look(&udp, &[], &fin).is_empty());
}

#[test]
fn mappings_come_and_go_too() {
    let all = filter(&[]);
    let row = mapping();
    let value = Mapping {
        address: row.outside.address,
        port: row.outside.port,
        seen: 1,
    };
    let mut now = Look::default();
    now.see_mapping(&all, &row.inside, &value);
    now.see_mapping(&all, &row.outside, &value);
    let (none, one) = (Look::default(), now);
    assert_eq!(said(&one.since(&none, &all)), [("new", State::Mapping)]);
    assert_eq!(said(&none.since(&one, &all)), [("end", State::Mapping)]);
    assert_eq!(said(&one.since(&one, &all)), []);
}
