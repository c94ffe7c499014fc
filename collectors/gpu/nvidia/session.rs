//! One begun library, shared by all collectors of the process, and when to begin it anew.
//!
//! The library counts how often it was begun, and lets the driver go only when it was ended as often. Two collectors
//! that began it each for themselves would keep each other from ever seeing a driver that was loaded again. So there
//! is one session for each path; who finds it broken marks it, the others let go of it, and the next begins anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use glasshouse_core::collector::SampleWriter;

use super::library::{Library, Loaded};
use super::pci;
use super::question;
use super::refusal::Refusal;

/// The most GPUs of one machine: the largest have 16, and the number is the library's.
const MOST_GPUS: u32 = 64;

/// The most runs between two tries to begin: 5 minutes at the default interval of the quicker collector.
const MOST_RUNS_BETWEEN_TRIES: u32 = 60;

/// How the library is loaded; tests pass their own.
pub(crate) type Opener = fn(&str) -> Result<Box<dyn Library>, Refusal>;

/// A begun library and the GPUs that it saw then.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) library: Box<dyn Library>,
    /// Index and address; the address of a GPU that is lost already is not known.
    pub(crate) gpus: Vec<(u32, Option<String>)>,
    pub(crate) driver_version: Option<String>,
    pub(crate) cuda_version: Option<u32>,
    over: AtomicBool,
}

impl Session {
    /// Nobody is to ask it any more.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// The index of a GPU by its address.
    pub(crate) fn index(&self, address: &str) -> Option<u32> {
        let mut gpus = self.gpus.iter();
        let (index, _) = gpus.find(|(_, known)| known.as_deref() == Some(address))?;
        Some(*index)
    }

    /// The address of a GPU by its index.
    pub(crate) fn address(&self, index: u32) -> Option<&str> {
        let mut gpus = self.gpus.iter();
        let (_, address) = gpus.find(|(known, _)| *known == index)?;
        address.as_deref()
    }
}

/// Sessions by the path of their library.
static SESSIONS: Mutex<Vec<(String, Weak<Session>)>> = Mutex::new(Vec::new());

/// The way of one collector to the session.
#[derive(Debug)]
pub(crate) struct Door {
    path: String,
    opener: Opener,
    session: Option<Arc<Session>>,
    /// Runs that are still to pass before the next try.
    wait: u32,
    /// Runs to pass after the next failure.
    next_wait: u32,
    refusal: Option<Refusal>,
}

impl Door {
    pub(crate) fn new(path: &str) -> Self {
        Self::with_opener(path, |path| Ok(Box::new(Loaded::open(path)?)))
    }

    pub(crate) fn with_opener(path: &str, opener: Opener) -> Self {
        Self {
            path: path.to_owned(),
            opener,
            session: None,
            wait: 0,
            next_wait: 1,
            refusal: None,
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The session, if one is begun.
    pub(crate) const fn current(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    /// The session, begun if need be. After a failure the next tries come later and later.
    pub(crate) fn session(&mut self, out: &mut dyn SampleWriter) -> Result<Arc<Session>, Refusal> {
        if let Some(session) = &self.session {
            if !session.is_over() {
                return Ok(Arc::clone(session));
            }
            self.leave(out);
        }
        if self.wait > 0 {
            self.wait -= 1;
            return Err(self.refusal.clone().unwrap_or(Refusal::Uninitialized));
        }
        match self.find_or_begin(out) {
            Ok(session) => {
                self.next_wait = 1;
                self.refusal = None;
                self.session = Some(Arc::clone(&session));
                Ok(session)
            }
            Err(refusal) => {
                self.wait = self.next_wait;
                self.next_wait = (self.next_wait * 2).min(MOST_RUNS_BETWEEN_TRIES);
                self.refusal = Some(refusal.clone());
                Err(refusal)
            }
        }
    }

    /// Lets go of the session: the last one that does ends the library.
    pub(crate) fn leave(&mut self, out: &mut dyn SampleWriter) {
        if let Some(session) = self.session.take() {
            out.calling(question::SHUTDOWN);
            drop(session);
        }
    }

    fn find_or_begin(&self, out: &mut dyn SampleWriter) -> Result<Arc<Session>, Refusal> {
        out.calling(question::INIT);
        let mut sessions = SESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|(_, session)| session.strong_count() > 0);
        let known = sessions.iter().find(|(path, _)| *path == self.path);
        if let Some(session) = known.and_then(|(_, session)| session.upgrade()) {
            // another collector has still to let go of the broken one
            return if session.is_over() {
                Err(Refusal::Uninitialized)
            } else {
                Ok(session)
            };
        }
        let session = Arc::new(begin((self.opener)(&self.path)?, out)?);
        sessions.push((self.path.clone(), Arc::downgrade(&session)));
        Ok(session)
    }
}

/// Looks at what a library that was just begun has.
fn begin(library: Box<dyn Library>, out: &mut dyn SampleWriter) -> Result<Session, Refusal> {
    out.calling(question::COUNT);
    let count = library.count()?;
    if count > MOST_GPUS {
        return Err(Refusal::Malformed(format!("{count} GPUs")));
    }
    let mut gpus = Vec::new();
    for index in 0..count {
        out.calling(question::HANDLE);
        let address = library.gpu(index).and_then(|gpu| {
            out.calling(question::PCI_INFO);
            gpu.address()
        });
        gpus.push((index, address.ok().and_then(|told| pci::address(&told))));
    }
    out.calling(question::DRIVER_VERSION);
    let driver_version = library.driver_version().ok();
    out.calling(question::CUDA_VERSION);
    let cuda_version = library.cuda_version().ok();
    Ok(Session {
        library,
        gpus,
        driver_version,
        cuda_version,
        over: AtomicBool::new(false),
    })
}
