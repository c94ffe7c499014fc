//! What waits for the link: bounded, drop-oldest, counted.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The most bytes that wait, definitions aside: one minute of a large machine's series.
const MOST_BYTES: usize = 4 << 20;

/// The most bytes of definitions that wait; they are never dropped, so a run whose definitions find no room is not
/// taken at all and comes again.
const MOST_DEFINITION_BYTES: usize = 4 << 20;

/// The most bytes of log entries that wait: two event logs of BMCs, read for the first time. Samples never push them
/// out, nor they samples.
const MOST_LOG_BYTES: usize = 2 << 20;

/// With fewer payloads than this for each collector the link keeps up: what one run may want to be sent, twice.
const KEEPS_UP: usize = 6;

/// What one run of one collector wants to be sent, in this order.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// Definitions that the batch needs; never dropped.
    pub(crate) definitions: Vec<Vec<u8>>,
    /// The samples.
    pub(crate) batch: Option<Vec<u8>>,
    /// Log entries, which are said once.
    pub(crate) log: Vec<LogPayload>,
    /// What will be said again anyway.
    pub(crate) others: Vec<Vec<u8>>,
}

/// A message of log entries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogPayload {
    /// How many there are in it.
    pub(crate) entries: u64,
    pub(crate) payload: Vec<u8>,
}

/// What waits, and what was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueCounts {
    /// Batches that were dropped because nobody read.
    pub(crate) dropped: u64,
    /// Log entries that were dropped because nobody read.
    pub(crate) log_dropped: u64,
    /// Batches that wait.
    pub(crate) batches: usize,
    /// Bytes that wait.
    pub(crate) bytes: usize,
}

/// What the queue has for its reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A payload.
    Payload(Vec<u8>),
    /// Nothing for now.
    Idle,
    /// Nothing, and nothing will come.
    Closed,
}

/// How a wait for a payload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// There was one already: the link is behind.
    Not,
    /// One came, or the end did, or neither and the time is over.
    Yes,
}

/// Payloads that wait for the link.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    filled: Condvar,
    most_batches: usize,
    collectors: usize,
}

#[derive(Debug, Default)]
struct Inner {
    payloads: VecDeque<(Class, Vec<u8>)>,
    batches: usize,
    /// Of batches and others.
    bytes: usize,
    definition_bytes: usize,
    log_bytes: usize,
    dropped: u64,
    log_dropped: u64,
    is_closed: bool,
    /// The reader sleeps until something comes; otherwise nobody need be woken.
    is_awaited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Definition,
    Batch,
    /// With this many entries.
    Log(u64),
    Other,
}

impl Queue {
    /// With room for this many batches.
    pub(crate) fn new(most_batches: usize) -> Self {
        Self {
            inner: Mutex::default(),
            filled: Condvar::new(),
            most_batches,
            collectors: 1,
        }
    }

    /// The same, for the runs of so many collectors at one tick.
    pub(crate) const fn for_collectors(mut self, collectors: usize) -> Self {
        self.collectors = collectors;
        self
    }

    /// Takes a run, as [`Self::put`], and wakes the reader.
    pub(crate) fn push(&self, outgoing: Outgoing) -> bool {
        let has_room = self.put(outgoing);
        self.wake();
        has_room
    }

    /// Wakes the reader where it sleeps although there is something for it.
    pub(crate) fn wake(&self) {
        let mut inner = self.lock();
        let wakes = inner.is_awaited && !inner.payloads.is_empty();
        if wakes {
            inner.is_awaited = false;
        }
        drop(inner);
        if wakes {
            self.filled.notify_one();
        }
    }

    /// Takes a run and wakes nobody; makes room by dropping the oldest. `false` where its definitions find no room: the run is dropped,
    /// but for its log entries.
    pub(crate) fn put(&self, outgoing: Outgoing) -> bool {
        let mut inner = self.lock();
        let definitions: usize = outgoing.definitions.iter().map(Vec::len).sum();
        for LogPayload { entries, payload } in outgoing.log {
            inner.put(Class::Log(entries), payload);
        }
        inner.make_log_room();
        let has_room = definitions == 0
            || inner.definition_bytes.saturating_add(definitions) <= MOST_DEFINITION_BYTES;
        if has_room {
            for payload in outgoing.definitions {
                inner.put(Class::Definition, payload);
            }
            if let Some(payload) = outgoing.batch {
                inner.put(Class::Batch, payload);
            }
            for payload in outgoing.others {
                inner.put(Class::Other, payload);
            }
            inner.make_room(self.most_batches);
        } else if outgoing.batch.is_some() {
            inner.dropped = inner.dropped.saturating_add(1);
        }
        has_room
    }

    /// Waits for a payload as long as `span`.
    pub(crate) fn wait(&self, span: Duration) -> Waited {
        let mut inner = self.lock();
        if !inner.payloads.is_empty() || inner.is_closed {
            return Waited::Not;
        }
        inner.is_awaited = true;
        inner = self
            .filled
            .wait_timeout(inner, span)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        inner.is_awaited = false;
        Waited::Yes
    }

    /// The oldest payload; does not wait.
    pub(crate) fn next(&self) -> Next {
        let mut inner = self.lock();
        match inner.payloads.pop_front() {
            Some((class, payload)) => {
                inner.took(class, payload.len());
                Next::Payload(payload)
            }
            None if inner.is_closed => Next::Closed,
            None => Next::Idle,
        }
    }

    /// Whether the reader keeps up, so that there is room for what was said before.
    pub(crate) fn keeps_up(&self) -> bool {
        self.lock().payloads.len() < self.collectors.saturating_mul(KEEPS_UP)
    }

    pub(crate) fn counts(&self) -> QueueCounts {
        let inner = self.lock();
        QueueCounts {
            dropped: inner.dropped,
            log_dropped: inner.log_dropped,
            batches: inner.batches,
            bytes: inner
                .bytes
                .saturating_add(inner.definition_bytes)
                .saturating_add(inner.log_bytes),
        }
    }

    /// Nothing more will come; what waits can still be taken.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn put(&mut self, class: Class, payload: Vec<u8>) {
        match class {
            Class::Definition => {
                self.definition_bytes = self.definition_bytes.saturating_add(payload.len());
            }
            Class::Batch => {
                self.batches = self.batches.saturating_add(1);
                self.bytes = self.bytes.saturating_add(payload.len());
            }
            Class::Log(_) => self.log_bytes = self.log_bytes.saturating_add(payload.len()),
            Class::Other => self.bytes = self.bytes.saturating_add(payload.len()),
        }
        self.payloads.push_back((class, payload));
    }

    fn took(&mut self, class: Class, length: usize) {
        match class {
            Class::Definition => {
                self.definition_bytes = self.definition_bytes.saturating_sub(length);
            }
            Class::Batch => {
                self.batches = self.batches.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(length);
            }
            Class::Log(_) => self.log_bytes = self.log_bytes.saturating_sub(length),
            Class::Other => self.bytes = self.bytes.saturating_sub(length),
        }
    }

    fn make_log_room(&mut self) {
        while self.log_bytes > MOST_LOG_BYTES {
            let mut oldest_first = self.payloads.iter();
            let Some(at) = oldest_first.position(|(class, _)| matches!(class, Class::Log(_)))
            else {
                return;
            };
            if let Some((class, payload)) = self.payloads.remove(at) {
                self.took(class, payload.len());
                if let Class::Log(entries) = class {
                    self.log_dropped = self.log_dropped.saturating_add(entries);
                }
            }
        }
    }

    fn make_room(&mut self, most_batches: usize) {
        while self.batches > most_batches || self.bytes > MOST_BYTES {
            let mut oldest_first = self.payloads.iter();
            let Some(at) =
                oldest_first.position(|(class, _)| matches!(class, Class::Batch | Class::Other))
            else {
                return;
            };
            if let Some((class, payload)) = self.payloads.remove(at) {
                self.took(class, payload.len());
                self.dropped = self
                    .dropped
                    .saturating_add(u64::from(class == Class::Batch));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(definitions: &[usize], batch: usize, tag: u8) -> Outgoing {
        Outgoing {
            definitions: definitions
                .iter()
                .map(|length| vec![tag; *length])
                .collect(),
            batch: (batch > 0).then(|| vec![tag; batch]),
            ..Outgoing::default()
        }
    }

    fn drain(queue: &Queue) -> Vec<(usize, u8)> {
        let mut seen = Vec::new();
        while let Next::Payload(payload) = queue.next() {
            seen.push((payload.len(), payload[0]));
        }
        seen
    }

    #[test]
    fn the_oldest_batch_goes_and_no_definition() {
        let queue = Queue::new(2);
        for tag in 1..=4 {
            assert!(queue.push(run(&[10], 20, tag)));
        }
        assert_eq!(
            queue.counts(),
            QueueCounts {
                dropped: 2,
                log_dropped: 0,
                batches: 2,
                bytes: 80
            }
        );
        assert_eq!(
            drain(&queue),
            [(10, 1), (10, 2), (10, 3), (20, 3), (10, 4), (20, 4)]
        );
        assert_eq!(queue.counts().bytes, 0);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let queue = Queue::new(1000);
        for tag in 0..10 {
            queue.push(run(&[], MOST_BYTES / 3, tag));
        }
        let counts = queue.counts();
        assert_eq!((counts.dropped, counts.batches), (7, 3));
        assert!(counts.bytes <= MOST_BYTES);
    }

    #[test]
    fn log_entries_and_samples_do_not_push_each_other_out() {
        let queue = Queue::new(2);
        let log = |tag: u8, length: usize| Outgoing {
            log: vec![LogPayload {
                entries: 10,
                payload: vec![tag; length],
            }],
            ..Outgoing::default()
        };
        queue.push(log(1, 5));
        for tag in 2..=6 {
            queue.push(run(&[], 20, tag));
        }
        let kept = |queue: &Queue| (queue.counts().dropped, queue.counts().log_dropped);
        assert_eq!(kept(&queue), (3, 0));
        for tag in 7..=9 {
            queue.push(log(tag, MOST_LOG_BYTES / 2));
        }
        assert_eq!(kept(&queue), (3, 20));
        let tags: Vec<u8> = drain(&queue).iter().map(|(_, tag)| *tag).collect();
        assert_eq!(tags, [5, 6, 8, 9]);
    }

    #[test]
    fn a_run_whose_definitions_find_no_room_is_refused_whole() {
        let queue = Queue::new(1000);
        assert!(queue.push(run(&[MOST_DEFINITION_BYTES], 1, 1)));
        assert!(!queue.push(run(&[1], 1, 2)));
        assert_eq!((queue.counts().dropped, queue.counts().batches), (1, 1));
        assert!(
            queue.push(run(&[], 1, 3)),
            "what needs no definition still comes in"
        );
    }

    #[test]
    fn what_waits_can_be_taken_after_the_end() {
        let queue = Queue::new(10);
        queue.push(run(&[], 5, 1));
        queue.close();
        assert_eq!(queue.next(), Next::Payload(vec![1; 5]));
        assert_eq!(queue.wait(Duration::from_secs(60)), Waited::Not);
        assert_eq!(queue.next(), Next::Closed);
    }

    #[test]
    fn a_wait_ends_with_what_comes() {
        let queue = Queue::new(10);
        assert_eq!(queue.wait(Duration::ZERO), Waited::Yes);
        assert_eq!(queue.next(), Next::Idle);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.wait(Duration::from_secs(600)));
            while !queue.lock().is_awaited {
                std::thread::yield_now();
            }
            queue.push(run(&[], 5, 1));
            assert!(!queue.lock().is_awaited, "the next one need wake nobody");
            assert_eq!(waiting.join().unwrap(), Waited::Yes);
        });
        assert_eq!(queue.wait(Duration::from_secs(600)), Waited::Not);
    }
}
