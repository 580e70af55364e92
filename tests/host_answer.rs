//! Answers to packets whose checksum their sender has left to whoever sends them on: what is in the frame then is
//! finished later, over what the frame has become, and everything in it must be right after that.

use gwpool_common::net::V4;
use gwpool_harness::bed::GATEWAY_NETWORK;
use gwpool_harness::frames::{Frame, checksum};
use gwpool_harness::subject::{Action, Hook, OnHost, Subject, on_host};
use gwpool_harness::trial;

const ETHERNET: usize = 14;

/// One's complement sum of the pseudo header of the IP packet at `at`, whose transport part has `length` bytes.
fn pseudo(frame: &[u8], at: usize, length: usize) -> u16 {
    let ends: [V4; 2] = [0, 4].map(|end| {
        let place = at + 12 + end;
        frame[place..place + 4].try_into().expect("four bytes")
    });
    let mut bytes = ends.concat();
    bytes.extend([0, frame[at + 9]]);
    bytes.extend((length as u16).to_be_bytes());
    !checksum(&bytes)
}

/// Where the transport header of the IP packet at `at` begins, and its checksum's place.
fn transport(frame: &[u8], at: usize) -> (usize, usize) {
    let begin = at + usize::from(frame[at] & 15) * 4;
    (begin, begin + if frame[at + 9] == 6 { 16 } else { 6 })
}

/// As a stack with checksum offload sends it: only the pseudo header's sum is in the field.
fn unfinished(text: &str) -> Vec<u8> {
    let mut frame = Frame::parse(text).expect("a frame").bytes();
    let (begin, field) = transport(&frame, ETHERNET);
    let sum = pseudo(&frame, ETHERNET, frame.len() - begin);
    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// What the sender of the frame does (net/core/dev.c, `skb_checksum_help`), with the places the packet came with.
fn finish(frame: &mut [u8], begin: usize, field: usize) {
    let sum = checksum(&frame[begin..]);
    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}

fn told(subject: &mut OnHost, text: &str) -> Vec<u8> {
    subject.partial = true;
    let (action, frame) = subject
        .run(Hook::Tc, GATEWAY_NETWORK, &unfinished(text))
        .expect("the model runs");
    assert_eq!(action, Action::Send, "{text}");
    frame
}

fn world() -> OnHost {
    on_host("remote", (32768, 60999), None).expect("the model fills")
}

#[test]
fn an_errors_sum_is_right_once_the_quotes_is_finished() {
    for text in [
        "tcp 10.9.0.100:2000 > 10.9.0.1:80 S seq=100 ttl=1",
        "tcp 10.9.0.100:2000 > 10.9.0.1:80 S seq=100 ttl=1 tcpoptions=5 options=3",
        "udp 10.9.0.100:2000 > 10.9.0.1:53 ttl=1 len=33",
        "udp 10.9.0.100:2000 > 10.9.0.1:53 len=1473",
    ] {
        let mut frame = told(&mut world(), text);
        let quote = ETHERNET + 28;
        let (begin, field) = transport(&frame, quote);
        assert_eq!(frame[ETHERNET + 9], 1, "{text}: ICMP");
        finish(&mut frame, begin, field);
        assert_eq!(checksum(&frame[ETHERNET..ETHERNET + 20]), 0, "{text}: IP");
        assert_eq!(checksum(&frame[ETHERNET + 20..]), 0, "{text}: ICMP");
    }
}

#[test]
fn a_resets_sum_is_right_once_it_is_finished() {
    for text in [
        "tcp 10.9.0.100:2000 > 10.9.0.1:80 S seq=100",
        "tcp 10.9.0.100:2000 > 10.9.0.1:80 S seq=100 tcpoptions=5 options=3 len=7",
    ] {
        let mut subject = world();
        trial::empty(&mut subject, "web").expect("the route loses its backends");
        let (begin, field) = transport(&unfinished(text), ETHERNET);
        let mut frame = told(&mut subject, text);
        finish(&mut frame, begin, field);
        assert_eq!(checksum(&frame[ETHERNET..begin]), 0, "{text}: IP");
        let sum = pseudo(&frame, ETHERNET, frame.len() - begin);
        let whole = [&sum.to_be_bytes(), &frame[begin..]].concat();
        assert_eq!(checksum(&whole), 0, "{text}: TCP");
    }
}
