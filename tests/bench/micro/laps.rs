//! Laps: a program run over and over by the kernel, each time on a packet that is as it was, but for its client.

use crate::floors;
use anyhow::{Context, Result, bail};
use aya::Ebpf;
use aya::maps::{Array, HashMap, ProgramArray};
use aya::programs::{Program, ProgramFd, TestRun, TestRunOptions};
use gwpool_floors::{HEADERS, Lap};

/// Which clients come, and in what order.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    number: u64,
    stride: u32,
    first: u32,
    mask: u32,
}

impl Course {
    /// The first `clients`, a power of two, over and over, the next one far from the last.
    pub fn scattered(clients: u32) -> Course {
        Course {
            number: 0,
            stride: 0x9e37_79b1,
            first: 0,
            mask: clients - 1,
        }
    }

    /// One after the other, each once.
    pub fn onward(first: u32) -> Course {
        Course {
            number: 0,
            stride: 1,
            first,
            mask: u32::MAX,
        }
    }

    /// From a later lap on.
    pub fn from(self, number: u32) -> Course {
        Course {
            number: number.into(),
            ..self
        }
    }
}

/// The floors' programs, in the kernel.
pub struct Laps(Ebpf);

impl Laps {
    /// Loads them.
    pub fn load() -> Result<Laps> {
        let mut floors = floors::load()?;
        for (name, program) in floors.programs_mut() {
            match program {
                Program::Xdp(program) => program.load(),
                Program::SchedClassifier(program) => program.load(),
                _ => bail!("{name} is neither XDP nor TC"),
            }
            .with_context(|| format!("loading {name}"))?;
        }
        Ok(Laps(floors))
    }

    /// Nanoseconds that a floor takes for a packet.
    pub fn floor(&mut self, name: &str, headers: [u8; HEADERS], laps: u32) -> Result<f64> {
        let program = self.0.program(name).with_context(|| name.to_owned())?;
        let fd = fd(program)?.try_clone().context("a program's descriptor")?;
        let xdp = matches!(program, Program::Xdp(_));
        if name == "floor_hash" {
            self.enter(&headers)?;
        }
        self.run(&fd, xdp, headers, Course::scattered(1), None, laps)
    }

    /// Puts the packet's key where `floor_hash` looks for it.
    fn enter(&mut self, headers: &[u8; HEADERS]) -> Result<()> {
        let mut key = [0u8; 16];
        key[..12].copy_from_slice(&headers[26..38]);
        key[12] = headers[23];
        let map = self.0.map_mut("FOUND").context("FOUND")?;
        let mut found: HashMap<_, [u8; 16], [u64; 3]> = map.try_into()?;
        Ok(found.insert(key, [0; 3], 0)?)
    }

    /// Runs a program so many laps; nanoseconds a lap.
    pub fn run(
        &mut self,
        program: &ProgramFd,
        xdp: bool,
        headers: [u8; HEADERS],
        course: Course,
        context: Option<&[u8]>,
        laps: u32,
    ) -> Result<f64> {
        let (lap, place) = if xdp {
            ("lap_xdp", "MEASURED_XDP")
        } else {
            ("lap_tc", "MEASURED_TC")
        };
        let mut measured: ProgramArray<_> = self.0.map_mut(place).context(place)?.try_into()?;
        measured.set(0, program, 0).context("naming the program")?;
        let mut state: Array<_, Lap> = self.0.map_mut("LAP").context("LAP")?.try_into()?;
        let Course {
            number,
            stride,
            first,
            mask,
        } = course;
        let begin = Lap {
            headers,
            number,
            stride,
            first,
            mask,
            pad: 0,
        };
        state.set(0, begin, 0)?;
        let mut options = TestRunOptions::new();
        options.data_in = Some(&headers);
        options.ctx_in = context;
        options.repeat = laps;
        let result = match self.0.program(lap).context(lap)? {
            Program::Xdp(program) => program.test_run(options),
            Program::SchedClassifier(program) => program.test_run(options),
            _ => bail!("{lap} is neither XDP nor TC"),
        };
        let result = result.with_context(|| format!("running {lap}"))?;
        let state: Array<_, Lap> = self.0.map("LAP").context("LAP")?.try_into()?;
        let left = state.get(&0, 0)?;
        let ran = left.number - number;
        anyhow::ensure!(ran == u64::from(laps), "{ran} of {laps} laps were run");
        Ok(result.duration.as_nanos() as f64)
    }
}

/// A program's descriptor.
pub fn fd(program: &Program) -> Result<&ProgramFd> {
    match program {
        Program::Xdp(program) => Ok(program.fd()?),
        Program::SchedClassifier(program) => Ok(program.fd()?),
        _ => bail!("neither XDP nor TC"),
    }
}
