//! What a store holds, for `glasshouse store stat`.

use std::path::Path;

use glasshouse_core::reader::{ReadError, Resolution, TierCoverage};

use crate::present::coverage;
use crate::reader::StoreReader;

/// What a store holds.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreStat {
    /// Tier by tier, finest first; heads count as raw.
    pub tiers: Vec<TierCoverage>,
    /// Heads, most often one or two.
    pub heads: usize,
    /// Their bytes.
    pub head_bytes: u64,
    /// Blocks of heads that are damaged, with good ones behind them.
    pub head_blocks_lost: u64,
    /// Bytes of all segments and heads.
    pub bytes: u64,
    /// Series of the largest segment.
    pub series: u32,
    /// Bytes of raw segments for each sample in them, index and times included; `None` before the first seal.
    pub bytes_per_sample: Option<f64>,
    /// Files that are damaged, as a whole or in part, as far as it was noticed, and those that were set aside for it.
    pub damaged: Vec<String>,
}

/// Looks at the store in `dir`.
///
/// # Errors
/// [`ReadError`] where there is no store or it cannot be read.
pub fn stat(dir: &Path) -> Result<StoreStat, ReadError> {
    StoreReader::open(dir).ask(|view, snapshot| {
        let tiers = coverage(snapshot);
        let raw = snapshot
            .segments
            .iter()
            .filter(|footer| footer.name.tier == Resolution::Raw);
        let (bytes, samples) = raw.fold((0_u64, 0_u64), |(bytes, samples), footer| {
            (
                bytes.saturating_add(footer.bytes),
                samples.saturating_add(footer.samples),
            )
        });
        #[expect(clippy::cast_precision_loss, reason = "a quotient for people")]
        let bytes_per_sample = (samples > 0).then(|| bytes as f64 / samples as f64);
        Ok(StoreStat {
            heads: snapshot.heads.len(),
            head_bytes: snapshot.heads.iter().map(|head| head.view.bytes).sum(),
            head_blocks_lost: snapshot.heads.iter().map(|head| head.view.lost).sum(),
            bytes: tiers.iter().map(|tier| tier.bytes).sum(),
            series: snapshot
                .segments
                .iter()
                .map(|footer| footer.series)
                .max()
                .unwrap_or(0),
            bytes_per_sample,
            damaged: view.damaged(snapshot),
            tiers,
        })
    })
}
