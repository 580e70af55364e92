//! Long transfers with the real curl, watched while they go: each byte is hashed, and how far they are can be read
//! from another thread.

use super::namespace::Namespace;
use super::payload::{Payload, hex};
use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::net::SocketAddrV4;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a transfer is, in bytes.
#[derive(Debug, Default)]
pub struct Progress(AtomicU64);

/// A finished transfer.
#[derive(Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The gateway whose server was at the other end.
    pub backend: String,
    /// What the receiving end got.
    pub sha256: String,
}

impl Progress {
    /// Bytes that have passed.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How much is moved, and how fast at most (bytes a second; 0: as fast as it goes).
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Bytes.
    pub bytes: u64,
    /// Bytes a second.
    pub rate: u64,
}

/// curl gets `/bytes/N`; what it writes is hashed here.
pub fn download(
    client: &Namespace,
    host: SocketAddrV4,
    load: Load,
    progress: &Progress,
) -> Result<Transfer> {
    let mut curl = curl(client, load);
    curl.arg(format!("http://{host}/bytes/{}", load.bytes))
        .stdin(Stdio::null());
    let mut child = curl.spawn().context("starting curl")?;
    let mut output = child.stdout.take().context("curl has no output")?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let length = output.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        digest.update(&buffer[..length]);
        progress.0.fetch_add(length as u64, Ordering::Relaxed);
    }
    Ok(Transfer {
        backend: finish(child)?.1,
        sha256: hex(digest),
    })
}

/// curl posts the known body; the server answers with the hash of what it got.
pub fn upload(
    client: &Namespace,
    host: SocketAddrV4,
    load: Load,
    progress: &Progress,
) -> Result<Transfer> {
    let mut curl = curl(client, load);
    curl.args(["-X", "POST", "-H", "Expect:", "-T", "-"])
        .arg(format!("http://{host}/"));
    let mut child = curl
        .stdin(Stdio::piped())
        .spawn()
        .context("starting curl")?;
    let mut input = child.stdin.take().context("curl has no input")?;
    for block in Payload::new(load.bytes) {
        if input.write_all(&block).is_err() {
            // curl gave up; it says why.
            break;
        }
        progress.0.fetch_add(block.len() as u64, Ordering::Relaxed);
    }
    drop(input);
    let (answer, backend) = finish(child)?;
    Ok(Transfer {
        backend,
        sha256: answer.trim().to_owned(),
    })
}

fn curl(client: &Namespace, load: Load) -> Command {
    let mut curl = client.command("curl");
    curl.args(["-sS", "--fail", "--no-buffer", "--connect-timeout", "10"]);
    // Stalled for ten seconds is dead: better an error than a test that hangs.
    curl.args([
        "--speed-limit",
        "1",
        "--speed-time",
        "10",
        "-w",
        "%{stderr}%header{x-backend}",
    ]);
    if load.rate > 0 {
        curl.args(["--limit-rate", &load.rate.to_string()]);
    }
    curl.stdout(Stdio::piped()).stderr(Stdio::piped());
    curl
}

/// What is left of curl's output, and the backend's name, which `-w` put on stderr.
fn finish(child: Child) -> Result<(String, String)> {
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "curl: {}: {said}", output.status);
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), said))
}
