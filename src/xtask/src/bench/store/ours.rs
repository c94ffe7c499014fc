//! Our store: what a node does with the frames of a probe in one process, answers in another.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value, json};
use xshell::Shell;

use super::data::Series;
use super::feed::Feed;
use super::frames::Frames;
use super::http::Client;
use super::questions::{Answered, Kind, MOST_RANKED, Question, Timing, list};
use super::server::{Server, hear};
use super::subject::{Measured, Sizes};
use super::watch::{Size, Watch, peak_kib};
use crate::project;

/// The two programs, built for speed.
#[derive(Debug)]
pub(crate) struct Ours {
    ingest: PathBuf,
    ask: PathBuf,
}

/// Where the store is, below the folder of a run.
const STORE: &str = "store";

/// Where the frames come through.
const FIFO: &str = "frames";

impl Ours {
    pub(crate) fn build(shell: &Shell) -> anyhow::Result<Self> {
        Ok(Self {
            ingest: project::build_example(shell, "glasshouse-store", "ingest")?,
            ask: project::build_example(shell, "glasshouse-store", "ask")?,
        })
    }

    /// Writes, asks, seals.
    pub(crate) fn measure(
        &self,
        feed: &Feed<'_>,
        kinds: &[Kind],
        folder: &Path,
    ) -> anyhow::Result<Measured> {
        let fifo = folder.join(FIFO);
        let made = Command::new("mkfifo").arg(&fifo).status()?;
        ensure!(made.success(), "`mkfifo` made no FIFO");
        let store = folder.join(STORE);
        let mut command = Command::new(&self.ingest);
        command.arg(&store).arg(&fifo);
        command.args(feed.head_seconds().map(|seconds| seconds.to_string()));
        let mut node = Server::start(command, folder)?;
        let (mut input, mut output) = node.talk()?;
        hear(&mut output, "ready")?;
        let mut watch = Watch::begin(node.process())?;
        let sent = write(feed, &fifo, &mut watch)?;
        let said = hear(&mut output, "taken")?;
        let taken = count(&said, "samples")?;
        if taken != sent {
            bail!("of {sent} samples the store took {taken}: {said}");
        }
        let mut measured = Measured {
            samples: taken,
            ingest: watch.cost()?,
            ..Measured::default()
        };
        // asked while the newest samples are in the head still, as they always are
        self.ask(feed, kinds, &store, folder, &mut measured)?;
        let watch = Watch::begin(node.process())?;
        writeln!(input)?;
        hear(&mut output, "merged")?;
        measured.seal = watch.cost()?;
        measured.sizes = sizes(&store)?;
        writeln!(input)?;
        Ok(measured)
    }

    fn ask(
        &self,
        feed: &Feed<'_>,
        kinds: &[Kind],
        store: &Path,
        folder: &Path,
        measured: &mut Measured,
    ) -> anyhow::Result<()> {
        for kind in kinds {
            // a process for each question: none finds what another has read
            let mut command = Command::new(&self.ask);
            command.arg(store);
            let mut server = Server::start(command, folder)?;
            let (_input, mut output) = server.talk()?;
            let port = hear(&mut output, "listening")?.parse()?;
            let mut client = Client::connect(port)?;
            let timing = Timing::of(|round| {
                let question = kind.question(feed.series(), feed.span(), round);
                answer(&mut client, &question.context("nothing to ask of")?)
            })?;
            let peak = peak_kib(server.process())?;
            measured.answering_kib = measured.answering_kib.max(peak);
            measured.timings.push((*kind, timing));
        }
        Ok(())
    }
}

/// Sends all as frames, and says how many samples that were.
fn write(feed: &Feed<'_>, fifo: &Path, watch: &mut Watch) -> anyhow::Result<u64> {
    let pipe: File = OpenOptions::new().write(true).open(fifo)?;
    // as much as a pipe holds
    let pipe = BufWriter::with_capacity(64 * 1024, pipe);
    let mut frames = Frames::new(feed.series(), feed.interval_millis(), pipe);
    let mut sent = 0;
    feed.each(|millis, points| {
        sent += u64::try_from(points.len())?;
        watch.look()?;
        frames.instant(millis, points)
    })?;
    frames.finish()?;
    Ok(sent)
}

fn sizes(store: &Path) -> anyhow::Result<Sizes> {
    let named = |path: &Path, begin: &str| {
        let name = path.to_string_lossy();
        name.starts_with(begin) && name.ends_with(".seg")
    };
    Ok(Sizes {
        sealed: Size::below(store, |path| named(path, "raw-"))?,
        derived: Size::below(store, |path| named(path, "1m-") || named(path, "1h-"))?,
        whole: Size::below(store, |_| true)?,
    })
}

/// The number of `name=number` in a line.
fn count(line: &str, name: &str) -> anyhow::Result<u64> {
    let mut words = line.split(' ').filter_map(|word| word.split_once('='));
    let found = words.find(|(known, _)| *known == name);
    let (_, number) = found.with_context(|| format!("no `{name}` in `{line}`"))?;
    Ok(number.parse()?)
}

fn answer(client: &mut Client, question: &Question<'_>) -> anyhow::Result<Answered> {
    let question = written(question).to_string();
    let answer = client.post("/", &[], question.as_bytes())?.good()?;
    let inside = answer.header("library-nanos");
    let nanos = inside.context("no time in the answer")?.parse()?;
    Ok(Answered {
        inside: Some(std::time::Duration::from_nanos(nanos)),
        body: answer.body,
        read: values,
    })
}

/// The values of an answer that are there.
fn values(answer: &Value) -> Vec<f64> {
    let series = list(answer, "/series").iter();
    let values = series.flat_map(|one| list(one, "/values"));
    values.filter_map(Value::as_f64).collect()
}

/// A window holds what is at its beginning and not what is at its end: the other way round than the questions.
fn written(question: &Question<'_>) -> Value {
    const NANOS: i64 = 1_000_000;
    let range = |series: &Series, from: i64, to: i64, step: i64, aggregation: &str| {
        let labels = series.name.labels.iter();
        let labels: Map<String, Value> = labels
            .map(|(key, value)| (key.clone(), value.as_str().into()))
            .collect();
        json!({ "range": {
            "metric": series.name.metric,
            "labels": labels,
            "from": (from + 1) * NANOS,
            "to": (to + 1) * NANOS,
            "step": step * NANOS,
            "aggregation": aggregation,
        }})
    };
    match question {
        Question::Latest { at } => json!({ "latest": { "at": at * NANOS } }),
        Question::Raw { series, from, to } => {
            let question = range(series, *from, *to, 1000, "last");
            json!({ "raw": question.get("range") })
        }
        Question::Means { series, from, to } => {
            range(series, *from, *to, super::questions::HOUR, "mean")
        }
        Question::Top { from, to } => json!({ "top": {
            "most": MOST_RANKED,
            "from": (from + 1) * NANOS,
            "to": (to + 1) * NANOS,
        }}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_in_what_the_node_says() {
        let line = "samples=12 unknown=0 batches=3";
        assert_eq!(count(line, "batches").unwrap(), 3);
        assert!(count(line, "sample").is_err());
    }

    #[test]
    fn the_files_of_a_store_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("raw-000000000001-000000000002.seg", 10),
            ("1m-000000000001-000000000002.seg", 3),
            ("1h-000000000001-000000000002.seg", 2),
            ("head-000000000003.log", 1),
        ] {
            std::fs::write(folder.path().join(name), vec![0; bytes]).unwrap();
        }
        let sizes = sizes(folder.path()).unwrap();
        let bytes = [sizes.sealed, sizes.derived, sizes.whole].map(|size| size.bytes);
        assert_eq!(bytes, [10, 5, 16]);
    }
}
