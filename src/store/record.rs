//! What stands in the frames of a head: its opening, definitions of series, batches of samples.

use std::time::Duration;

use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{BootTime, Moment, Timestamp};

use crate::bytes::{Cursor, put_text, put_varint, put_zigzag};
use crate::definitions::Definitions;
use crate::error::{Malformed, OTHER_VERSION};
use crate::frame;

/// The version of the head format; a head of another version is not read.
const VERSION: u64 = 1;

const OPEN: u8 = 1;
pub(crate) const DEFINE: u8 = 2;
const BATCH: u8 = 3;
pub(crate) const DEFINE_ALL: u8 = 4;

/// The numbers of definitions in a file are below this: a bound on what a damaged file can make a reader hold.
pub(crate) const MOST_SERIES: usize = 1 << 16;

/// Labels times four states each would still fit; OpenTelemetry's metrics have at most a dozen states.
pub(crate) const MOST_STATES: usize = 1024;

/// A record as it stands in a frame.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    /// The first one of a head.
    Open,
    /// What series of this head are.
    Define(Definitions<'a>),
    /// Samples.
    Batch(BatchRecord<'a>),
}

/// The samples of one batch, still encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchRecord<'a> {
    pub(crate) collector: &'a str,
    pub(crate) at: Moment,
    samples: Cursor<'a>,
}

/// One sample of a batch: reference inside the head, value, quality.
pub(crate) type RecordSample = (u32, Option<Value>, Quality);

impl<'a> Record<'a> {
    pub(crate) fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        match cursor.u8()? {
            OPEN => {
                if cursor.varint()? != VERSION {
                    return Err(OTHER_VERSION);
                }
                Ok(Self::Open)
            }
            DEFINE => Ok(Self::Define(Definitions::one(cursor))),
            DEFINE_ALL => Ok(Self::Define(Definitions::packed(cursor)?)),
            BATCH => Ok(Self::Batch(BatchRecord {
                collector: cursor.text()?,
                at: Moment {
                    wall: Timestamp::from_nanos(cursor.i64()?),
                    boot: BootTime::from_nanos(cursor.u64()?),
                },
                samples: cursor,
            })),
            _ => Err(Malformed("a record is of an unknown kind")),
        }
    }
}

impl BatchRecord<'_> {
    /// Hands every sample to `take` up to where the batch stops making sense; whoever reads it first counts that.
    pub(crate) fn each_readable(&self, take: impl FnMut(RecordSample)) {
        match self.each(take) {
            Ok(()) | Err(Malformed(_)) => {}
        }
    }

    /// Hands every sample to `take`.
    pub(crate) fn each(&self, mut take: impl FnMut(RecordSample)) -> Result<(), Malformed> {
        let mut cursor = self.samples;
        let mut reference = 0_i64;
        while !cursor.is_empty() {
            reference = reference.wrapping_add(cursor.zigzag()?);
            let tag = cursor.u8()?;
            let value = match tag & 3 {
                1 => Some(Value::U64(cursor.varint()?)),
                2 => Some(Value::F64(cursor.f64()?)),
                3 => Some(Value::State(state(cursor.varint()?)?)),
                _ => None,
            };
            let number =
                u32::try_from(reference).map_err(|_| Malformed("a reference is no number"))?;
            take((number, value, Quality::from_code(tag >> 2)));
        }
        Ok(())
    }
}

pub(crate) fn state(index: u64) -> Result<u16, Malformed> {
    u16::try_from(index).map_err(|_| Malformed("a state is out of range"))
}

/// Appends the frame that opens a head.
pub(crate) fn put_open(out: &mut Vec<u8>, sequence: u64) {
    let start = frame::begin(out);
    out.push(OPEN);
    put_varint(out, VERSION);
    put_varint(out, sequence);
    // A dozen bytes always fit.
    let ended = frame::end(out, start);
    debug_assert!(ended.is_ok(), "the opening of a head fits a frame");
}

/// Appends the frame of a batch; the error is its size where that is too large.
pub(crate) fn put_batch(
    out: &mut Vec<u8>,
    collector: &str,
    at: Moment,
    samples: impl Iterator<Item = RecordSample>,
) -> Result<(), usize> {
    let start = frame::begin(out);
    out.push(BATCH);
    put_text(out, collector);
    out.extend_from_slice(&at.wall.nanos().to_le_bytes());
    out.extend_from_slice(&at.boot.nanos().to_le_bytes());
    let mut before = 0_i64;
    for (reference, value, quality) in samples {
        put_zigzag(out, i64::from(reference).wrapping_sub(before));
        before = i64::from(reference);
        let tag = quality.code() << 2;
        match value {
            None => out.push(tag),
            Some(Value::U64(whole)) => {
                out.push(tag | 1);
                put_varint(out, whole);
            }
            Some(Value::F64(float)) => {
                out.push(tag | 2);
                out.extend_from_slice(&float.to_le_bytes());
            }
            Some(Value::State(index)) => {
                out.push(tag | 3);
                put_varint(out, u64::from(index));
            }
        }
    }
    frame::end(out, start)
}

pub(crate) fn interval_nanos(interval: Duration) -> u64 {
    u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) const fn kind_code(kind: MetricKind) -> u8 {
    match kind {
        MetricKind::Counter => 0,
        MetricKind::UpDownCounter => 1,
        MetricKind::Gauge => 2,
    }
}

pub(crate) fn kind_from(code: u8) -> Result<MetricKind, Malformed> {
    let kind = MetricKind::ALL.get(usize::from(code)).copied();
    kind.ok_or(Malformed("a metric is of an unknown kind"))
}

pub(crate) const fn audience_code(audience: Audience) -> u8 {
    match audience {
        Audience::Operator => 0,
        Audience::Performance => 1,
        Audience::Glasshouse => 2,
    }
}

pub(crate) fn audience_from(code: u8) -> Result<Audience, Malformed> {
    let audience = Audience::ALL.get(usize::from(code)).copied();
    audience.ok_or(Malformed("a metric has an unknown audience"))
}
