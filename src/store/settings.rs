//! How often the store syncs, rotates and merges, and how long it keeps what.

use std::time::Duration;

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
    /// All segments together, in bytes; the oldest samples go first, then the oldest rollups.
    pub bytes: u64,
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
        }
    }
}
