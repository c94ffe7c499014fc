//! Follows a store: hands out what was appended, in order of arrival, from a position that survives restarts.
//!
//! The store is the queue of whoever sends its samples elsewhere: nothing is kept twice. A [`Tail`] reads the live head
//! frame by frame, and what has been sealed since collector by collector and series by series, a block at a time. It is
//! a reader like any other: no lock, and a file that it holds open stays readable when merge or retention unlink it.
//!
//! A position is the number of the head up to which everything was read, and for each collector the moment of the last
//! row that was. Heads keep their order when they are sealed and merged, and rows keep their moments, so a position
//! finds its place again in whatever file the row stands by then. Where it does not (the block is damaged), the whole
//! file counts as unread: samples may come twice, none is left out.

mod cursor;
mod live;
mod sealed;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use glasshouse_core::reader::{Resolution, SeriesInfo};
use glasshouse_core::sample::Sample;
use glasshouse_core::time::Timestamp;

pub use self::cursor::{CursorError, TailCursor};
pub use self::watch::{Backlog, Vanished};

use self::live::Live;
use self::sealed::Sealed;
use self::watch::Watch;
use crate::disk;
use crate::error::StoreError;
use crate::files::{Listing, SegmentName, head_name};
use crate::segment::SegmentFile;

/// How often a file is looked for again because it was replaced before it could be opened.
const MOST_TRIES: usize = 64;

/// Follows a store, also while it is written, also in another process than its writer's.
#[derive(Debug)]
pub struct Tail {
    dir: PathBuf,
    cursor: TailCursor,
    source: Option<Source>,
    watch: Watch,
}

/// What is being read.
#[derive(Debug)]
enum Source {
    Live(Live),
    Sealed(Box<Sealed>),
}

/// A piece of what came in. Samples of one series stand in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct TailChunk {
    /// What the samples are of.
    pub series: Vec<Arc<SeriesInfo>>,
    /// The samples, each with its place in [`Self::series`].
    pub samples: Vec<(usize, Sample)>,
    /// Collectors of which everything up to this time has been handed out, with this piece or before.
    pub reached: Vec<(String, Timestamp)>,
    /// The samples come from a head, where those of all collectors stand in the order in which they came. Else those of
    /// one collector after the other come, so that times go back within a file.
    pub is_live: bool,
    /// Files with blocks that could not be read, and how many blocks.
    pub lost: Vec<(String, u64)>,
    /// The position behind this piece.
    pub cursor: TailCursor,
    /// There was nothing more when this was read.
    pub is_last: bool,
}

impl Tail {
    /// Goes on at a position. One that lies behind the newest file is of another store: then everything is read.
    #[must_use]
    pub fn new(dir: &Path, cursor: TailCursor) -> Self {
        Self {
            dir: dir.to_owned(),
            cursor,
            source: None,
            watch: Watch::default(),
        }
    }

    /// The next piece, of about `most` samples: a row of a head is never split. Empty where nothing more is there yet.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read now. The next call goes on where this one failed.
    pub fn next(&mut self, most: usize) -> Result<TailChunk, StoreError> {
        let mut chunk = TailChunk::default();
        let read = self.fill(&mut chunk, most);
        chunk.cursor = self.cursor.clone();
        match read {
            Err(error) if chunk.samples.is_empty() && chunk.lost.is_empty() => Err(error),
            // what was read before the trouble is handed out; the next call meets the trouble again
            Err(_) => Ok(chunk),
            Ok(is_last) => {
                chunk.is_last = is_last;
                Ok(chunk)
            }
        }
    }

    /// Looks at what waits to be read. What vanished unread since the last look is told once, so call it before anything
    /// can vanish, and then every minute, also while nothing can be sent.
    ///
    /// # Errors
    /// [`StoreError`] where the folder cannot be read now.
    pub fn look(&mut self) -> Result<Backlog, StoreError> {
        let listing = self.listing()?;
        let reading = match &self.source {
            Some(Source::Sealed(sealed)) => Some(sealed.name()),
            _ => None,
        };
        let from = self.cursor.head;
        self.watch.look(&self.dir, &listing, from, reading)?;
        Ok(self.watch.tell())
    }

    /// Reads until the piece is full, `false`, or there is nothing more, `true`.
    fn fill(&mut self, chunk: &mut TailChunk, most: usize) -> Result<bool, StoreError> {
        loop {
            let source = match self.source.take() {
                Some(source) => source,
                None => match self.choose()? {
                    Some(source) => source,
                    None => return Ok(true),
                },
            };
            let source = self.source.insert(source);
            match source {
                Source::Live(live) => {
                    chunk.is_live = true;
                    if let Err(error) = live.read(chunk, &mut self.cursor, most) {
                        // what cannot be read in the head may be readable in what it was sealed into
                        if has_ended(&self.dir, live.sequence()).unwrap_or(false) {
                            self.source = None;
                        }
                        return Err(error);
                    }
                    if chunk.samples.len() >= most {
                        return Ok(false);
                    }
                    if !live.is_over() {
                        if !has_ended(&self.dir, live.sequence())? {
                            return Ok(true);
                        }
                        // nothing is appended any more; what was, just before, is read yet
                        live.close();
                        continue;
                    }
                    self.cursor.head = live.sequence().saturating_add(1);
                }
                Source::Sealed(sealed) => {
                    chunk.is_live = false;
                    if !sealed.read(chunk, &mut self.cursor, most)? {
                        return Ok(false);
                    }
                    self.cursor.head = sealed.name().last.saturating_add(1);
                }
            }
            self.source = None;
            if !chunk.samples.is_empty() {
                return Ok(false);
            }
        }
    }

    /// Opens the file that comes next.
    fn choose(&mut self) -> Result<Option<Source>, StoreError> {
        let mut outcome = Ok(None);
        for _ in 0..MOST_TRIES {
            let listing = self.listing()?;
            if is_of_another(&listing, &self.cursor) {
                self.cursor = TailCursor::default();
            }
            let from = self.cursor.head;
            self.watch.look(&self.dir, &listing, from, None)?;
            match self.open_next(&listing) {
                Err(error) if error.is_missing() => outcome = Err(error),
                opened => return opened,
            }
        }
        outcome
    }

    fn open_next(&mut self, listing: &Listing) -> Result<Option<Source>, StoreError> {
        let from = self.cursor.head;
        let segment = raw(listing).find(|name| name.last >= from);
        let heads = listing.heads.iter().map(|head| head.sequence);
        let head = heads.filter(|head| *head >= from).min();
        match (segment, head) {
            (Some(segment), head) if head.is_none_or(|head| segment.first <= head) => {
                let sealed = Sealed::open(&self.dir, segment)?;
                Ok(Some(Source::Sealed(Box::new(sealed))))
            }
            (_, Some(head)) => {
                let live = Live::open(&self.dir, head, &self.cursor)?;
                Ok(Some(Source::Live(live)))
            }
            (_, None) => Ok(None),
        }
    }

    fn listing(&self) -> Result<Listing, StoreError> {
        let listed = Listing::read_stable(&self.dir);
        let mut listing = listed.map_err(|source| StoreError::io("list", &self.dir, source))?;
        listing.drop_replaced();
        Ok(listing)
    }
}

impl TailCursor {
    /// The position before everything that came in since about then: a whole file more at most. Where nothing is that
    /// new, the newest head.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read.
    pub fn since(dir: &Path, since: Timestamp) -> Result<Self, StoreError> {
        let listing = Tail::new(dir, Self::default()).listing()?;
        let reaches = |name: &SegmentName| {
            let opened = SegmentFile::open(dir, *name);
            opened.is_ok_and(|file| file.footer.newest >= since.nanos())
        };
        let segment = raw(&listing).find(reaches).map(|name| name.first);
        let head = listing.heads.first().map(|head| head.sequence);
        Ok(Self {
            head: segment
                .or(head)
                .unwrap_or_else(|| listing.newest().saturating_add(1)),
            ..Self::default()
        })
    }
}

/// Whether the position is ahead of all that was ever written: somebody began the store anew. The head that comes next may
/// not be there yet, and a folder with nothing in it says nothing.
fn is_of_another(listing: &Listing, cursor: &TailCursor) -> bool {
    let is_empty = listing.heads.is_empty() && listing.segments.is_empty();
    !is_empty && listing.newest().saturating_add(1) < cursor.head
}

/// The raw segments of a list, oldest first.
fn raw(listing: &Listing) -> impl Iterator<Item = SegmentName> {
    let names = listing.segments.iter().map(|(name, _)| *name);
    names.filter(|name| name.tier == Resolution::Raw)
}

/// Whether the writer has gone on to another head. It begins the next number before it leaves one, and never comes back.
fn has_ended(dir: &Path, sequence: u64) -> Result<bool, StoreError> {
    let exists = |sequence: u64| {
        let path = dir.join(head_name(sequence));
        match disk::metadata(&path).map_err(|source| StoreError::io("look at", &path, source)) {
            Err(error) if error.is_missing() => Ok(false),
            looked => looked.map(|_| true),
        }
    };
    Ok(exists(sequence.saturating_add(1))? || !exists(sequence)?)
}
