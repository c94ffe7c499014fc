//! `glasshouse store stat`.

use std::path::PathBuf;

use glasshouse_core::reader::{ReadError, Resolution};
use glasshouse_store::{Retention, StoreStat, TierStat, stat};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::config::store::StoreConfig;
use crate::exit::{Chain, Exit, Failure};
use crate::output::{print, print_json, table};
use crate::places::{ConfigFiles, config_failure, state_dir, state_folder_config};
use crate::times::show;
use crate::wiring::retention;

/// Collectors that the table names; the JSON has all.
const MOST_COLLECTORS: usize = 10;

/// Says what the store holds, beside what the config lets it hold where that can be read. Ends with 1 where files of it are
/// damaged.
pub(crate) fn run(global: &Global, json: bool) -> Result<Exit, Failure> {
    let (state, config) = place(global)?;
    let stat = stat(&state.join("store")).map_err(read_failure)?;
    if json {
        print_json(&as_json(&stat, config.as_ref()))?;
    } else {
        print(&as_text(&stat, config.as_ref()))?;
    }
    let is_good = stat.damaged.is_empty() && stat.set_aside.is_empty();
    Ok(if is_good { Exit::Done } else { Exit::Findings })
}

/// The state folder, and what its config says of the store: that of `glasshouse up` where it runs there.
///
/// A folder that is named is shown also where no config can be read: bounds are the smaller part of the answer.
fn place(global: &Global) -> Result<(PathBuf, Option<StoreConfig>), Failure> {
    let state = state_dir(global)?;
    let mut files = ConfigFiles::find(global.config.as_deref());
    if global.config.is_none()
        && let Some(folder) = &global.state_dir
        && let Some(of_up) = state_folder_config(folder)
    {
        files.main = Some(of_up);
    }
    let config = match files.load_main() {
        Ok(config) => Some(config.store),
        Err(error) if global.state_dir.is_none() => return Err(config_failure(error)),
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "The config cannot be read; what the store may hold is not known.");
            None
        }
    };
    Ok((state, config))
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

fn as_json(stat: &StoreStat, config: Option<&StoreConfig>) -> Value {
    let retention = config.map(retention);
    let raw = stat.tiers.first();
    json!({
        "tiers": stat.tiers.iter().map(|tier| tier_as_json(tier, retention.as_ref())).collect::<Vec<_>>(),
        "heads": stat.heads,
        "head_bytes": stat.head_bytes,
        "bytes": stat.bytes,
        "most_bytes": retention.as_ref().map(|retention| retention.bytes),
        "bytes_per_sample": raw.and_then(|tier| tier.bytes_a_sample),
        "series": stat.series.values().sum::<usize>(),
        "most_series": config.map(|config| config.most_series),
        "series_by_collector": stat.series,
        "most_series_a_collector": config.map(|config| config.most_series_a_collector),
        "damaged": stat.damaged,
        "set_aside": stat.set_aside.iter().map(|(file, bytes)| json!({"file": file, "bytes": bytes})).collect::<Vec<_>>(),
    })
}

fn tier_as_json(tier: &TierStat, retention: Option<&Retention>) -> Value {
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
        "keep_seconds": retention.map(|retention| retention.age(coverage.resolution).as_secs()),
        "most_bytes": retention.map(|retention| retention.most_bytes(coverage.resolution)),
    })
}

fn as_text(stat: &StoreStat, config: Option<&StoreConfig>) -> String {
    let retention = config.map(retention);
    let heading = [
        "tier", "from", "to", "files", "bytes", "samples", "each", "kept for", "sealed", "at most",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(stat.tiers.iter().map(|tier| row(tier, retention.as_ref())));
    let mut text = table(&rows);
    text.push_str(&format!(
        "\nheads {} ({} bytes); all files {}\n",
        stat.heads,
        stat.head_bytes,
        retention.as_ref().map_or_else(
            || format!("{} bytes", stat.bytes),
            |retention| used(stat.bytes, retention.bytes, "bytes")
        )
    ));
    let series: usize = stat.series.values().sum();
    text.push_str(&config.map_or_else(
        || format!("series {series}"),
        |config| format!("series {}", used_of(series, config.most_series)),
    ));
    let mut largest: Vec<(&String, &usize)> = stat.series.iter().collect();
    largest.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
    let shown = largest.iter().take(MOST_COLLECTORS);
    let shown: Vec<String> = shown
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if !shown.is_empty() {
        let most = config.map_or_else(String::new, |config| {
            format!(" at most {}", config.most_series_a_collector)
        });
        text.push_str(&format!("; a collector{most}: {}", shown.join(", ")));
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

fn row(tier: &TierStat, retention: Option<&Retention>) -> Vec<String> {
    let at = |at: Option<String>| at.unwrap_or_else(|| "-".to_owned());
    let TierStat {
        coverage,
        sealed_bytes,
        bytes_a_sample,
    } = tier;
    let most = retention.map(|retention| retention.most_bytes(coverage.resolution));
    vec![
        coverage.resolution.word().to_owned(),
        at(coverage.window.map(|window| show(window.from))),
        at(coverage.window.map(|window| show(window.to))),
        coverage.files.to_string(),
        coverage.bytes.to_string(),
        coverage.samples.to_string(),
        at(bytes_a_sample.map(|bytes| format!("{bytes:.3}"))),
        at(retention.map(|retention| age(retention, coverage.resolution))),
        most.map_or_else(
            || format!("{sealed_bytes} bytes"),
            |most| share(*sealed_bytes, most),
        ),
        at(most.map(|most| most.to_string())),
    ]
}

/// In the largest unit that says it exactly.
fn age(retention: &Retention, tier: Resolution) -> String {
    let seconds = retention.age(tier).as_secs();
    let unit = UNITS.iter().find(|(unit, _)| seconds.is_multiple_of(*unit));
    unit.map_or_else(
        || format!("{seconds}s"),
        |(unit, letter)| format!("{}{letter}", seconds / unit),
    )
}

/// Seconds and how they are written in the config.
const UNITS: [(u64, char); 3] = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];

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
        for (seconds, shown) in [
            (14 * 86_400, "14d"),
            (90_000, "25h"),
            (5_400, "90m"),
            (5_401, "5401s"),
        ] {
            let raw = std::time::Duration::from_secs(seconds);
            let retention = Retention { raw, ..retention };
            assert_eq!(age(&retention, Resolution::Raw), shown);
        }
    }

    /// A command line that names this state folder and nothing else.
    fn global(folder: &std::path::Path) -> Global {
        use clap::Parser as _;
        let folder = folder.to_str().unwrap();
        let line = crate::cli::CommandLine::parse_from([
            "glasshouse",
            "--state-dir",
            folder,
            "store",
            "stat",
        ]);
        line.global
    }

    #[test]
    fn bounds_are_those_of_the_folder_and_missing_where_they_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        std::fs::create_dir(&run).unwrap();
        let config = run.join("node.toml");
        std::fs::write(&config, "[store]\nmost_series = 1234\n").unwrap();
        let (state, bounds) = place(&global(folder.path())).unwrap();
        assert_eq!(state, folder.path());
        assert_eq!(bounds.unwrap().most_series, 1234);
        std::fs::write(&config, "[store\n").unwrap();
        let (_, bounds) = place(&global(folder.path())).unwrap();
        assert!(bounds.is_none());
        let stat = StoreStat {
            tiers: Vec::new(),
            heads: 1,
            head_bytes: 2,
            head_blocks_lost: 0,
            bytes: 3,
            series: [("cpu".to_owned(), 4)].into(),
            damaged: Vec::new(),
            set_aside: Vec::new(),
        };
        let text = as_text(&stat, None);
        assert!(
            text.contains("all files 3 bytes\nseries 4; a collector: cpu 4\n"),
            "{text}"
        );
        assert_eq!(as_json(&stat, None)["most_bytes"], Value::Null);
    }
}
