//! A link of the row, and programs of the benchmark's own on it.

use crate::floors;
use anyhow::{Context, Result, bail};
use aya::Ebpf;
use aya::programs::{Program, SchedClassifier, TcAttachType, Xdp, XdpMode};
use gwpool_harness::net::namespace::Namespace;

/// An interface, and where it is.
#[derive(Clone)]
pub struct Link {
    /// Its namespace.
    pub host: Namespace,
    /// Its name there.
    pub name: &'static str,
    /// Its index there.
    pub index: u32,
    /// Its address.
    pub mac: [u8; 6],
}

/// Where frames meet a program: both ends of a contestant's row are of its kind, so that nobody pays for what only the
/// measurement needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// For contestants that send frames on as they came.
    Xdp,
    /// For those whose frames the kernel has made packets of.
    Tc,
}

impl Link {
    /// Asks for it.
    pub fn of(host: &Namespace, name: &'static str) -> Result<Link> {
        let text = host.run("ip", &["-json", "link", "show", "dev", name])?;
        let links: serde_json::Value = serde_json::from_str(&text)?;
        let link = &links[0];
        let index = link["ifindex"].as_u64().context("no index")?;
        let words = link["address"].as_str().unwrap_or_default().split(':');
        let mac: Vec<u8> = words
            .map(|word| u8::from_str_radix(word, 16))
            .collect::<Result<_, _>>()?;
        let mac = <[u8; 6]>::try_from(mac);
        Ok(Link {
            host: host.clone(),
            name,
            index: u32::try_from(index)?,
            mac: mac.map_err(|mac| anyhow::anyhow!("{name} has the address {mac:?}"))?,
        })
    }

    /// Loads the benchmark's programs, and attaches that one here for as long as they live.
    pub fn attach(&self, program: &str) -> Result<Ebpf> {
        let mut floors = floors::load()?;
        let found = floors.program_mut(program);
        let found = found.with_context(|| program.to_owned())?;
        self.host
            .enter(|| match found {
                Program::Xdp(found) => on_xdp(found, self.name),
                Program::SchedClassifier(found) => on_tc(found, self.name),
                _ => bail!("neither XDP nor TC"),
            })?
            .with_context(|| format!("{program} on {}", self.name))?;
        Ok(floors)
    }
}

fn on_xdp(program: &mut Xdp, name: &str) -> Result<()> {
    program.load()?;
    program.attach(name, XdpMode::Driver)?;
    Ok(())
}

fn on_tc(program: &mut SchedClassifier, name: &str) -> Result<()> {
    program.load()?;
    program.attach(name, TcAttachType::Ingress)?;
    Ok(())
}
