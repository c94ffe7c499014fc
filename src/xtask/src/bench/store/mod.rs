//! Our store beside Prometheus and VictoriaMetrics: the same samples to all three, on one machine in one run.
//!
//! `docs/benchmarks.md` says what is measured and what it holds.
#![expect(
    clippy::print_stderr,
    reason = "how far it is stands beside the report, which may be JSON"
)]

mod data;
mod feed;
mod frames;
mod http;
mod names;
mod ours;
mod peers;
mod questions;
mod remote_write;
mod repeated;
mod report;
mod server;
mod subject;
mod synthetic;
mod watch;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;

use self::data::Recording;
use self::feed::Feed;
use self::ours::Ours;
use self::peers::{Peer, Prometheus, Victoria};
use self::questions::Kind;
use self::repeated::Repeated;
use self::subject::{Measured, Subject};
use crate::project;

/// The metric that all series of the days are, for the peers.
const ONE_METRIC: &str = "sample";

/// What to measure.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// What was recorded: Parquet with the columns series, timestamp_ms and value; without it, an hour of a machine that
    /// never was
    #[arg(long, value_name = "FILE.parquet")]
    data: Option<PathBuf>,
    /// The same as the stream that the `recording` example of glasshouse-analytics writes
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    recording: Option<PathBuf>,
    /// Over how many days the recording is repeated for the questions about days
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(2..=60))]
    days: u32,
    /// From one sample of the days to the next, in seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=300))]
    step: u32,
    /// A smoke test: a tenth of the recording, two days at a minute
    #[arg(long, conflicts_with_all = ["days", "step"])]
    quick: bool,
    /// Print JSON in place of the table
    #[arg(long)]
    json: bool,
    /// Where the stores are written; a folder in it is made and removed
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Leave what was written where it is
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let begun = Instant::now();
    let shell = project::shell()?;
    let ours = Ours::build(&shell)?;
    let (what, recording) = recording(options)?;
    let recording = recording.in_the_past(now_millis());
    let (recording, days, step) = if options.quick {
        (recording.tenth(), 2, 60_000)
    } else {
        (recording, options.days, i64::from(options.step) * 1000)
    };
    let repeated = Repeated::new(&recording, days, step);
    let feeds = [Feed::Recording(&recording), Feed::Days(&repeated)];
    let folder = match &options.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let place = folder.path().to_owned();
    if options.keep {
        eprintln!("what is written stays in `{}`", folder.keep().display());
    }
    let wanted: [&dyn Peer; 2] = [&Prometheus, &Victoria];
    let packages = wanted.map(Peer::program);
    for missing in crate::peers::install_some(&shell, &packages) {
        eprintln!("not installed: {missing}");
    }
    let mut all = vec![measure_ours(&ours, feeds, &place)?];
    for peer in wanted {
        match peers::version(peer) {
            Some(version) => all.push(measure_peer(peer, &version, feeds, &place)?),
            None => eprintln!("skipped: {} is not installed", peer.title()),
        }
    }
    let (ours, peers) = all.split_first().context("nothing was measured")?;
    let goals = report::goals(ours, peers);
    let facts = facts(&what, &recording, &repeated, days, begun);
    if options.json {
        let json = report::as_json(&facts, &all, &goals);
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        print!("{}", report::as_text(&facts, &all, &goals));
    }
    Ok(())
}

/// What was measured, and on what.
fn facts(
    what: &str,
    recording: &Recording,
    repeated: &Repeated<'_>,
    days: u32,
    begun: Instant,
) -> Vec<(&'static str, String)> {
    let (first, last) = recording.span();
    let series = recording.series.len();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    vec![
        (
            "recording",
            format!(
                "{what}: {series} series, {} samples in {} s, {} values left out",
                recording.samples(),
                (last - first) / 1000,
                recording.left_out
            ),
        ),
        (
            "days",
            format!(
                "the recording at {} s, repeated over {days} days",
                repeated.step / 1000
            ),
        ),
        ("machine", format!("{cores} processors")),
        ("took", format!("{} s", begun.elapsed().as_secs())),
    ]
}

fn recording(options: &Options) -> anyhow::Result<(String, Recording)> {
    let opened = |path: &Path| {
        let file = File::open(path);
        file.with_context(|| format!("failed to open `{}`", path.display()))
    };
    let named = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    if let Some(path) = &options.recording {
        return Ok((named(path), Recording::read(opened(path)?)?));
    }
    let Some(path) = &options.data else {
        return Ok(("a machine that never was".to_owned(), synthetic::host()?));
    };
    drop(opened(path)?);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut reader = Command::new(cargo)
        // not built for speed: the tests have built it so already, and Polars takes minutes
        .args(["run", "--quiet", "--locked"])
        .args([
            "--package",
            "glasshouse-analytics",
            "--example",
            "recording",
            "--",
        ])
        .arg(std::path::absolute(path)?)
        .current_dir(project::root()?)
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to run cargo")?;
    let stream = reader.stdout.take().context("cargo has no output")?;
    let recording = Recording::read(stream);
    if !reader.wait()?.success() {
        bail!("`{}` could not be read", path.display());
    }
    Ok((named(path), recording?))
}

fn now_millis() -> i64 {
    use glasshouse_core::time::Clock as _;
    glasshouse_core::time::SystemClock.now().nanos() / 1_000_000
}

fn measure_ours(ours: &Ours, feeds: [Feed<'_>; 2], folder: &Path) -> anyhow::Result<Subject> {
    let [recording, days] = feeds;
    let measure = |name: &str, feed: Feed<'_>, kinds| -> anyhow::Result<Measured> {
        eprintln!("Glasshouse takes the {name}");
        let folder = folder.join(format!("glasshouse-{name}"));
        std::fs::create_dir(&folder)?;
        ours.measure(&feed, kinds, &folder)
    };
    Ok(Subject {
        title: "Glasshouse".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        recording: measure("recording", recording, Kind::OF_RECORDING)?,
        days: measure("days", days, Kind::OF_DAYS)?,
    })
}

fn measure_peer(
    peer: &dyn Peer,
    version: &str,
    feeds: [Feed<'_>; 2],
    folder: &Path,
) -> anyhow::Result<Subject> {
    let [recording, days] = feeds;
    let measure = |name: &str, feed: Feed<'_>, kinds| -> anyhow::Result<Measured> {
        eprintln!("{} takes the {name}", peer.title());
        let folder = folder.join(format!("{}-{name}", peer.program()));
        std::fs::create_dir(&folder)?;
        peers::measure(peer, &feed, kinds, &folder)
            .with_context(|| format!("{} with the {name}", peer.title()))
    };
    Ok(Subject {
        title: peer.title().to_owned(),
        version: version.to_owned(),
        recording: measure("recording", recording, Kind::OF_RECORDING)?,
        days: measure("days", days, Kind::OF_DAYS)?,
    })
}
