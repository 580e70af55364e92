//! What the programs say by themselves, and how much of it: one CPU's share.

/// The only entry of the per-CPU array `ANSWERS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Packets made into answers: resets, unreachable, time exceeded, fragmentation needed.
    pub sent: u64,
    /// Packets that ended in silence because the tick's answers were spent.
    pub withheld: u64,
    /// Mappings that the daemon's log was not told of: its ring buffer was full.
    pub unlogged: u64,
    /// The tick that `spent` is of.
    pub tick: u32,
    /// Answers made in it; at most [`crate::limits::Settings::answers_per_tick`].
    pub spent: u32,
}
