//! Bytes of a frame, as a program may read and write them in place.

/// The frame between `start` and `end`.
#[derive(Clone, Copy)]
pub struct Frame {
    start: usize,
    end: usize,
}

impl Frame {
    /// Of a program's context.
    #[inline(always)]
    pub fn new(start: usize, end: usize) -> Frame {
        Frame { start, end }
    }

    /// The `T` at `offset`, if the frame reaches so far. `T` must have alignment 1 and take every pattern.
    #[inline(always)]
    pub fn at<T>(self, offset: usize) -> Option<*mut T> {
        let place = self.start + offset;
        if place + size_of::<T>() > self.end {
            return None;
        }
        Some(place as *mut T)
    }
}

/// Both Ethernet addresses.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ethernet {
    /// Whom it is for.
    pub destination: [u8; 6],
    /// Whom it is from.
    pub source: [u8; 6],
    /// EtherType.
    pub kind: [u8; 2],
}

/// IPv4 without options (RFC 791 3.1).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ipv4 {
    /// Version and header length.
    pub version_ihl: u8,
    rest: [u8; 5],
    /// Flags and fragment offset.
    pub fragment: [u8; 2],
    ttl: u8,
    /// Of the transport.
    pub protocol: u8,
    check: [u8; 2],
    /// Source address.
    pub source: [u8; 4],
    /// Destination address.
    pub destination: [u8; 4],
}

/// Both ports.
pub type Ports = [u8; 4];

/// Where IPv4 and the transport header are.
pub const L3: usize = 14;
/// See [`L3`].
pub const L4: usize = L3 + 20;
