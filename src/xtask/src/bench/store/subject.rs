//! What was measured of one store.

use serde_json::{Map, Value, json};

use super::questions::{Kind, Timing};
use super::watch::{Cost, Size};

/// What the files of one data set take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sizes {
    /// Samples and their index, sealed and merged.
    pub(crate) sealed: Size,
    /// What was made of them beside: rollups.
    pub(crate) derived: Size,
    /// The whole folder, logs that are done with included.
    pub(crate) whole: Size,
}

/// What one data set cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) samples: u64,
    /// Until all was taken and the process was quiet.
    pub(crate) ingest: Cost,
    /// Sealing and merging all that was left.
    pub(crate) seal: Cost,
    pub(crate) sizes: Sizes,
    /// The most memory of the process that answered, which was a fresh one.
    pub(crate) answering_kib: u64,
    pub(crate) timings: Vec<(Kind, Timing)>,
}

impl Measured {
    /// Bytes of some files for each sample.
    pub(crate) fn bytes_per_sample(&self, size: Size) -> f64 {
        quotient(size.bytes, self.samples)
    }

    fn json(&self) -> Value {
        let timings: Map<String, Value> = self
            .timings
            .iter()
            .map(|(kind, timing)| (kind.title().to_owned(), timing.json()))
            .collect();
        json!({
            "samples": self.samples,
            "ingest": self.ingest.json(),
            "seal_and_merge": self.seal.json(),
            "sealed": self.sizes.sealed.json(),
            "rollups": self.sizes.derived.json(),
            "folder": self.sizes.whole.json(),
            "bytes_per_sample": self.bytes_per_sample(self.sizes.sealed),
            "bytes_per_sample_with_rollups":
                self.bytes_per_sample(self.sizes.sealed) + self.bytes_per_sample(self.sizes.derived),
            "bytes_per_sample_of_folder": self.bytes_per_sample(self.sizes.whole),
            "answering_vm_hwm_kib": self.answering_kib,
            "questions": timings,
        })
    }
}

/// One store over both data sets.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) title: String,
    pub(crate) version: String,
    pub(crate) recording: Measured,
    pub(crate) days: Measured,
}

impl Subject {
    pub(crate) fn timing(&self, kind: Kind) -> Option<&Timing> {
        let mut timings = self.recording.timings.iter().chain(&self.days.timings);
        timings
            .find(|(asked, _)| *asked == kind)
            .map(|(_, timing)| timing)
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.title,
            "version": self.version,
            "recording": self.recording.json(),
            "days": self.days.json(),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a quotient for people")]
fn quotient(one: u64, other: u64) -> f64 {
    one as f64 / other.max(1) as f64
}
