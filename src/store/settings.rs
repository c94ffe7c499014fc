//! How often the store syncs, rotates and merges, and how long it keeps what.

use std::time::Duration;

use glasshouse_core::reader::Resolution;

use crate::record::MOST_SERIES;

/// Settings of the one writer. Readers need none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Power loss costs at most this much: the head is synced this often.
    pub sync: Duration,
    /// A head older than this is sealed into a segment. Heads never cross a boundary of [`Self::merge`].
    pub rotate: Duration,
    /// A head that has taken more than this, its first definitions aside, is sealed early, so that sealing stays inside a node's memory.
    pub head_bytes: u64,
    /// Segments of one such stretch of wall time become one, and get their rollups.
    pub merge: Duration,
    /// Rollups of one such stretch of wall time become one file.
    pub shard: Duration,
    /// After a failed seal or merge the next try waits this long: a full disk must not cost a core.
    pub retry: Duration,
    /// What is kept how long.
    pub retention: Retention,
    /// How many series there may be.
    pub series: SeriesLimits,
}

/// What is kept how long. Rollups are kept at least as long as what they were made from. What is too old goes shard by
/// shard, so it may stay one [`StoreSettings::shard`] longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Samples.
    pub raw: Duration,
    /// Rollups of one minute.
    pub minute: Duration,
    /// Rollups of one hour.
    pub hour: Duration,
    /// All that stands in the folder of the store, in bytes of the files (not of the blocks that they fill on a disk):
    /// heads, segments, what is being written, what was set aside, what others put there. It is never exceeded. What
    /// was set aside goes first, then the oldest samples, then the oldest rollups; where nothing can go what comes is
    /// refused ([`StoreError::Full`](crate::StoreError::Full)). Findings, logs and the inventory have folders and
    /// bounds of their own.
    pub bytes: u64,
    /// Sealed samples, in bytes; `None`: no more than [`Self::bytes`].
    pub raw_bytes: Option<u64>,
    /// Rollups of one minute, in bytes; `None`: a third of [`Self::bytes`]. Where they have to go, the samples that they
    /// were made from go with them.
    pub minute_bytes: Option<u64>,
    /// Rollups of one hour, in bytes; `None`: a sixth of [`Self::bytes`]: so half of all is left for samples, which could
    /// otherwise be driven out by what was made from them. Where they have to go, all that is finer goes with them.
    pub hour_bytes: Option<u64>,
}

/// How many series there may be. One beyond is refused ([`StoreError::TooManySeries`](crate::StoreError::TooManySeries));
/// those that are there go on, and what had no sample for two hours makes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesLimits {
    /// Of one collector.
    pub a_collector: usize,
    /// In all; above [`SeriesLimits::MOST`] that holds.
    pub all: usize,
}

impl SeriesLimits {
    /// The most that can be asked for: a file's bound.
    pub const MOST: usize = MOST_SERIES;
}

impl Retention {
    /// How many bytes a tier may take.
    #[must_use]
    pub fn most_bytes(&self, tier: Resolution) -> u64 {
        let own = match tier {
            Resolution::Raw => self.raw_bytes.unwrap_or(self.bytes),
            Resolution::Minute => self.minute_bytes.unwrap_or(self.bytes / 3),
            Resolution::Hour => self.hour_bytes.unwrap_or(self.bytes / 6),
        };
        own.min(self.bytes)
    }

    /// How long a tier is kept.
    #[must_use]
    pub const fn age(&self, tier: Resolution) -> Duration {
        match tier {
            Resolution::Raw => self.raw,
            Resolution::Minute => self.minute,
            Resolution::Hour => self.hour,
        }
    }
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            sync: Duration::from_secs(30),
            rotate: Duration::from_secs(300),
            head_bytes: 4 << 20,
            merge: Duration::from_secs(3600),
            shard: DAY,
            retry: Duration::from_secs(60),
            retention: Retention::default(),
            series: SeriesLimits::default(),
        }
    }
}

impl Default for SeriesLimits {
    fn default() -> Self {
        Self {
            // The largest of our collectors says eight numbers of each of 512 processors, with room for a quarter more.
            a_collector: 5000,
            // Some 600 series make an ordinary node; this many take some 20 MiB of memory.
            all: 20_000,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            raw: DAY.saturating_mul(14),
            minute: DAY.saturating_mul(90),
            hour: DAY.saturating_mul(400),
            bytes: 2 << 30,
            raw_bytes: None,
            minute_bytes: None,
            hour_bytes: None,
        }
    }
}
