//! What a store holds, for `glasshouse store stat`.

use std::collections::BTreeMap;
use std::path::Path;

use glasshouse_core::reader::{ReadError, Resolution, TierCoverage};

use crate::disk;
use crate::present::coverage;
use crate::reader::StoreReader;
use crate::room::folder_bytes;
use crate::view::{OpenHead, Snapshot};

/// What a store holds.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreStat {
    /// Tier by tier, finest first.
    pub tiers: Vec<TierStat>,
    /// Heads, most often one or two.
    pub heads: usize,
    /// Their bytes.
    pub head_bytes: u64,
    /// Blocks of heads that are damaged, with good ones behind them.
    pub head_blocks_lost: u64,
    /// Bytes of all that stands in the folder, whosever it is: what the bound on bytes is about.
    pub bytes: u64,
    /// Series that the writer knows now, by collector: those with a sample in the last two hours or so.
    pub series: BTreeMap<String, usize>,
    /// Files that are damaged, as a whole or in part, as far as it was noticed.
    pub damaged: Vec<String>,
    /// Files that were set aside for damage, and their bytes.
    pub set_aside: Vec<(String, u64)>,
}

/// What one tier holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TierStat {
    /// Its files, bytes, samples and time; heads count as samples.
    pub coverage: TierCoverage,
    /// Bytes of its segments alone: what the bound of the tier is about.
    pub sealed_bytes: u64,
    /// The same for each sample (or row of rollups) in them, index and times included; `None` before the first one.
    pub bytes_a_sample: Option<f64>,
}

/// Looks at the store in `dir`.
///
/// # Errors
/// [`ReadError`] where there is no store or it cannot be read.
pub fn stat(dir: &Path) -> Result<StoreStat, ReadError> {
    StoreReader::open(dir).ask(|view, snapshot| {
        let mut damaged = view.damaged(snapshot);
        damaged.retain(|name| !snapshot.set_aside.contains(name));
        let bytes_of = |name: &String| {
            // Retention may take it at any time.
            let metadata = disk::metadata(&view.dir.join(name));
            metadata.map_or(0, |metadata| metadata.bytes)
        };
        let set_aside = snapshot.set_aside.iter();
        Ok(StoreStat {
            tiers: coverage(snapshot)
                .into_iter()
                .map(|coverage| tier(snapshot, coverage))
                .collect(),
            heads: snapshot.heads.len(),
            head_bytes: snapshot.heads.iter().map(|head| head.view.bytes).sum(),
            head_blocks_lost: snapshot.heads.iter().map(|head| head.view.lost).sum(),
            bytes: folder_bytes(&view.dir)?,
            series: snapshot.heads.last().map(series).unwrap_or_default(),
            damaged,
            set_aside: set_aside
                .map(|name| (name.clone(), bytes_of(name)))
                .collect(),
        })
    })
}

fn tier(snapshot: &Snapshot, coverage: TierCoverage) -> TierStat {
    let of = |tier: Resolution| {
        let segments = snapshot.segments.iter();
        segments.filter(move |footer| footer.name.tier == tier)
    };
    let sealed = of(coverage.resolution);
    let (bytes, samples) = sealed.fold((0_u64, 0_u64), |(bytes, samples), footer| {
        (
            bytes.saturating_add(footer.bytes),
            samples.saturating_add(footer.samples),
        )
    });
    #[expect(clippy::cast_precision_loss, reason = "a quotient for people")]
    let bytes_a_sample = (samples > 0).then(|| bytes as f64 / samples as f64);
    TierStat {
        coverage,
        sealed_bytes: bytes,
        bytes_a_sample,
    }
}

/// The newest head begins with all series that there are, and has those that came since.
fn series(head: &OpenHead) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, series) in head.view.defined() {
        *counts.entry(series.info.collector.clone()).or_default() += 1;
    }
    counts
}
