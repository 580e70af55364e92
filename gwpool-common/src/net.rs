//! Addresses, interfaces, networks and next hops: where a packet comes from and where it leaves.
//!
//! What stands here is written by the daemon from netlink, except next hops, which the programs learn from the
//! kernel's own routing (`bpf_fib_lookup`) and the daemon only sweeps.

/// An IPv4 address, network order.
pub type V4 = [u8; 4];
/// A TCP or UDP port, network order.
pub type Port = [u8; 2];
/// An Ethernet address.
pub type Mac = [u8; 6];

/// What the host knows about an address: the value of `ADDRESSES`, keyed by the address.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// [`Address::OWN`] and its siblings.
    pub flags: u32,
    /// Index of the interface that holds the address (own), or by which this host may come in (peer).
    pub interface: u32,
}

impl Address {
    /// An address of this host.
    pub const OWN: u32 = 1;
    /// An own address that the listen address `*` stands for: on a managed interface, or a VIP we own.
    pub const LISTEN: u32 = 2;
    /// The address of another host of `proxies.target.group`.
    pub const PEER: u32 = 4;
}

/// A prefix whose sources may come in by one interface only: an entry of the array `NETWORKS`.
/// An entry with interface 0 ends the list.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network<A> {
    /// First address of the prefix.
    pub prefix: A,
    /// Netmask of the prefix.
    pub mask: A,
    /// The interface its hosts are behind.
    pub interface: u32,
}

/// A managed interface: the value of `INTERFACES`, keyed by interface index.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// [`Interface::XDP`], [`Interface::SLEEPS`].
    pub flags: u32,
}

impl Interface {
    /// Carries our program in native or generic XDP: frames may be redirected to it from XDP.
    pub const XDP: u32 = 1;
    /// Frames that XDP sends back by `XDP_TX` are not seen at the other end before something else wakes it: veth, whose
    /// peer has no XDP program (drivers/net/veth.c, `veth_xdp_flush`). They are redirected.
    pub const SLEEPS: u32 = 2;
}

/// The way to a neighbour: an entry of the array `NEXT_HOPS`, to which a flow holds the index.
/// Index 0 means "not known yet" and its entry is never used. An entry is filled once, and freed only by the
/// daemon's sweep when no flow has named it for a whole pass.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextHop {
    /// [`NextHop::FREE`], [`NextHop::CLAIMED`] or [`NextHop::VALID`]; moves by compare and exchange.
    pub state: u64,
    /// The value of [`crate::limits::Settings::epoch`] when the kernel's routing last confirmed this entry.
    pub epoch: u32,
    /// Index of the interface it is reached by.
    pub interface: u32,
    /// Its Ethernet address.
    pub destination: Mac,
    /// Our Ethernet address on that interface.
    pub source: Mac,
    /// Largest IP packet, bytes.
    pub mtu: u16,
    /// [`NextHop::TC_ONLY`], [`NextHop::SLEEPS`].
    pub flags: u16,
}

impl NextHop {
    /// `state`: nobody uses the entry.
    pub const FREE: u64 = 0;
    /// `state`: a program is filling it.
    pub const CLAIMED: u64 = 1;
    /// `state`: complete.
    pub const VALID: u64 = 2;
    /// `flags`: the interface takes no frames from XDP; the packet goes on to TC, which sends it.
    pub const TC_ONLY: u16 = 1;
    /// `flags`: [`Interface::SLEEPS`].
    pub const SLEEPS: u16 = 2;
}
