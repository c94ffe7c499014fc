//! `glasshouse export`: stored samples as files that others read, a folder a day.
//!
//! OpenMetrics is text and written here. Parquet is written by `glasshouse-analyze`, which has what that takes.

mod names;
mod openmetrics;
mod parquet;
mod report;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::anyhow;
use glasshouse_core::reader::{Resolution, SampleReader as _, Selector};
use glasshouse_core::time::{Clock as _, Day, SystemClock, Timestamp, Window};
use glasshouse_store::StoreReader;
use glasshouse_store::export::ExportFolder;

use self::report::Report;
use super::store::read_failure;
use crate::cli::{Export, ExportFormat, Global};
use crate::exit::{Exit, Failure};
use crate::near::similar;
use crate::places::state_dir;
use crate::times::{parse, show};

/// Names that are shown where the one asked for is unknown.
const MOST_SUGGESTIONS: usize = 5;

/// Days that are named where some stand already.
const MOST_DAYS_NAMED: usize = 3;

/// What is exported, from where to where.
struct Job<'a> {
    /// The state folder.
    state: &'a Path,
    store: StoreReader,
    selector: Selector,
    window: Window,
    output: &'a Path,
}

/// Exports. Ends with 1 where nothing was stored in the window, or where something of it is damaged.
pub(crate) fn run(global: &Global, arguments: &Export) -> Result<Exit, Failure> {
    let state = state_dir(global)?;
    let job = Job {
        store: StoreReader::open(&state.join("store")),
        state: &state,
        selector: Selector {
            metrics: arguments.metric.clone(),
            labels: arguments.label.clone(),
        },
        window: window(arguments)?,
        output: &arguments.output,
    };
    job.check_metrics()?;
    let days = job.store.days(job.window).map_err(read_failure)?;
    job.check_output(arguments, &days)?;
    job.tell_of_rollups()?;
    let mut report = Report::new(arguments);
    match arguments.format {
        ExportFormat::Parquet => parquet::write(&job, &mut report)?,
        ExportFormat::Openmetrics => openmetrics::write(&job, &days, &mut report)?,
    }
    report.finish()
}

fn window(arguments: &Export) -> Result<Window, Failure> {
    let now = SystemClock.now();
    let at = |text: &Option<String>, otherwise| match text {
        Some(text) => parse(text, now).map_err(Failure::usage),
        None => Ok(Timestamp::from_nanos(otherwise)),
    };
    let window = Window {
        from: at(&arguments.from, i64::MIN)?,
        to: at(&arguments.to, i64::MAX)?,
    };
    if window.from >= window.to {
        let error = anyhow!("the window is empty: `--from` does not lie before `--to`");
        return Err(Failure::usage(error));
    }
    Ok(window)
}

impl Job<'_> {
    /// Refuses a metric that was never stored: it is a typing mistake more often than not.
    fn check_metrics(&self) -> Result<(), Failure> {
        if self.selector.metrics.is_empty() {
            return Ok(());
        }
        let everything = Window {
            from: Timestamp::from_nanos(i64::MIN),
            to: Timestamp::from_nanos(i64::MAX),
        };
        let all = self
            .store
            .series(&Selector::default(), everything)
            .map_err(read_failure)?;
        let known: BTreeSet<&str> = all.entries.iter().map(|one| one.metric.as_str()).collect();
        for metric in &self.selector.metrics {
            if known.contains(metric.as_str()) {
                continue;
            }
            let near = similar(metric, known.iter().copied(), MOST_SUGGESTIONS);
            let help = if near.is_empty() {
                "`glasshouse collectors list` names every metric".to_owned()
            } else {
                format!("did you mean {}?", near.join(", "))
            };
            let error = anyhow!("there is no metric `{metric}` in the store");
            return Err(Failure::usage(error).help(help));
        }
        Ok(())
    }

    /// Refuses a folder with days that would be replaced, or with files that readers of the others would stumble over.
    fn check_output(&self, arguments: &Export, days: &BTreeSet<Day>) -> Result<(), Failure> {
        let existing = |name| {
            let folder = ExportFolder::new(self.output, name);
            folder.existing().map_err(Failure::environment)
        };
        let (own, other) = match arguments.format {
            ExportFormat::Parquet => (parquet::NAME, openmetrics::NAME),
            ExportFormat::Openmetrics => (openmetrics::NAME, parquet::NAME),
        };
        if !existing(other)?.is_empty() {
            let error = anyhow!(
                "`{}` holds an export in another format",
                self.output.display()
            );
            let help = "choose another `--output`: who reads one takes every file in its folder";
            return Err(Failure::usage(error).help(help));
        }
        if arguments.force {
            return Ok(());
        }
        let mut existing = existing(own)?;
        let days: BTreeSet<String> = days.iter().map(Day::to_string).collect();
        existing.retain(|day| days.contains(day));
        if existing.is_empty() {
            return Ok(());
        }
        let shown: Vec<&str> = existing
            .iter()
            .map(String::as_str)
            .take(MOST_DAYS_NAMED)
            .collect();
        let more = match existing.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let error = anyhow!("exported already: {}{more}", shown.join(", "));
        Err(Failure::usage(error).help(
            "choose another `--output` or another window, or replace these days with `--force`",
        ))
    }

    /// Says where the window reaches back to what is only there as rollups, which are not exported.
    fn tell_of_rollups(&self) -> Result<(), Failure> {
        let coverage = self.store.coverage().map_err(read_failure)?;
        let begin = |raw: bool| {
            let tiers = coverage
                .iter()
                .filter(|tier| (tier.resolution == Resolution::Raw) == raw);
            tiers
                .filter_map(|tier| tier.window)
                .map(|window| window.from)
                .min()
        };
        if let (Some(samples), Some(rollups)) = (begin(true), begin(false))
            && self.window.from < samples
            && rollups < samples
            && rollups.seconds() / ROLLUP < samples.seconds() / ROLLUP
        {
            tracing::warn!(
                samples_from = show(samples),
                rollups_from = show(rollups),
                "Only samples are exported; what is older is kept as rollups alone."
            );
        }
        Ok(())
    }
}

/// Seconds of the coarsest rollup: its rows begin as much before their samples at most.
const ROLLUP: i64 = 3600;
