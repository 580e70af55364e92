//! The frame as it is before the program adds the client.

use super::*;

const TARGET: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);

#[test]
fn a_frame_is_whole_but_for_its_client() {
    let frame = frame(([1; 6], [2; 6]), Ipv4Addr::new(198, 18, 0, 0), TARGET);
    assert_eq!(frame[12..16], [8, 0, 0x45, 0]);
    assert_eq!(frame[16..18], [0, 46]);
    assert_eq!(frame[26..34], [198, 18, 0, 0, 10, 77, 1, 1]);
    assert_eq!(frame[34..40], [0, 0, 0, 9, 0, 26]);
    // With its checksum in it, a header's sum is nothing.
    assert_eq!(checksum(&frame[14..34], 0), [0, 0]);
    assert_eq!(checksum(&frame[26..], 17 + 26), [0, 0]);
}

#[test]
fn every_flow_of_a_course_has_its_turn() {
    for flows in [1, 60_000, 64_000] {
        let Course { stride, first, .. } = Course::scattered(flows);
        let turn =
            |number: u32| first + (u64::from(number) * u64::from(stride) % u64::from(flows)) as u32;
        let seen: std::collections::HashSet<u32> = (0..flows).map(turn).collect();
        assert_eq!(seen.len(), flows as usize);
    }
}

#[test]
fn flows_have_ends_of_their_own_and_clients_few_of_them() {
    let flows = 3 * GENERATION;
    let ends: std::collections::HashSet<(u16, u16)> = (0..flows).map(gwpool_floors::end).collect();
    assert_eq!(ends.len(), flows as usize);
    let of_one = ends.iter().filter(|(host, _)| *host == 7).count();
    assert!(of_one < 64, "{of_one}");
    let ports: std::collections::HashSet<u16> = (0..GENERATION)
        .map(|flow| gwpool_floors::end(flow).1)
        .collect();
    assert_eq!(ports.len(), GENERATION as usize);
}
