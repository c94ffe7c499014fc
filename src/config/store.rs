//! `[store]`: what the store keeps, and what it may take.

use std::time::Duration;

use super::problem::ConfigError;
use super::schema::{Key, Kind, Meaning, Section};
use super::table::Table;

/// `[store]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreConfig {
    /// How long samples are kept.
    pub(crate) keep_samples: Duration,
    /// How long rollups of one minute are kept.
    pub(crate) keep_minutes: Duration,
    /// How long rollups of one hour are kept.
    pub(crate) keep_hours: Duration,
    /// What the store may take on disk.
    pub(crate) most_bytes: u64,
    /// What samples may take of it.
    pub(crate) most_sample_bytes: Option<u64>,
    /// What rollups of one minute may take of it.
    pub(crate) most_minute_bytes: Option<u64>,
    /// What rollups of one hour may take of it.
    pub(crate) most_hour_bytes: Option<u64>,
    /// Series of one collector.
    pub(crate) most_series_a_collector: usize,
    /// Series in all.
    pub(crate) most_series: usize,
    /// How long log entries of kernel and BMC are kept.
    pub(crate) keep_logs: Duration,
    /// What they may take on disk.
    pub(crate) most_log_bytes: u64,
}

static KEEP_SAMPLES: Key = Key::with_default(
    "keep_samples",
    Kind::Span("1h", "3650d"),
    "\"14d\"",
    "How long samples are kept.",
);
static KEEP_MINUTES: Key = Key::with_default(
    "keep_minute_rollups",
    Kind::Span("1h", "3650d"),
    "\"90d\"",
    "How long rollups of one minute are kept; at least as long as samples.",
);
static KEEP_HOURS: Key = Key::with_default(
    "keep_hour_rollups",
    Kind::Span("1h", "3650d"),
    "\"400d\"",
    "How long rollups of one hour are kept; at least as long as those of one minute.",
);
static MOST_BYTES: Key = Key::with_default(
    "most_bytes",
    Kind::Size,
    "\"2GiB\"",
    "What the folder of the store may hold at any instant, 1MiB at least: the bytes of its files, not the blocks of the disk. What was set aside goes first, then the oldest samples, then the oldest rollups; where nothing can go, what comes is refused. Logs, findings and the inventory have folders of their own.",
);
static MOST_SAMPLE_BYTES: Key = Key::optional(
    "most_sample_bytes",
    Kind::Size,
    "\"1GiB\"",
    "What samples may take of it. Left out: all that is left.",
);
static MOST_MINUTE_BYTES: Key = Key::optional(
    "most_minute_rollup_bytes",
    Kind::Size,
    "\"600MiB\"",
    "What rollups of one minute may take of it; where they have to go, the samples that they were made from go with them. Left out: a third.",
);
static MOST_HOUR_BYTES: Key = Key::optional(
    "most_hour_rollup_bytes",
    Kind::Size,
    "\"300MiB\"",
    "What rollups of one hour may take of it; where they have to go, all that is finer goes with them. Left out: a sixth.",
);
static MOST_SERIES_A_COLLECTOR: Key = Key::with_default(
    "most_series_a_collector",
    Kind::Integer(1, MOST),
    "5000",
    "Series that one collector may have at once. More are refused and counted; those that it has go on, and one without a sample for two hours makes room. A machine with 512 processors has 4,100 in `cpu`.",
);
static MOST_SERIES: Key = Key::with_default(
    "most_series",
    Kind::Integer(1, MOST),
    "20000",
    "Series that all collectors together may have at once.",
);
static KEEP_LOGS: Key = Key::with_default(
    "keep_logs",
    Kind::Span("1h", "3650d"),
    "\"400d\"",
    "How long log entries of kernel, BMC and GPU driver are kept.",
);
static MOST_LOG_BYTES: Key = Key::with_default(
    "most_log_bytes",
    Kind::Size,
    "\"64MiB\"",
    "What log entries may take on disk; the oldest go first.",
);

/// The most series that a file of the store can hold.
const MOST: i64 = 65_536;

/// A head, what it becomes and some definitions have room in this; in less hardly anything has.
const LEAST_BYTES: u64 = 1 << 20;

/// What may stand in the table.
pub(crate) fn section() -> Section {
    Section::new(
        &["store"],
        "What the store keeps.",
        &[
            &KEEP_SAMPLES,
            &KEEP_MINUTES,
            &KEEP_HOURS,
            &MOST_BYTES,
            &MOST_SAMPLE_BYTES,
            &MOST_MINUTE_BYTES,
            &MOST_HOUR_BYTES,
            &MOST_SERIES_A_COLLECTOR,
            &MOST_SERIES,
            &KEEP_LOGS,
            &MOST_LOG_BYTES,
        ],
    )
}

/// Reads the table.
///
/// # Errors
/// [`ConfigError`] where bounds contradict each other.
pub(crate) fn build(store: Table<'_>) -> Result<StoreConfig, ConfigError> {
    let number = |key| match store.meaning(key) {
        Some(Meaning::Integer(number)) => usize::try_from(number).unwrap_or_default(),
        _ => 0,
    };
    let config = StoreConfig {
        keep_samples: store.span(&KEEP_SAMPLES).unwrap_or_default(),
        keep_minutes: store.span(&KEEP_MINUTES).unwrap_or_default(),
        keep_hours: store.span(&KEEP_HOURS).unwrap_or_default(),
        most_bytes: store.size(&MOST_BYTES).unwrap_or_default(),
        most_sample_bytes: store.size(&MOST_SAMPLE_BYTES),
        most_minute_bytes: store.size(&MOST_MINUTE_BYTES),
        most_hour_bytes: store.size(&MOST_HOUR_BYTES),
        most_series_a_collector: number(&MOST_SERIES_A_COLLECTOR),
        most_series: number(&MOST_SERIES),
        keep_logs: store.span(&KEEP_LOGS).unwrap_or_default(),
        most_log_bytes: store.size(&MOST_LOG_BYTES).unwrap_or_default(),
    };
    check_ages(store, &config)?;
    check_bytes(store, &config)?;
    Ok(config)
}

fn check_ages(store: Table<'_>, config: &StoreConfig) -> Result<(), ConfigError> {
    let order = [
        (
            &KEEP_SAMPLES,
            config.keep_samples,
            &KEEP_MINUTES,
            config.keep_minutes,
        ),
        (
            &KEEP_MINUTES,
            config.keep_minutes,
            &KEEP_HOURS,
            config.keep_hours,
        ),
    ];
    for (finer, short, coarser, long) in order {
        if short > long {
            let message = format!(
                "`{}` is longer than `{}`, but rollups outlive what they were made from",
                finer.name, coarser.name
            );
            let help = format!("make `{}` at least as long", coarser.name);
            return Err(wrong(store, &[finer, coarser], &message, &help));
        }
    }
    Ok(())
}

fn check_bytes(store: Table<'_>, config: &StoreConfig) -> Result<(), ConfigError> {
    if config.most_bytes < LEAST_BYTES {
        let message = "`most_bytes` is too small for a store";
        return Err(wrong(store, &[&MOST_BYTES], message, "write 1MiB or more"));
    }
    let parts = [
        (&MOST_SAMPLE_BYTES, config.most_sample_bytes),
        (&MOST_MINUTE_BYTES, config.most_minute_bytes),
        (&MOST_HOUR_BYTES, config.most_hour_bytes),
    ];
    for (key, bytes) in parts {
        if bytes.is_some_and(|bytes| bytes > config.most_bytes) {
            let message = format!("`{}` is more than `most_bytes`", key.name);
            let help = "make it smaller, or `most_bytes` larger";
            return Err(wrong(store, &[key, &MOST_BYTES], &message, help));
        }
    }
    Ok(())
}

/// The problem at the first of these keys that was written.
fn wrong(store: Table<'_>, keys: &[&Key], message: &str, help: &str) -> ConfigError {
    let mut found = keys
        .iter()
        .filter_map(|key| store.problem(key, message.to_owned(), help));
    found.next().unwrap_or(ConfigError::Wrong {
        problems: Vec::new(),
    })
}
