//! What stands on `/metrics` and `/healthz`: where the store's reader and the exposition meet.
//!
//! A page has the newest sample of every series that has a fresh one, and what the face counts of itself. Samples carry no
//! times: Prometheus marks a series as gone as soon as it is missing from a page, but only where it stamps the samples
//! itself, and one that is read once in ten minutes would be seen for half of the time if it had its own. In exchange
//! nothing older than three of its periods is shown, and `glasshouse.metrics.sample_age` says how old the rest is.
//!
//! All audiences are on the page: [`glasshouse_core::metric::Audience`] says whom a metric serves, and keeps it from nobody.

mod decisions;
mod own;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::access::METRICS_SCOPE;
use glasshouse_core::labels::Labels;
use glasshouse_core::reader::{
    InventoryReader, LATEST_LOOKBACK, Latest, ReadError, SampleReader, Selector, SeriesInfo,
};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{Clock, Timestamp};
use glasshouse_exposition::{Format, Page, Reading, Writer};
use glasshouse_mcp::McpService;
use glasshouse_serve::{Admission, ListenerCounters, PageSource, Rendered, Unavailable};
use http::HeaderMap;

pub(crate) use self::decisions::CountedAudit;
use self::decisions::Decisions;
use self::own::Own;
pub(crate) use self::own::{OWN_COLLECTOR, OWN_METRICS};
use crate::commands::small::VERSION;
use crate::exit::Chain;

/// What the pages are made from; the face reads the same.
#[derive(Clone, Debug)]
pub(crate) struct PageWorld {
    /// Stored telemetry.
    pub(crate) samples: Arc<dyn SampleReader>,
    /// What the node is.
    pub(crate) inventory: Arc<dyn InventoryReader>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// What became of the questions to the face.
    pub(crate) decisions: Arc<Decisions>,
}

/// The pages of the face.
#[derive(Debug)]
pub(crate) struct FacePages {
    world: PageWorld,
    door: McpService,
    own: Own,
}

/// The resource attributes of [`FacePages::target`].
#[cfg(test)]
pub(crate) const TARGET_LABELS: [&str; 5] = [
    "host.id",
    "host.name",
    "service.instance.id",
    "service.name",
    "service.version",
];

/// The newest of what the node and the probe say of themselves. They say it every few seconds, whatever hardware there is,
/// and through the whole way of the data: a fresh one proves that the way is open.
const SIGNS_OF_LIFE: [(&str, &str); 2] = [
    ("glasshouse.node.frames", "node-silent"),
    ("glasshouse.probe.batches_queued", "probe-silent"),
];
/// What came last from a node that lives bears no later time than the clock shows, but for what the two were asked apart.
const MOST_AHEAD: Duration = Duration::from_secs(5);
/// Nothing has been stored yet.
const EMPTY: &str = "empty";
/// There is something that cannot be read.
const UNREADABLE: &str = "unreadable";

impl FacePages {
    /// Pages over this world; who may see them off loopback is asked at `door`.
    pub(crate) fn new(
        world: PageWorld,
        door: McpService,
        listeners: [(&'static str, Arc<ListenerCounters>); 2],
    ) -> Self {
        let own = Own::new(listeners, Arc::clone(&world.decisions));
        Self { world, door, own }
    }

    /// Who is told of: the resource attributes that OpenTelemetry has for a program and its host.
    fn target(&self) -> Labels {
        let mut pairs = vec![
            ("service.name", "glasshouse".to_owned()),
            ("service.version", VERSION.to_owned()),
        ];
        if let Ok(inventory) = self.world.inventory.inventory() {
            let node = inventory.node.to_string();
            pairs.push(("service.instance.id", node.clone()));
            pairs.push(("host.id", node));
            pairs.push(("host.name", inventory.host_name.clean()));
        }
        Labels::new(pairs)
    }

    /// One page, in both formats.
    fn pages(&self, latest: &[Latest], now: Timestamp) -> io::Result<Rendered> {
        let process = own::process();
        let fresh = latest.iter().filter_map(Reading::of);
        let page = Page::new(
            fresh.chain(process.iter().map(reading)),
            self.own.families(),
        );
        let counts = own::Counts {
            tally: page.tally(),
            stale: count(latest, |quality| quality == Quality::Stale),
            absent: count(latest, |quality| matches!(quality, Quality::Absent(_))),
            ages: ages(latest, now),
            // where only this cannot be read, only this is missing
            tiers: self.world.samples.coverage().unwrap_or_default(),
        };
        let own = self.own.series(&counts);
        let own = Page::new(own.iter().map(reading), &[]);
        let target = self.target();
        let write = |format| -> io::Result<Vec<u8>> {
            let mut writer = Writer::new(Vec::new(), format);
            writer.target(&target)?;
            page.write(&mut writer)?;
            own.write(&mut writer)?;
            writer.finish()
        };
        Ok(Rendered {
            openmetrics: write(Format::OpenMetrics)?.into(),
            text: write(Format::Text)?.into(),
        })
    }
}

impl FacePages {
    /// The newest samples at `now` of the series in which nothing of a later time came last.
    ///
    /// Once the clock was set back, old samples look fresh when their time comes again. A node that lives has written newer
    /// ones by then, of earlier times; what a dead one wrote last still lies ahead.
    fn signs_of_life(&self, selector: &Selector, now: Timestamp) -> Result<Vec<Latest>, ReadError> {
        // far enough ahead to meet what lies there, and not so far that what comes now is out of sight
        let later = now.after(LATEST_LOOKBACK / 2);
        let last = self.world.samples.latest(selector, later)?.entries;
        let ahead = last
            .iter()
            .filter(|one| one.sample.at > now.after(MOST_AHEAD));
        let ahead: BTreeSet<_> = ahead
            .map(|one| (&one.series.metric, &one.series.labels))
            .collect();
        let mut latest = self.world.samples.latest(selector, now)?.entries;
        latest.retain(|one| !ahead.contains(&(&one.series.metric, &one.series.labels)));
        Ok(latest)
    }
}

impl PageSource for FacePages {
    fn render(&self) -> Result<Rendered, Unavailable> {
        let begun = self.world.clock.moment();
        let latest = self.world.samples.latest(&Selector::default(), begun.wall);
        let latest = latest.map_err(|error| unavailable(&error))?;
        let rendered = self.pages(&latest.entries, begun.wall).map_err(|error| {
            tracing::error!(%error, "The page of the metrics could not be written.");
            Unavailable("the page could not be written\n")
        })?;
        let took = self.world.clock.moment().boot.since(begun.boot);
        self.own.rendered(took);
        Ok(rendered)
    }

    fn health(&self) -> Vec<&'static str> {
        let now = self.world.clock.now();
        let mut troubles = Vec::new();
        let mut say = |trouble| {
            if !troubles.contains(&trouble) {
                troubles.push(trouble);
            }
        };
        if let Err(error) = self.world.inventory.inventory() {
            say(word(&error));
        }
        let selector = Selector {
            metrics: SIGNS_OF_LIFE.map(|(metric, _)| metric.to_owned()).into(),
            labels: Vec::new(),
        };
        match self.signs_of_life(&selector, now) {
            Err(error) => say(word(&error)),
            Ok(latest) => {
                for (metric, trouble) in SIGNS_OF_LIFE {
                    let mut fresh = latest.iter().filter_map(Reading::of);
                    if !fresh.any(|reading| reading.series.metric == metric) {
                        say(trouble);
                    }
                }
            }
        }
        troubles
    }

    fn admit<'a>(&'a self, headers: &'a HeaderMap) -> Admission<'a> {
        Box::pin(self.door.admit_reader(headers, METRICS_SCOPE))
    }
}

const fn reading((series, value): &(SeriesInfo, Value)) -> Reading<'_> {
    Reading {
        series,
        value: *value,
    }
}

fn count(latest: &[Latest], is_counted: impl Fn(Quality) -> bool) -> u64 {
    let counted = latest.iter().filter(|one| is_counted(one.sample.quality));
    u64::try_from(counted.count()).unwrap_or(u64::MAX)
}

/// The age of the oldest sample that each collector has on the page.
fn ages(latest: &[Latest], now: Timestamp) -> BTreeMap<&str, Duration> {
    let mut ages: BTreeMap<&str, Duration> = BTreeMap::new();
    for one in latest.iter().filter(|one| Reading::of(one).is_some()) {
        let age = now.since(one.sample.at);
        let oldest = ages.entry(&one.series.collector).or_default();
        *oldest = age.max(*oldest);
    }
    ages
}

const fn word(error: &ReadError) -> &'static str {
    match error {
        ReadError::Empty { .. } => EMPTY,
        ReadError::Io { .. } | ReadError::Damaged { .. } => UNREADABLE,
    }
}

/// The page says little, the log all of it.
fn unavailable(error: &ReadError) -> Unavailable {
    if word(error) == EMPTY {
        return Unavailable("nothing has been stored yet\n");
    }
    tracing::error!(error = %Chain(error), "The store cannot be read for the metrics.");
    Unavailable("the store cannot be read\n")
}
