//! Links: our programs on the interfaces, pinned so that they outlive the daemon.
//!
//! A link that is pinned gets the new program in one step; no packet meets none or two. TC stands beside XDP for
//! what XDP passes unfinished, and goes first on, so that it is there when XDP begins. Another's programs stay:
//! ours run before them at ingress, after them at egress.

use super::bound::NO_INTERFACE;
use super::error::Error;
use super::loader::Datapath;
use super::mode::{Choice, Mode};
use super::pins::{Pins, Place};
use aya::programs::links::{FdLink, LinkError, PinnedLink};
use aya::programs::tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle};
use aya::programs::{LinkOrder, ProgramError, TcAttachType, XdpMode, loaded_links};
use aya::sys::SyscallError;
use aya::util::KernelVersion;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a removed link may take to be gone.
const DETACH_LIMIT: Duration = Duration::from_secs(10);

/// How long the kernel may take to end a program's work after its link is gone.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

/// Where our filters stand in a clsact qdisc, before Linux 6.6.
const CLSACT: NlOptions = NlOptions {
    priority: 1,
    handle: TcHandle::new(0, 1),
    classid: None,
};

impl Datapath {
    /// Puts the programs on an interface, or takes over those that are there. The result is the choice as it came
    /// out: where XDP was not insisted on and the driver refuses it, TC, and why.
    pub fn attach(&mut self, pins: &Pins, choice: Choice) -> Result<Choice, Error> {
        self.attach_tc(pins, &choice, Place::Egress, "gwpool_egress")?;
        let (place, other, mode) = match choice.mode {
            Mode::Tc => return self.attach_tc_alone(pins, choice),
            Mode::Native => (Place::Native, Place::Generic, XdpMode::Driver),
            Mode::Generic => (Place::Generic, Place::Native, XdpMode::Skb),
        };
        // The kernel takes only one of the two modes: between them TC does it all.
        if pins.link(choice.index, other).exists() {
            self.attach_tc(pins, &choice, Place::Ingress, "gwpool_ingress")?;
            take_off(pins, &[(choice.index, other)])?;
        }
        let beside = pins.link(choice.index, Place::Ingress).exists();
        if !beside {
            self.attach_tc(pins, &choice, Place::Ingress, "gwpool_finish")?;
        }
        if let Err(error) = self.put_xdp(pins, &choice, place, mode) {
            if choice.insists {
                return Err(Error::NoXdp {
                    interface: choice.interface,
                    driver: choice.driver,
                    reason: format!("{} XDP is refused: {}", choice.mode.name(), chain(&error)),
                });
            }
            let why = format!("the driver refuses native XDP: {}", chain(&error));
            return self.attach_tc_alone(
                pins,
                Choice {
                    mode: Mode::Tc,
                    why,
                    ..choice
                },
            );
        }
        if beside {
            self.attach_tc(pins, &choice, Place::Ingress, "gwpool_finish")?;
        }
        Ok(choice)
    }

    fn attach_tc_alone(&mut self, pins: &Pins, choice: Choice) -> Result<Choice, Error> {
        self.attach_tc(pins, &choice, Place::Ingress, "gwpool_ingress")?;
        let links = [Place::Native, Place::Generic].map(|place| (choice.index, place));
        take_off(pins, &links)?;
        Ok(choice)
    }

    /// What another mode had there may be on its way off still, although its link is gone.
    fn put_xdp(
        &mut self,
        pins: &Pins,
        choice: &Choice,
        place: Place,
        mode: XdpMode,
    ) -> Result<(), ProgramError> {
        let begun = Instant::now();
        loop {
            match self.attach_xdp(pins, choice, place, mode) {
                Err(error) if is_occupied(&error) && begun.elapsed() < RELEASE_LIMIT => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                attached => return attached,
            }
        }
    }

    fn attach_xdp(
        &mut self,
        pins: &Pins,
        choice: &Choice,
        place: Place,
        mode: XdpMode,
    ) -> Result<(), ProgramError> {
        let path = pins.link(choice.index, place);
        let program = self
            .xdp("gwpool_xdp")
            .map_err(|_| ProgramError::NotLoaded)?;
        if let Some(link) = pinned(&path)? {
            match program.attach_to_link(link.try_into().map_err(of_link)?) {
                Ok(id) => return program.take_link(id).map(drop),
                Err(error) if is_defunct(&error) => unpin(&path)?,
                Err(error) => return Err(error),
            }
        }
        let id = program.attach_to_if_index(choice.index, mode)?;
        let link: FdLink = program.take_link(id)?.try_into().map_err(of_link)?;
        pin(link, &path)
    }

    fn attach_tc(
        &mut self,
        pins: &Pins,
        choice: &Choice,
        place: Place,
        program: &'static str,
    ) -> Result<(), Error> {
        let path = pins.link(choice.index, place);
        let attached = match (place, has_tcx()) {
            (Place::Egress, true) => self.tcx(
                choice,
                program,
                &path,
                TcAttachType::Egress,
                LinkOrder::last(),
            ),
            (_, true) => self.tcx(
                choice,
                program,
                &path,
                TcAttachType::Ingress,
                LinkOrder::first(),
            ),
            (Place::Egress, false) => self.clsact(choice, program, TcAttachType::Egress),
            (_, false) => self.clsact(choice, program, TcAttachType::Ingress),
        };
        attached.map_err(|source| Error::Attach {
            interface: choice.interface.clone(),
            program,
            source,
        })
    }

    fn tcx(
        &mut self,
        choice: &Choice,
        program: &str,
        path: &Path,
        side: TcAttachType,
        order: LinkOrder,
    ) -> Result<(), ProgramError> {
        let program = self
            .classifier(program)
            .map_err(|_| ProgramError::NotLoaded)?;
        if let Some(link) = pinned(path)? {
            match program.attach_to_link(link.try_into().map_err(of_link)?) {
                Ok(id) => return program.take_link(id).map(drop),
                Err(error) if is_defunct(&error) => unpin(path)?,
                Err(error) => return Err(error),
            }
        }
        let id = program.attach_with_options(
            &choice.interface,
            side,
            TcAttachOptions::TcxOrder(order),
        )?;
        let link: FdLink = program.take_link(id)?.try_into().map_err(of_link)?;
        pin(link, path)
    }

    /// Before tcx there are no TC links: a filter with a fixed place is replaced there, and stays without us.
    fn clsact(
        &mut self,
        choice: &Choice,
        program: &str,
        side: TcAttachType,
    ) -> Result<(), ProgramError> {
        // The qdisc may be there already, ours or another's; if it is not, attaching says so.
        let _ = tc::qdisc_add_clsact(&choice.interface);
        let program = self
            .classifier(program)
            .map_err(|_| ProgramError::NotLoaded)?;
        let there = SchedClassifierLink::attached(
            &choice.interface,
            side,
            CLSACT.priority,
            CLSACT.handle,
            CLSACT.classid,
        );
        let there = there.map_err(|error| ProgramError::from(tc::TcError::from(error)))?;
        let id = match program.attach_to_link(there) {
            Ok(id) => id,
            Err(_) => program.attach_with_options(
                &choice.interface,
                side,
                TcAttachOptions::Netlink(CLSACT),
            )?,
        };
        std::mem::forget(program.take_link(id)?);
        Ok(())
    }
}

/// Removes the links of interfaces that are not in `keep`; the result is how many.
pub fn detach_others(pins: &Pins, keep: &BTreeSet<u32>) -> Result<usize, Error> {
    let gone: Vec<_> = pins
        .links()?
        .into_iter()
        .filter(|(index, _)| *index != NO_INTERFACE && !keep.contains(index))
        .collect();
    for (index, place) in &gone {
        Pins::remove(&pins.link(*index, *place))?;
    }
    Ok(gone.len())
}

/// Takes every program off and returns when the kernel has let go of them; the result is how many links there were.
pub fn detach_all(pins: &Pins) -> Result<usize, Error> {
    let links = take_off(pins, &pins.links()?)?;
    if !has_tcx() {
        detach_clsact();
    }
    Ok(links)
}

/// Removes links and returns when the kernel has let go of them, which it does a moment later.
fn take_off(pins: &Pins, links: &[(u32, Place)]) -> Result<usize, Error> {
    let mut ids = BTreeSet::new();
    for (index, place) in links {
        let path = pins.link(*index, *place);
        let info = PinnedLink::from_pin(&path).and_then(|link| FdLink::from(link).info());
        ids.extend(info.ok().map(|info| info.id()));
        Pins::remove(&path)?;
    }
    let begun = Instant::now();
    loop {
        let left = loaded_links()
            .flatten()
            .filter(|info| ids.contains(&info.id()))
            .count();
        if left == 0 {
            return Ok(ids.len());
        }
        if begun.elapsed() > DETACH_LIMIT {
            return Err(Error::StillAttached {
                count: left,
                seconds: DETACH_LIMIT.as_secs(),
            });
        }
        // The kernel frees a link after a grace period, of a few milliseconds.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Linux 6.6 and later.
fn has_tcx() -> bool {
    KernelVersion::current().is_ok_and(|version| version.code() >= (6 << 16) + (6 << 8))
}

fn detach_clsact() {
    let Ok(interfaces) = nix::net::if_::if_nameindex() else {
        return;
    };
    for interface in &interfaces {
        let Ok(name) = interface.name().to_str() else {
            continue;
        };
        for program in ["gwpool_finish", "gwpool_ingress"] {
            // Most interfaces have none of ours.
            let _ = tc::qdisc_detach_program(name, TcAttachType::Ingress, program);
        }
        let _ = tc::qdisc_detach_program(name, TcAttachType::Egress, "gwpool_egress");
    }
}

fn pinned(path: &Path) -> Result<Option<FdLink>, ProgramError> {
    match PinnedLink::from_pin(path) {
        Ok(link) => Ok(Some(link.into())),
        Err(LinkError::SyscallError(SyscallError { io_error, .. }))
            if io_error.kind() == io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(of_link(error)),
    }
}

fn of_link(error: LinkError) -> ProgramError {
    match error {
        LinkError::SyscallError(error) => error.into(),
        error => ProgramError::IOError(io::Error::other(error)),
    }
}

fn pin(link: FdLink, path: &Path) -> Result<(), ProgramError> {
    link.pin(path)
        .map(drop)
        .map_err(|error| ProgramError::IOError(io::Error::other(error)))
}

fn unpin(path: &Path) -> Result<(), ProgramError> {
    std::fs::remove_file(path).map_err(ProgramError::IOError)
}

/// The link's interface is gone: the kernel keeps the link, on nothing.
fn is_defunct(error: &ProgramError) -> bool {
    matches!(error, ProgramError::SyscallError(error) if error.io_error.raw_os_error() == Some(libc::ENOLINK))
}

/// Another XDP program is there.
fn is_occupied(error: &ProgramError) -> bool {
    matches!(error, ProgramError::SyscallError(error)
        if matches!(error.io_error.raw_os_error(), Some(libc::EEXIST | libc::EBUSY)))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
