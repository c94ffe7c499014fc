//! Definitions of series in a head: one by one as they come in, and packed together where a head begins with those
//! that are known, which would otherwise be the larger part of a head of some minutes.

use std::borrow::Cow;
use std::time::Duration;

use glasshouse_core::labels::Labels;
use glasshouse_core::reader::SeriesInfo;

use crate::bytes::{Cursor, put_size, put_text, put_varint};
use crate::error::Malformed;
use crate::frame::{self, MOST_PAYLOAD};
use crate::record::{
    DEFINE, DEFINE_ALL, MOST_STATES, audience_code, audience_from, interval_nanos, kind_code,
    kind_from,
};

/// Definitions are packed together until they are longer than this: a damaged frame costs some hundred series at most.
const LIST: usize = 32 << 10;

/// What a packed list unpacks to at most: the list above, and then one as large as it may be.
const MOST_LIST: usize = LIST + MOST_PAYLOAD;

/// A list is written each time a head begins, and a higher level saves little.
const ZSTD_LEVEL: i32 = 3;

/// Series `reference` of a head is what run `run` of the probe calls `number`.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) run: u64,
    pub(crate) number: u32,
    pub(crate) reference: u32,
    pub(crate) info: SeriesInfo,
}

/// The definitions of one frame, still encoded.
#[derive(Clone, Debug)]
pub(crate) struct Definitions<'a>(Cow<'a, [u8]>);

impl<'a> Definitions<'a> {
    pub(crate) fn one(cursor: Cursor<'a>) -> Self {
        Self(Cow::Borrowed(cursor.rest()))
    }

    pub(crate) fn packed(cursor: Cursor<'a>) -> Result<Self, Malformed> {
        // Takes no more memory than the frame says, and that not beyond the bound.
        zstd::bulk::decompress(cursor.rest(), MOST_LIST)
            .map(|list| Self(Cow::Owned(list)))
            .map_err(|_| Malformed("definitions cannot be unpacked"))
    }

    /// Hands every definition to `take`, and says whether all of them made sense, also to whom they were handed.
    pub(crate) fn each(
        &self,
        mut take: impl FnMut(Definition) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(&self.0);
        let mut outcome = Ok(());
        while !cursor.is_empty() {
            let definition = Definition {
                run: cursor.varint()?,
                number: cursor.number()?,
                reference: cursor.number()?,
                info: take_info(&mut cursor)?,
            };
            outcome = outcome.and(take(definition));
        }
        outcome
    }
}

/// Appends the frame of a definition; the error is its size where that is too large.
pub(crate) fn put_define(
    out: &mut Vec<u8>,
    run: u64,
    number: u32,
    reference: u32,
    info: &SeriesInfo,
) -> Result<(), usize> {
    let start = frame::begin(out);
    out.push(DEFINE);
    put_definition(out, run, number, reference, info);
    frame::end(out, start)
}

/// Definitions that are being packed together.
#[derive(Debug, Default)]
pub(crate) struct DefinitionList(Vec<u8>);

impl DefinitionList {
    /// Adds a definition, and appends a frame where there are enough for one.
    pub(crate) fn add(
        &mut self,
        out: &mut Vec<u8>,
        (run, number, reference, info): (u64, u32, u32, &SeriesInfo),
    ) -> std::io::Result<()> {
        let start = self.0.len();
        put_definition(&mut self.0, run, number, reference, info);
        if self.0.len() - start > LIST {
            self.0.truncate(start);
            // It stood in a frame before.
            let put = put_define(out, run, number, reference, info);
            debug_assert!(put.is_ok(), "a definition that was taken once fits a frame");
        }
        if self.0.len() > LIST {
            self.put(out)?;
        }
        Ok(())
    }

    /// Appends the frame of what was added since the last one.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>) -> std::io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let packed = zstd::bulk::compress(&self.0, ZSTD_LEVEL)?;
        self.0.clear();
        let start = frame::begin(out);
        out.push(DEFINE_ALL);
        out.extend_from_slice(&packed);
        let ended = frame::end(out, start);
        debug_assert!(
            ended.is_ok(),
            "twice a list is far from the bound of a frame"
        );
        Ok(())
    }
}

fn put_definition(out: &mut Vec<u8>, run: u64, number: u32, reference: u32, info: &SeriesInfo) {
    put_varint(out, run);
    put_varint(out, u64::from(number));
    put_varint(out, u64::from(reference));
    put_info(out, info);
}

fn put_info(out: &mut Vec<u8>, info: &SeriesInfo) {
    put_text(out, &info.metric);
    put_text(out, &info.unit);
    out.push(kind_code(info.kind));
    out.push(audience_code(info.audience));
    put_text(out, &info.help);
    put_text(out, &info.collector);
    put_varint(out, interval_nanos(info.interval));
    put_size(out, info.states.len());
    for state in &info.states {
        put_text(out, state);
    }
    put_size(out, info.labels.len());
    for (key, value) in info.labels.iter() {
        put_text(out, key);
        put_text(out, value.raw());
    }
}

fn take_info(cursor: &mut Cursor<'_>) -> Result<SeriesInfo, Malformed> {
    let metric = cursor.text()?.to_owned();
    let unit = cursor.text()?.to_owned();
    let kind = kind_from(cursor.u8()?)?;
    let audience = audience_from(cursor.u8()?)?;
    let help = cursor.text()?.to_owned();
    let collector = cursor.text()?.to_owned();
    let interval = Duration::from_nanos(cursor.varint()?);
    let states = (0..cursor.count(MOST_STATES)?)
        .map(|_| cursor.text().map(str::to_owned))
        .collect::<Result<_, _>>()?;
    let pairs = (0..cursor.count(Labels::MOST)?)
        .map(|_| Ok((cursor.text()?, cursor.text()?)))
        .collect::<Result<Vec<_>, Malformed>>()?;
    Ok(SeriesInfo {
        metric,
        unit,
        kind,
        states,
        help,
        labels: Labels::new(pairs),
        collector,
        interval,
        audience,
    })
}

#[cfg(test)]
mod tests {
    use glasshouse_core::metric::{Audience, MetricKind};
    use proptest::prelude::*;

    use crate::record::Record;

    use super::*;

    fn info(name: &str, help: usize) -> SeriesInfo {
        SeriesInfo {
            metric: name.to_owned(),
            unit: "By".to_owned(),
            kind: MetricKind::Gauge,
            states: vec!["on".to_owned(), "off".to_owned()],
            help: "h".repeat(help),
            labels: Labels::new([("device", name)]),
            collector: "c".to_owned(),
            interval: Duration::from_secs(1),
            audience: Audience::Operator,
        }
    }

    /// The payloads of frames that are known to be whole.
    fn payloads(mut frames: &[u8]) -> Vec<Vec<u8>> {
        let mut payloads = Vec::new();
        while !frames.is_empty() {
            let length = u32::from_le_bytes(frames[4..8].try_into().unwrap()) as usize;
            payloads.push(frames[16..16 + length].to_vec());
            frames = &frames[16 + length..];
        }
        payloads
    }

    #[test]
    fn lists_of_any_length_survive_and_cost_little() {
        let infos: Vec<SeriesInfo> = (0..3000_usize)
            .map(|n| info(&format!("metric.{n}"), if n == 700 { 50_000 } else { 60 }))
            .collect();
        let mut out = Vec::new();
        let mut list = DefinitionList::default();
        for (number, info) in (0..).zip(&infos) {
            list.add(&mut out, (7, number, number + 1, info)).unwrap();
        }
        list.put(&mut out).unwrap();
        list.put(&mut out).unwrap();
        let mut back = Vec::new();
        for payload in payloads(&out) {
            let Ok(Record::Define(definitions)) = Record::decode(&payload) else {
                panic!("no definitions");
            };
            let all = definitions.each(|one| {
                back.push(one);
                Ok(())
            });
            all.unwrap();
        }
        back.sort_by_key(|one| one.number);
        assert!(
            back.iter()
                .all(|one| one.run == 7 && one.reference == one.number + 1)
        );
        let back: Vec<SeriesInfo> = back.into_iter().map(|one| one.info).collect();
        assert_eq!(back, infos);
        assert!(out.len() < 3000 * 20 + 51_000, "{}", out.len());
    }

    proptest! {
        #[test]
        fn noise_is_refused_not_obeyed(mut noise in proptest::collection::vec(any::<u8>(), 1..200), is_packed in any::<bool>()) {
            let inside = if is_packed { zstd::bulk::compress(&noise, 3).unwrap() } else { noise.clone() };
            noise.truncate(1);
            noise[0] = DEFINE_ALL;
            noise.extend(inside);
            if let Ok(Record::Define(definitions)) = Record::decode(&noise) {
                let mut count = 0;
                let read = definitions.each(|_| { count += 1; Ok(()) });
                prop_assert!(read.is_err() || count > 0);
                prop_assert!(count < 200);
            }
        }
    }
}
