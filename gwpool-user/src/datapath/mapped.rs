//! An array of the kernel's as memory of this process: what the programs write is here at once, and nothing is copied.

use super::error::Error;
use aya::Pod;
use aya::maps::{Array, IterableMap as _, MapData, MapError};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::ptr::NonNull;

/// The memory of an array that was made to be mapped.
#[derive(Debug)]
pub struct Mapped<V> {
    first: NonNull<V>,
    length: u32,
}

// SAFETY: the memory is shared with the kernel's programs in any case: its users read and write words that are atomic, or
// look twice.
unsafe impl<V> Send for Mapped<V> {}
// SAFETY: as above.
unsafe impl<V> Sync for Mapped<V> {}

impl<V: Pod> Mapped<V> {
    /// Maps it.
    ///
    /// # Errors
    /// [`Error::Map`]: the kernel does not allow it.
    pub fn of(name: &'static str, map: &Array<MapData, V>) -> Result<Self, Error> {
        let (length, fd) = (map.len(), map.map().fd().as_fd().as_raw_fd());
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the kernel chooses the place; the map is as long (`Array` has compared the value's size).
        let first = unsafe {
            let bytes = bytes::<V>(length);
            libc::mmap(std::ptr::null_mut(), bytes, access, libc::MAP_SHARED, fd, 0)
        };
        let mapped = NonNull::new(first.cast()).filter(|_| first != libc::MAP_FAILED);
        let first = mapped.ok_or_else(|| Error::Map {
            map: name,
            what: "cannot be mapped into memory".to_owned(),
            source: MapError::IoError(io::Error::last_os_error()),
        })?;
        Ok(Mapped { first, length })
    }
}

impl<V> Mapped<V> {
    /// How many elements it has.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// An element, which the programs may be writing.
    pub fn place(&self, index: u32) -> NonNull<V> {
        assert!(index < self.length, "inside the mapping");
        // SAFETY: inside the mapping by the line above.
        unsafe { self.first.add(index as usize) }
    }
}

impl<V> Drop for Mapped<V> {
    fn drop(&mut self) {
        // SAFETY: what `of` has mapped; nothing of it is borrowed any more.
        unsafe { libc::munmap(self.first.as_ptr().cast(), bytes::<V>(self.length)) };
    }
}

/// Bytes of the mapping: the kernel rounds up to pages.
fn bytes<V>(length: u32) -> usize {
    length as usize * size_of::<V>()
}
