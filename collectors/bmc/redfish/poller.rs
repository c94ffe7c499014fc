//! One BMC, one task: rounds of requests within the budget, as fast as the BMC answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use glasshouse_core::failure::FailureReason;
use glasshouse_core::sample::Value;
use glasshouse_core::time::{Clock, SystemClock, Timestamp};
use glasshouse_core::wall_power::WallPowerSource;
use nv_redfish_quirks::{BmcQuirks, RootEvidence};
use serde_json::Value as Json;

use super::bounded::MOST_VALUES;
use super::definitions as is;
use super::document::Lenient;
use super::error::RequestError;
use super::events::Stream;
use super::harvest::{Follow, Harvest, MOST_READINGS, Place, Reading, Twin};
use super::journal::Journal;
use super::kind::Kind;
use super::path::{PageLink, ResourcePath};
use super::plan::{Item, Plan, Share};
use super::published::Published;
use super::read::read;
use super::reader::Reader;
use super::request::Extent;
use super::settings::Settings;
use super::timing::Timing;
use super::wall::Wall;

/// Requests in a row without an answer that end a round: two resources, so that one that hangs is no dead BMC.
const SILENT_REQUESTS: usize = 2;

/// Pages of one collection that are followed.
const MOST_PAGES: usize = 32;

/// Members that are read before others may go on.
const MEMBERS_AT_ONCE: usize = 64;

/// Series of all reports of which the time is remembered: twice as many as are taken.
const MOST_REPORTED: usize = 16_384;

/// How much older than its report a value may be to stand for now.
const OLDEST_OF_REPORT: Duration = Duration::from_mins(10);

/// The poller of one BMC.
#[derive(Debug)]
pub(crate) struct Poller {
    reader: Reader,
    name: Arc<str>,
    plan: Plan,
    published: Arc<Mutex<Published>>,
    journal: Journal,
    stream: Option<Stream>,
    wants_stream: bool,
    expands: bool,
    wall: Option<Wall>,
    /// Time of the newest value of each series of each report.
    reported: BTreeMap<ResourcePath, BTreeMap<(String, String), Timestamp>>,
    timing: Timing,
    clock: SystemClock,
}

/// How a round went.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    /// Answers of any kind.
    answered: usize,
    /// Documents.
    read: usize,
    /// Refusals for want of rights.
    denied: usize,
    /// No answer.
    silent: usize,
}

impl Poller {
    /// Nothing is sent yet.
    pub(crate) fn new(
        reader: Reader,
        settings: &Settings,
        published: Arc<Mutex<Published>>,
        is_this_host: bool,
        timing: Timing,
    ) -> Self {
        let now = Instant::now();
        let budget = Share {
            requests: settings.requests_per_minute,
            minute: timing.deadlines.minute,
        };
        Self {
            reader,
            name: settings.name.as_str().into(),
            plan: Plan::new(&settings.name, timing.periods, budget, now),
            published,
            journal: Journal::default(),
            stream: None,
            wants_stream: settings.sse,
            expands: false,
            wall: is_this_host.then(Wall::default),
            reported: BTreeMap::new(),
            timing,
            clock: SystemClock,
        }
    }

    /// Reads what is due, as much as the budget allows and the BMC answers.
    pub(crate) async fn round(&mut self) {
        let began = Instant::now();
        self.plan.begin(began);
        let mut tried = BTreeSet::new();
        let mut silent = Vec::new();
        let mut round = Round::default();
        let mut in_a_row = 0;
        while self.reader.0.allowance() > 0 && began.elapsed() < self.timing.round {
            let Some(item) = self.plan.next(Instant::now(), &tried) else {
                break;
            };
            tried.insert(item.path.clone());
            // an answer that takes long to read must not hold up the others
            tokio::task::yield_now().await;
            let asked = Instant::now();
            self.published().health().asking_since = Some(asked);
            let outcome = self.visit(&item).await;
            self.published().health().asking_since = None;
            match outcome {
                Ok(()) => {
                    in_a_row = 0;
                    round.answered += 1;
                    round.read += 1;
                    self.heard();
                }
                Err(error) if error.is_silence() => {
                    in_a_row += 1;
                    round.silent += 1;
                    self.unheard(&error, &item, asked);
                    silent.push(item.path);
                    if in_a_row >= SILENT_REQUESTS {
                        break;
                    }
                }
                Err(error) => {
                    let ends = error.ends_round();
                    let unavailable = matches!(error, RequestError::Unavailable);
                    self.refused(&error, &item, asked, &mut round);
                    in_a_row = if unavailable { in_a_row + 1 } else { 0 };
                    if ends || in_a_row >= SILENT_REQUESTS {
                        break;
                    }
                }
            }
        }
        self.close(round, silent, began);
    }

    /// What a round means for the BMC, and for the resources that were silent in it.
    fn close(&mut self, round: Round, silent: Vec<ResourcePath>, began: Instant) {
        let now = Instant::now();
        if round.denied > 0 && round.read == 0 {
            self.published().health().denied = true;
        }
        if round.answered > 0 {
            // the BMC lives, so it is these that hang
            for path in silent {
                self.plan.failed(&path, now);
            }
        } else if round.silent > 0 {
            self.published().health().silent_rounds += 1;
        }
        self.hear_stream(now);
        self.published().health().period = Some(self.plan.readings_period());
        self.tell_wall_power(began, now);
    }

    /// Entries that came by the stream, and whether it lives.
    fn hear_stream(&mut self, now: Instant) {
        let Some(mut stream) = self.stream.take() else {
            return;
        };
        if !stream.is_open() && self.reader.0.allowance() == 0 {
            // opening it is a request like any other
            self.stream = Some(stream);
            return;
        }
        let alive = stream.watch(now);
        let mut heard = stream.take();
        heard.retain(|entry| self.journal.is_new(entry));
        let mut published = self.published();
        for entry in heard {
            published.take_entry(entry);
        }
        let period = self.timing.periods.logs;
        let source = self.event_source(alive);
        published.take(stream.path(), vec![source], period, true, now);
        drop(published);
        self.stream = Some(stream);
    }

    /// The power of the machine, where this round read it.
    fn tell_wall_power(&self, began: Instant, now: Instant) {
        let Some(wall) = &self.wall else { return };
        let period = self.plan.readings_period();
        let Some(watts) = wall.best(began, period) else {
            return;
        };
        let reading = Reading {
            metric: is::HOST_POWER,
            labels: Box::new([WallPowerSource::Redfish.word().into()]),
            value: Ok(Value::F64(watts)),
            twin: Twin::None,
        };
        let place = Wall::place(&ResourcePath::root());
        self.published()
            .take(&place, vec![reading], period, true, now);
    }

    fn event_source(&self, streaming: bool) -> Reading {
        Reading {
            metric: is::EVENT_SOURCE,
            labels: Box::new([(*self.name).into()]),
            value: Ok(Value::State(u16::from(streaming))),
            twin: Twin::None,
        }
    }

    fn heard(&self) {
        let mut published = self.published();
        let health = published.health();
        health.silent_since = None;
        health.silent_rounds = 0;
        health.denied = false;
        health.answered = true;
    }

    fn unheard(&self, error: &RequestError, item: &Item, asked: Instant) {
        let mut published = self.published();
        published.health().silent_since.get_or_insert(asked);
        published.take_failure(error.at(&self.name, &item.path));
    }

    /// An answer, but not what was asked for.
    fn refused(&mut self, error: &RequestError, item: &Item, asked: Instant, round: &mut Round) {
        let now = Instant::now();
        match error {
            RequestError::Budget => return,
            RequestError::Busy(_) | RequestError::Unavailable => {
                self.plan.failed(&item.path, now);
                let mut published = self.published();
                published.health().silent_since.get_or_insert(asked);
            }
            RequestError::Denied | RequestError::SessionStands | RequestError::NoPassword => {
                self.heard();
                self.published().health().denied = true;
            }
            _ => {
                self.heard();
                round.answered += 1;
                round.denied += usize::from(error.reason() == FailureReason::Denied);
                self.plan.failed(&item.path, now);
                if matches!(error, RequestError::Status(404 | 410)) {
                    self.lose(&item.path);
                    // a link that leads nowhere is absence, not failure
                    if item.kind != Kind::Root {
                        return;
                    }
                }
            }
        }
        self.published()
            .take_failure(error.at(&self.name, &item.path));
    }

    async fn visit(&mut self, item: &Item) -> Result<(), RequestError> {
        match item.kind {
            Kind::LogEntries => self.visit_log(item).await,
            Kind::LogEntry => self.visit_log_entry(item).await,
            Kind::MetricReport => self.visit_report(item).await,
            _ => self.visit_document(item).await,
        }
    }

    async fn visit_document(&mut self, item: &Item) -> Result<(), RequestError> {
        let expand = self.expands && item.may_expand;
        let extent = if expand {
            Extent::Members
        } else {
            Extent::Plain
        };
        let (document, left) = match self.reader.part(&item.path, extent, MOST_VALUES).await {
            Err(RequestError::Status(_) | RequestError::Json(_) | RequestError::TooLong(_))
                if expand =>
            {
                self.plan.does_not_expand(&item.path);
                self.reader
                    .part(&item.path, Extent::Plain, MOST_VALUES)
                    .await?
            }
            outcome => outcome?,
        };
        if !document.is_object() {
            let error = serde::de::Error::custom("expected an object");
            return Err(RequestError::Json(error));
        }
        match item.kind {
            Kind::Root => self.learn(&document),
            Kind::EventService => self.find_stream(&document),
            _ => {}
        }
        let mut harvest = self.read(item.kind, &document, &item.path, &item.parent);
        if item.kind.member().is_some() {
            self.further_pages(item, &document, left, &mut harvest)
                .await?;
            let came = harvest.follow.iter().any(|follow| follow.inline.is_some());
            if expand && !came && !harvest.follow.is_empty() {
                self.plan.does_not_expand(&item.path);
            }
        }
        self.take(item, harvest).await;
        Ok(())
    }

    /// Members on further pages, as many as all of them together may hold.
    async fn further_pages(
        &self,
        item: &Item,
        first: &Json,
        mut left: usize,
        harvest: &mut Harvest,
    ) -> Result<(), RequestError> {
        let next = |document: &Json| {
            PageLink::parse(document.property("Members@odata.nextLink")?.as_str()?)
                .filter(|next| next.path == item.path)
        };
        let mut link = next(first);
        let mut seen = BTreeSet::new();
        while let Some(page) = link.take() {
            if seen.len() >= MOST_PAGES || !seen.insert(page.query.clone()) {
                break;
            }
            let extent = Extent::Page(&page.query);
            let document;
            (document, left) = self.reader.part(&page.path, extent, left).await?;
            let more = self.read(item.kind, &document, &item.path, &item.parent);
            harvest.follow.extend(more.follow);
            link = next(&document);
        }
        Ok(())
    }

    fn read(&self, kind: Kind, document: &Json, path: &ResourcePath, parent: &str) -> Harvest {
        let place = Place {
            bmc: &self.name,
            path,
            parent,
        };
        read(kind, document, place, self.clock.now())
    }

    /// Takes what a resource gave, and what came along with it.
    async fn take(&mut self, item: &Item, harvest: Harvest) {
        let now = Instant::now();
        let mut all = vec![(item.path.clone(), harvest)];
        let members = all
            .first_mut()
            .map(|(_, harvest)| Self::came_along(harvest))
            .unwrap_or_default();
        let mut readings = 0;
        for (place, (path, kind, parent, document)) in members.into_iter().enumerate() {
            if place % MEMBERS_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
            let mut member = self.read(kind, &document, &path, &parent);
            // each is bounded, but not all of them together
            let room = MOST_READINGS.saturating_sub(readings);
            member.readings.truncate(room);
            readings += member.readings.len();
            all.push((path, member));
        }
        let reads: Vec<(&ResourcePath, &[Follow])> = all
            .iter()
            .map(|(path, harvest)| (path, &*harvest.follow))
            .collect();
        let lost = self.plan.read(&reads, now);
        let period = self.plan.period(item);
        let settled = self.plan.is_settled();
        for (place, (path, harvest)) in all.into_iter().enumerate() {
            if place % MEMBERS_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
            if let Some(wall) = &mut self.wall {
                wall.take(&path, &harvest, now);
            }
            let mut published = self.published();
            published.replaces(&path, harvest.replaces);
            published.take(&path, harvest.readings, period, settled, now);
            published.take_facts(&path, harvest.facts);
            published.take_conditions(&path, harvest.conditions);
        }
        for path in lost {
            self.lose(&path);
        }
    }

    /// Takes out what came along: that it did stays to be seen.
    fn came_along(harvest: &mut Harvest) -> Vec<(ResourcePath, Kind, Arc<str>, Json)> {
        let all = harvest.follow.iter_mut().filter_map(|follow| {
            let document = follow.inline.as_mut()?.take();
            let parent = Arc::clone(&follow.parent);
            Some((follow.path.clone(), follow.kind, parent, document))
        });
        all.collect()
    }

    fn lose(&mut self, path: &ResourcePath) {
        self.reported.remove(path);
        if let Some(wall) = &mut self.wall {
            wall.lose(path);
        }
        self.published().lose(path);
    }

    /// What the root says of how it wants to be asked.
    fn learn(&mut self, root: &Json) {
        let quirks = BmcQuirks::classify(&RootEvidence::from_root(root));
        let offers = root.at(&["ProtocolFeaturesSupported", "ExpandQuery"]);
        let can = |name: &str| offers.is_some_and(|offers| offers.flag(name) == Some(true));
        self.expands =
            (can("NoLinks") || can("ExpandAll")) && !quirks.expand_is_not_working_properly();
    }

    fn find_stream(&mut self, service: &Json) {
        let path = service
            .text("ServerSentEventUri")
            .and_then(|uri| ResourcePath::parse(&uri));
        let off = service.flag("ServiceEnabled") == Some(false);
        let Some(path) = path.filter(|_| self.wants_stream && !off) else {
            self.stream = None;
            return;
        };
        if self
            .stream
            .as_ref()
            .is_none_or(|stream| *stream.path() != path)
        {
            let client = Arc::clone(&self.reader.0);
            let (silence, pause) = (self.timing.stream_silence, self.timing.stream_pause);
            self.stream = Some(Stream::new(path, client, silence, pause));
        }
    }

    async fn visit_log(&mut self, item: &Item) -> Result<(), RequestError> {
        let news = self
            .journal
            .read(&self.reader, &self.name, &item.path)
            .await?;
        let now = Instant::now();
        let found = !news.entries.is_empty() && !news.is_first;
        if found && let Some(stream) = &mut self.stream {
            stream.missed(now);
        }
        let follow: Vec<Follow> = news
            .links
            .into_iter()
            .map(|path| Follow {
                path,
                kind: Kind::LogEntry,
                parent: Arc::clone(&item.parent),
                inline: None,
            })
            .collect();
        let mut harvest = Harvest::default();
        if let Some(count) = news.count {
            let name = item.parent.rsplit('/').next().unwrap_or_default();
            let owner = item.parent.split("/LogServices").next().unwrap_or_default();
            let labels = [&*item.parent, name, owner];
            harvest.sample(is::LOG_ENTRIES, &labels, Value::F64(count));
        }
        harvest.follow = follow;
        self.take(item, harvest).await;
        let mut published = self.published();
        for entry in news.entries {
            published.take_entry(entry);
        }
        Ok(())
    }

    async fn visit_log_entry(&mut self, item: &Item) -> Result<(), RequestError> {
        let document = self.reader.document(&item.path, Extent::Plain).await?;
        let entry = self.journal.single(&document, &self.name, &item.path);
        self.plan.read(&[(&item.path, &[])], Instant::now());
        if let Some(entry) = entry {
            self.published().take_entry(entry);
        }
        Ok(())
    }

    async fn visit_report(&mut self, item: &Item) -> Result<(), RequestError> {
        let report = self.reader.report(&item.path).await?;
        let id = super::harvest::part_id(&self.name, &item.path);
        let oldest = report.at.map(|at| at.before(OLDEST_OF_REPORT));
        let mut harvest = Harvest::default();
        let before = self.reported.remove(&item.path).unwrap_or_default();
        let known_elsewhere: usize = self.reported.values().map(BTreeMap::len).sum();
        let mut times = BTreeMap::new();
        for (key, newest) in report.newest {
            let (metric_id, property) = &key;
            let sensor = ResourcePath::parse(property);
            if sensor.is_some_and(|path| self.plan.knows(&path, Kind::Sensor)) {
                continue;
            }
            let too_old = matches!((newest.at, oldest), (Some(at), Some(oldest)) if at < oldest);
            if too_old {
                continue;
            }
            // the same value again is not a new one; it grows old where it is
            let last = before.get(&key).copied();
            if newest.at.is_none() || last < newest.at {
                let labels = [&*id, &**metric_id, &**property];
                harvest.sample(is::TELEMETRY, &labels, Value::F64(newest.value));
            }
            let at = last.max(newest.at);
            if let Some(at) = at.filter(|_| known_elsewhere + times.len() < MOST_REPORTED) {
                times.insert(key, at);
            }
        }
        if !times.is_empty() {
            // what the report says no more is forgotten with it
            self.reported.insert(item.path.clone(), times);
        }
        let now = Instant::now();
        self.plan.read(&[(&item.path, &[])], now);
        let period = self.plan.period(item);
        self.published()
            .take_part(&item.path, harvest.readings, period, now);
        Ok(())
    }

    /// Ends the session.
    pub(crate) async fn log_out(&mut self) {
        self.stream = None;
        self.reader.0.log_out().await;
    }

    fn published(&self) -> MutexGuard<'_, Published> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
