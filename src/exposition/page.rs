//! A page: the newest readings of all series, with what falls together settled.
//!
//! Two names, or two sets of labels, can be one once they are translated. Prometheus would then find a series twice on one
//! page and refuse the page, or take either at random. So the page keeps the first in an order that does not depend on
//! chance (by the metric's own name, then by the lines themselves), and counts what it leaves out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use glasshouse_core::reader::{Latest, SeriesInfo};
use glasshouse_core::sample::{Quality, Value};

use crate::apart::{Meaning, Names};
use crate::names::Family;
use crate::text::{Format, SeriesText, Writer};

/// One reading to show.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The series.
    pub series: &'a SeriesInfo,
    /// Its value.
    pub value: Value,
}

impl<'a> Reading<'a> {
    /// What a newest sample says of now: nothing where it is stale or absent, because a page has no word for "was".
    #[must_use]
    pub fn of(latest: &'a Latest) -> Option<Self> {
        match latest.sample.quality {
            Quality::Good | Quality::Estimated => Some(Self {
                series: &latest.series,
                value: latest.sample.value?,
            }),
            Quality::Stale | Quality::Absent(_) => None,
        }
    }
}

/// What became of the readings of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Series that are on the page.
    pub shown: u64,
    /// Series whose name, once translated, is that of another metric.
    pub same_name: u64,
    /// Series whose labels, once translated, are those of another series.
    pub same_labels: u64,
    /// Series whose value cannot be written: not finite, or a state that the metric does not have.
    pub unfit: u64,
}

/// The readings, in the order in which they are written.
#[derive(Debug, Default)]
pub struct Page {
    families: BTreeMap<String, (Family, Vec<(SeriesText, Value)>)>,
    names: Names,
    tally: Tally,
}

impl Page {
    /// Settles what is shown. Names in `reserved` belong to families that the caller writes beside this page.
    #[must_use]
    pub fn new<'a>(readings: impl IntoIterator<Item = Reading<'a>>, reserved: &[Family]) -> Self {
        let mut metrics: BTreeMap<Meaning<'a>, Vec<Reading<'a>>> = BTreeMap::new();
        for reading in readings {
            let series = reading.series;
            metrics
                .entry(Meaning::of(series))
                .or_default()
                .push(reading);
        }
        let mut page = Self::default();
        reserved.iter().for_each(|family| {
            page.names.take(family);
        });
        for readings in metrics.into_values() {
            page.add(&readings);
        }
        page
    }

    /// How much of what was read is shown.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// Writes the families in the order of their names. It neither begins nor ends the text.
    ///
    /// # Errors
    /// What the writer's output says.
    pub fn write<W: Write>(&self, writer: &mut Writer<W>) -> io::Result<()> {
        for (family, lines) in self.families.values() {
            writer.family(family)?;
            for (series, value) in lines {
                writer.sample(series, *value, None)?;
            }
        }
        Ok(())
    }

    /// The readings of one metric.
    fn add(&mut self, readings: &[Reading<'_>]) {
        let Some(first) = readings.first() else {
            return;
        };
        let family = Family::of(first.series);
        if !self.names.take(&family) {
            self.tally.same_name += count(readings.len());
            return;
        }
        let mut lines = self.fit_lines(&family, readings);
        lines.sort_by(|(one, of_one, _), (other, of_other, _)| {
            (one.lines(), of_one).cmp(&(other.lines(), of_other))
        });
        let mut taken: BTreeSet<String> = BTreeSet::new();
        let mut kept = Vec::with_capacity(lines.len());
        for (text, _, value) in lines {
            if text.lines().iter().any(|line| taken.contains(line)) {
                self.tally.same_labels += 1;
                continue;
            }
            taken.extend(text.lines().iter().cloned());
            kept.push((text, value));
        }
        self.tally.shown += count(kept.len());
        if !kept.is_empty() {
            self.families.insert(family.name.clone(), (family, kept));
        }
    }

    /// The lines of the readings that can be written, each with its collector.
    fn fit_lines<'a>(
        &mut self,
        family: &Family,
        readings: &[Reading<'a>],
    ) -> Vec<(SeriesText, &'a str, Value)> {
        let mut lines = Vec::with_capacity(readings.len());
        for Reading { series, value } in readings {
            let text = SeriesText::new(family, series);
            let distinct: BTreeSet<&String> = text.lines().iter().collect();
            if family.fits(series, *value) && distinct.len() == text.lines().len() {
                lines.push((text, series.collector.as_str(), *value));
            } else {
                self.tally.unfit += 1;
            }
        }
        lines
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The readings as one whole page of OpenMetrics, family by family in the order of their names.
#[must_use]
pub fn openmetrics(readings: &[Reading<'_>]) -> String {
    let mut writer = Writer::new(Vec::new(), Format::OpenMetrics);
    let written = Page::new(readings.iter().copied(), &[])
        .write(&mut writer)
        .and_then(|()| writer.finish());
    // a vector takes everything, and every line is made of text
    String::from_utf8(written.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
