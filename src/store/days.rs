//! Files of frames, some a day: what is appended to, kept for a while, and read from the newest on.
//!
//! `<year><month><day>-<part>.log`, the day in UTC by the wall time at which its frames were written, parts counted from
//! 0 on: names sort by time. The frames are those of the head, so a torn end is cut where the file is opened again, and
//! a damaged frame costs itself. Readers list the folder and read; a file that retention removed meanwhile was the oldest.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use glasshouse_core::time::{Moment, Timestamp};

use crate::bytes::wide;
use crate::disk::{self, File};
use crate::error::StoreError;
use crate::frame::{self, Frames};
use crate::recovery::persevere;
use crate::retain::ClockWatch;
use crate::segment::sync_folder;

/// What is kept at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// How long; a day goes as a whole, once all of it is older.
    pub age: Duration,
    /// How many bytes; the oldest part goes first.
    pub bytes: u64,
}

/// The bytes are kept in about this many parts: so much goes at once where they are too many.
const PARTS: u64 = 8;

/// A part is begun anew behind this, however much may be kept: a reader holds the matches of one part in memory.
const MOST_PART_BYTES: u64 = 8 << 20;

/// And not before this: a folder of tiny files helps nobody.
const LEAST_PART_BYTES: u64 = 4 << 10;

/// Parts of one day at most; a day beyond goes on in its last one.
const MOST_PARTS: u32 = 9999;

/// How much old is looked for this often: an hour more or less does not matter.
const FORGET_EVERY: Duration = Duration::from_secs(600);

const DAY_NANOS: i64 = 86_400 * 1_000_000_000;

/// The name of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    /// Days since 1970-01-01.
    day: i64,
    part: u32,
}

impl Part {
    fn name(self) -> String {
        let (year, month, day) = civil(self.day);
        format!("{year:04}{month:02}{day:02}-{:04}.log", self.part)
    }

    /// Exactly as we write it, so that no two names mean the same part.
    fn parse(name: &str) -> Option<Self> {
        let (date, part) = name.strip_suffix(".log")?.split_once('-')?;
        let number = |text: Option<&str>| -> Option<u32> {
            let text = text?;
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        if date.len() != 8 || part.len() != 4 {
            return None;
        }
        let (year, month, day) = (
            number(date.get(..4))?,
            number(date.get(4..6))?,
            number(date.get(6..))?,
        );
        let part = Self {
            day: days(year, month, day)?,
            part: number(Some(part))?,
        };
        (part.name() == name).then_some(part)
    }
}

/// The date of a day since 1970-01-01, by the Gregorian calendar; years beyond 9999 stay in it.
fn civil(day: i64) -> (i64, i64, i64) {
    // eras of 400 years that begin on a 1 March, so that the leap day is a year's last
    let shifted = day.clamp(0, LAST_DAY) + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * march_month + 2) / 5 + 1)
}

/// 9999-12-31.
const LAST_DAY: i64 = 2_932_896;

/// The day since 1970-01-01 of a date; `None` where there is no such date.
fn days(year: u32, month: u32, day: u32) -> Option<i64> {
    let (year, month, day) = (i64::from(year), i64::from(month), i64::from(day));
    let shifted = year - i64::from(month <= 2);
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let since = era * 146_097 + day_of_era - 719_468;
    (civil(since) == (year, month, day)).then_some(since)
}

fn day_of(at: Timestamp) -> i64 {
    at.nanos().div_euclid(DAY_NANOS).clamp(0, LAST_DAY)
}

/// The parts in a folder with their bytes, sorted; none where there is no folder.
fn list(dir: &Path) -> Result<Vec<(Part, u64)>, StoreError> {
    let failed = |source| StoreError::io("list", dir, source);
    let entries = match disk::list(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut parts = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.name();
        let Some(part) = name.to_str().and_then(Part::parse) else {
            continue;
        };
        // what has gone meanwhile is not there
        if let Ok(metadata) = entry.metadata() {
            parts.push((part, metadata.bytes));
        }
    }
    parts.sort_unstable();
    Ok(parts)
}

/// Appends frames. There is one writer at a time: the node, which holds the lock of the store.
#[derive(Debug)]
pub(crate) struct DayWriter {
    dir: PathBuf,
    keep: Keep,
    open: Option<OpenPart>,
    clock: ClockWatch,
    last_forget: Option<Moment>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct OpenPart {
    part: Part,
    path: PathBuf,
    file: File,
    /// Behind the last frame that was written whole.
    bytes: u64,
    /// What stands behind it could not be cut off yet.
    torn: bool,
    unsynced: bool,
    folder_unsynced: bool,
}

impl DayWriter {
    /// A writer in `dir`, which is made where it is missing.
    pub(crate) fn new(dir: &Path, keep: Keep) -> Result<Self, StoreError> {
        disk::create_dir_all(dir).map_err(|source| StoreError::io("create", dir, source))?;
        Ok(Self {
            dir: dir.to_owned(),
            keep,
            open: None,
            clock: ClockWatch::default(),
            last_forget: None,
            buffer: Vec::new(),
        })
    }

    /// Appends the payloads with one write. Where that fails, none of them is kept.
    pub(crate) fn append<'a>(
        &mut self,
        now: Timestamp,
        payloads: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), StoreError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        for payload in payloads {
            let start = frame::begin(&mut buffer);
            buffer.extend_from_slice(payload);
            frame::end(&mut buffer, start).map_err(|size| StoreError::TooLarge {
                what: "an entry",
                size,
                most: frame::MOST_PAYLOAD,
            })?;
        }
        let written = self.part(day_of(now)).and_then(|part| part.write(&buffer));
        buffer.shrink_to(KEPT_BUFFER);
        self.buffer = buffer;
        written
    }

    /// The part that is appended to now.
    fn part(&mut self, day: i64) -> Result<&mut OpenPart, StoreError> {
        let most = (self.keep.bytes / PARTS).clamp(LEAST_PART_BYTES, MOST_PART_BYTES);
        let fits = |open: &OpenPart| {
            open.part.day == day && (open.bytes < most || open.part.part >= MOST_PARTS)
        };
        if !self.open.as_ref().is_some_and(fits) {
            self.sync()?;
            let newest = match self.open.take() {
                Some(open) if open.part.day == day => Some((open.part, open.bytes)),
                _ => {
                    let parts = list(&self.dir)?;
                    parts.into_iter().rev().find(|(part, _)| part.day == day)
                }
            };
            let part = match newest {
                Some((part, bytes)) if bytes >= most && part.part < MOST_PARTS => Part {
                    part: part.part + 1,
                    ..part
                },
                Some((part, _)) => part,
                None => Part { day, part: 0 },
            };
            self.open = Some(self.open_readable(part)?);
            // one more may be one too many
            self.last_forget = None;
        }
        self.open.as_mut().ok_or_else(|| {
            let gone = io::Error::from(ErrorKind::NotFound);
            StoreError::io("open", &self.dir, gone)
        })
    }

    /// The part, or the one behind it where the disk does not give back where its last frame ends.
    fn open_readable(&self, part: Part) -> Result<OpenPart, StoreError> {
        match OpenPart::open(&self.dir, part) {
            Err(error) if error.is_unreadable() && part.part < MOST_PARTS => {
                let next = Part {
                    part: part.part + 1,
                    ..part
                };
                OpenPart::open(&self.dir, next)
            }
            opened => opened,
        }
    }

    /// From now on power loss does not lose what was written until now.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        match &mut self.open {
            Some(open) if open.unsynced => open.sync(&self.dir),
            _ => Ok(()),
        }
    }

    /// Removes what is too old, where the clock can be believed, and what is too much; their names.
    pub(crate) fn forget(&mut self, now: Moment) -> Result<Vec<String>, StoreError> {
        let is_due = self
            .last_forget
            .is_none_or(|last| now.boot < last.boot || now.boot.since(last.boot) >= FORGET_EVERY);
        if !is_due {
            return Ok(Vec::new());
        }
        self.last_forget = Some(now);
        let parts = list(&self.dir)?;
        let start = |part: &Part| Timestamp::from_nanos(part.day.saturating_mul(DAY_NANOS));
        let newest = parts.last().map(|(part, _)| start(part));
        let oldest = day_of(now.wall.before(self.keep.age));
        let believed = self.clock.trusts(now, newest);
        let mut bytes: u64 = parts.iter().map(|(_, bytes)| bytes).sum();
        let mut gone = Vec::new();
        for (part, size) in parts {
            let is_old = believed && part.day < oldest;
            let is_open = self.open.as_ref().is_some_and(|open| open.part == part);
            if is_open || !(is_old || bytes > self.keep.bytes) {
                continue;
            }
            let path = self.dir.join(part.name());
            match disk::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", &path, error));
                }
                _ => gone.push(part.name()),
            }
            bytes = bytes.saturating_sub(size);
        }
        Ok(gone)
    }
}

/// The buffer is not kept larger than this between appends.
const KEPT_BUFFER: usize = 16 << 10;

impl OpenPart {
    /// Opens or creates a part; a torn end is cut.
    fn open(dir: &Path, part: Part) -> Result<Self, StoreError> {
        let path = dir.join(part.name());
        let failed = |source| StoreError::io("open", &path, source);
        let file = File::open_or_create(&path).map_err(failed)?;
        let mut frames = Frames::new(&file, 0, u64::MAX);
        while frames.next().map_err(failed)?.is_some() {}
        let bytes = frames.good();
        let torn = file.metadata().map_err(failed)?.bytes > bytes;
        Ok(Self {
            part,
            path,
            file,
            bytes,
            torn,
            unsynced: false,
            folder_unsynced: true,
        })
    }

    fn write(&mut self, frames: &[u8]) -> Result<(), StoreError> {
        let failed = |source| StoreError::io("write", &self.path, source);
        if self.torn {
            self.file.set_len(self.bytes).map_err(failed)?;
            self.torn = false;
        }
        if let Err(error) = self.file.write_all_at(frames, self.bytes) {
            self.torn = self.file.set_len(self.bytes).is_err();
            return Err(failed(error));
        }
        self.bytes = self.bytes.saturating_add(wide(frames.len()));
        self.unsynced = true;
        Ok(())
    }

    fn sync(&mut self, dir: &Path) -> Result<(), StoreError> {
        let synced = self.file.sync_data();
        synced.map_err(|source| StoreError::io("sync", &self.path, source))?;
        if self.folder_unsynced {
            sync_folder(dir)?;
            self.folder_unsynced = false;
        }
        self.unsynced = false;
        Ok(())
    }
}

/// What a look back found.
#[derive(Debug)]
pub(crate) struct Back<T> {
    /// The newest first.
    pub(crate) found: Vec<T>,
    /// There are more, or may be: older ones were not looked at.
    pub(crate) more: bool,
    /// Frames are damaged, or make no sense to `take`.
    pub(crate) damaged: bool,
}

/// What `take` makes of a payload.
pub(crate) enum Taken<T> {
    /// It is asked for.
    Match(T),
    /// It is not.
    Other,
    /// It makes no sense.
    Malformed,
}

/// How far a look back goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// Nothing that was written on a day before is looked at.
    pub(crate) since: Timestamp,
    /// What is found at most.
    pub(crate) most: usize,
    /// Bytes of files that are read at most, the newest part aside, which always is.
    pub(crate) bytes: u64,
}

/// Reads payloads from the newest on.
pub(crate) fn look_back<T>(
    dir: &Path,
    reach: Reach,
    mut take: impl FnMut(&[u8]) -> Taken<T>,
) -> Result<Back<T>, StoreError> {
    let mut back = Back {
        found: Vec::new(),
        more: false,
        damaged: false,
    };
    let first = day_of(reach.since);
    let mut left = reach.bytes;
    let parts = list(dir)?;
    for (place, (part, bytes)) in parts.into_iter().rev().enumerate() {
        let room = reach.most.saturating_sub(back.found.len());
        if part.day < first {
            break;
        }
        if room == 0 || (place > 0 && bytes > left) {
            back.more = true;
            break;
        }
        left = left.saturating_sub(bytes);
        let path = dir.join(part.name());
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            file => file.map_err(|source| StoreError::io("open", &path, source))?,
        };
        let read = newest_of(&file, room, &mut take);
        match read.map_err(|source| StoreError::io("read", &path, source)) {
            Err(error) if error.is_unreadable() => back.damaged = true,
            read => {
                let read = read?;
                back.found.extend(read.found);
                back.more |= read.more;
                back.damaged |= read.damaged;
            }
        }
    }
    Ok(back)
}

/// Reads all payloads that were written since that day, the oldest first; some of them twice where the disk had to be
/// asked again. What it does not give back is left out; the last error says so.
pub(crate) fn each(
    dir: &Path,
    since: Timestamp,
    mut take: impl FnMut(&[u8]),
) -> Result<Option<StoreError>, StoreError> {
    let first = day_of(since);
    let mut unreadable = None;
    let parts = list(dir)?.into_iter();
    for (part, _) in parts.filter(|(part, _)| part.day >= first) {
        let path = dir.join(part.name());
        match persevere(|| each_of(&path, &mut take)) {
            Err(error) if error.is_missing() => {}
            Err(error) if error.is_unreadable() => unreadable = Some(error),
            read => read?,
        }
    }
    Ok(unreadable)
}

fn each_of(path: &Path, take: &mut impl FnMut(&[u8])) -> Result<(), StoreError> {
    let file = File::open(path).map_err(|source| StoreError::io("open", path, source))?;
    let mut frames = Frames::new(&file, 0, u64::MAX);
    let failed = |source| StoreError::io("read", path, source);
    while let Some(payload) = frames.next().map_err(failed)? {
        take(payload);
    }
    Ok(())
}

/// The last `most` matches of a file, the newest first.
fn newest_of<T>(
    file: &File,
    most: usize,
    take: &mut impl FnMut(&[u8]) -> Taken<T>,
) -> io::Result<Back<T>> {
    let mut newest = VecDeque::new();
    let (mut more, mut malformed) = (false, false);
    let mut frames = Frames::new(file, 0, u64::MAX);
    while let Some(payload) = frames.next()? {
        match take(payload) {
            Taken::Match(found) => {
                newest.push_front(found);
                if newest.len() > most {
                    newest.pop_back();
                    more = true;
                }
            }
            Taken::Other => {}
            Taken::Malformed => malformed = true,
        }
    }
    Ok(Back {
        found: newest.into(),
        more,
        damaged: malformed || frames.lost() > 0,
    })
}

#[cfg(test)]
#[path = "days_tests.rs"]
mod tests;
