//! A disk that fails when a test says so, and counts what is done to it.
//!
//! Everything is said to a thread and holds for it alone, so tests beside each other do not disturb each other.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io;
use std::path::Path;

/// What is done to a file or a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A file is opened that is there.
    Open,
    /// A file or a folder is made, or opened and made where it is missing.
    Create,
    /// A folder is listed.
    List,
    /// A file is asked for its length, its inode and its time.
    Metadata,
    /// Bytes are read.
    Read,
    /// Bytes are written.
    Write,
    /// A file is cut.
    Truncate,
    /// A file or a folder is synced.
    Sync,
    /// A file gets another name; the new one counts.
    Rename,
    /// A file is removed.
    Remove,
    /// A file is locked.
    Lock,
}

impl Operation {
    /// Those that a file system refuses when it is full, read only, or broken.
    pub const CHANGES: &[Self] = &[
        Self::Create,
        Self::Write,
        Self::Truncate,
        Self::Sync,
        Self::Rename,
        Self::Remove,
    ];

    const COUNT: usize = Self::Lock.place() + 1;

    const fn place(self) -> usize {
        self as usize
    }
}

/// What an operation that fails does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing, and says this error of the operating system.
    Error(i32),
    /// A write puts this many bytes in place and then says this error; another operation does nothing and says it.
    Short(usize, i32),
}

/// The error of a disk that is broken.
pub const EIO: i32 = rustix::io::Errno::IO.raw_os_error();

/// The error of a disk that is full.
pub const ENOSPC: i32 = rustix::io::Errno::NOSPC.raw_os_error();

/// Which operations fail, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How.
    pub fault: Fault,
    /// Those of these kinds.
    pub operations: Vec<Operation>,
    /// On files whose name has this in it; the empty text stands for all.
    pub name: String,
    /// So many of them pass before one fails.
    pub skip: u64,
    /// So many of them fail before they pass again; `u64::MAX` stands for all.
    pub fail: u64,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    operations: [u64; Operation::COUNT],
    /// Bytes that were read.
    pub read: u64,
    /// Bytes that were to be written.
    pub written: u64,
}

impl Counts {
    /// How often this was done, or refused by a plan.
    #[must_use]
    pub fn of(&self, operation: Operation) -> u64 {
        let count = self.operations.get(operation.place());
        count.copied().unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct State {
    plan: Option<Plan>,
    /// Operations that the plan speaks of.
    met: u64,
    failed: u64,
    counts: Counts,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
    static WATCH: RefCell<Option<Box<dyn FnMut()>>> = RefCell::default();
}

/// From now on this is called before each operation of this thread, which is after the one before.
pub fn watch(watch: impl FnMut() + 'static) {
    WATCH.with_borrow_mut(|known| *known = Some(Box::new(watch)));
}

/// Nothing is called any more.
pub fn unwatch() {
    WATCH.with_borrow_mut(|known| *known = None);
}

/// From now on operations of this thread fail by the plan, until another one is made or [`clear`] is called.
pub fn set(plan: Plan) {
    STATE.with_borrow_mut(|state| {
        state.plan = Some(plan);
        (state.met, state.failed) = (0, 0);
    });
}

/// Nothing fails from now on. How many operations the plan spoke of, and how many it let fail.
pub fn clear() -> (u64, u64) {
    STATE.with_borrow_mut(|state| {
        state.plan = None;
        (state.met, state.failed)
    })
}

/// What the question did to the disk, beside its answer.
pub fn counted<T>(question: impl FnOnce() -> T) -> (T, Counts) {
    let before = STATE.with_borrow_mut(|state| std::mem::take(&mut state.counts));
    let answer = question();
    let counts = STATE.with_borrow_mut(|state| std::mem::replace(&mut state.counts, before));
    STATE.with_borrow_mut(|state| state.counts.add(&counts));
    (answer, counts)
}

impl Counts {
    fn add(&mut self, other: &Self) {
        for (sum, more) in self.operations.iter_mut().zip(other.operations) {
            *sum += more;
        }
        self.read += other.read;
        self.written += other.written;
    }
}

impl State {
    /// Counts the operation; what it has to do in place of what it should.
    fn meet(&mut self, operation: Operation, name: &str) -> Option<Fault> {
        if let Some(count) = self.counts.operations.get_mut(operation.place()) {
            *count += 1;
        }
        let plan = self.plan.as_ref()?;
        let is_meant = plan.operations.contains(&operation) && name.contains(&plan.name);
        if !is_meant {
            return None;
        }
        self.met += 1;
        let fails = self.met > plan.skip && self.met - plan.skip <= plan.fail;
        self.failed += u64::from(fails);
        fails.then_some(plan.fault)
    }
}

/// The name of a file that plans may speak of.
#[derive(Debug)]
pub(super) struct Named(OsString);

impl Named {
    pub(super) fn of(path: &Path) -> Self {
        Self(path.file_name().unwrap_or_default().to_owned())
    }

    fn meet(&self, operation: Operation) -> Option<Fault> {
        let name = self.0.to_string_lossy();
        WATCH.with_borrow_mut(|watch| {
            if let Some(watch) = watch {
                watch();
            }
        });
        STATE.with_borrow_mut(|state| state.meet(operation, &name))
    }

    pub(super) fn pass(&self, operation: Operation) -> io::Result<()> {
        match self.meet(operation) {
            None => Ok(()),
            Some(Fault::Error(code) | Fault::Short(_, code)) => {
                Err(io::Error::from_raw_os_error(code))
            }
        }
    }

    pub(super) fn pass_write(
        &self,
        bytes: &[u8],
        lands: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        STATE.with_borrow_mut(|state| state.counts.written += count);
        let code = match self.meet(Operation::Write) {
            None => return Ok(()),
            Some(Fault::Error(code)) => code,
            Some(Fault::Short(most, code)) => {
                lands(bytes.get(..most).unwrap_or(bytes))?;
                code
            }
        };
        Err(io::Error::from_raw_os_error(code))
    }

    pub(super) fn has_read(&self, bytes: usize) {
        let count = u64::try_from(bytes).unwrap_or(u64::MAX);
        STATE.with_borrow_mut(|state| state.counts.read += count);
    }
}
