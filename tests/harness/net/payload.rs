//! A long body whose every byte is known: what `/bytes/N` streams and what uploads are checked against.
//! The same pseudo-random block over and over, each copy numbered, so that a lost, doubled or moved block shows.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

/// Bytes in a block.
const BLOCK: usize = 64 * 1024;

/// What is left of it, block by block.
pub struct Payload {
    number: u64,
    left: u64,
}

impl Payload {
    /// The first `bytes` bytes.
    pub fn new(bytes: u64) -> Payload {
        Payload {
            number: 0,
            left: bytes,
        }
    }

    /// What `sha256sum` says about the first `bytes` bytes.
    pub fn sha256(bytes: u64) -> String {
        let mut digest = Sha256::new();
        Payload::new(bytes).for_each(|block| digest.update(&block));
        hex(digest)
    }
}

impl Iterator for Payload {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let mut block = base().to_vec();
        block[..8].copy_from_slice(&self.number.to_le_bytes());
        block.truncate(self.left.min(BLOCK as u64) as usize);
        self.number += 1;
        self.left -= block.len() as u64;
        Some(block.into())
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|block| Ok(Frame::data(block))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A finished digest, as `sha256sum` writes it.
pub fn hex(digest: Sha256) -> String {
    digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn base() -> &'static [u8] {
    static BASE: OnceLock<Vec<u8>> = OnceLock::new();
    BASE.get_or_init(|| {
        // xorshift64*: not compressible, the same everywhere.
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let next = || {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
        };
        std::iter::repeat_with(next)
            .take(BLOCK / 8)
            .flatten()
            .collect()
    })
}
