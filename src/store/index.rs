//! The index of a segment: which series stand in it, fully described, and where their blocks are.
//!
//! ```text
//! varint texts        each: varint length, UTF-8
//! varint collectors   each: text (its name), varint rows, zigzag oldest, zigzag newest time, block of its times
//! varint metrics      each: text name, text unit, byte kind, byte audience, text help, collector, varint interval in ns,
//!                           varint states, each a text
//! varint series       each: metric, varint labels, each two texts (key, value), its block, varint values,
//!                           varint (its oldest - collector's oldest), varint (collector's newest - its newest)
//! ```
//!
//! Texts, collectors and metrics are named by their place in their list. Blocks are numbered, and stand in the file, in
//! this order: for each collector its times, then its series in the order of the index; so a block is said by the varint
//! of its length, CRC included. What is the same to the last byte stands in the file once: instead of a length there is
//! 0, and a varint that says how many numbers before the same was given.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::labels::Labels;
use glasshouse_core::reader::SeriesInfo;

use crate::bytes::{Cursor, narrow, put_size, put_text, put_varint, put_zigzag, wide};
use crate::error::Malformed;
use crate::pack::MOST_ROWS;
use crate::record::{
    MOST_SERIES, MOST_STATES, audience_code, audience_from, interval_nanos, kind_code, kind_from,
};

/// Series in one segment at most: a day of series that come and go is more than there may be at once.
pub(crate) const MOST_INDEXED: usize = 4 * MOST_SERIES;

/// Where a block lies in its file, CRC included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) length: usize,
}

/// How a block came into its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// It was written, and is so long with its CRC.
    New(usize),
    /// It is the same as the one that was given so many blocks before.
    Again(usize),
}

/// A collector in a segment.
#[derive(Clone, Debug)]
pub(crate) struct CollectorEntry<'a> {
    pub(crate) name: &'a str,
    pub(crate) oldest: i64,
    pub(crate) newest: i64,
    pub(crate) times: Place,
}

/// A series in a segment.
#[derive(Clone, Debug)]
pub(crate) struct SeriesEntry {
    pub(crate) info: Arc<SeriesInfo>,
    /// The place of its collector in the list.
    pub(crate) collector: usize,
    pub(crate) block: Place,
    pub(crate) oldest: i64,
    pub(crate) newest: i64,
}

/// Collects the index while the blocks are written.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    texts: BTreeMap<String, usize>,
    in_order: Vec<String>,
    collectors: Vec<u8>,
    collector_count: usize,
    bounds: (i64, i64),
    metrics: BTreeMap<Vec<u8>, usize>,
    metrics_in_order: Vec<Vec<u8>>,
    series: Vec<u8>,
    series_count: usize,
}

impl IndexBuilder {
    pub(crate) const fn series_count(&self) -> usize {
        self.series_count
    }

    pub(crate) fn collector(&mut self, name: &str, rows: usize, bounds: (i64, i64), block: Stored) {
        let name = self.text(name);
        put_size(&mut self.collectors, name);
        put_size(&mut self.collectors, rows);
        put_zigzag(&mut self.collectors, bounds.0);
        put_zigzag(&mut self.collectors, bounds.1);
        put_stored(&mut self.collectors, block);
        self.collector_count += 1;
        self.bounds = bounds;
    }

    /// A series of the collector that was given last.
    pub(crate) fn series(
        &mut self,
        info: &SeriesInfo,
        block: Stored,
        values: u64,
        bounds: (i64, i64),
    ) {
        let metric = self.metric(info);
        put_size(&mut self.series, metric);
        put_size(&mut self.series, info.labels.len());
        for (key, value) in info.labels.iter() {
            let (key, value) = (self.text(key), self.text(value.raw()));
            put_size(&mut self.series, key);
            put_size(&mut self.series, value);
        }
        put_stored(&mut self.series, block);
        put_varint(&mut self.series, values);
        put_varint(&mut self.series, bounds.0.abs_diff(self.bounds.0));
        put_varint(&mut self.series, self.bounds.1.abs_diff(bounds.1));
        self.series_count += 1;
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_size(&mut out, self.in_order.len());
        for text in &self.in_order {
            put_text(&mut out, text);
        }
        put_size(&mut out, self.collector_count);
        out.extend_from_slice(&self.collectors);
        put_size(&mut out, self.metrics_in_order.len());
        for metric in &self.metrics_in_order {
            out.extend_from_slice(metric);
        }
        put_size(&mut out, self.series_count);
        out.extend_from_slice(&self.series);
        out
    }

    fn text(&mut self, text: &str) -> usize {
        if let Some(place) = self.texts.get(text) {
            return *place;
        }
        let place = self.in_order.len();
        self.in_order.push(text.to_owned());
        self.texts.insert(text.to_owned(), place);
        place
    }

    fn metric(&mut self, info: &SeriesInfo) -> usize {
        let mut entry = Vec::new();
        for text in [&info.metric, &info.unit] {
            let text = self.text(text);
            put_size(&mut entry, text);
        }
        entry.push(kind_code(info.kind));
        entry.push(audience_code(info.audience));
        let help = self.text(&info.help);
        put_size(&mut entry, help);
        put_size(&mut entry, self.collector_count.saturating_sub(1));
        put_varint(&mut entry, interval_nanos(info.interval));
        put_size(&mut entry, info.states.len());
        for state in &info.states {
            let state = self.text(state);
            put_size(&mut entry, state);
        }
        if let Some(place) = self.metrics.get(&entry) {
            return *place;
        }
        let place = self.metrics_in_order.len();
        self.metrics_in_order.push(entry.clone());
        self.metrics.insert(entry, place);
        place
    }
}

/// An index as it was read: lists that are parsed, and series that still are not.
#[derive(Debug)]
pub(crate) struct Index<'a> {
    texts: Vec<&'a str>,
    pub(crate) collectors: Vec<CollectorEntry<'a>>,
    metrics: Vec<Metric<'a>>,
    series: Cursor<'a>,
    /// Where the blocks of the series are.
    places: Vec<Place>,
}

/// What all series of a metric share; the labels are those of none.
#[derive(Debug)]
struct Metric<'a> {
    name: &'a str,
    collector: usize,
    shared: SeriesInfo,
}

impl<'a> Index<'a> {
    /// Parses an index whose blocks lie between two offsets of the file.
    pub(crate) fn parse(bytes: &'a [u8], start: u64, end: u64) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        let texts = (0..cursor.count(usize::MAX)?)
            .map(|_| cursor.text())
            .collect::<Result<Vec<_>, _>>()?;
        let mut times = Vec::new();
        let collectors = (0..cursor.count(MOST_SERIES)?)
            .map(|_| {
                let name = text(&texts, &mut cursor)?;
                cursor.size(MOST_ROWS)?;
                let (oldest, newest) = (cursor.zigzag()?, cursor.zigzag()?);
                times.push(take_stored(&mut cursor)?);
                Ok(CollectorEntry {
                    name,
                    oldest,
                    newest,
                    times: NO_PLACE,
                })
            })
            .collect::<Result<Vec<_>, Malformed>>()?;
        let metrics = (0..cursor.count(MOST_INDEXED)?)
            .map(|_| take_metric(&texts, &collectors, &mut cursor))
            .collect::<Result<Vec<_>, _>>()?;
        let series_count = cursor.count(MOST_INDEXED)?;
        let mut index = Self {
            texts,
            collectors,
            metrics,
            series: cursor,
            places: Vec::with_capacity(series_count),
        };
        index.find_places(&times, series_count, start..end)?;
        Ok(index)
    }

    /// Hands over every series of a metric that is wanted.
    pub(crate) fn each(
        &self,
        wanted: impl Fn(&str) -> bool,
        mut take: impl FnMut(SeriesEntry) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let wanted: Vec<bool> = self
            .metrics
            .iter()
            .map(|metric| wanted(metric.name))
            .collect();
        let mut cursor = self.series;
        for place in &self.places {
            let number = cursor.size(MOST_INDEXED)?;
            let metric = self.metrics.get(number).ok_or(NOWHERE)?;
            let labels = cursor.count(Labels::MOST)?;
            let mut pairs = cursor;
            for _ in 0..labels * 2 {
                cursor.varint()?;
            }
            take_stored(&mut cursor)?;
            cursor.varint()?;
            let (oldest, newest) = (cursor.varint()?, cursor.varint()?);
            if !wanted.get(number).is_some_and(|wanted| *wanted) {
                continue;
            }
            let pairs = (0..labels)
                .map(|_| {
                    Ok((
                        text(&self.texts, &mut pairs)?,
                        text(&self.texts, &mut pairs)?,
                    ))
                })
                .collect::<Result<Vec<_>, Malformed>>()?;
            let collector = self.collectors.get(metric.collector).ok_or(NOWHERE)?;
            take(SeriesEntry {
                info: Arc::new(SeriesInfo {
                    labels: Labels::new(pairs),
                    ..metric.shared.clone()
                }),
                collector: metric.collector,
                block: *place,
                oldest: collector.oldest.saturating_add_unsigned(oldest),
                newest: collector.newest.saturating_sub_unsigned(newest),
            })?;
        }
        Ok(())
    }

    /// Finds out where the blocks lie, and whether they fill the file as they should.
    fn find_places(
        &mut self,
        times: &[Stored],
        series_count: usize,
        file: Range<u64>,
    ) -> Result<(), Malformed> {
        let mut places = Places {
            known: Vec::with_capacity(times.len().saturating_add(series_count)),
            next: file.start,
        };
        let mut times = times.iter();
        let collector_count = self.collectors.len();
        let mut collectors = self.collectors.iter_mut();
        let mut begun = 0;
        let mut begin = |places: &mut Places| {
            if let (Some(collector), Some(stored)) = (collectors.next(), times.next()) {
                collector.times = places.add(*stored)?;
            }
            Ok(())
        };
        let mut cursor = self.series;
        for _ in 0..series_count {
            let metric = self
                .metrics
                .get(cursor.size(MOST_INDEXED)?)
                .ok_or(NOWHERE)?;
            if metric.collector + 1 < begun {
                return Err(Malformed("series are not in the order of their collectors"));
            }
            while begun <= metric.collector {
                begin(&mut places)?;
                begun += 1;
            }
            for _ in 0..cursor.count(Labels::MOST)? * 2 {
                cursor.varint()?;
            }
            self.places.push(places.add(take_stored(&mut cursor)?)?);
            for _ in 0..3 {
                cursor.varint()?;
            }
        }
        while begun < collector_count {
            begin(&mut places)?;
            begun += 1;
        }
        if places.next != file.end || !cursor.is_empty() {
            return Err(Malformed("the index does not fit its file"));
        }
        Ok(())
    }
}

/// The blocks of a file, by their numbers.
struct Places {
    known: Vec<Place>,
    next: u64,
}

impl Places {
    fn add(&mut self, stored: Stored) -> Result<Place, Malformed> {
        let place = match stored {
            Stored::New(length) => {
                let offset = self.next;
                self.next = offset.saturating_add(wide(length));
                Place { offset, length }
            }
            Stored::Again(back) => {
                let number = self.known.len().checked_sub(back);
                let known = number.and_then(|number| self.known.get(number));
                *known.ok_or(NOWHERE)?
            }
        };
        self.known.push(place);
        Ok(place)
    }
}

const NO_PLACE: Place = Place {
    offset: 0,
    length: 0,
};

fn put_stored(out: &mut Vec<u8>, stored: Stored) {
    match stored {
        Stored::New(length) => put_size(out, length),
        Stored::Again(back) => {
            out.push(0);
            put_size(out, back);
        }
    }
}

fn take_stored(cursor: &mut Cursor<'_>) -> Result<Stored, Malformed> {
    Ok(match narrow(cursor.varint()?) {
        0 => Stored::Again(narrow(cursor.varint()?)),
        length => Stored::New(length),
    })
}

const NOWHERE: Malformed = Malformed("the index points nowhere");

fn text<'a>(texts: &[&'a str], cursor: &mut Cursor<'_>) -> Result<&'a str, Malformed> {
    let place = narrow(cursor.varint()?);
    texts.get(place).copied().ok_or(NOWHERE)
}

fn take_metric<'a>(
    texts: &[&'a str],
    collectors: &[CollectorEntry<'a>],
    cursor: &mut Cursor<'_>,
) -> Result<Metric<'a>, Malformed> {
    let name = text(texts, cursor)?;
    let unit = text(texts, cursor)?.to_owned();
    let kind = kind_from(cursor.u8()?)?;
    let audience = audience_from(cursor.u8()?)?;
    let help = text(texts, cursor)?.to_owned();
    let collector = cursor.size(MOST_SERIES)?;
    let interval = Duration::from_nanos(cursor.varint()?);
    let states = (0..cursor.count(MOST_STATES)?)
        .map(|_| text(texts, cursor).map(str::to_owned))
        .collect::<Result<_, _>>()?;
    Ok(Metric {
        name,
        collector,
        shared: SeriesInfo {
            metric: name.to_owned(),
            unit,
            kind,
            states,
            help,
            labels: Labels::default(),
            collector: collectors.get(collector).ok_or(NOWHERE)?.name.to_owned(),
            interval,
            audience,
        },
    })
}
