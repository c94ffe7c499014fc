//! The stream of server-sent events (DSP0266, 13.5), and the watchdog over its silence.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use glasshouse_core::log::LogEntry;
use tokio::task::JoinHandle;

use super::bounded;
use super::client::Client;
use super::document::Lenient;
use super::path::ResourcePath;
use super::read::event_entry;

/// The longest event; one with a metric report is 100 kB.
const MOST_EVENT_BYTES: usize = 1 << 20;

/// The most that a stream may say in a minute before it is closed: a thousand events, or forty with a metric report.
const MOST_BYTES_A_MINUTE: usize = 4 << 20;

/// What a stream's budget is counted over.
const MINUTE: Duration = Duration::from_mins(1);

/// The most values of one event: a message holds a few entries of some twenty each.
const MOST_EVENT_VALUES: usize = 20_000;

/// Entries that wait to be fetched; more are dropped, oldest first, and found again by polling.
const MOST_WAITING: usize = 1024;

/// An open stream, or the wish for one.
#[derive(Debug)]
pub(crate) struct Stream {
    path: ResourcePath,
    client: Arc<Client>,
    heard: Arc<Mutex<Heard>>,
    task: Option<JoinHandle<()>>,
    silence: Duration,
    pause: Duration,
    retry_at: Option<Instant>,
}

#[derive(Debug)]
struct Heard {
    at: Instant,
    events: u64,
    entries: VecDeque<LogEntry>,
}

impl Stream {
    /// Nothing is sent yet. A stream that brings nothing for `silence` is closed, and tried again after `pause`.
    pub(crate) fn new(
        path: ResourcePath,
        client: Arc<Client>,
        silence: Duration,
        pause: Duration,
    ) -> Self {
        Self {
            path,
            client,
            heard: Arc::new(Mutex::new(Heard {
                at: Instant::now(),
                events: 0,
                entries: VecDeque::new(),
            })),
            task: None,
            silence,
            pause,
            retry_at: None,
        }
    }

    /// Which stream.
    pub(crate) const fn path(&self) -> &ResourcePath {
        &self.path
    }

    /// Whether there is a stream to listen to, or one is being opened.
    pub(crate) fn is_open(&self) -> bool {
        self.task.is_some()
    }

    /// Opens it where it is time, closes it where it is silent; says whether events arrive this way.
    pub(crate) fn watch(&mut self, now: Instant) -> bool {
        if let Some(task) = &self.task {
            let silent = now.saturating_duration_since(self.heard().at) > self.silence;
            if task.is_finished() || silent {
                self.close(now);
            }
        }
        let due = self.retry_at.is_none_or(|at| now >= at);
        if self.task.is_none() && due {
            self.open(now);
            return false;
        }
        self.task.is_some() && self.heard().events > 0
    }

    /// New entries arrived by polling. If the stream has brought nothing since it was opened, it is deaf.
    pub(crate) fn missed(&mut self, now: Instant) {
        if self.task.is_some() && self.heard().events == 0 {
            self.close(now);
        }
    }

    /// Entries heard since the last time.
    pub(crate) fn take(&self) -> VecDeque<LogEntry> {
        std::mem::take(&mut self.heard().entries)
    }

    fn open(&mut self, now: Instant) {
        let path = self.path.clone();
        let client = Arc::clone(&self.client);
        let heard = Arc::clone(&self.heard);
        {
            let mut heard = self.heard();
            heard.at = now;
            heard.events = 0;
        }
        self.task = Some(tokio::spawn(async move {
            hear(&client, &path, &heard).await;
        }));
    }

    fn close(&mut self, now: Instant) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.retry_at = Some(now + self.pause);
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

async fn hear(client: &Client, path: &ResourcePath, heard: &Mutex<Heard>) {
    let Ok(mut response) = client.listen(path).await else {
        return;
    };
    let mut parser = Parser::default();
    let mut flow = Flow::new(Instant::now());
    while let Ok(Some(chunk)) = response.chunk().await {
        if !flow.take(chunk.len(), Instant::now()) {
            // what it still has to say is found by polling
            return;
        }
        // one that talks all the time must not hold up the others
        tokio::task::yield_now().await;
        let events = parser.feed(&chunk);
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        // a comment that only keeps the stream alive is heard too
        heard.at = Instant::now();
        for event in events {
            heard.events += 1;
            for entry in entries(&event, client.name(), path) {
                if heard.entries.len() >= MOST_WAITING {
                    heard.entries.pop_front();
                }
                heard.entries.push_back(entry);
            }
        }
    }
}

/// How much a stream said in the minute at hand.
#[derive(Debug)]
struct Flow {
    since: Instant,
    bytes: usize,
}

impl Flow {
    const fn new(now: Instant) -> Self {
        Self {
            since: now,
            bytes: 0,
        }
    }

    /// Counts a piece; false where the minute has had too much.
    fn take(&mut self, bytes: usize, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= MINUTE {
            *self = Self::new(now);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.bytes <= MOST_BYTES_A_MINUTE
    }
}

/// The entries of one `Event` message; none of what is no JSON, or is a metric report.
pub(crate) fn entries(event: &str, bmc: &str, stream: &ResourcePath) -> Vec<LogEntry> {
    let Ok((document, _)) = bounded::document(event.as_bytes(), MOST_EVENT_VALUES) else {
        return Vec::new();
    };
    document
        .objects("Events")
        .filter_map(|(_, event)| event_entry(event, bmc, stream))
        .collect()
}

/// Takes events out of a stream of bytes that is cut anywhere (WHATWG HTML, 9.2.6).
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    data: String,
    /// The event at hand is too long and is dropped up to its end.
    too_long: bool,
    after_return: bool,
}

impl Parser {
    /// The data of the events that end in this piece.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut events = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' if self.after_return => self.after_return = false,
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    events.extend(self.line(&line));
                }
                byte => {
                    self.after_return = false;
                    if self.line.len() < MOST_EVENT_BYTES {
                        self.line.push(*byte);
                    } else {
                        self.too_long = true;
                    }
                }
            }
        }
        events
    }

    fn line(&mut self, line: &[u8]) -> Option<String> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            let good = !std::mem::take(&mut self.too_long) && !data.is_empty();
            return good.then_some(data);
        }
        if let Some(data) = line.strip_prefix(b"data:") {
            let text = String::from_utf8_lossy(data);
            if self.data.len() + text.len() > MOST_EVENT_BYTES {
                self.too_long = true;
            } else {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(text.strip_prefix(' ').unwrap_or(&text));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn events_are_found_wherever_the_stream_is_cut() {
        let stream =
            ": open\r\n\r\nid: 1\ndata: {\"a\":\ndata: 1}\n\nevent: x\ndata:2\r\rdata: lost";
        for cut in 0..stream.len() {
            let mut parser = Parser::default();
            let (first, second) = stream.as_bytes().split_at(cut);
            let mut events = parser.feed(first);
            events.extend(parser.feed(second));
            assert_eq!(events, ["{\"a\":\n1}", "2"], "cut at {cut}");
        }
    }

    #[test]
    fn a_stream_has_its_bytes_for_each_minute() {
        let start = Instant::now();
        let mut flow = Flow::new(start);
        assert!(flow.take(MOST_BYTES_A_MINUTE, start));
        assert!(!flow.take(1, start + MINUTE / 2));
        assert!(flow.take(MOST_BYTES_A_MINUTE, start + MINUTE));
        assert!(!flow.take(usize::MAX, start + MINUTE));
    }

    #[test]
    fn an_endless_event_is_dropped_and_the_next_is_heard() {
        let mut parser = Parser::default();
        for _ in 0..3 {
            assert!(parser.feed(&vec![b'x'; MOST_EVENT_BYTES]).is_empty());
        }
        assert_eq!(parser.feed(b"\n\ndata: 1\n\n"), ["1"]);
        let line = format!("data: {}\n", "y".repeat(1000));
        for _ in 0..2000 {
            assert!(parser.feed(line.as_bytes()).is_empty());
        }
        assert!(parser.data.len() <= MOST_EVENT_BYTES);
        assert_eq!(parser.feed(b"\ndata: 2\n\n"), ["2"]);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let stream = ResourcePath::parse("/redfish/v1/SSE").unwrap();
            for event in Parser::default().feed(&bytes) {
                entries(&event, "r1", &stream);
            }
        }
    }
}
