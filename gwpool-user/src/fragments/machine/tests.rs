//! The holder of early fragments, step by step on a clock of its own.

use super::*;

fn packet(id: u16) -> Packet {
    Packet {
        source: [10, 9, 0, 100],
        destination: [10, 9, 0, 1],
        id: id.to_be_bytes(),
        protocol: 17,
        pad: 0,
    }
}

fn frame(bytes: usize) -> Frame {
    Frame {
        interface: 11,
        bytes: vec![7; bytes],
    }
}

fn first(seen: u16) -> Option<First> {
    Some(First {
        seen,
        ..First::default()
    })
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Looks at the deadlines until the packet is no longer due at `until`; how often.
fn looks(holder: &mut Holder, begin: Duration, until: Duration) -> u32 {
    let mut count = 0;
    while let Some(next) = holder.next_deadline()
        && next <= begin + until
    {
        holder.expire(next);
        while let Some(packet) = holder.due(next) {
            assert!(holder.looked(&packet, None, next).is_empty());
            count += 1;
        }
    }
    count
}

#[test]
fn frames_come_back_together_and_in_order_once_the_first_has_come() {
    let (mut holder, now) = (Holder::default(), ms(50));
    holder.hold(packet(1), 1000, frame(60), now);
    holder.hold(packet(2), 1000, frame(70), now);
    holder.hold(packet(1), 1000, frame(80), now + ms(1));
    assert_eq!(holder.due(now), Some(packet(1)), "looked for at once");
    assert!(holder.looked(&packet(1), None, now).is_empty());
    let frames = holder.looked(&packet(1), first(1000), now + ms(10));
    assert_eq!(frames, [frame(60), frame(80)]);
    assert!(
        holder
            .looked(&packet(1), first(1000), now + ms(11))
            .is_empty()
    );
    holder.sent(true);
    holder.sent(false);
    let counts = Counts {
        held_total: 3,
        reinjected_total: 1,
        expired_total: 1,
        overflow_total: 0,
    };
    assert_eq!(holder.counts(), counts);
    assert_eq!(holder.due(now + ms(11)), Some(packet(2)));
}

#[test]
fn an_earlier_packet_with_the_same_number_is_not_its_first() {
    let (mut holder, now) = (Holder::default(), ms(50));
    holder.hold(packet(1), 5, frame(60), now);
    let old = 5u16.wrapping_sub(12);
    assert!(holder.looked(&packet(1), first(old), now).is_empty());
    assert_eq!(holder.looked(&packet(1), first(6), now).len(), 1);
}

#[test]
fn looks_become_rare_and_end_with_the_time() {
    let (mut holder, now) = (Holder::default(), ms(50));
    holder.hold(packet(1), 1000, frame(60), now);
    let often = looks(&mut holder, now, ms(limits::HELD_MS + 1000));
    assert!((6..=12).contains(&often), "{often} looks for one packet");
    assert_eq!(
        holder.next_deadline(),
        None,
        "nothing to do for nothing kept"
    );
    let counts = Counts {
        held_total: 1,
        expired_total: 1,
        ..Counts::default()
    };
    assert_eq!(holder.counts(), counts);
}

#[test]
fn the_oldest_give_way_to_frames_and_to_bytes() {
    for bytes in [60, 2000] {
        let (mut holder, now) = (Holder::default(), ms(50));
        let room = limits::HELD_FRAMES_MAX.min(limits::HELD_BYTES_MAX / bytes);
        for id in 0..=room {
            let later = now + Duration::from_micros(id as u64);
            holder.hold(packet(id as u16), 1000, frame(bytes), later);
        }
        assert_eq!(holder.counts().overflow_total, 1);
        let later = now + ms(1000);
        assert!(holder.looked(&packet(0), first(1000), later).is_empty());
        assert_eq!(holder.looked(&packet(1), first(1000), later).len(), 1);
        assert_eq!(
            holder
                .looked(&packet(room as u16), first(1000), later)
                .len(),
            1
        );
    }
}
