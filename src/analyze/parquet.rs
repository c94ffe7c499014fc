//! Writes stored samples as Parquet: a file for each day and collector.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use glasshouse_analytics::{Origin, SampleTable};
use glasshouse_core::reader::{InventoryReader as _, ReadError, Selector, SeriesInfo};
use glasshouse_core::sample::Sample;
use glasshouse_core::time::{Day, Timestamp, Window};
use glasshouse_store::export::{ExportFile, ExportFolder};
use glasshouse_store::inventory::InventoryFile;
use glasshouse_store::{Scan, StoreError, StoreReader};
use serde_json::json;

use crate::say::say;

/// What each file is called. There is one: readers take a folder, and one day of one collector is a few million rows.
const NAME: &str = "part-0.parquet";

/// What `glasshouse export` hands over.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// The folder of the inventory
    #[arg(long, value_name = "DIR")]
    inventory: PathBuf,
    /// The folder to write into; files of the same day and collector are replaced
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// First instant, in ns since 1970
    #[arg(long, value_name = "NS", allow_hyphen_values = true)]
    from: i64,
    /// First instant after it, in ns since 1970
    #[arg(long, value_name = "NS", allow_hyphen_values = true)]
    to: i64,
    /// Only these metrics
    #[arg(long, value_name = "NAME")]
    metric: Vec<String>,
    /// Only series with these labels
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Writes day by day, and says after each what it wrote:
/// `{"day", "files", "series", "samples", "bytes"}`, at the end `{"damaged": [files]}`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let window = Window {
        from: Timestamp::from_nanos(arguments.from),
        to: Timestamp::from_nanos(arguments.to),
    };
    let selector = Selector {
        metrics: arguments.metric.clone(),
        labels: arguments.label.clone(),
    };
    let store = StoreReader::open(&arguments.store);
    let origin = origin(&arguments.inventory)?;
    let folder = ExportFolder::new(&arguments.output, NAME);
    let mut damaged = BTreeSet::new();
    for day in store.days(window)? {
        let Some(part) = day.window().intersect(window) else {
            continue;
        };
        let mut scan = store.scan(&selector, part)?;
        let written = write_day(&mut scan, &folder, day, &origin)?;
        damaged.extend(scan.damaged().iter().cloned());
        if written.files == 0 {
            continue;
        }
        say(&json!({
            "day": day.to_string(),
            "files": written.files,
            "series": written.series,
            "samples": written.samples,
            "bytes": written.bytes,
        }))?;
    }
    say(&json!({"damaged": damaged}))
}

/// Who the samples are of. A store whose node never wrote an inventory is of no node that is known.
fn origin(inventory: &Path) -> anyhow::Result<Origin> {
    match InventoryFile::new(inventory).inventory() {
        Ok(inventory) => Ok(Origin {
            node: Some(inventory.node),
            host: Some(inventory.host_name.clone()),
        }),
        Err(ReadError::Empty { .. }) => Ok(Origin::default()),
        Err(error) => Err(error.into()),
    }
}

/// What was written of a day.
#[derive(Debug, Default)]
struct Written {
    files: u64,
    series: u64,
    samples: u64,
    bytes: u64,
}

/// Writes the files of a day: one for each collector that has samples.
fn write_day(
    scan: &mut Scan,
    folder: &ExportFolder,
    day: Day,
    origin: &Origin,
) -> anyhow::Result<Written> {
    let mut written = Written::default();
    let series = scan.series().to_vec();
    let mut first = 0;
    for of_one in series.chunk_by(|a, b| a.collector == b.collector) {
        let collector = of_one.first().map_or("", |info| info.collector.as_str());
        let create = || folder.create(day, Some(("collector", collector)));
        if let Some((file, counts)) = write_collector(scan, of_one, first, create, origin)? {
            written.files += 1;
            written.bytes += file.finish()?;
            written.series += counts.series;
            written.samples += counts.samples;
        }
        first += of_one.len();
    }
    Ok(written)
}

/// What stands in a file.
#[derive(Debug, Default)]
struct Counts {
    series: u64,
    samples: u64,
}

/// Writes the series of one collector, whose places begin at `first`; nothing is made where none has a sample.
fn write_collector(
    scan: &mut Scan,
    series: &[Arc<SeriesInfo>],
    first: usize,
    create: impl FnOnce() -> Result<ExportFile, StoreError>,
    origin: &Origin,
) -> anyhow::Result<Option<(ExportFile, Counts)>> {
    let mut numbered = series.iter().zip(first..);
    let mut samples = Vec::new();
    let mut begun = None;
    while samples.is_empty() {
        let Some((info, place)) = numbered.next() else {
            return Ok(None);
        };
        collect(scan, place, &mut samples)?;
        begun = Some(info);
    }
    let mut file = create()?;
    let shown = file.path().display().to_string();
    let doing = || format!("failed to write `{shown}`");
    let mut counts = Counts::default();
    let mut table = SampleTable::create(&mut file, origin).with_context(doing)?;
    if let Some(info) = begun {
        table.push(info, &samples).with_context(doing)?;
        counts.series += 1;
    }
    for (info, place) in numbered {
        collect(scan, place, &mut samples)?;
        if !samples.is_empty() {
            table.push(info, &samples).with_context(doing)?;
            counts.series += 1;
        }
    }
    counts.samples = table.finish().with_context(doing)?;
    Ok(Some((file, counts)))
}

/// The samples of a series, in the order of their times; those of one time in the order in which they came.
fn collect(scan: &mut Scan, place: usize, samples: &mut Vec<Sample>) -> Result<(), ReadError> {
    samples.clear();
    let mut blocks = scan.read(place)?;
    while let Some(block) = blocks.next_block()? {
        samples.extend_from_slice(block);
    }
    // only where the clock was set back they are not sorted yet
    samples.sort_by_key(|sample| sample.at);
    Ok(())
}
