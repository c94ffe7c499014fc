//! What is the same for both collectors: which GPUs there are, and what is said where one, or all, do not answer.

use std::path::PathBuf;
use std::sync::Arc;

use glasshouse_core::collector::{Presence, SampleWriter};
use glasshouse_core::condition::{Condition, Severity};
use glasshouse_core::failure::CollectError;
use glasshouse_core::options::Options;
use glasshouse_core::text::Untrusted;
use glasshouse_sysfs::SysRoot;

use super::LIBRARY;
use super::library::Gpu;
use super::pci::{self, Card};
use super::question;
use super::reading::{Memory, Reading};
use super::refusal::Refusal;
use super::session::{Door, Session};

/// The GPUs of this machine and the way to their driver.
#[derive(Debug)]
pub(crate) struct Machine {
    root: SysRoot,
    /// Whether there may be a library for this root.
    is_reachable: bool,
    pub(crate) door: Door,
    cards: Vec<Card>,
    gpus: Vec<Memory>,
    /// Runs between two looks at the bus, and between two tries to find a lost GPU again.
    runs_between_looks: u32,
    runs: u32,
    /// Which session the memories are of.
    version: Option<String>,
}

/// Who tells the conditions: one of the collectors, or each would be told twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Teller {
    /// This one.
    Here,
    /// Another collector.
    Elsewhere,
}

impl Machine {
    pub(crate) fn new(root: SysRoot, options: &Options, runs_between_looks: u32) -> Self {
        let path = options.text("library");
        Self {
            is_reachable: root.is_live() || !path.is_empty(),
            door: Door::new(if path.is_empty() { LIBRARY } else { path }),
            root,
            cards: Vec::new(),
            gpus: Vec::new(),
            runs_between_looks,
            runs: 0,
            version: None,
        }
    }

    /// Reads every GPU once. `read` asks one; it is called for lost ones too, whose questions are all refused.
    pub(crate) fn run(
        &mut self,
        out: &mut dyn SampleWriter,
        teller: Teller,
        mut read: impl FnMut(&mut Reading<'_>, Option<&Session>),
    ) -> Result<Presence, CollectError> {
        if !self.is_reachable {
            return Ok(Presence::Absent(
                "the driver answers for the running machine, not for a captured tree".to_owned(),
            ));
        }
        let is_look_due = self.runs.is_multiple_of(self.runs_between_looks);
        self.runs = self.runs.wrapping_add(1);
        if is_look_due {
            self.look(out)?;
        }
        if self.cards.is_empty() && !pci::has_driver(&self.root) {
            self.runs = 0;
            return Ok(Presence::Absent("no NVIDIA GPU on the PCI bus".to_owned()));
        }
        let session = match self.door.session(out) {
            Ok(session) => session,
            Err(refusal) => return self.without_session(&refusal, out, teller, read),
        };
        self.meet(&session);
        let mut is_one_lost = false;
        for memory in &mut self.gpus {
            let names = Arc::clone(memory.names());
            let gpu = open(&session, &names.address, out);
            let mut reading = Reading::new(memory, gpu, out);
            read(&mut reading, Some(&session));
            let Some(refusal) = reading.end() else {
                continue;
            };
            if refusal.ends_session() {
                session.end();
            }
            is_one_lost |= matches!(refusal, Refusal::Lost | Refusal::ResetRequired);
            if teller == Teller::Here {
                tell(&names.component, &refusal, out);
            }
        }
        // a reset brings a lost GPU back, but only a library that is begun anew sees it
        if is_one_lost && is_look_due && self.runs > 1 {
            session.end();
        }
        drop(session);
        if self.gpus.is_empty() {
            return Ok(Presence::Absent(self.nothing_to_ask()));
        }
        Ok(Presence::Present)
    }

    /// The cards on the bus; refusals of GPUs are forgotten, so that everything is tried again.
    fn look(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        match pci::cards(&self.root) {
            Ok(cards) => self.cards = cards,
            Err(error) if self.cards.is_empty() => return Err(error),
            Err(error) => out.failure(error),
        }
        for memory in &mut self.gpus {
            memory.forget_refusals();
        }
        Ok(())
    }

    /// Brings the memories in line with what bus and library know: all that either has, in the order of addresses.
    /// One that was known stays, as lost, unless another driver took it.
    fn meet(&mut self, session: &Session) {
        if self.version != session.driver_version {
            self.version.clone_from(&session.driver_version);
            for memory in &mut self.gpus {
                memory.forget_refusals();
            }
        }
        let bound = self.cards.iter().filter(|card| card.is_ours());
        let told = session.gpus.iter();
        let wanted = bound
            .map(|card| card.address.as_str())
            .chain(told.filter_map(|(_, address)| address.as_deref()));
        for address in wanted {
            if !self.gpus.iter().any(|gpu| gpu.names().address == address) {
                self.gpus.push(Memory::new(address));
            }
        }
        let cards = &self.cards;
        self.gpus.retain(|gpu| {
            let address = &gpu.names().address;
            session.index(address).is_some()
                || !cards
                    .iter()
                    .any(|card| card.address == *address && !card.is_ours())
        });
        self.gpus
            .sort_by(|a, b| a.names().address.cmp(&b.names().address));
    }

    /// No library, or a library that cannot begin: which of the answers it is depends on who holds the GPUs.
    fn without_session(
        &mut self,
        refusal: &Refusal,
        out: &mut dyn SampleWriter,
        teller: Teller,
        mut read: impl FnMut(&mut Reading<'_>, Option<&Session>),
    ) -> Result<Presence, CollectError> {
        let is_held = self.cards.iter().any(Card::is_ours)
            || (self.cards.is_empty() && pci::has_driver(&self.root));
        if !is_held && matches!(refusal, Refusal::NoLibrary(_) | Refusal::DriverNotLoaded) {
            self.gpus.clear();
            return Ok(Presence::Absent(self.nothing_to_ask()));
        }
        // what had values has none now, and this is why
        for memory in &mut self.gpus {
            let mut reading = Reading::new(memory, Err(refusal.clone()), out);
            read(&mut reading, None);
        }
        if teller == Teller::Here {
            tell("gpu", refusal, out);
        }
        Err(match refusal {
            Refusal::NoLibrary(why) => CollectError {
                path: PathBuf::from(self.door.path()),
                line: None,
                reason: refusal.reason(),
                detail: format!(
                    "an NVIDIA GPU is there but no library of its driver, install it (libnvidia-compute, libnvidia-ml): {why}"
                ),
            },
            refusal => refusal.error(PathBuf::from(self.door.path()), question::INIT),
        })
    }

    /// Why a machine with a GPU of NVIDIA has none to ask.
    fn nothing_to_ask(&self) -> String {
        match self.cards.iter().find(|card| !card.is_ours()) {
            Some(Card {
                address,
                driver: Some(driver),
            }) => format!("the GPU at `{address}` belongs to the driver `{driver}`"),
            Some(Card { address, .. }) => format!(
                "the NVIDIA driver is not installed, or not loaded, for the GPU at `{address}`"
            ),
            None => "the library of the driver knows no GPU".to_owned(),
        }
    }
}

/// One GPU of the session; one that it does not know, although the driver holds it, is lost.
fn open<'s>(
    session: &'s Session,
    address: &str,
    out: &mut dyn SampleWriter,
) -> Result<Box<dyn Gpu + 's>, Refusal> {
    let index = session.index(address).ok_or(Refusal::Lost)?;
    out.calling(question::HANDLE);
    session.library.gpu(index)
}

/// Says what is wrong as a condition, where it is more than a missing value.
fn tell(component: &str, refusal: &Refusal, out: &mut dyn SampleWriter) {
    let (cause, severity) = match refusal {
        Refusal::Lost => ("gpu.lost", Severity::Critical),
        Refusal::ResetRequired => ("gpu.reset_required", Severity::Critical),
        Refusal::Timeout => ("gpu.driver_wedged", Severity::Critical),
        Refusal::DriverMismatch => ("gpu.driver_mismatch", Severity::Warning),
        _ => return,
    };
    out.condition(Condition {
        cause: cause.to_owned(),
        severity,
        component: Untrusted::new(component),
        detail: Untrusted::new(&refusal.to_string()),
    });
}
