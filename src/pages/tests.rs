//! Pages over a world of a few samples.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use glasshouse_core::access::{
    Authenticator, Authorizer, BoxFuture, Decision, DenyReason, Principal, Question,
    TaskDescription, TokenRefusal,
};
use glasshouse_core::audit::{AuditSink, AuditUnavailable, DecisionRecord, OutcomeRecord};
use glasshouse_core::failure::FailureReason;
use glasshouse_core::finding::{FindingReader, OpenEvents, ResolvedEvents};
use glasshouse_core::identity::NodeId;
use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::reader::{
    Found, Inventory, LinkStatus, RangeAnswer, RangeQuery, Resolution, TierCoverage, quality_as_of,
};
use glasshouse_core::sample::Sample;
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{BootTime, Moment, Window};
use glasshouse_mcp::{FaceSettings, FaceWorld};

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// A series, the age of its newest sample in seconds, and its value.
type Newest = (SeriesInfo, u64, Result<Value, FailureReason>);

#[derive(Debug, Default)]
struct World {
    series: Mutex<Vec<Newest>>,
    has_inventory: bool,
    is_broken: bool,
    /// How far the clock was set back. What is newest came before that, and older samples of each second with it.
    set_back: Duration,
}

fn series(metric: &str, collector: &str, seconds: u64) -> SeriesInfo {
    SeriesInfo {
        metric: metric.to_owned(),
        unit: "W".to_owned(),
        kind: MetricKind::Gauge,
        states: Vec::new(),
        help: "Power.".to_owned(),
        labels: Labels::default(),
        collector: collector.to_owned(),
        interval: Duration::from_secs(seconds),
        audience: Audience::Operator,
    }
}

/// The node and the probe, so old that `age` is in seconds.
fn signs_of_life(node: u64, probe: u64) -> Vec<Newest> {
    let [(of_node, _), (of_probe, _)] = SIGNS_OF_LIFE;
    vec![
        (
            series(of_node, "glasshouse_node", 10),
            node,
            Ok(Value::U64(1)),
        ),
        (series(of_probe, "glasshouse", 10), probe, Ok(Value::U64(1))),
    ]
}

impl SampleReader for World {
    fn series(&self, _: &Selector, _: Window) -> Result<Found<Arc<SeriesInfo>>, ReadError> {
        unimplemented!("pages have no windows")
    }

    fn latest(&self, selector: &Selector, now: Timestamp) -> Result<Found<Latest>, ReadError> {
        if self.is_broken {
            let path = "store".to_owned();
            let source = io::Error::other("disk");
            return Err(ReadError::Io { path, source });
        }
        let all = self.series.lock().unwrap();
        if all.is_empty() {
            let path = "store".to_owned();
            return Err(ReadError::Empty { path });
        }
        let asked = all
            .iter()
            .filter(|(series, ..)| selector.matches(&series.metric, &series.labels));
        let entries = asked.map(|(series, age, value)| {
            let mut sample = Sample {
                at: NOW
                    .after(self.set_back)
                    .before(Duration::from_secs(*age))
                    .min(now),
                value: value.ok(),
                quality: value.map_or_else(Quality::Absent, |_| Quality::Good),
            };
            sample.quality = quality_as_of(&sample, series.interval, now);
            let series = Arc::new(series.clone());
            Latest { series, sample }
        });
        Ok(Found {
            entries: entries.collect(),
            damaged: false,
        })
    }

    fn range(&self, _: &RangeQuery) -> Result<RangeAnswer, ReadError> {
        unimplemented!("pages have no windows")
    }

    fn coverage(&self) -> Result<Vec<TierCoverage>, ReadError> {
        Ok(vec![TierCoverage {
            resolution: Resolution::Raw,
            window: None,
            files: 3,
            bytes: 4096,
            samples: 8192,
        }])
    }
}

impl InventoryReader for World {
    fn inventory(&self) -> Result<Arc<Inventory>, ReadError> {
        if !self.has_inventory {
            let path = "inventory".to_owned();
            return Err(ReadError::Empty { path });
        }
        Ok(Arc::new(Inventory {
            node: NodeId::from_bytes([7; 16]),
            host_name: Untrusted::new("web\u{202e}1\"\n"),
            written: NOW,
            facts: Vec::new(),
            collectors: Vec::new(),
            link: LinkStatus::default(),
        }))
    }
}

impl Clock for World {
    fn moment(&self) -> Moment {
        Moment {
            wall: NOW,
            boot: BootTime::from_nanos(1),
        }
    }
}

/// What else a face has, of which the pages want only the door.
#[derive(Debug)]
struct Nothing;

impl FindingReader for Nothing {
    fn open(&self) -> Result<Arc<OpenEvents>, ReadError> {
        unimplemented!("pages have no events")
    }

    fn resolved(&self, _: Window, _: usize) -> Result<ResolvedEvents, ReadError> {
        unimplemented!("pages have no events")
    }
}

impl Authenticator for Nothing {
    fn authenticate<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Principal, TokenRefusal>> {
        Box::pin(async { Err(TokenRefusal::NoIssuer) })
    }
}

impl Authorizer for Nothing {
    fn decide(&self, _: &Question<'_>) -> Decision {
        Decision::Deny {
            reason: DenyReason::NoPolicy,
            policies: Vec::new(),
        }
    }

    fn could_allow(&self, _: &Principal, _: &str, _: NodeId, _: Timestamp) -> bool {
        false
    }

    fn tasks(&self) -> Vec<TaskDescription> {
        Vec::new()
    }
}

impl AuditSink for Nothing {
    fn decided(&self, _: &DecisionRecord) -> Result<(), AuditUnavailable> {
        Ok(())
    }

    fn ended(&self, _: &OutcomeRecord) -> Result<(), AuditUnavailable> {
        Ok(())
    }

    fn refused(&self, _: Timestamp, _: &'static str) {}
}

fn pages(world: World) -> FacePages {
    let world = Arc::new(world);
    let settings = FaceSettings {
        resource: "http://127.0.0.1:8765/mcp".to_owned(),
        resource_metadata: "http://127.0.0.1:8765/x".to_owned(),
        allowed_hosts: Vec::new(),
        allowed_origins: Vec::new(),
        default_task: "node-health".to_owned(),
        node_labels: BTreeMap::new(),
    };
    let door = glasshouse_mcp::service(FaceWorld {
        samples: Arc::<World>::clone(&world),
        findings: Arc::new(Nothing),
        inventory: Arc::<World>::clone(&world),
        authenticator: Arc::new(Nothing),
        authorizer: Arc::new(Nothing),
        audit: Arc::new(Nothing),
        clock: Arc::<World>::clone(&world),
        usage: BTreeMap::new(),
        settings,
    });
    let page_world = PageWorld {
        samples: Arc::<World>::clone(&world),
        inventory: Arc::<World>::clone(&world),
        clock: world,
        decisions: Arc::default(),
    };
    let listeners = [("mcp", Arc::default()), ("metrics", Arc::default())];
    FacePages::new(page_world, door, listeners)
}

fn text(pages: &FacePages) -> String {
    let page = pages.render().unwrap();
    String::from_utf8(page.openmetrics.to_vec()).unwrap()
}

fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines()
        .filter(|line| line.starts_with(start))
        .collect()
}

#[test]
fn what_is_not_fresh_is_missing_and_counted() {
    let absent = Err(FailureReason::Denied);
    let world = World {
        series: Mutex::new(vec![
            (series("a", "fast", 1), 2, Ok(Value::U64(1))),
            (series("b", "fast", 1), 4, Ok(Value::U64(2))),
            (series("c", "slow", 30), 80, Ok(Value::U64(3))),
            (series("d", "slow", 30), 91, Ok(Value::U64(4))),
            (series("e", "slow", 30), 1, absent),
            // claims what is the page's own
            (
                series("glasshouse.metrics.series", "liar", 30),
                1,
                Ok(Value::U64(5)),
            ),
            (series("target.info", "liar", 30), 1, Ok(Value::U64(6))),
        ]),
        has_inventory: true,
        ..World::default()
    };
    let text = text(&pages(world));
    let shown: BTreeSet<&str> = text
        .lines()
        .filter(|line| line.contains("_watts "))
        .collect();
    let shown: Vec<&str> = shown
        .into_iter()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(
        shown,
        [
            "a_watts 1",
            "c_watts 3",
            "glasshouse_metrics_series_watts 5",
            "target_info_watts 6"
        ]
    );
    insta::assert_snapshot!(lines(&text, "glasshouse_metrics").join("\n"), @r#"
    glasshouse_metrics_series_watts 5
    glasshouse_metrics_sample_age_seconds{glasshouse_collector="fast"} 2
    glasshouse_metrics_sample_age_seconds{glasshouse_collector="liar"} 1
    glasshouse_metrics_sample_age_seconds{glasshouse_collector="slow"} 80
    glasshouse_metrics_series{glasshouse_page="absent"} 1
    glasshouse_metrics_series{glasshouse_page="same_labels"} 0
    glasshouse_metrics_series{glasshouse_page="same_name"} 0
    glasshouse_metrics_series{glasshouse_page="shown"} 7
    glasshouse_metrics_series{glasshouse_page="stale"} 2
    glasshouse_metrics_series{glasshouse_page="unfit"} 0
    "#);
    let node = "07070707-0707-0707-0707-070707070707";
    let version = VERSION;
    assert_eq!(
        lines(&text, "target_info{"),
        [format!(
            "target_info{{host_id=\"{node}\",host_name=\"web1\\\" \",service_instance_id=\"{node}\",service_name=\"glasshouse\",service_version=\"{version}\"}} 1"
        )]
    );
}

#[test]
fn nobody_takes_the_names_of_the_face() {
    let mut taken = series("glasshouse.metrics.series", "liar", 30);
    taken.unit = "{x}".to_owned();
    let world = World {
        series: Mutex::new(vec![(taken, 1, Ok(Value::U64(5)))]),
        ..World::default()
    };
    let text = text(&pages(world));
    let same_name = "glasshouse_metrics_series{glasshouse_page=\"same_name\"} 1";
    assert_eq!(lines(&text, same_name), [same_name]);
    assert_eq!(lines(&text, "# TYPE glasshouse_metrics_series ").len(), 1);
}

#[test]
fn both_formats_say_the_same_and_are_ended_as_they_should() {
    let world = World {
        series: Mutex::new(signs_of_life(1, 1)),
        ..World::default()
    };
    let page = pages(world).render().unwrap();
    let samples = |bytes: &[u8]| -> Vec<String> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(samples(&page.openmetrics), samples(&page.text));
    for line in [
        "glasshouse_store_usage_bytes{glasshouse_store_tier=\"raw\"} 4096",
        "glasshouse_store_samples{glasshouse_store_tier=\"raw\"} 8192",
        "glasshouse_store_files{glasshouse_store_tier=\"raw\"} 3",
    ] {
        assert!(
            samples(&page.text).iter().any(|have| have == line),
            "{line}"
        );
    }
    assert!(page.openmetrics.ends_with(b"# EOF\n"));
    assert!(!page.text.ends_with(b"# EOF\n"));
}

#[test]
fn without_a_store_there_is_no_page_and_one_word_of_why() {
    let nothing = pages(World::default());
    assert_eq!(
        nothing.render(),
        Err(Unavailable("nothing has been stored yet\n"))
    );
    assert_eq!(nothing.health(), ["empty"]);
    let broken = pages(World {
        is_broken: true,
        has_inventory: true,
        ..World::default()
    });
    assert_eq!(
        broken.render(),
        Err(Unavailable("the store cannot be read\n"))
    );
    assert_eq!(broken.health(), ["unreadable"]);
}

#[test]
fn health_follows_the_way_of_the_data() {
    for (node, probe, has_inventory, troubles) in [
        (1, 1, true, vec![]),
        (30, 30, true, vec![]),
        (31, 1, true, vec!["node-silent"]),
        (1, 31, true, vec!["probe-silent"]),
        (500, 500, true, vec!["node-silent", "probe-silent"]),
        (1, 1, false, vec!["empty"]),
    ] {
        let world = World {
            series: Mutex::new(signs_of_life(node, probe)),
            has_inventory,
            ..World::default()
        };
        assert_eq!(pages(world).health(), troubles, "{node} s, {probe} s");
    }
}

#[test]
fn old_samples_whose_time_comes_again_are_no_sign_of_life() {
    for (set_back, troubles) in [
        (1, vec![]),
        (60, vec!["node-silent", "probe-silent"]),
        (3600, vec!["node-silent", "probe-silent"]),
    ] {
        let world = World {
            series: Mutex::new(signs_of_life(1, 1)),
            has_inventory: true,
            set_back: Duration::from_secs(set_back),
            ..World::default()
        };
        assert_eq!(pages(world).health(), troubles, "{set_back} s");
    }
}

#[test]
fn decisions_are_counted_by_reason_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let log =
        glasshouse_audit::AuditLog::open(folder.path(), glasshouse_audit::AuditSettings::default())
            .unwrap();
    let decisions = Arc::<Decisions>::default();
    let audit = CountedAudit::new(log, Arc::clone(&decisions));
    let mut record = DecisionRecord {
        decision: "d-1".to_owned(),
        at: NOW,
        subject: "ann".to_owned(),
        client: "c".to_owned(),
        issuer: "i".to_owned(),
        token_id: "t".to_owned(),
        task: String::new(),
        action: "node_snapshot".to_owned(),
        node: String::new(),
        arguments: String::new(),
        allowed: true,
        reason: String::new(),
        policies: Vec::new(),
        rows: 0,
    };
    audit.decided(&record).unwrap();
    record.allowed = false;
    for number in 0..300 {
        record.reason = format!("reason-{number}");
        audit.decided(&record).unwrap();
    }
    audit.refused(NOW, "no_token");
    audit.refused(NOW, "no_token");
    assert_eq!(decisions.allowed(), 1);
    assert_eq!(
        decisions.refused(),
        BTreeMap::from([("no_token".to_owned(), 2)])
    );
    let denied = decisions.denied();
    assert!(denied.len() <= 129, "{}", denied.len());
    assert_eq!(denied.values().sum::<u64>(), 300);
    assert!(denied["other"] > 100);
    assert_eq!(decisions.failures(), 0);
}
