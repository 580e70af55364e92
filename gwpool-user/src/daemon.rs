//! The daemon: started, then one loop that follows the host, sweeps, and answers, until told to stop.
//!
//! Leaving takes nothing off: the programs stay attached and pinned, and the next daemon takes them over.

mod answer;
mod changes;
mod instance;
mod listing;
mod reload;
mod selection;
mod translation;

use crate::config::{Loaded, Sources};
use crate::datapath::pins::Pins;
use crate::datapath::{OBJECT, sweep};
use crate::host::privilege;
use crate::stats::driver;
use answer::{Asker, Next};
use anyhow::{Context as _, Result, bail};
use instance::Instance;
use reload::Reloads;
use sd_notify::NotifyState;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

/// Where an instance keeps its things.
#[derive(Clone, Debug)]
pub struct Places {
    /// The socket's directory.
    pub runtime_dir: PathBuf,
    /// On a bpffs.
    pub pin_dir: PathBuf,
    /// What outlives a reboot.
    pub state_dir: PathBuf,
}

/// Runs what was loaded from these sources until told to stop.
pub async fn run(mut sources: Sources, loaded: Loaded, places: &Places) -> Result<()> {
    let Loaded { plan, notes } = loaded;
    for note in &notes {
        match note.is_warning {
            true => warn!("{note}"),
            false => info!("{note}"),
        }
    }
    // A machine that is renamed stays the node it is.
    sources.node = Some(plan.node.clone());
    prepare(places)?;
    // The socket first: who has it is the only daemon on these pins.
    let listener = driver::listen(&places.runtime_dir)?;
    let signals = [
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    ];
    let mut instance = Instance::start(plan, Pins::new(&places.pin_dir)).await?;
    let (sender, requests) = mpsc::channel(1);
    tokio::spawn(driver::serve(listener, sender));
    // Without a service manager there is nobody to tell.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    info!("ready: {instance}");
    let reloads = Reloads::new(sources, notes);
    attend(&mut instance, requests, reloads, signals).await?;
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    info!(
        "stopping; the programs stay attached and live flows go on (gwpool-user stop --detach takes them off)"
    );
    Ok(())
}

/// What must be so before anything is touched.
fn prepare(places: &Places) -> Result<()> {
    let missing = privilege::missing();
    if !missing.is_empty() {
        bail!(
            "the daemon runs as root, or with the capabilities it lacks now: {}",
            missing.join(", ")
        );
    }
    if OBJECT.is_empty() {
        return Err(crate::datapath::Error::NoPrograms.into());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&places.state_dir)
        .with_context(|| {
            format!(
                "cannot create the state directory {}",
                places.state_dir.display()
            )
        })
}

/// Whatever writes maps does so here, one after the other.
async fn attend(
    instance: &mut Instance,
    mut requests: mpsc::Receiver<driver::Request>,
    mut reloads: Reloads,
    [mut terminate, mut interrupt, mut hangup]: [Signal; 3],
) -> Result<()> {
    let mut sweeps = interval(sweep::INTERVAL);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changed = instance.changed() => {
                changed?;
                instance.follow().await;
            }
            _ = sweeps.tick() => instance.sweep().await,
            Some(request) = requests.recv() => {
                match instance.answer(request).await {
                    Next::Done => {}
                    Next::Stop => return Ok(()),
                    Next::Reload(asker) => reloads.ask(asker),
                }
            }
            inputs = reloads.read() => reloads.finish(inputs, instance).await,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => {
                let name = "SIGHUP".to_owned();
                reloads.ask(Asker { name, answer: None });
            }
        }
    }
}
