//! What was exported, for people and for scripts.

use std::collections::BTreeSet;
use std::path::PathBuf;

use glasshouse_core::time::Day;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cli::Export;
use crate::exit::{Exit, Failure};
use crate::output::{print, print_json};

/// What was written of a day.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct DayReport {
    pub(super) day: String,
    pub(super) files: u64,
    pub(super) series: u64,
    pub(super) samples: u64,
    pub(super) bytes: u64,
}

impl DayReport {
    pub(super) fn new(day: Day) -> Self {
        Self {
            day: day.to_string(),
            files: 0,
            series: 0,
            samples: 0,
            bytes: 0,
        }
    }
}

/// What the format has no place for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct LeftOut {
    /// Samples without a fresh value.
    pub(super) stale: u64,
    /// Samples without a value.
    pub(super) absent: u64,
    /// Samples of a time that another one of the series has.
    pub(super) repeated: u64,
    /// Samples whose value is no number and none of the metric's states.
    pub(super) unfit: u64,
    /// Series, counted for each day, whose name is that of another metric once it is translated.
    pub(super) same_name: u64,
    /// Series, counted for each day, whose labels are those of another series once they are translated.
    pub(super) same_labels: u64,
}

impl LeftOut {
    fn all(&self) -> [(&'static str, u64); 6] {
        [
            ("stale samples", self.stale),
            ("absent samples", self.absent),
            ("samples of a time that another has", self.repeated),
            ("samples of no number", self.unfit),
            ("series of a name that another metric has", self.same_name),
            ("series of labels that another series has", self.same_labels),
        ]
    }
}

/// Gathers what was exported, and tells people of each day at once.
#[derive(Debug)]
pub(super) struct Report {
    is_json: bool,
    format: &'static str,
    output: PathBuf,
    days: Vec<DayReport>,
    left_out: LeftOut,
    damaged: BTreeSet<String>,
}

impl Report {
    pub(super) fn new(arguments: &Export) -> Self {
        Self {
            is_json: arguments.json,
            format: arguments.format.word(),
            output: arguments.output.clone(),
            days: Vec::new(),
            left_out: LeftOut::default(),
            damaged: BTreeSet::new(),
        }
    }

    /// A day is written.
    pub(super) fn day(&mut self, day: DayReport) -> Result<(), Failure> {
        if !self.is_json {
            print(&format!(
                "{}  {} files, {} series, {} samples, {} bytes\n",
                day.day, day.files, day.series, day.samples, day.bytes
            ))?;
        }
        self.days.push(day);
        Ok(())
    }

    pub(super) fn left_out(&mut self, left_out: &LeftOut) {
        let sum = &mut self.left_out;
        sum.stale += left_out.stale;
        sum.absent += left_out.absent;
        sum.repeated += left_out.repeated;
        sum.unfit += left_out.unfit;
        sum.same_name += left_out.same_name;
        sum.same_labels += left_out.same_labels;
    }

    pub(super) fn damaged(&mut self, files: &BTreeSet<String>) {
        self.damaged.extend(files.iter().cloned());
    }

    /// Tells the whole. Ends with 1 where nothing was found, or something of it is damaged.
    pub(super) fn finish(self) -> Result<Exit, Failure> {
        let sum = |of: fn(&DayReport) -> u64| self.days.iter().map(of).sum::<u64>();
        let (files, samples, bytes) = (
            sum(|day| day.files),
            sum(|day| day.samples),
            sum(|day| day.bytes),
        );
        if self.is_json {
            print_json(&json!({
                "format": self.format,
                "output": self.output.display().to_string(),
                "days": self.days,
                "files": files,
                "samples": samples,
                "bytes": bytes,
                "left_out": self.left_out,
                "damaged": self.damaged,
            }))?;
        } else {
            self.print_sum(files, samples, bytes)?;
        }
        Ok(if samples == 0 || !self.damaged.is_empty() {
            Exit::Findings
        } else {
            Exit::Done
        })
    }

    fn print_sum(&self, files: u64, samples: u64, bytes: u64) -> Result<(), Failure> {
        if samples == 0 {
            print("nothing was stored in this window\n")?;
        } else {
            print(&format!(
                "{} days, {files} files, {samples} samples, {bytes} bytes in {}\n",
                self.days.len(),
                self.output.display()
            ))?;
        }
        for (what, count) in self.left_out.all() {
            if count > 0 {
                print(&format!("left out: {count} {what}\n"))?;
            }
        }
        for file in &self.damaged {
            print(&format!(
                "damaged, what could be read of it is exported: {file}\n"
            ))?;
        }
        Ok(())
    }
}
