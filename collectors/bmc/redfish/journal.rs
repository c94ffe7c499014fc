//! Logs of a BMC, read incrementally: what was said once is not said again.

use std::cmp::Ordering;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};

use glasshouse_core::log::LogEntry;
use serde_json::Value as Json;

use super::error::RequestError;
use super::path::{PageLink, ResourcePath};
use super::read::{Page, entry, page};
use super::reader::Reader;
use super::request::Extent;

/// Pages that one look at a log may take; the next look goes on where it ended.
const MOST_PAGES: usize = 16;

/// Entries of one log that are remembered: more than the largest log, or its oldest would be said again and again.
const MOST_REMEMBERED: usize = 16_384;

/// Links to entries that are followed at one look, where a BMC does not put entries into the list.
const MOST_LINKS: usize = 100;

/// What was said of the logs of one BMC.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    logs: BTreeMap<ResourcePath, Memory>,
    events: Said,
}

/// Of one log.
#[derive(Debug, Default)]
struct Memory {
    said: Said,
    links: Said,
    /// Where the last page began, in a log that puts new entries last.
    last_page: Option<PageLink>,
    /// Whether it puts new entries first; `None` where nothing tells.
    newest_first: Option<bool>,
    /// Whether all of it was seen once.
    walked: bool,
}

/// A bounded set of what was said.
#[derive(Debug, Default)]
struct Said {
    known: BTreeSet<u64>,
    order: VecDeque<u64>,
}

/// What a look at a log found.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Entries that were not said before.
    pub(crate) entries: Vec<LogEntry>,
    /// Entries that have to be read one by one.
    pub(crate) links: Vec<ResourcePath>,
    /// Entries of the log.
    pub(crate) count: Option<f64>,
    /// Whether the log was not known before: all of it is news then.
    pub(crate) is_first: bool,
}

impl Said {
    /// Remembers; says whether it is new.
    fn insert(&mut self, what: &impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        let key = hasher.finish();
        if !self.known.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > MOST_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

impl Journal {
    /// Whether an event of the stream was not said yet.
    pub(crate) fn is_new(&mut self, entry: &LogEntry) -> bool {
        self.events.insert(&key(entry))
    }

    /// Looks at a log.
    pub(crate) async fn read(
        &mut self,
        reader: &Reader,
        bmc: &str,
        log: &ResourcePath,
    ) -> Result<News, RequestError> {
        let memory = self.logs.entry(log.clone()).or_default();
        let mut news = News {
            is_first: !memory.walked,
            ..News::default()
        };
        let mut at = memory.last_page.take();
        let mut pages = 0;
        let mut resumed = at.is_some();
        loop {
            let extent = at
                .as_ref()
                .map_or(Extent::Plain, |page| Extent::Page(&page.query));
            let document = match reader.document(log, extent).await {
                // the page is gone with the entries that it began with
                Err(RequestError::Status(_) | RequestError::Json(_)) if resumed => {
                    resumed = false;
                    at = None;
                    continue;
                }
                outcome => outcome?,
            };
            let page = page(&document, bmc, log);
            news.count = page.count.or(news.count);
            let next = page.next.clone();
            let old = memory.take(page, &mut self.events, &mut news);
            pages += 1;
            if resumed && old == 0 {
                // cleared: nothing of the last page is known
                resumed = false;
                at = None;
                continue;
            }
            let newest_first = memory.newest_first;
            // where new entries come first, an old one means that the rest is old
            let rest_is_old = memory.walked && old > 0 && newest_first == Some(true);
            match next {
                Some(next) if pages < MOST_PAGES && !rest_is_old => at = Some(next),
                next => {
                    memory.walked |= next.is_none() || newest_first == Some(true);
                    // where they come last, the next look begins with this page
                    memory.last_page = at.filter(|_| newest_first == Some(false));
                    return Ok(news);
                }
            }
        }
    }

    /// An entry that was read alone.
    pub(crate) fn single(
        &mut self,
        document: &Json,
        bmc: &str,
        path: &ResourcePath,
    ) -> Option<LogEntry> {
        let (log, _) = path.as_str().rsplit_once('/')?;
        let log = ResourcePath::parse(log)?;
        let found = entry(document, bmc, &log)?;
        let memory = self.logs.entry(log).or_default();
        memory.links.insert(path);
        memory.said.insert(&key(&found)).then_some(found)
    }
}

impl Memory {
    /// Takes a page; says how many of its entries were known.
    fn take(&mut self, page: Page, events: &mut Said, news: &mut News) -> usize {
        if let [first, .., last] = &*page.entries {
            let order = place(first).partial_cmp(&place(last));
            self.newest_first = match order {
                Some(Ordering::Greater) => Some(true),
                Some(Ordering::Less) => Some(false),
                _ => self.newest_first,
            };
        }
        let mut old = 0;
        for entry in page.entries {
            let key = key(&entry);
            if !self.said.insert(&key) {
                old += 1;
            } else if events.insert(&key) {
                // else an event of the stream has said it already
                news.entries.push(entry);
            }
        }
        for path in page.links {
            if self.links.known.contains(&hash_of(&path)) {
                old += 1;
            } else if news.links.len() < MOST_LINKS {
                news.links.push(path);
            }
        }
        old
    }
}

/// Where an entry stands among others: by its time, then by its number.
fn place(entry: &LogEntry) -> (Option<i64>, Option<u64>) {
    let at = entry.at.map(|at| at.nanos());
    (at, entry.id.raw().parse().ok())
}

fn hash_of(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// What makes an entry the same one: a log that was cleared counts its ids from the start again.
fn key(entry: &LogEntry) -> (String, String, Option<i64>) {
    (
        entry.origin.raw().to_owned(),
        entry.id.raw().to_owned(),
        entry.at.map(|at| at.nanos()),
    )
}
