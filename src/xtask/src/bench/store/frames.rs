//! The samples as a probe sends them: a batch of each collector at each instant, in frames.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{BootTime, Moment, Timestamp};
use glasshouse_wire::{
    BatchEncoder, FrameWriter, MOST_DEFINITIONS, MOST_SAMPLES, Message, SampleRow, SeriesDefinition,
};

use super::data::{Point, Series};

/// The run of the probe that is played.
const RUN: u64 = 0x6265_6e63_6821;

/// A probe says again what its series are about once a minute; the frames of that are part of what a node takes.
const DEFINE_EVERY_MILLIS: i64 = 60_000;

/// The machine that is played has been up for a day when the recording begins.
const UP_MILLIS: i64 = 86_400_000;

/// Writes frames.
pub(crate) struct Frames<W> {
    out: W,
    writer: FrameWriter,
    encoder: BatchEncoder,
    definitions: Vec<SeriesDefinition>,
    defined_at: Option<i64>,
    first: Option<i64>,
    /// The batch of each collector, kept between instants.
    batches: Vec<(String, Vec<SampleRow>)>,
    /// For each series its place in `batches`, and whether its values are whole.
    places: Vec<(usize, bool)>,
    frame: Vec<u8>,
}

impl<W: Write> Frames<W> {
    pub(crate) fn new(series: &[Series], interval_millis: i64, out: W) -> Self {
        let interval = Duration::from_millis(interval_millis.unsigned_abs().clamp(1, 3_600_000));
        let mut collectors: BTreeMap<String, usize> = BTreeMap::new();
        let mut batches = Vec::new();
        let mut places = Vec::new();
        let mut definitions = Vec::new();
        for (number, one) in (1..).zip(series) {
            let info = info(one, interval);
            let place = *collectors.entry(info.collector.clone()).or_insert_with(|| {
                batches.push((info.collector.clone(), Vec::new()));
                batches.len() - 1
            });
            places.push((place, one.is_whole));
            definitions.push(SeriesDefinition { number, info });
        }
        Self {
            out,
            writer: FrameWriter::new(RUN),
            encoder: BatchEncoder::default(),
            definitions,
            defined_at: None,
            first: None,
            batches,
            places,
            frame: Vec::new(),
        }
    }

    /// Writes one instant.
    pub(crate) fn instant(&mut self, millis: i64, points: &[Point]) -> anyhow::Result<()> {
        let first = *self.first.get_or_insert(millis);
        if self
            .defined_at
            .is_none_or(|at| millis - at >= DEFINE_EVERY_MILLIS)
        {
            self.defined_at = Some(millis);
            self.define()?;
        }
        for point in points {
            let place = self.places.get(usize::try_from(point.series)?);
            let (place, is_whole) = place.context("a point of no series")?;
            let value = if *is_whole {
                whole(point.value)
            } else {
                Value::F64(point.value)
            };
            if let Some((_, batch)) = self.batches.get_mut(*place) {
                batch.push((point.series + 1, Some(value), Quality::Good));
            }
        }
        let at = Moment {
            wall: Timestamp::from_nanos(millis * 1_000_000),
            boot: BootTime::from_nanos((millis - first + UP_MILLIS).unsigned_abs() * 1_000_000),
        };
        let Self {
            batches,
            encoder,
            writer,
            frame,
            out,
            ..
        } = self;
        for (collector, batch) in batches {
            for samples in batch.chunks(MOST_SAMPLES) {
                writer.frame(&encoder.encode(collector, at, samples), frame)?;
                out.write_all(frame)?;
            }
            batch.clear();
        }
        Ok(())
    }

    fn define(&mut self) -> anyhow::Result<()> {
        // few enough that a frame holds them, however long their names are
        for definitions in self.definitions.chunks(MOST_DEFINITIONS.min(64)) {
            let payload = Message::Define(definitions.to_vec()).encode();
            self.writer.frame(&payload, &mut self.frame)?;
            self.out.write_all(&self.frame)?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number from 0 to 2^53, looked at when the recording was read; a sum of such is one still"
)]
fn whole(value: f64) -> Value {
    Value::U64(value as u64)
}

fn info(series: &Series, interval: Duration) -> SeriesInfo {
    let metric = &series.name.metric;
    // as exporters name them: who exports, what about, what of it
    let collector = metric.split('_').nth(1).filter(|word| !word.is_empty());
    let labels = series.name.labels.iter();
    SeriesInfo {
        metric: metric.clone(),
        unit: "1".to_owned(),
        kind: if series.grows {
            MetricKind::Counter
        } else {
            MetricKind::Gauge
        },
        states: Vec::new(),
        help: format!("What {metric} says, in a sentence that is as long as such sentences are."),
        labels: Labels::new(labels.map(|(key, value)| (key.as_str(), value.as_str()))),
        collector: collector.unwrap_or("node").to_owned(),
        interval,
        audience: Audience::Operator,
    }
}

#[cfg(test)]
mod tests {
    use glasshouse_wire::{FrameReader, Step};

    use super::super::data::Recording;
    use super::super::names::Name;
    use super::*;

    #[test]
    fn what_is_framed_reads_back() {
        let names = ["node_cpu_total", "node_load1", "node_cpu_mhz"];
        let names = names.map(Name::parse).to_vec();
        let rows = vec![
            (61_000, 1, 0.5),
            (1000, 0, 7.0),
            (1000, 1, 0.25),
            (1000, 2, 8.0),
        ];
        let recording = Recording::new(names, rows).unwrap();
        let mut bytes = Vec::new();
        let mut frames = Frames::new(&recording.series, 1000, &mut bytes);
        for (millis, points) in recording.instants() {
            frames.instant(millis, points).unwrap();
        }
        frames.finish().unwrap();
        let (mut reader, mut input) = (FrameReader::new(), &*bytes);
        let mut said = Vec::new();
        while let Step::Frame(frame) = reader.next_frame(&mut input).unwrap() {
            said.push(match frame.message().unwrap() {
                Message::Define(series) => format!("define {}", series.len()),
                Message::Batch(batch) => {
                    let at = batch.at.wall.nanos() / 1_000_000;
                    let samples = batch.samples.iter();
                    let samples: Vec<_> = samples
                        .map(|(number, value, _)| (*number, value.unwrap()))
                        .collect();
                    format!("{} {at} {samples:?}", batch.collector)
                }
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(
            said,
            [
                "define 3",
                "cpu 1000 [(1, U64(7)), (3, U64(8))]",
                "load1 1000 [(2, F64(0.25))]",
                "define 3",
                "load1 61000 [(2, F64(0.5))]",
            ]
        );
    }
}
