//! The packet as the pipeline sees it: a window that answers "these bytes, or the frame ends before them".
//!
//! XDP and TC implement it in `kernel/window.rs`, a buffer on the host here. A stage gets a copy of what it needs, decides,
//! and sets it: nobody holds a place of the packet.

use crate::checksum;
use gwpool_common::limits;
use gwpool_common::reason::Reason;

/// Bytes that may be read from and written to a packet in place.
///
/// # Safety
/// `repr(C)`, alignment 1, no padding, every bit pattern valid.
pub unsafe trait Plain: Copy {}

/// Declares a type as [`Plain`]: it has this many bytes and alignment 1, so there is no padding in it; its fields must
/// be bytes and arrays of bytes.
#[macro_export]
macro_rules! plain {
    ($kind:ty = $bytes:literal) => {
        const _: () = assert!(size_of::<$kind>() == $bytes && align_of::<$kind>() == 1);
        // SAFETY: size and alignment are checked above, and bytes take every pattern.
        unsafe impl $crate::packet::Plain for $kind {}
    };
}

/// A frame, from its Ethernet header on.
pub trait Packet {
    /// The bytes of `T` at `offset`.
    ///
    /// # Errors
    /// [`Reason::Truncated`]: the frame (or what of it can be reached) ends before them.
    fn get<T: Plain>(&self, offset: usize) -> Result<T, Reason>;

    /// Writes them.
    ///
    /// # Errors
    /// As `get`.
    fn set<T: Plain>(&mut self, offset: usize, value: &T) -> Result<(), Reason>;

    /// Brings the first `bytes` of the frame within reach of `get`, if the frame has them: at TC the rest of a packet
    /// may lie in fragments.
    #[inline(always)]
    fn bring(&mut self, bytes: usize) {
        let _ = bytes;
    }

    /// Bytes of the frame, Ethernet header included.
    fn length(&self) -> usize;

    /// Packets on the wire that this one stands for: more than 1 for GSO.
    fn segments(&self) -> u32;

    /// Copies the whole frame, if it is one of at most so many bytes.
    fn copy(&mut self, into: &mut [u8; limits::HELD_FRAME_BYTES]) -> bool;

    /// The one's complement sum of these bytes of the frame; `None`: they are more than can be looked at, or not there.
    fn sum(&mut self, from: usize, bytes: usize) -> Option<u16>;

    /// Bytes of the largest IP packet on the wire that this one of `total` bytes stands for; each has `headers` bytes of
    /// IP and transport header.
    #[inline(always)]
    fn largest(&self, headers: u32, total: u32) -> u32 {
        let _ = headers;
        total
    }

    /// Tagged, though the tag is not in the bytes: the NIC has taken it off.
    fn tagged(&self) -> bool;

    /// Corrects the TCP or UDP checksum at `offset` for a change of addresses and ports. `optional`: 0 says "none"
    /// and stays, and a sum of 0 is written as 0xffff (RFC 768).
    ///
    /// # Errors
    /// [`Reason::Truncated`] as `get`, [`Reason::RewriteFailed`] where the kernel refused.
    #[inline(always)]
    fn patch(
        &mut self,
        offset: usize,
        address_delta: u16,
        port_delta: u16,
        optional: bool,
    ) -> Result<(), Reason> {
        let delta = checksum::add(address_delta, port_delta);
        let field = u16::from_ne_bytes(self.get::<Sum>(offset)?.0);
        let sum = checksum::corrected(field, delta, optional);
        self.set(offset, &Sum(sum.to_ne_bytes()))
    }

    /// The TCP or UDP checksum at `offset`, which reads `field`, is not finished: whoever sends the frame finishes it, or whoever receives it
    /// does without.
    ///
    /// # Errors
    /// As `patch`.
    fn partial(&mut self, offset: usize, field: [u8; 2]) -> Result<bool, Reason>;

    /// Ends the frame after `bytes`, which it has; it is one packet then, whatever it stood for.
    ///
    /// # Errors
    /// [`Reason::RewriteFailed`] where the kernel refused.
    fn cut(&mut self, bytes: usize) -> Result<(), Reason>;

    /// Makes room for `bytes` zeros behind the Ethernet header.
    ///
    /// # Errors
    /// As `cut`.
    fn insert(&mut self, bytes: usize) -> Result<(), Reason>;

    /// Writes `value`; a sum that the NIC has counted over the frame follows. Whoever writes what sums to the same as
    /// before need not.
    ///
    /// # Errors
    /// As `patch`.
    #[inline(always)]
    fn put<T: Plain>(&mut self, offset: usize, value: &T) -> Result<(), Reason> {
        self.set(offset, value)
    }
}

/// A checksum field, memory order.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Sum(pub [u8; 2]);
crate::plain!(Sum = 2);

/// A frame in a buffer: the pipeline on the host.
#[cfg(not(target_arch = "bpf"))]
pub struct Frame<'a> {
    /// Its bytes.
    pub bytes: &'a mut Vec<u8>,
    /// Its TCP or UDP checksum is left to whoever sends it.
    pub partial: bool,
}

#[cfg(not(target_arch = "bpf"))]
impl<'a> Frame<'a> {
    /// The frame in `bytes`, its checksums finished.
    pub fn new(bytes: &'a mut Vec<u8>) -> Frame<'a> {
        Frame {
            bytes,
            partial: false,
        }
    }
}

#[cfg(not(target_arch = "bpf"))]
impl Packet for Frame<'_> {
    fn get<T: Plain>(&self, offset: usize) -> Result<T, Reason> {
        let end = offset + size_of::<T>();
        let bytes = self.bytes.get(offset..end).ok_or(Reason::Truncated)?;
        // SAFETY: `bytes` is as long as `T`, which has alignment 1 and takes every bit pattern (`Plain`).
        Ok(unsafe { *bytes.as_ptr().cast::<T>() })
    }

    fn set<T: Plain>(&mut self, offset: usize, value: &T) -> Result<(), Reason> {
        let end = offset + size_of::<T>();
        let bytes = self.bytes.get_mut(offset..end).ok_or(Reason::Truncated)?;
        // SAFETY: as in `get`.
        unsafe { *bytes.as_mut_ptr().cast::<T>() = *value };
        Ok(())
    }

    fn length(&self) -> usize {
        self.bytes.len()
    }

    fn segments(&self) -> u32 {
        1
    }

    fn copy(&mut self, into: &mut [u8; limits::HELD_FRAME_BYTES]) -> bool {
        let Some(place) = into.get_mut(..self.bytes.len()) else {
            return false;
        };
        place.copy_from_slice(self.bytes);
        true
    }

    fn sum(&mut self, from: usize, bytes: usize) -> Option<u16> {
        let bytes = self.bytes.get(from..from + bytes)?;
        let word = |pair: &[u8]| checksum::word([pair[0], pair.get(1).copied().unwrap_or(0)]);
        let sum = bytes.chunks(2).map(word).sum();
        (bytes.len() <= limits::HELD_FRAME_BYTES).then(|| checksum::fold(sum))
    }

    fn tagged(&self) -> bool {
        false
    }

    fn partial(&mut self, _: usize, _: [u8; 2]) -> Result<bool, Reason> {
        Ok(self.partial)
    }

    fn cut(&mut self, bytes: usize) -> Result<(), Reason> {
        self.bytes.truncate(bytes);
        Ok(())
    }

    fn insert(&mut self, bytes: usize) -> Result<(), Reason> {
        let place = crate::family::L3;
        let room = std::iter::repeat_n(0, bytes);
        self.bytes.splice(place..place, room);
        Ok(())
    }
}
