//! A series that becomes stale, is said to be absent, and comes back: what each reader is told.

use std::time::Duration;

use glasshouse_core::failure::FailureReason;
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{
    Aggregation, Budget, Latest, RangeAnswer, RangeQuery, Resolution, SampleReader, Selector,
};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{Timestamp, Window};
use glasshouse_store::{Batch, Store, StoreReader};

use crate::common::{S, START, info, moment, quick};

const TIMEOUT: Quality = Quality::Absent(FailureReason::Timeout);

struct Story {
    dir: tempfile::TempDir,
    store: Store,
}

impl Story {
    fn say(&mut self, second: i64, value: Option<f64>) {
        let series = info("hw.temperature", "ipmi", "cpu0", MetricKind::Gauge);
        let series = self.store.define(1, 1, &series).unwrap();
        let quality = if value.is_some() {
            Quality::Good
        } else {
            TIMEOUT
        };
        let batch = Batch {
            collector: "ipmi",
            at: moment(START + second * S, second * S),
            samples: &[(series, value.map(Value::F64), quality)],
        };
        self.store.append(&batch).unwrap();
    }

    /// Seals, merges and rolls up what is due.
    fn maintain(&mut self, second: i64) {
        let now = moment(START + second * S, second * S);
        while self.store.maintain(now).unwrap().more {}
    }

    fn reader(&self) -> StoreReader {
        StoreReader::open(self.dir.path())
    }

    fn latest(&self, second: i64) -> Latest {
        let now = Timestamp::from_nanos(START + second * S);
        let mut latest = self.reader().latest(&Selector::default(), now).unwrap();
        assert_eq!((latest.entries.len(), latest.damaged), (1, false));
        latest.entries.remove(0)
    }

    fn range(&self, to: i64, step: u64, aggregation: Aggregation) -> RangeAnswer {
        let query = RangeQuery {
            selector: Selector::metric("hw.temperature"),
            window: Window {
                from: Timestamp::from_nanos(START),
                to: Timestamp::from_nanos(START + to * S),
            },
            step: Duration::from_secs(step),
            aggregation,
            offset: 0,
            budget: Budget {
                series: 10,
                points: 100_000,
                bytes: u64::MAX,
            },
        };
        self.reader().range(&query).unwrap()
    }
}

/// The same story, told while all stands in the head, and after it was sealed, merged and rolled up.
#[test]
fn good_stale_absent_and_good_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), quick()).unwrap();
    let mut story = Story { dir, store };
    for second in 0..60 {
        story.say(second, Some(40.0));
    }
    let seen = |latest: &Latest| (latest.sample.value, latest.sample.quality);
    let forty = Some(Value::F64(40.0));
    assert_eq!(seen(&story.latest(60)), (forty, Quality::Good));
    assert_eq!(seen(&story.latest(64)), (forty, Quality::Stale));
    for second in 64..240 {
        story.say(second, None);
    }
    assert_eq!(seen(&story.latest(240)), (None, TIMEOUT));
    // absent is what is known, however old: never stale, which would stand for a value
    assert_eq!(seen(&story.latest(300)), (None, TIMEOUT));
    // the question is about the past
    assert_eq!(seen(&story.latest(59)), (forty, Quality::Good));
    story.maintain(600);
    assert_eq!(seen(&story.latest(700)), (None, TIMEOUT), "from a segment");
    for second in 700..720 {
        story.say(second, Some(50.0));
    }
    assert_eq!(
        seen(&story.latest(720)),
        (Some(Value::F64(50.0)), Quality::Good)
    );
    let minutes = |story: &Story, aggregation| {
        let answer = story.range(780, 60, aggregation);
        (
            answer.resolution,
            answer.series[0].values.clone(),
            answer.series[0].samples,
        )
    };
    let mut expected = vec![None; 13];
    expected[0] = Some(40.0);
    expected[11] = Some(50.0);
    let (_, values, samples) = minutes(&story, Aggregation::Mean);
    // absent ones are no samples of a value
    assert_eq!((&values, samples), (&expected, 80), "partly from a head");
    story.maintain(4000);
    story.maintain(8000);
    for aggregation in [
        Aggregation::Mean,
        Aggregation::Min,
        Aggregation::Max,
        Aggregation::Last,
    ] {
        let (resolution, values, samples) = minutes(&story, aggregation);
        assert_eq!(resolution, Resolution::Minute);
        assert_eq!(values, expected, "{aggregation:?}");
        assert_eq!(samples, 80, "{aggregation:?}");
    }
}
