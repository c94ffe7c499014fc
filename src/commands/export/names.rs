//! Which families a file of OpenMetrics has.
//!
//! Two metrics can be one name once they are translated. As on `/metrics`, the first by name, unit and kind has it, so that what
//! is exported continues what was scraped; the others are left out and counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use glasshouse_core::reader::SeriesInfo;
use glasshouse_exposition::{Family, Meaning, Names};

/// A family and the places of its series in a scan.
pub(super) struct Planned {
    pub(super) family: Family,
    /// In the order of the scan, so that those of one collector follow each other.
    pub(super) places: Vec<usize>,
}

/// The families of some series by name, and how many series are left out because their name is taken.
pub(super) fn families(series: &[Arc<SeriesInfo>]) -> (Vec<Planned>, u64) {
    let mut metrics: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (place, info) in series.iter().enumerate() {
        metrics.entry(Meaning::of(info)).or_default().push(place);
    }
    let mut names = Names::default();
    let mut planned = BTreeMap::new();
    let mut left_out = 0;
    for places in metrics.into_values() {
        let Some(first) = places.first().and_then(|place| series.get(*place)) else {
            continue;
        };
        let family = Family::of(first);
        if names.take(&family) {
            planned.insert(family.name.clone(), Planned { family, places });
        } else {
            left_out += u64::try_from(places.len()).unwrap_or(u64::MAX);
        }
    }
    (planned.into_values().collect(), left_out)
}
