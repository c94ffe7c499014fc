//! Which of several answers to "what does this machine draw" is believed.

use crate::reader::Latest;
use crate::sample::Quality;

/// The metric of the whole machine's power.
pub const HOST_POWER: &str = "hw.host.power";

/// The label that says who measured it.
pub const SOURCE_LABEL: &str = "hw.source";

/// Who measured the power of the whole machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WallPowerSource {
    /// The BMC, by DCMI Get Power Reading: the platform's own calibrated sensor.
    Dcmi,
    /// The BMC, by Redfish `PowerConsumedWatts`: most often the same sensor, over one more program.
    Redfish,
    /// The sum of what the power supplies draw: right where every supply answers.
    PsuSum,
}

impl WallPowerSource {
    /// Every source, the most trusted first.
    pub const BY_TRUST: &[Self] = &[Self::Dcmi, Self::Redfish, Self::PsuSum];

    /// The value of [`SOURCE_LABEL`].
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dcmi => "dcmi",
            Self::Redfish => "redfish",
            Self::PsuSum => "psu_sum",
        }
    }

    /// From the value of the label.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::BY_TRUST
            .iter()
            .copied()
            .find(|source| source.word() == word)
    }
}

/// The answer to believe: the most trusted source that has a fresh value; where none has, the most trusted of those with
/// an old one; where there is none at all, the most trusted that says that it is absent. Other metrics and sources that
/// nobody knows are passed over.
#[must_use]
pub fn most_trusted(latest: &[Latest]) -> Option<(WallPowerSource, &Latest)> {
    let known = latest.iter().filter_map(|entry| {
        let source = entry.series.labels.get(SOURCE_LABEL)?;
        let source = WallPowerSource::parse(source.raw())?;
        (entry.series.metric == HOST_POWER).then_some((source, entry))
    });
    let distrust = |(source, entry): &(WallPowerSource, &Latest)| {
        let freshness = match entry.sample.quality {
            Quality::Good | Quality::Estimated => 0,
            Quality::Stale => 1,
            Quality::Absent(_) => 2,
        };
        let mut order = WallPowerSource::BY_TRUST.iter();
        (freshness, order.position(|known| known == source))
    };
    known.min_by_key(distrust)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::failure::FailureReason;
    use crate::labels::Labels;
    use crate::metric::{Audience, MetricKind};
    use crate::reader::SeriesInfo;
    use crate::sample::{Sample, Value};
    use crate::time::Timestamp;

    fn entry(metric: &str, source: &str, quality: Quality) -> Latest {
        let is_absent = matches!(quality, Quality::Absent(_));
        Latest {
            series: Arc::new(SeriesInfo {
                metric: metric.to_owned(),
                unit: "W".to_owned(),
                kind: MetricKind::Gauge,
                states: Vec::new(),
                help: String::new(),
                labels: Labels::new([(SOURCE_LABEL, source)]),
                collector: source.to_owned(),
                interval: Duration::from_secs(30),
                audience: Audience::Operator,
            }),
            sample: Sample {
                at: Timestamp::default(),
                value: (!is_absent).then_some(Value::F64(1.0)),
                quality,
            },
        }
    }

    #[test]
    fn the_most_trusted_that_is_fresh_is_believed() {
        use Quality::{Absent, Estimated, Good, Stale};
        let timeout = Absent(FailureReason::Timeout);
        type Case<'a> = (&'a [(&'a str, Quality)], Option<&'a str>);
        let cases: &[Case<'_>] = &[
            (&[], None),
            (
                &[("psu_sum", Good), ("redfish", Good), ("dcmi", Good)],
                Some("dcmi"),
            ),
            (&[("psu_sum", Good), ("redfish", Good)], Some("redfish")),
            (
                &[
                    ("psu_sum", Estimated),
                    ("redfish", Stale),
                    ("dcmi", timeout),
                ],
                Some("psu_sum"),
            ),
            (
                &[("psu_sum", Stale), ("redfish", Stale), ("dcmi", timeout)],
                Some("redfish"),
            ),
            (&[("psu_sum", timeout), ("dcmi", timeout)], Some("dcmi")),
            (&[("meter", Good)], None),
        ];
        for (sources, believed) in cases {
            let sources = sources.iter();
            let mut latest: Vec<Latest> = sources
                .map(|(source, quality)| entry(HOST_POWER, source, *quality))
                .collect();
            latest.push(entry("hw.power", "dcmi", Good));
            let found = most_trusted(&latest).map(|(source, _)| source.word());
            assert_eq!(found, *believed, "{latest:?}");
        }
    }
}
