//! What is not the contract's own type on the way into a map comes back as it was.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;

#[test]
fn names_of_every_length_come_back() {
    for length in [0, 1, 31, 32, 33, 63, 64] {
        let long = "n".repeat(length);
        assert_eq!(name(&padded(&long)), long);
    }
}

#[test]
fn prefixes_come_back_and_stand_as_the_programs_look_them_up() {
    for text in ["0.0.0.0/0", "10.1.0.0/16", "10.1.2.3/32"] {
        let net: Ipv4Net = text.parse().unwrap();
        let key = prefix(7, net);
        assert_eq!(guarded(key).unwrap(), (7, net));
        let bits = 32 + u32::from(net.prefix_len());
        assert_eq!(
            key,
            [bits.to_ne_bytes(), 7u32.to_ne_bytes(), net.addr().octets()]
        );
    }
    assert!(guarded([65u32.to_ne_bytes(), [0; 4], [0; 4]]).is_err());
}
