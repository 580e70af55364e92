//! The benchmark's own programs, from where `cargo xtask bench` has built them.

use anyhow::{Context, Result};
use aya::{Ebpf, EbpfLoader};

/// Reads them and makes their maps; none of them is in the kernel yet.
pub fn load() -> Result<Ebpf> {
    let path = std::env::var("GWPOOL_FLOORS_OBJ")
        .context("GWPOOL_FLOORS_OBJ is not set: use `cargo xtask bench`")?;
    let object = std::fs::read(&path).with_context(|| format!("the object {path}"))?;
    EbpfLoader::new().load(&object).context("the floors")
}
