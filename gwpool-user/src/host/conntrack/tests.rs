//! What is read of the kernel's table, and what is left.

use super::*;

/// As Linux 6.18 prints it: a masqueraded flow, one with a changed port, one not yet answered, a closed one, one of the
/// host's own, one whose destination is translated, and other protocols.
const LINES: &str = "\
ipv4     2 tcp      6 431999 ESTABLISHED src=192.168.1.11 dst=10.9.0.100 sport=41000 dport=80 src=10.9.0.100 dst=10.9.0.254 sport=80 dport=41000 [ASSURED] mark=0 zone=0 use=2
ipv4     2 udp      17 118 src=192.168.1.12 dst=10.9.0.100 sport=500 dport=53 src=10.9.0.100 dst=10.9.0.254 sport=53 dport=665 [ASSURED] mark=0 zone=0 use=2
ipv4     2 udp      17 29 src=192.168.1.12 dst=10.9.0.100 sport=501 dport=53 [UNREPLIED] src=10.9.0.100 dst=10.9.0.254 sport=53 dport=501 mark=0 zone=0 use=2
ipv4     2 tcp      6 100 TIME_WAIT src=192.168.1.11 dst=10.9.0.100 sport=41001 dport=80 src=10.9.0.100 dst=10.9.0.254 sport=80 dport=41001 [ASSURED] mark=0 zone=0 use=2
ipv4     2 tcp      6 431999 ESTABLISHED src=10.9.0.254 dst=10.9.0.100 sport=41002 dport=80 src=10.9.0.100 dst=10.9.0.254 sport=80 dport=41002 [ASSURED] mark=0 zone=0 use=2
ipv4     2 tcp      6 431999 ESTABLISHED src=10.9.0.100 dst=10.9.0.254 sport=41003 dport=80 src=172.17.0.2 dst=10.9.0.100 sport=8080 dport=41003 [ASSURED] mark=0 zone=0 use=2
ipv4     2 icmp     1 29 src=192.168.1.11 dst=10.9.0.100 type=8 code=0 id=7 src=10.9.0.100 dst=10.9.0.254 type=0 code=0 id=7 mark=0 zone=0 use=2
ipv6     10 tcp      6 431999 ESTABLISHED src=fd00::1 dst=fd00::2 sport=1 dport=2 src=fd00::2 dst=fd00::3 sport=2 dport=1 [ASSURED] mark=0 zone=0 use=2
";

#[test]
fn what_is_translated_and_answered_is_read() {
    let address = |last| Ipv4Addr::new(192, 168, 1, last);
    let (seen, remote) = (Ipv4Addr::new(10, 9, 0, 254), Ipv4Addr::new(10, 9, 0, 100));
    assert_eq!(
        translated(LINES),
        [
            Connection {
                protocol: 6,
                inside: (address(11), 41000),
                outside: (seen, 41000),
                remote: (remote, 80),
            },
            Connection {
                protocol: 17,
                inside: (address(12), 500),
                outside: (seen, 665),
                remote: (remote, 53),
            },
        ]
    );
}

#[test]
fn half_a_line_is_nothing() {
    for cut in 0..LINES.find('\n').unwrap_or_default() {
        assert!(translated(&LINES[..cut]).len() <= 1);
    }
    assert_eq!(
        translated("ipv4 2 tcp 6 9 ESTABLISHED src=x dst=y sport=1 dport=2"),
        []
    );
}
