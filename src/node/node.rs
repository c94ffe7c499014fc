//! The node's one loop: wait for frames, store them, look after the store.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use glasshouse_core::identity::NodeId;
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{Clock, SystemClock};
use glasshouse_store::Store;
use glasshouse_wire::{FrameReader, Step};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;
use tracing::{info, warn};

use crate::chain::Chain;
use crate::checkpoints::Checkpoints;
use crate::health::Health;
use crate::identity::{host_name, own_id};
use crate::ingest::Ingest;
use crate::inventory::Sheet;
use crate::logs::{log_maintenance, log_recovery};
use crate::notices::Notices;
use crate::own::Own;
use crate::pace::Pace;
use crate::remote::{Remote, RemoteOwn};
use crate::settings::{NodeError, NodeSettings};
use crate::state::State;

/// After this many frames the clock is looked at: a full pipe must not hold up the sync of the store.
const FRAMES_A_ROUND: usize = 64;

/// Where the store has more to do, it is asked again this soon; frames come first.
const MORE: Duration = Duration::from_millis(50);

/// Series that are gone are looked for this often.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// Takes frames and keeps the store until `stop` is set; then seals the store and returns. It blocks, and sets the
/// process's umask.
///
/// # Errors
/// [`NodeError`] where the state folder, the store or the FIFO cannot be used at the start, or the FIFO breaks later.
/// A store that fails later is no error: it is logged, and tried again.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a role owns its wish to stop; whoever starts it hands it over to a thread"
)]
pub fn run(settings: NodeSettings, stop: Arc<AtomicBool>) -> Result<(), NodeError> {
    let state = State::prepare(&settings.state_dir)?;
    let node = own_id(&settings, &state.inventory)?;
    let frames = open_frames(&settings.frames)?;
    let checkpoints = Checkpoints::start(&settings, &state)?;
    // last: each time that it is opened it begins a head, which nobody seals where the node does not start
    let (store, recovery) = match Store::open(&state.store, settings.store.clone()) {
        Ok(opened) => opened,
        Err(source) => {
            checkpoints.stop();
            let path = state.store;
            return Err(NodeError::Store { path, source });
        }
    };
    log_recovery(&recovery);
    // the lock of the store holds for them too
    let notices = match Notices::open(&state, node, settings.tempo.grace, settings.logs) {
        Ok(notices) => notices,
        Err(error) => {
            checkpoints.stop();
            return Err(error);
        }
    };
    let host = host_name(&settings);
    let remote = match start_remote(&settings, &state, node, &host) {
        Ok(remote) => remote,
        Err(error) => {
            checkpoints.stop();
            return Err(error);
        }
    };
    info!(%node, "The node takes frames.");
    let sheet = Sheet::load(&state.inventory, node, host);
    let mut ingest = Ingest::new(store, sheet, notices);
    ingest.losses.damage(&recovery.lost, &recovery.set_aside);
    let mut running = Node {
        ingest,
        own: own(&settings, remote.as_ref()),
        reader: FrameReader::new(),
        frames,
        maintenance: Health::new("The store can be looked after"),
        pace: Pace::now(),
        next_forget: Instant::now() + FORGET_EVERY,
        partial: None,
        heard: (Instant::now(), 0),
        checkpoints,
        remote,
        settings,
        state,
    };
    let ended = running.take_frames(&stop);
    running.close();
    ended
}

/// Begins to send samples on, where that is configured.
fn start_remote(
    settings: &NodeSettings,
    state: &State,
    node: NodeId,
    host: &Untrusted,
) -> Result<Option<Remote>, NodeError> {
    let remote = settings.remote.as_ref();
    remote
        .map(|remote| Remote::start(remote, state, node, host))
        .transpose()
}

/// What the node says of itself.
fn own(settings: &NodeSettings, remote: Option<&Remote>) -> Own {
    let interval = settings.tempo.inventory;
    let remote = remote.map(|remote| RemoteOwn::new(remote.totals(), interval));
    Own::new(interval, remote)
}

/// A running node.
struct Node {
    settings: NodeSettings,
    state: State,
    frames: File,
    reader: FrameReader,
    ingest: Ingest,
    checkpoints: Checkpoints,
    remote: Option<Remote>,
    own: Own,
    maintenance: Health,
    pace: Pace,
    next_forget: Instant,
    /// Since when a frame has begun and is not whole, and how many frames were whole by then.
    partial: Option<(Instant, u64)>,
    /// When there was a new frame, and how many there had been by then.
    heard: (Instant, u64),
}

impl Node {
    fn take_frames(&mut self, stop: &AtomicBool) -> Result<(), NodeError> {
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            if self.pace.must(now) {
                self.maintain(now);
            }
            if self.drain()? {
                continue;
            }
            let now = Instant::now();
            self.listen(now);
            if self.pace.may(now) {
                self.maintain(now);
            }
            if !self.give_up_partial() {
                self.wait()?;
            }
        }
        Ok(())
    }

    /// Takes the frames that are there; `true` where there may be more.
    fn drain(&mut self) -> Result<bool, NodeError> {
        for _ in 0..FRAMES_A_ROUND {
            let step = self.reader.next_frame(&mut self.frames);
            match step.map_err(|source| read_error(&self.settings.frames, source))? {
                Step::Frame(frame) => self.ingest.take(&frame, SystemClock.moment()),
                // this process holds a writing end, so there is no end
                Step::Pending | Step::End => {
                    self.ingest.count(self.reader.counts());
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Notices that the probe is silent. Only once all that it wrote is read: a node that was held up hears nothing
    /// meanwhile. The clock of `Instant` stands still while the machine sleeps.
    fn listen(&mut self, now: Instant) {
        let frames = self.ingest.link.frames;
        let (since, before) = self.heard;
        let is_heard = frames > before;
        if is_heard {
            self.heard = (now, frames);
        }
        let silent_for = now.saturating_duration_since(since);
        let is_silent = !is_heard && silent_for >= self.settings.tempo.silence;
        // before the first frame nobody knows whether the probe lives
        if is_silent || frames > 0 {
            let silent_for = is_silent.then_some(silent_for);
            let moment = SystemClock.moment();
            let remote = self.remote.as_ref();
            let of_remote = remote.map_or_else(Vec::new, |remote| remote.stated(moment));
            let notices = &mut self.ingest.notices;
            notices.own(silent_for, of_remote, moment);
        }
    }

    /// Waits for a frame, at most until the next maintenance.
    fn wait(&self) -> Result<(), NodeError> {
        let left = self.pace.left(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or_default();
        let mut ends = [PollFd::new(&self.frames, PollFlags::IN)];
        match poll(&mut ends, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(read_error(&self.settings.frames, error.into())),
        }
    }

    /// Gives up a frame that does not become whole; `true` where there may now be another behind its beginning.
    fn give_up_partial(&mut self) -> bool {
        let frames = self.reader.counts().frames;
        match self.partial {
            _ if !self.reader.is_partial() => self.partial = None,
            Some((since, then)) if then == frames => {
                if since.elapsed() >= self.settings.tempo.partial {
                    self.partial = None;
                    self.reader.abandon();
                    return true;
                }
            }
            _ => self.partial = Some((Instant::now(), frames)),
        }
        false
    }

    fn maintain(&mut self, now: Instant) {
        let moment = SystemClock.moment();
        let done = self.maintenance.told(self.ingest.store.maintain(moment));
        let has_more = done.is_some_and(|done| {
            log_maintenance(&done);
            self.ingest.losses.damage(&done.lost, &done.set_aside);
            done.more
        });
        if now >= self.next_forget {
            self.next_forget = now + FORGET_EVERY;
            self.ingest.runs.forget(moment.boot);
        }
        self.checkpoints.watch(now);
        if self.own.take_due(now) {
            let failures = self.maintenance.failures_in_all();
            self.ingest.report(&mut self.own, failures, moment);
        }
        if has_more {
            self.pace.soon(Instant::now(), MORE);
        } else {
            self.pace
                .next(Instant::now(), self.settings.tempo.maintenance);
        }
        let at_least = self.settings.tempo.inventory;
        self.ingest.maintain_notices(moment, at_least);
        let (dir, link) = (&self.state.inventory, self.ingest.link);
        self.ingest
            .sheet
            .write_due(dir, link, moment.wall, at_least);
    }

    fn close(self) {
        let mut ingest = self.ingest;
        if let Some(remote) = self.remote {
            remote.stop();
        }
        let now = SystemClock.moment();
        ingest
            .sheet
            .write(&self.state.inventory, ingest.link, now.wall);
        ingest.notices.close(now);
        if let Err(error) = ingest.store.close(now) {
            warn!(error = %Chain(&error), "The store was not sealed; the next start does it.");
        }
        let losses = ingest.losses;
        info!(
            frames = ingest.link.frames,
            lost_frames = ingest.link.lost,
            lost_batches = losses.batches,
            unknown_samples = losses.unknown,
            lost_definitions = losses.definitions,
            unknown_messages = losses.messages,
            "The node has stopped."
        );
        self.checkpoints.stop();
    }
}

fn open_frames(path: &Path) -> Result<File, NodeError> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let failed = |error: Errno| NodeError::Frames {
        path: path.to_owned(),
        source: error.into(),
    };
    let frames = open(path, flags, Mode::empty()).map_err(failed)?;
    let mode = fstat(&frames).map_err(failed)?.st_mode;
    if FileType::from_raw_mode(mode) != FileType::Fifo {
        return Err(NodeError::NoFifo {
            path: path.to_owned(),
        });
    }
    Ok(File::from(frames))
}

fn read_error(path: &Path, source: std::io::Error) -> NodeError {
    NodeError::Read {
        path: path.to_owned(),
        source,
    }
}
