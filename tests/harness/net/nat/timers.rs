//! The timers that the RFCs ask for, what a subject has, and by how much the suite divides them: a requirement of
//! 240 s that is divided by 40 has to hold for 6 s. Both subjects' own defaults are divided, so who is too short
//! by default is too short here.

use std::time::Duration;

/// One timer.
pub struct Timer {
    /// Under `gwpool.nat.timeouts`, with the default.
    pub gwpool: &'static [(&'static str, u64)],
    /// Under `net.netfilter.nf_conntrack_`, with the default.
    pub linux: &'static [(&'static str, u64)],
    /// By what it is divided.
    pub divisor: u64,
}

impl Timer {
    /// What so many seconds are here.
    pub fn scaled(&self, seconds: u64) -> Duration {
        Duration::from_millis(seconds * 1000 / self.divisor)
    }
}

/// RFC 4787 REQ-5: two minutes, five recommended.
pub const UDP: Timer = Timer {
    gwpool: &[("udp_unreplied", 120), ("udp", 300), ("other", 300)],
    linux: &[
        ("udp_timeout", 30),
        ("udp_timeout_stream", 120),
        ("generic_timeout", 600),
    ],
    divisor: 20,
};

/// RFC 5382 REQ-5, a connection that stands: two hours and four minutes.
pub const ESTABLISHED: Timer = Timer {
    gwpool: &[("tcp_established", 7440)],
    linux: &[("tcp_timeout_established", 432_000)],
    divisor: 310,
};

/// RFC 5382 REQ-5, one that opens or closes: four minutes.
pub const TRANSITORY: Timer = Timer {
    gwpool: &[("tcp_transitory", 240)],
    linux: &[
        ("tcp_timeout_syn_sent", 120),
        ("tcp_timeout_syn_recv", 60),
        ("tcp_timeout_fin_wait", 120),
        ("tcp_timeout_close_wait", 60),
        ("tcp_timeout_last_ack", 30),
        ("tcp_timeout_time_wait", 120),
        ("tcp_timeout_close", 10),
    ],
    divisor: 40,
};

/// RFC 5508 REQ-2: a minute.
pub const ICMP: Timer = Timer {
    gwpool: &[("icmp", 60)],
    linux: &[("icmp_timeout", 30)],
    divisor: 10,
};

/// All of them.
pub const ALL: [&Timer; 4] = [&UDP, &ESTABLISHED, &TRANSITORY, &ICMP];

/// gwpool's, divided, as the inventory has them.
pub fn inventory() -> String {
    let words = ALL.iter().flat_map(|timer| {
        let divided =
            |(name, seconds): &(&str, u64)| format!("{name}: {}", seconds / timer.divisor);
        timer.gwpool.iter().map(divided)
    });
    words.collect::<Vec<_>>().join(", ")
}
