//! The contract's types as values of aya maps: plain bytes, every pattern valid, no padding.
//!
//! The padding claim is checked here: a type whose size is not the sum of its fields does not compile.

use crate::answers::Answers;
use crate::flow::{FlowSet, Way};
use crate::fragment::{First, Fragmented};
use crate::limits::Settings;
use crate::nat::{End, Mapped, Mapping, Nat, Permission};
use crate::net::{Address, Interface, Network, NextHop, V4};
use crate::route::{Access, Backend, Counters, Listener, Listening, Load, Route, Source};

macro_rules! pod {
    ($($kind:ty = $bytes:literal;)*) => {$(
        const _: () = assert!(size_of::<$kind>() == $bytes);
        // SAFETY: `repr(C)` of integers and byte arrays that fill it: the size above is the sum of the fields.
        unsafe impl aya::Pod for $kind {}
    )*};
}

pod! {
    FlowSet = 64;
    Way<V4> = 64;
    Address = 8;
    Network<V4> = 12;
    Interface = 4;
    NextHop = 32;
    Listener<V4> = 8;
    Route = 16;
    Listening = 8;
    Load = 24;
    Source = 16;
    Access<V4> = 8;
    Backend<V4> = 20;
    Counters = 48;
    Fragmented<V4> = 12;
    First = 8;
    Answers = 32;
    Settings = 76;
    End<V4> = 8;
    Mapping<V4> = 8;
    Permission<V4> = 12;
    Mapped<V4> = 20;
    Nat<V4> = 72;
}
