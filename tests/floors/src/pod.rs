//! That what the bench says to its programs may be taken for bytes of a map.

use crate::{Lap, Sending, Step};
use aya::Pod;

// SAFETY: numbers and bytes, without padding.
unsafe impl Pod for Lap {}
// SAFETY: as above.
unsafe impl Pod for Sending {}
// SAFETY: as above.
unsafe impl Pod for Step {}
