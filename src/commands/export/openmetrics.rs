//! OpenMetrics text with timestamps, a file a day, as `promtool tsdb create-blocks-from openmetrics` takes it.
//!
//! The text has no word for "stale" or "absent": such samples are left out and counted. Prometheus keeps one value a
//! millisecond: where the clock was set back and one comes again, the value that came last is kept and the other counted.

use std::collections::BTreeSet;
use std::io;

use glasshouse_core::reader::{ReadError, SeriesInfo};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{Day, Timestamp};
use glasshouse_exposition::{Family, Format, SeriesText, Writer};
use glasshouse_store::export::{ExportFile, ExportFolder};
use glasshouse_store::{Scan, StoreError};

use super::Job;
use super::names::{Planned, families};
use super::report::{DayReport, LeftOut, Report};
use crate::commands::store::read_failure;
use crate::exit::Failure;

/// What the file of a day is called.
pub(super) const NAME: &str = "metrics.om";

/// Prometheus' times are not finer.
const NANOS_PER_MILLISECOND: i64 = 1_000_000;

/// Writes day by day.
pub(super) fn write(
    job: &Job<'_>,
    days: &BTreeSet<Day>,
    report: &mut Report,
) -> Result<(), Failure> {
    let folder = ExportFolder::new(job.output, NAME);
    for day in days {
        let Some(part) = day.window().intersect(job.window) else {
            continue;
        };
        let scan = job.store.scan(&job.selector, part).map_err(read_failure)?;
        let mut page = Page {
            scan,
            folder: &folder,
            written: DayReport::new(*day),
            left_out: LeftOut::default(),
            day: *day,
            writer: None,
        };
        page.write().map_err(Trouble::into_failure)?;
        report.damaged(page.scan.damaged());
        report.left_out(&page.left_out);
        if let Some(writer) = page.writer {
            let file = writer.finish().map_err(Trouble::Write);
            let file = file.map_err(Trouble::into_failure)?;
            page.written.bytes = file.finish().map_err(Failure::environment)?;
            page.written.files = 1;
            report.day(page.written)?;
        }
    }
    Ok(())
}

/// What went wrong.
#[derive(Debug)]
enum Trouble {
    Read(ReadError),
    Create(StoreError),
    Write(io::Error),
}

impl Trouble {
    fn into_failure(self) -> Failure {
        match self {
            Self::Read(error) => read_failure(error),
            Self::Create(error) => Failure::environment(error),
            Self::Write(error) => {
                let error = anyhow::Error::from(error).context("failed to write the export");
                Failure::environment(error).help("what was written of other days is whole")
            }
        }
    }
}

/// The file of a day.
struct Page<'a> {
    scan: Scan,
    folder: &'a ExportFolder,
    day: Day,
    /// Made with the first sample.
    writer: Option<Writer<ExportFile>>,
    written: DayReport,
    left_out: LeftOut,
}

impl Page<'_> {
    fn write(&mut self) -> Result<(), Trouble> {
        let (families, same_name) = families(self.scan.series());
        self.left_out.same_name += same_name;
        families.iter().try_for_each(|planned| self.family(planned))
    }

    fn family(&mut self, planned: &Planned) -> Result<(), Trouble> {
        let mut taken: BTreeSet<String> = BTreeSet::new();
        let mut has_begun = false;
        for place in &planned.places {
            let Some(info) = self.scan.series().get(*place).cloned() else {
                continue;
            };
            let text = SeriesText::new(&planned.family, &info);
            let lines: BTreeSet<&String> = text.lines().iter().collect();
            if lines.len() < text.lines().len() || lines.iter().any(|line| taken.contains(*line)) {
                self.left_out.same_labels += 1;
                continue;
            }
            let points = self.points(*place, &info, &planned.family)?;
            if points.is_empty() {
                continue;
            }
            taken.extend(text.lines().iter().cloned());
            self.written.series += 1;
            self.written.samples += u64::try_from(points.len()).unwrap_or(u64::MAX);
            let writer = self.writer()?;
            if !has_begun {
                writer.family(&planned.family).map_err(Trouble::Write)?;
                has_begun = true;
            }
            let points = points.iter().copied();
            writer.samples(&text, &points).map_err(Trouble::Write)?;
        }
        Ok(())
    }

    fn writer(&mut self) -> Result<&mut Writer<ExportFile>, Trouble> {
        match &mut self.writer {
            Some(writer) => Ok(writer),
            none => {
                let file = self.folder.create(self.day, None);
                let file = file.map_err(Trouble::Create)?;
                Ok(none.insert(Writer::new(file, Format::OpenMetrics)))
            }
        }
    }

    /// What can be said of a series, oldest first, one value a millisecond.
    fn points(
        &mut self,
        place: usize,
        info: &SeriesInfo,
        family: &Family,
    ) -> Result<Vec<(Timestamp, Value)>, Trouble> {
        let mut points = Vec::new();
        let mut blocks = self.scan.read(place).map_err(Trouble::Read)?;
        while let Some(block) = blocks.next_block().map_err(Trouble::Read)? {
            for sample in block {
                match (sample.quality, sample.value) {
                    (Quality::Good | Quality::Estimated, Some(value)) => {
                        if family.fits(info, value) {
                            points.push((sample.at, value));
                        } else {
                            self.left_out.unfit += 1;
                        }
                    }
                    (Quality::Stale, _) => self.left_out.stale += 1,
                    _ => self.left_out.absent += 1,
                }
            }
        }
        points.sort_by_key(|(at, _)| *at);
        let all = points.len();
        points.reverse();
        points.dedup_by_key(|(at, _)| at.nanos().div_euclid(NANOS_PER_MILLISECOND));
        points.reverse();
        let repeated = u64::try_from(all - points.len()).unwrap_or(u64::MAX);
        self.left_out.repeated += repeated;
        Ok(points)
    }
}
