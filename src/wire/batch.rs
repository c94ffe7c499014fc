//! Batches: the message that comes every second, so the one that is encoded without detours.

use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::Moment;
use prost::Message as _;

use crate::bounds::{at_most, checked_name, moment, name, next, out_of_bounds, series_number};
use crate::error::WireError;
use crate::message::{Batch, MOST_SAMPLES, SampleRow};
use crate::proto::{self, Kind};

/// `Batch.kinds`: what a sample's value is.
const KIND_NONE: u8 = 0;
const KIND_WHOLE: u8 = 1;
const KIND_FLOAT: u8 = 2;
const KIND_STATE: u8 = 3;

/// Encodes batches and keeps its columns between them: the payload is the only allocation.
#[derive(Debug, Default)]
pub struct BatchEncoder {
    columns: proto::Batch,
}

impl BatchEncoder {
    /// The payload of a batch.
    #[must_use]
    pub fn encode(&mut self, collector: &str, at: Moment, samples: &[SampleRow]) -> Vec<u8> {
        let mut columns = std::mem::take(&mut self.columns);
        columns.collector.clear();
        columns.collector.push_str(collector);
        columns.wall_nanos = at.wall.nanos();
        columns.boot_nanos = at.boot.nanos();
        columns.series.clear();
        columns.kinds.clear();
        columns.wholes.clear();
        columns.floats.clear();
        columns.qualities.clear();
        let all_good = samples
            .iter()
            .all(|(.., quality)| *quality == Quality::Good);
        for (number, value, quality) in samples {
            columns.series.push(*number);
            columns.kinds.push(match value {
                None => KIND_NONE,
                Some(Value::U64(whole)) => {
                    columns.wholes.push(*whole);
                    KIND_WHOLE
                }
                Some(Value::F64(float)) => {
                    columns.floats.push(*float);
                    KIND_FLOAT
                }
                Some(Value::State(index)) => {
                    columns.wholes.push(u64::from(*index));
                    KIND_STATE
                }
            });
            if !all_good {
                columns.qualities.push(quality.code());
            }
        }
        let envelope = proto::Envelope {
            kind: Some(Kind::Batch(columns)),
        };
        let payload = envelope.encode_to_vec();
        if let Some(Kind::Batch(columns)) = envelope.kind {
            self.columns = columns;
        }
        payload
    }
}

/// Decodes batches into columns and rows that it keeps between them. In steady state each column of bytes costs an
/// allocation that prost makes on its way, whatever the number of samples, and nothing else does.
#[derive(Debug, Default)]
pub struct BatchDecoder {
    columns: proto::Batch,
    samples: Vec<SampleRow>,
}

/// A batch that lies in its decoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchView<'a> {
    /// The collector.
    pub collector: &'a str,
    /// When all of the samples were read.
    pub at: Moment,
    /// At most [`MOST_SAMPLES`].
    pub samples: &'a [SampleRow],
}

/// How the payload of a batch begins: the key of the field that holds it in the envelope.
const BATCH_KEY: u8 = 2 << 3 | 2;

/// A decoder whose columns have room for more than this gives them back; so one batch of a collector with thousands of
/// series does not keep memory for good. Most collectors have fewer than a hundred.
const MOST_KEPT: usize = 2 * MOST_SAMPLES;

impl BatchDecoder {
    /// The batch in a payload; `None` where the payload is no batch, or one that comes in pieces.
    ///
    /// # Errors
    /// [`WireError`] where it is none that this version understands, or out of bounds.
    pub fn decode(&mut self, payload: &[u8]) -> Result<Option<BatchView<'_>>, WireError> {
        if payload.first() != Some(&BATCH_KEY) {
            return Ok(None);
        }
        clear(&mut self.columns);
        let mut envelope = proto::Envelope {
            kind: Some(Kind::Batch(std::mem::take(&mut self.columns))),
        };
        envelope
            .merge(payload)
            .map_err(|source| WireError::Protobuf { source })?;
        let Some(Kind::Batch(columns)) = envelope.kind else {
            // several kinds in one payload: the last one counts, and is not decoded here
            return Ok(None);
        };
        self.columns = columns;
        self.samples.clear();
        let at = rows_in(&self.columns, &mut self.samples)?;
        Ok(Some(BatchView {
            collector: checked_name(&self.columns.collector, "batch.collector")?,
            at,
            samples: &self.samples,
        }))
    }
}

fn clear(columns: &mut proto::Batch) {
    columns.collector.clear();
    columns.wall_nanos = 0;
    columns.boot_nanos = 0;
    columns.series.clear();
    columns.kinds.clear();
    columns.wholes.clear();
    columns.floats.clear();
    columns.qualities.clear();
    if columns.series.capacity() > MOST_KEPT {
        *columns = proto::Batch::default();
    }
}

pub(crate) fn batch_in(batch: proto::Batch) -> Result<Batch, WireError> {
    let mut samples = Vec::with_capacity(batch.series.len().min(MOST_SAMPLES));
    let at = rows_in(&batch, &mut samples)?;
    Ok(Batch {
        collector: name(batch.collector, "batch.collector")?,
        at,
        samples,
    })
}

/// Puts the rows of the columns behind those that are there, and gives their time.
fn rows_in(batch: &proto::Batch, samples: &mut Vec<SampleRow>) -> Result<Moment, WireError> {
    let count = batch.series.len();
    at_most(count, MOST_SAMPLES, "batch.series")?;
    if batch.kinds.len() != count {
        return Err(out_of_bounds("batch.kinds"));
    }
    if !batch.qualities.is_empty() && batch.qualities.len() != count {
        return Err(out_of_bounds("batch.qualities"));
    }
    let mut wholes = batch.wholes.iter().copied();
    let mut floats = batch.floats.iter().copied();
    let mut qualities = batch.qualities.iter().copied();
    for (number, kind) in batch.series.iter().zip(&batch.kinds) {
        let value = match *kind {
            KIND_NONE => None,
            KIND_WHOLE => Some(Value::U64(next(&mut wholes, "batch.wholes")?)),
            KIND_FLOAT => Some(Value::F64(next(&mut floats, "batch.floats")?)),
            KIND_STATE => {
                let index = u16::try_from(next(&mut wholes, "batch.wholes")?);
                Some(Value::State(
                    index.map_err(|_| out_of_bounds("batch.wholes"))?,
                ))
            }
            _ => return Err(out_of_bounds("batch.kinds")),
        };
        let quality = qualities.next().map_or(Quality::Good, Quality::from_code);
        if value.is_none() != matches!(quality, Quality::Absent(_)) {
            return Err(out_of_bounds("batch.qualities"));
        }
        if value.is_some_and(|value| !value.is_finite()) {
            return Err(out_of_bounds("batch.floats"));
        }
        samples.push((series_number(*number, "batch.series")?, value, quality));
    }
    if wholes.next().is_some() || floats.next().is_some() {
        return Err(out_of_bounds("batch.kinds"));
    }
    moment(batch.wall_nanos, batch.boot_nanos, "batch.wall")
}

#[cfg(test)]
mod tests {
    use glasshouse_core::failure::FailureReason;

    use super::*;

    #[test]
    fn an_encoder_forgets_the_batch_before() {
        let at = Moment::default();
        let mut encoder = BatchEncoder::default();
        let absent = (3, None, Quality::Absent(FailureReason::Denied));
        drop(encoder.encode(
            "longer_name",
            at,
            &[(1, Some(Value::F64(1.5)), Quality::Good), absent],
        ));
        let second = [(2, Some(Value::U64(7)), Quality::Good)];
        let fresh = BatchEncoder::default().encode("fake", at, &second);
        assert_eq!(encoder.encode("fake", at, &second), fresh);
    }

    #[test]
    fn a_decoder_forgets_the_batch_before_and_says_what_a_new_one_says() {
        let at = Moment {
            wall: glasshouse_core::time::Timestamp::from_nanos(5),
            boot: glasshouse_core::time::BootTime::from_nanos(7),
        };
        let absent = (3, None, Quality::Absent(FailureReason::Denied));
        let float = (1, Some(Value::F64(1.5)), Quality::Good);
        let whole = (2, Some(Value::U64(7)), Quality::Good);
        let state = (9, Some(Value::State(3)), Quality::Stale);
        let mut decoder = BatchDecoder::default();
        for (collector, samples) in [
            ("longer_name", vec![float, absent, whole]),
            ("fake", vec![whole]),
            ("none", vec![]),
            ("fake", vec![state, whole, float]),
        ] {
            let payload = BatchEncoder::default().encode(collector, at, &samples);
            let view = decoder.decode(&payload).unwrap().unwrap();
            assert_eq!((view.collector, view.at), (collector, at));
            assert_eq!(view.samples, samples);
            let cut = payload.get(..payload.len() - 1).unwrap();
            assert!(decoder.decode(cut).is_err(), "half of it");
        }
        let beat = crate::Message::Heartbeat(crate::Heartbeat::default()).encode();
        assert_eq!(decoder.decode(&beat).unwrap(), None);
        assert_eq!(decoder.decode(&[]).unwrap(), None);
        // two kinds in one payload
        let mut both = BatchEncoder::default().encode("fake", at, &[whole]);
        both.extend(&beat);
        assert_eq!(decoder.decode(&both).unwrap(), None);
        let payload = BatchEncoder::default().encode("fake", at, &[whole]);
        assert_eq!(decoder.decode(&payload).unwrap().unwrap().samples, [whole]);
    }

    #[test]
    fn a_decoder_allocates_once_a_batch_however_many_samples_it_has() {
        for count in [1, 600, 8000] {
            let samples: Vec<SampleRow> = (1..=count)
                .map(|number| {
                    (
                        number,
                        Some(Value::U64(u64::from(number) << 20)),
                        Quality::Good,
                    )
                })
                .collect();
            let payload = BatchEncoder::default().encode("fake", Moment::default(), &samples);
            let mut decoder = BatchDecoder::default();
            decoder.decode(&payload).unwrap();
            let allocated = allocation_counter::measure(|| {
                for _ in 0..100 {
                    assert!(decoder.decode(&payload).unwrap().is_some());
                }
            });
            // the column of kinds
            assert_eq!((allocated.count_total, allocated.count_current), (100, 0));
        }
    }

    /// Batches that contradict themselves, each with the field that says so.
    #[test]
    fn a_batch_that_contradicts_itself_is_refused() {
        let good = proto::Batch {
            collector: "fake".to_owned(),
            wall_nanos: 1,
            boot_nanos: 1,
            series: vec![1, 2],
            kinds: vec![KIND_WHOLE, KIND_FLOAT],
            wholes: vec![1],
            floats: vec![1.0],
            qualities: vec![],
        };
        assert!(batch_in(good.clone()).is_ok());
        let change = |change: fn(&mut proto::Batch)| {
            let mut batch = good.clone();
            change(&mut batch);
            match batch_in(batch) {
                Err(WireError::OutOfBounds { field }) => field,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(change(|batch| batch.kinds.truncate(1)), "batch.kinds");
        assert_eq!(change(|batch| batch.kinds[0] = 9), "batch.kinds");
        assert_eq!(
            change(|batch| batch.kinds[0] = KIND_NONE),
            "batch.qualities"
        );
        assert_eq!(change(|batch| batch.wholes.push(1)), "batch.kinds");
        assert_eq!(change(|batch| batch.wholes.clear()), "batch.wholes");
        assert_eq!(change(|batch| batch.floats[0] = f64::NAN), "batch.floats");
        assert_eq!(change(|batch| batch.series[0] = 0), "batch.series");
        assert_eq!(change(|batch| batch.series = vec![1; 9000]), "batch.series");
        assert_eq!(change(|batch| batch.qualities.push(0)), "batch.qualities");
        assert_eq!(
            change(|batch| batch.qualities = vec![0, 16]),
            "batch.qualities"
        );
        assert_eq!(change(|batch| batch.wall_nanos = -1), "batch.wall");
        assert_eq!(change(|batch| batch.collector.clear()), "batch.collector");
        assert_eq!(
            change(|batch| batch.collector = "a b".to_owned()),
            "batch.collector"
        );
    }
}
