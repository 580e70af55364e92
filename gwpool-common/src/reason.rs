//! Every way a packet can end. Each packet ends in exactly one, and is counted in exactly one place
//! (`gwpool-ebpf/src/main.rs`). The name is the word in `stats`, in metrics and in README's table.

/// What becomes of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was ours and reached its next station.
    Carried,
    /// It is not ours: the kernel gets it untouched.
    Passed,
    /// It ends here.
    Dropped,
}

macro_rules! reasons {
    ($($variant:ident $name:literal $fate:ident $help:literal;)*) => {
        /// Why a packet ended as it did: the index into the per-CPU array `REASONS`.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason { $(#[doc = $help] $variant,)* }

        impl Reason {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The reason with this number.
            #[inline(always)]
            pub const fn numbered(number: u32) -> Option<Reason> {
                $(if number == Reason::$variant as u32 {
                    return Some(Reason::$variant);
                })*
                None
            }

            /// The word for it, everywhere.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)* }
            }

            /// One sentence for a person.
            pub const fn help(self) -> &'static str {
                match self { $(Reason::$variant => $help,)* }
            }

            /// What becomes of the packet.
            #[inline(always)]
            pub const fn fate(self) -> Fate {
                match self { $(Reason::$variant => Fate::$fate,)* }
            }
        }
    };
}

reasons! {
    ToBackend "to_backend" Carried "sent to a backend on another host";
    ToClient "to_client" Carried "a backend's answer, sent to the client";
    SelfDelivered "self_delivered" Carried "for this host as backend, given to the local stack";
    SelfReply "self_reply" Carried "this host's own answer as backend, on its way to the client";
    FromPeer "from_peer" Carried "another gateway chose this host: given to the local stack";
    ToOutside "to_outside" Carried "an inside host's, translated and sent to the outside";
    ToInside "to_inside" Carried "from outside, or from one inside host to another, translated and sent inside";
    HostTranslated "host_translated" Carried "this host's own packet, or one the kernel has cut, translated on its way out or back in";
    IcmpError "icmp_error" Carried "an ICMP error about a flow, translated for whom it concerns";
    NotIp "not_ip" Passed "neither IPv4 nor tagged: ARP, IPv6, LLDP and the like";
    VlanTagged "vlan_tagged" Passed "tagged: belongs to its VLAN interface";
    OtherProtocol "other_protocol" Passed "IPv4, but neither TCP, UDP nor an ICMP error about a flow";
    Fragment "fragment" Passed "an IP fragment that is no flow's: left to the kernel";
    Malformed "malformed" Passed "header fields contradict each other: left to the kernel, which counts it";
    Truncated "truncated" Passed "the frame ends inside its headers: left to the kernel, which counts it";
    NotOurs "not_ours" Passed "no flow, no route: the host's own traffic";
    NotASyn "not_a_syn" Passed "TCP to a listen address without SYN and without a flow: the local stack may know it";
    RouteOff "route_off" Passed "a new connection of a route that is switched off: for the local stack";
    LeftToKernel "left_to_kernel" Passed "from inside, its time to live over or too large for the outside: the kernel answers, or cuts it";
    SpoofedSource "spoofed_source" Dropped "the source is one of our own addresses, or comes in by the wrong interface";
    SpoofedPeer "spoofed_peer" Dropped "the source is a peer gateway's, but not on the network the peers share";
    IcmpIgnored "icmp_ignored" Dropped "an ICMP error with a wrong checksum, its own or that of the header it quotes, or that claims a path MTU below 576";
    FragmentHeld "fragment_held" Dropped "an IP fragment before its first one: the daemon sends it in again after that";
    FragmentDropped "fragment_dropped" Dropped "an IP fragment whose first one was dropped";
    BackendRefused "backend_refused" Dropped "a backend refused the connection: its client's next SYN goes to another";
    NoLiveBackend "no_live_backend" Dropped "the route has no backend to give the connection to";
    NoFreePort "no_free_port" Dropped "no source port was found free towards the backend";
    TableFull "table_full" Dropped "the flow table has no room";
    Denied "denied" Dropped "the route's allow and deny keep this client out";
    OverShare "over_share" Dropped "the client holds all the established flows that one may (limits.flows_per_source)";
    OverRate "over_rate" Dropped "the client opens more flows a second than one may (limits.new_flows_per_source)";
    Undeclared "undeclared" Dropped "for a port of `undeclared` that no route declares";
    Unsolicited "unsolicited" Dropped "from outside to the NAT address or an inside host, and nobody inside has asked for it";
    LeakPrevented "leak_prevented" Dropped "about to leave the outside interface with an inside host's address";
    NatStandby "nat_standby" Dropped "from inside to the outside, but this host does not hold the NAT address";
    NatExhausted "nat_exhausted" Dropped "the NAT address has no free port for it";
    NatOverPorts "nat_over_ports" Dropped "the inside host holds all the mappings that one may (nat.ports_per_host)";
    NatDenied "nat_denied" Dropped "the NAT's allow and deny keep this inside host in";
    Overtaken "overtaken" Dropped "another CPU stored the same new flow at the same moment: the next packet finds it";
    TtlExpired "ttl_expired" Dropped "the time to live ran out here";
    TooBig "too_big" Dropped "larger than the next hop's MTU";
    NoRoute "no_route" Dropped "the kernel has no route to the next hop, or forbids it";
    ForwardingDisabled "forwarding_disabled" Dropped "the interface has forwarding off (net.ipv4.ip_forward)";
    NoMetadata "no_metadata" Dropped "the driver has no room to mark the packet for TC: use datapath tc";
    RewriteFailed "rewrite_failed" Dropped "the kernel refused to change the packet";
}
