//! The sender: the kernel runs our program on frames that it makes (`BPF_PROG_TEST_RUN`, live frames), and sends them
//! where the program says, on one CPU. All that becomes of a frame is done on that CPU too, before the next batch.

use super::link::Link;
use crate::floors;
use anyhow::{Context, Result, bail};
use aya::Ebpf;
use aya::maps::Array;
use aya::programs::{Program, TestRun, TestRunAttrs, TestRunOptions};
use gwpool_floors::{FRAME, GENERATION, Sending};
use gwpool_harness::net::namespace::output;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, gettid};
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

/// Frames that are sent before whoever gets them has his turn: a quarter of a veth's ring.
const BATCH: u32 = 64;
/// Frames of one system call, each of which takes the kernel milliseconds to begin and to end: they are not counted.
const BURST: u64 = 1 << 18;
/// The port that is asked: discard (RFC 863).
pub const PORT: u16 = 9;
const UDP: u8 = 17;

/// Which flows come, and in what order.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    first: u32,
    flows: u32,
    stride: u32,
}

impl Course {
    /// The first `flows`, over and over, the next one far from the last.
    pub fn scattered(flows: u32) -> Course {
        Course {
            first: 0,
            flows,
            // Has no divisor with any number of flows here: none is left out.
            stride: 40_507,
        }
    }

    /// `flows` of them, one after the other.
    pub fn onward(first: u32, flows: u32) -> Course {
        Course {
            first,
            flows,
            stride: 1,
        }
    }

    /// How many flows there are.
    pub fn flows(self) -> u64 {
        self.flows.into()
    }
}

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// So many frames.
    Frames(u64),
    /// For so long.
    For(Duration),
}

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Frames.
    pub frames: u64,
    /// How long it took.
    pub took: Duration,
}

/// Flows there are before the first one's addresses come again.
pub const FLOWS: u32 = GENERATION * 64;

/// The sender at a link.
pub struct Sender {
    floors: Ebpf,
    link: Link,
    frame: [u8; FRAME],
    core: usize,
}

impl Sender {
    /// From this link to that Ethernet address; from these clients, whose low half is the flow's, to that address.
    pub fn new(link: Link, to: [u8; 6], clients: Ipv4Addr, target: Ipv4Addr) -> Result<Sender> {
        let mut floors = floors::load()?;
        let program = floors.program_mut("send").context("send")?;
        let Program::Xdp(program) = program else {
            bail!("send is not for XDP");
        };
        program.load().context("loading send")?;
        Ok(Sender {
            frame: frame((to, link.mac), clients, target),
            floors,
            link,
            core: last_core()?,
        })
    }

    /// Sends.
    pub fn send(&mut self, course: Course, amount: Amount) -> Result<Sent> {
        let Course {
            first,
            flows,
            stride,
        } = course;
        let sending = Sending {
            frame: self.frame,
            interface: self.link.index,
            number: 0,
            flows,
            stride,
            first,
            pad: 0,
        };
        let map = self.floors.map_mut("SENDING").context("SENDING")?;
        let mut state: Array<_, Sending> = map.try_into()?;
        state.set(0, sending, 0)?;
        self.link.host.enter(|| {
            let mut core = CpuSet::new();
            core.set(self.core)?;
            sched_setaffinity(Pid::from_raw(0), &core)?;
            before_others()?;
            self.bursts(amount)
        })?
    }

    fn bursts(&self, amount: Amount) -> Result<Sent> {
        let Some(Program::Xdp(program)) = self.floors.program("send") else {
            bail!("send is not for XDP");
        };
        let (mut frames, mut took) = (0, Duration::ZERO);
        loop {
            let burst = match amount {
                Amount::Frames(all) => BURST.min(all - frames),
                Amount::For(time) if took < time => BURST,
                Amount::For(_) => 0,
            };
            if burst == 0 {
                break;
            }
            let repeat = u32::try_from(burst)?;
            let mut options = TestRunOptions::new();
            options.data_in = Some(&self.frame);
            options.repeat = repeat;
            options.attrs = TestRunAttrs::new().xdp_live_frames(BATCH);
            // Of one frame, by the kernel's clock: all that its way has cost.
            took += program.test_run(options).context("sending")?.duration * repeat;
            frames += burst;
        }
        Ok(Sent { frames, took })
    }
}

/// This thread goes before whatever else would run on its CPU.
fn before_others() -> Result<()> {
    let thread = gettid().to_string();
    output(Command::new("chrt").args(["--fifo", "--pid", "1", &thread])).map(drop)
}

/// The last CPU that we may use: interrupts are the first one's more often.
fn last_core() -> Result<usize> {
    let ours = sched_getaffinity(Pid::from_raw(0))?;
    let mut cores = (0..CpuSet::count()).rev();
    cores
        .find(|core| ours.is_set(*core).unwrap_or(false))
        .context("no CPU is ours")
}

/// 60 bytes of Ethernet, IPv4 and UDP; the low half of the client's address and its port are zero, also for the checksums.
fn frame((to, from): ([u8; 6], [u8; 6]), clients: Ipv4Addr, target: Ipv4Addr) -> [u8; FRAME] {
    let [net, sub, ..] = clients.octets();
    let (length, datagram) = (FRAME as u16 - 14, FRAME as u16 - 34);
    let mut frame = [0; FRAME];
    let mut put = |at: usize, bytes: &[u8]| frame[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &to);
    put(6, &from);
    put(12, &[8, 0, 0x45]);
    put(16, &length.to_be_bytes());
    // Not to be fragmented; TTL 64.
    put(20, &[0x40, 0, 64, UDP]);
    put(26, &[net, sub]);
    put(30, &target.octets());
    put(36, &PORT.to_be_bytes());
    put(38, &datagram.to_be_bytes());
    let header = checksum(&frame[14..34], 0);
    // RFC 768: addresses, protocol and length count as well.
    let datagram = checksum(&frame[26..], u32::from(UDP) + u32::from(datagram));
    frame[24..26].copy_from_slice(&header);
    frame[40..42].copy_from_slice(&datagram);
    frame
}

/// RFC 1071, of an even number of bytes.
fn checksum(bytes: &[u8], more: u32) -> [u8; 2] {
    let words = bytes.chunks_exact(2);
    let words = words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let mut sum = more + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests;
