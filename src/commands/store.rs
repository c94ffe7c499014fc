//! `glasshouse store stat`.

use glasshouse_core::reader::{ReadError, Resolution};
use glasshouse_store::{Retention, StoreStat, TierStat, stat};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::config::store::StoreConfig;
use crate::exit::{Exit, Failure};
use crate::output::{print, print_json, table};
use crate::places::{ConfigFiles, config_failure, state_dir};
use crate::times::show;
use crate::wiring::retention;

/// Collectors that the table names; the JSON has all.
const MOST_COLLECTORS: usize = 10;

/// Says what the store holds, beside what the config lets it hold. Ends with 1 where files of it are damaged.
pub(crate) fn run(global: &Global, json: bool) -> Result<Exit, Failure> {
    let folder = state_dir(global)?.join("store");
    let files = ConfigFiles::find(global.config.as_deref());
    let config = files.load_main().map_err(config_failure)?.store;
    let stat = stat(&folder).map_err(read_failure)?;
    if json {
        print_json(&as_json(&stat, &config))?;
    } else {
        print(&as_text(&stat, &config))?;
    }
    let is_good = stat.damaged.is_empty() && stat.set_aside.is_empty();
    Ok(if is_good { Exit::Done } else { Exit::Findings })
}

/// A store that cannot be read, with the way to another.
pub(crate) fn read_failure(error: ReadError) -> Failure {
    let help = match &error {
        ReadError::Empty { .. } => {
            "is this the right state folder? name it with `--state-dir`; `glasshouse up` prints its own"
        }
        ReadError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            "the store is open to root and to the group glasshouse-serve"
        }
        ReadError::Io { .. } | ReadError::Damaged { .. } => {
            "`glasshouse store stat` names damaged files"
        }
    };
    Failure::environment(error).help(help)
}

fn as_json(stat: &StoreStat, config: &StoreConfig) -> Value {
    let retention = retention(config);
    let raw = stat.tiers.first();
    json!({
        "tiers": stat.tiers.iter().map(|tier| tier_as_json(tier, &retention)).collect::<Vec<_>>(),
        "heads": stat.heads,
        "head_bytes": stat.head_bytes,
        "bytes": stat.bytes,
        "most_bytes": retention.bytes,
        "bytes_per_sample": raw.and_then(|tier| tier.bytes_a_sample),
        "series": stat.series.values().sum::<usize>(),
        "most_series": config.most_series,
        "series_by_collector": stat.series,
        "most_series_a_collector": config.most_series_a_collector,
        "damaged": stat.damaged,
        "set_aside": stat.set_aside.iter().map(|(file, bytes)| json!({"file": file, "bytes": bytes})).collect::<Vec<_>>(),
    })
}

fn tier_as_json(tier: &TierStat, retention: &Retention) -> Value {
    let TierStat {
        coverage,
        sealed_bytes,
        bytes_a_sample,
    } = tier;
    json!({
        "resolution": coverage.resolution.word(),
        "from": coverage.window.map(|window| show(window.from)),
        "to": coverage.window.map(|window| show(window.to)),
        "files": coverage.files,
        "bytes": coverage.bytes,
        "samples": coverage.samples,
        "sealed_bytes": sealed_bytes,
        "bytes_per_sample": bytes_a_sample,
        "keep_seconds": retention.age(coverage.resolution).as_secs(),
        "most_bytes": retention.most_bytes(coverage.resolution),
    })
}

fn as_text(stat: &StoreStat, config: &StoreConfig) -> String {
    let retention = retention(config);
    let heading = [
        "tier", "from", "to", "files", "bytes", "samples", "each", "kept for", "sealed", "at most",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(stat.tiers.iter().map(|tier| row(tier, &retention)));
    let mut text = table(&rows);
    text.push_str(&format!(
        "\nheads {} ({} bytes); all files {}\n",
        stat.heads,
        stat.head_bytes,
        used(stat.bytes, retention.bytes, "bytes")
    ));
    let series: usize = stat.series.values().sum();
    text.push_str(&format!("series {}", used_of(series, config.most_series)));
    let mut largest: Vec<(&String, &usize)> = stat.series.iter().collect();
    largest.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
    let shown = largest.iter().take(MOST_COLLECTORS);
    let shown: Vec<String> = shown
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if !shown.is_empty() {
        let most = config.most_series_a_collector;
        text.push_str(&format!(
            "; a collector at most {most}: {}",
            shown.join(", ")
        ));
    }
    text.push('\n');
    if stat.head_blocks_lost > 0 {
        text.push_str(&format!(
            "damaged blocks in heads: {}\n",
            stat.head_blocks_lost
        ));
    }
    for file in &stat.damaged {
        text.push_str(&format!("damaged: {file}\n"));
    }
    for (file, bytes) in &stat.set_aside {
        text.push_str(&format!("set aside: {file} ({bytes} bytes)\n"));
    }
    text
}

fn row(tier: &TierStat, retention: &Retention) -> Vec<String> {
    let at = |at: Option<String>| at.unwrap_or_else(|| "-".to_owned());
    let TierStat {
        coverage,
        sealed_bytes,
        bytes_a_sample,
    } = tier;
    let most = retention.most_bytes(coverage.resolution);
    vec![
        coverage.resolution.word().to_owned(),
        at(coverage.window.map(|window| show(window.from))),
        at(coverage.window.map(|window| show(window.to))),
        coverage.files.to_string(),
        coverage.bytes.to_string(),
        coverage.samples.to_string(),
        at(bytes_a_sample.map(|bytes| format!("{bytes:.3}"))),
        days(retention, coverage.resolution),
        share(*sealed_bytes, most),
        most.to_string(),
    ]
}

fn days(retention: &Retention, tier: Resolution) -> String {
    const HOUR: u64 = 3600;
    let hours = retention.age(tier).as_secs() / HOUR;
    if hours.is_multiple_of(24) {
        format!("{}d", hours / 24)
    } else {
        format!("{hours}h")
    }
}

fn used(now: u64, most: u64, unit: &str) -> String {
    format!("{now} of {most} {unit} ({})", share(now, most))
}

fn used_of(now: usize, most: usize) -> String {
    format!("{now} of {most}")
}

/// Hundredths, rounded up: what is there is never shown as nothing.
fn share(now: u64, most: u64) -> String {
    let percent = (u128::from(now) * 100).div_ceil(u128::from(most.max(1)));
    format!("{percent}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_up_and_ages_are_read_at_a_glance() {
        assert_eq!(share(0, 10), "0%");
        assert_eq!(share(1, u64::MAX), "1%");
        assert_eq!(share(10, 10), "100%");
        assert_eq!(share(11, 10), "110%");
        assert_eq!(share(5, 0), "500%");
        let retention = Retention::default();
        assert_eq!(days(&retention, Resolution::Raw), "14d");
        assert_eq!(
            days(
                &Retention {
                    raw: std::time::Duration::from_secs(90_000),
                    ..retention
                },
                Resolution::Raw
            ),
            "25h"
        );
    }
}
