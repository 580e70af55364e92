//! Puts the programs inside the daemon: `OUT_DIR/gwpool.o` is the object that `GWPOOL_BPF_OBJ` names.
//!
//! Without that variable the file is empty, so `cargo check`, clippy and editors need no BPF toolchain; the
//! daemon then says what it lacks. `cargo xtask build` builds the object and sets the variable.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=GWPOOL_BPF_OBJ");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("gwpool.o");
    let object = match env::var_os("GWPOOL_BPF_OBJ").filter(|name| !name.is_empty()) {
        Some(name) => read(Path::new(&name)),
        None => Vec::new(),
    };
    if let Err(error) = fs::write(&out, object) {
        fail(&format!("cannot write {}: {error}", out.display()));
    }
}

fn read(object: &Path) -> Vec<u8> {
    println!("cargo::rerun-if-changed={}", object.display());
    match fs::read(object) {
        Ok(bytes) if bytes.starts_with(b"\x7fELF") => bytes,
        Ok(_) => fail(&format!(
            "GWPOOL_BPF_OBJ={}: not an ELF object",
            object.display()
        )),
        Err(error) => fail(&format!("GWPOOL_BPF_OBJ={}: {error}", object.display())),
    }
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}; build it with: cargo xtask ebpf");
    process::exit(1);
}
