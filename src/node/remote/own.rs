//! What the sender says of itself, as series of the node.

use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::labels::Labels;
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::Value;
use glasshouse_core::time::{Clock, SystemClock, Timestamp};

use super::totals::Totals;
use crate::own::OWN_COLLECTOR;

/// Behind all numbers that the node's own series have.
const FIRST_NUMBER: u32 = 1001;

/// The series, and where their values come from.
#[derive(Debug)]
pub(crate) struct RemoteOwn {
    totals: Arc<Totals>,
    infos: Vec<SeriesInfo>,
}

impl RemoteOwn {
    pub(crate) fn new(totals: Arc<Totals>, interval: Duration) -> Self {
        let series = totals.series(Timestamp::from_nanos(0));
        let infos = series.map(|(metric, reason, _)| SeriesInfo {
            metric: metric.name.to_owned(),
            unit: metric.unit.to_owned(),
            kind: metric.kind,
            states: Vec::new(),
            help: metric.help.to_owned(),
            labels: Labels::new(reason.map(|reason| ("glasshouse.reason", reason))),
            collector: OWN_COLLECTOR.to_owned(),
            interval,
            audience: metric.audience,
        });
        Self {
            infos: infos.collect(),
            totals,
        }
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.infos.len()
    }

    /// The series with their numbers and values.
    pub(crate) fn series(&self) -> impl Iterator<Item = (u32, &SeriesInfo, Value)> {
        let values = self.totals.series(SystemClock.now());
        (FIRST_NUMBER..)
            .zip(&self.infos)
            .zip(values)
            .map(|((number, info), (_, _, value))| (number, info, Value::U64(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_our_own_have_our_name_before_them() {
        let totals = Arc::new(Totals::new(Timestamp::from_nanos(0)));
        let own = RemoteOwn::new(totals, Duration::from_secs(10));
        let with_reason = own.series().filter(|(_, info, _)| {
            let mut labels = info.labels.iter();
            labels.any(|(key, _)| key == "glasshouse.reason")
        });
        assert!(with_reason.count() > 5);
        let mut metrics = crate::STORE_METRICS.iter().chain(&super::super::METRICS);
        assert!(metrics.all(|metric| {
            let mut labels = metric.labels.iter();
            labels.all(|label| label.key.starts_with("glasshouse."))
        }));
    }
}
