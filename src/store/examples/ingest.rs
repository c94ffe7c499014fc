//! Takes a probe's frames as a node does, on the clock of the frames, so that an hour passes in seconds.
//!
//! `ingest STORE FIFO [SECONDS]`; a head is synced and sealed after so many seconds where they are given: samples that come
//! less often than a probe's fill it later. It says `ready`, takes all frames of the FIFO until its writer closes it, appends each before it
//! reads the next, looks after the store whenever a second of the frames' time has passed, and says `taken` with what it
//! counted. After a line on its input it seals and merges what is left, as the next hour would, and says `merged`. After
//! one more it ends. Whoever started it looks meanwhile at what it has used.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{BootTime, Moment};
use glasshouse_store::{Batch, SeriesRef, Store, StoreSettings};
use glasshouse_wire::{BatchDecoder, BatchView, FrameReader, Message, SeriesDefinition, Step};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The store is looked after this often, as a node does by default.
const MAINTENANCE: Duration = Duration::from_secs(1);

/// Where the store has more to do, a node asks it again after 50 ms: no more often than this in a second.
const MOST_A_SECOND: usize = 20;

/// Bounds the work at the end: a store that always has more to do would be a mistake of the store.
const MOST_AT_THE_END: usize = 100_000;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(dir), Some(fifo)) = (arguments.next(), arguments.next()) else {
        return Err("usage: ingest STORE FIFO".into());
    };
    std::fs::create_dir_all(&dir)?;
    let mut settings = StoreSettings::default();
    if let Some(seconds) = arguments.next() {
        let seconds = seconds.to_str().ok_or("no number of seconds")?.parse()?;
        settings.sync = Duration::from_secs(seconds);
        settings.rotate = settings.sync;
    }
    let merge = settings.merge;
    let (store, _) = Store::open(Path::new(&dir), settings)?;
    let mut ingest = Ingest {
        store,
        known: BTreeMap::new(),
        samples: Vec::new(),
        counts: Counts::default(),
        now: Moment::default(),
        maintained: None,
    };
    say("ready")?;
    ingest.take_all(&mut File::open(fifo)?)?;
    let Counts {
        samples,
        unknown,
        refused,
        batches,
    } = ingest.counts;
    say(&format!(
        "taken samples={samples} unknown={unknown} refused={refused} batches={batches}"
    ))?;
    wait()?;
    ingest.finish(merge)?;
    say("merged")?;
    wait()
}

/// What came.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    samples: u64,
    /// Samples whose series the store does not know.
    unknown: u64,
    /// Definitions that the store did not take.
    refused: u64,
    batches: u64,
}

struct Ingest {
    store: Store,
    /// The probe's numbers.
    known: BTreeMap<u32, SeriesRef>,
    /// Kept between batches.
    samples: Vec<(SeriesRef, Option<Value>, Quality)>,
    counts: Counts,
    now: Moment,
    maintained: Option<BootTime>,
}

impl Ingest {
    fn take_all(&mut self, frames: &mut File) -> Outcome<()> {
        let mut reader = FrameReader::new();
        let mut decoder = BatchDecoder::default();
        loop {
            match reader.next_frame(frames)? {
                Step::Frame(frame) => {
                    if let Some(batch) = decoder.decode(frame.payload)? {
                        self.append(&batch)?;
                        continue;
                    }
                    match frame.message()? {
                        Message::Define(definitions) => self.define(frame.run, &definitions),
                        Message::Batch(batch) => self.append(&BatchView {
                            collector: &batch.collector,
                            at: batch.at,
                            samples: &batch.samples,
                        })?,
                        _ => {}
                    }
                }
                Step::Pending => {}
                Step::End => break,
            }
        }
        let counts = reader.counts();
        if counts.skipped > 0 || counts.unsupported > 0 {
            return Err(format!("the frames were damaged: {counts:?}").into());
        }
        self.maintain()
    }

    fn define(&mut self, run: u64, definitions: &[SeriesDefinition]) {
        for SeriesDefinition { number, info } in definitions {
            let known = self.known.get(number);
            if known.is_some_and(|series| self.store.knows(*series)) {
                continue;
            }
            match self.store.define(run, *number, info) {
                Ok(series) => {
                    self.known.insert(*number, series);
                }
                Err(_) => self.counts.refused += 1,
            }
        }
    }

    fn append(&mut self, batch: &BatchView<'_>) -> Outcome<()> {
        self.now = batch.at;
        let since = *self.maintained.get_or_insert(batch.at.boot);
        if batch.at.boot.since(since) >= MAINTENANCE {
            self.maintain()?;
        }
        self.samples.clear();
        for (number, value, quality) in batch.samples {
            let series = self.known.get(number).copied();
            match series.filter(|series| self.store.knows(*series)) {
                Some(series) => self.samples.push((series, *value, *quality)),
                None => self.counts.unknown += 1,
            }
        }
        if self.samples.is_empty() {
            return Ok(());
        }
        self.store.append(&Batch {
            collector: batch.collector,
            at: batch.at,
            samples: &self.samples,
        })?;
        self.counts.batches += 1;
        self.counts.samples += u64::try_from(self.samples.len())?;
        Ok(())
    }

    fn maintain(&mut self) -> Outcome<()> {
        self.maintained = Some(self.now.boot);
        for _ in 0..MOST_A_SECOND {
            if !self.store.maintain(self.now)?.more {
                break;
            }
        }
        Ok(())
    }

    /// Goes on to the next stretch that is merged, and does all that is due by then.
    fn finish(&mut self, merge: Duration) -> Outcome<()> {
        let nanos = u64::try_from(merge.as_nanos())?;
        let later = Moment {
            wall: self.now.wall.after(merge),
            boot: BootTime::from_nanos(self.now.boot.nanos().saturating_add(nanos)),
        };
        for _ in 0..MOST_AT_THE_END {
            let done = self.store.maintain(later)?;
            if !done.more && !done.rotated && done.written.is_empty() {
                return Ok(());
            }
        }
        Err("the store always has more to do".into())
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// For a line, or the end of the input.
fn wait() -> Outcome<()> {
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
