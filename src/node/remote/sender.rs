//! The loop: read a piece of the store, send it, write the position down, again.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::time::{BootTime, Moment, Timestamp};
use glasshouse_store::{Tail, TailChunk, TailCursor};
use tracing::{info, warn};

use super::answer::Answer;
use super::batch::{Piece, cut};
use super::client::Post;
use super::position::{Position, WRITTEN_EVERY};
use super::settings::RemoteSettings;
use super::table::{Point, Table};
use super::totals::{Dropped, Totals};
use crate::chain::Chain;
use crate::health::Health;

/// The first wait after a failure; each is twice the one before …
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// … up to this: a receiver that is back has the newest samples half a minute later.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The longest wait where a person has to mend something, such as a wrong secret.
const LONGEST_LASTING_WAIT: Duration = Duration::from_secs(300);

/// How often it is looked at what retention took, whatever else is waited for.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Refused requests that may be divided or given up at once; when they are used up the sender waits. …
const DIVISIONS: u32 = 256;

/// … and one more in each of these: a receiver that refuses everything is not asked much more often than others.
const ONE_MORE_EACH: Duration = Duration::from_secs(1);

/// Divisions of one piece of the store; what is refused then is given up. After a request that was taken and not answered
/// as many seconds can come again, beside new ones, and Prometheus refuses both together.
const DIVISIONS_OF_A_PIECE: u32 = 128;

/// A receiver that found something too old may take it after this time: somebody may have given it a longer window.
const ASK_AGAIN: Duration = Duration::from_secs(600);

/// What to do after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The next one.
    Again,
    /// Nothing for so long.
    Wait(Duration),
}

/// Follows the store and sends.
#[derive(Debug)]
pub(super) struct Sender<P> {
    tail: Tail,
    table: Table,
    post: P,
    position: Position,
    totals: Arc<Totals>,
    interval: Duration,
    most: usize,
    work: Option<Work>,
    /// Behind what was delivered or given up, and not yet written down.
    unwritten: Option<TailCursor>,
    /// What was written down last, and when that was tried.
    known: Option<TailCursor>,
    written: Option<BootTime>,
    /// Since when nothing is to be done, and for how long.
    pause: Option<(BootTime, Duration)>,
    looked: Option<BootTime>,
    divisions: Allowance,
    /// So many samples are not too large for the receiver, as far as was found out, and when that was.
    size: Option<(usize, BootTime)>,
    /// The newest sample that was too old for the receiver, and when that was.
    too_old: Option<(i64, BootTime)>,
    delivery: Delivery,
    reads: Health,
    writes: Health,
}

/// A piece of the store that is on its way.
#[derive(Debug)]
struct Work {
    pieces: VecDeque<Piece>,
    /// Of the first piece, once it was made.
    body: Option<Vec<u8>>,
    /// The first piece was refused, and waits for being divided.
    refused: Option<(Dropped, String)>,
    /// Failures in a row.
    failures: u32,
    /// How often it may still be divided.
    divisions: u32,
    /// How often it was too old.
    too_old: u32,
    behind: TailCursor,
    newest: Option<Timestamp>,
    /// When there was nothing more, if there was not.
    last_at: Option<BootTime>,
}

/// What may be done a number of times at once, and then once in a while.
#[derive(Debug)]
struct Allowance {
    left: u32,
    at: Option<BootTime>,
}

/// Whether samples get through, as it was logged.
#[derive(Debug, Default)]
struct Delivery {
    is_failing: bool,
    is_refused: bool,
}

impl<P: Post> Sender<P> {
    pub(super) fn new(
        tail: Tail,
        table: Table,
        post: P,
        position: Position,
        totals: Arc<Totals>,
        settings: &RemoteSettings,
    ) -> Self {
        Self {
            tail,
            table,
            post,
            position,
            totals,
            interval: settings.interval,
            most: settings.batch_samples.max(1),
            work: None,
            unwritten: None,
            known: None,
            written: None,
            pause: None,
            looked: None,
            divisions: Allowance {
                left: DIVISIONS,
                at: None,
            },
            size: None,
            too_old: None,
            delivery: Delivery::default(),
            reads: Health::new("The store can be read for remote write"),
            writes: Health::new("The position of remote write can be written down"),
        }
    }

    /// Reads a piece of the store, or sends a request.
    pub(super) fn step(&mut self, now: Moment) -> Next {
        if is_due(self.looked, LOOK_EVERY, now.boot) {
            self.look(now);
        }
        if self.unwritten.is_some() && is_due(self.written, WRITTEN_EVERY, now.boot) {
            self.write_down(now.boot);
        }
        if let Some((since, span)) = self.pause
            && !is_due(Some(since), span, now.boot)
        {
            return self.rest(span.saturating_sub(now.boot.since(since)));
        }
        self.pause = None;
        match self.work.take() {
            Some(work) => self.send(work, now),
            None => self.read(now),
        }
    }

    /// Does nothing for so long, but what has to be done meanwhile.
    fn wait(&mut self, span: Duration, now: Moment) -> Next {
        self.pause = Some((now.boot, span));
        self.rest(span)
    }

    fn rest(&self, span: Duration) -> Next {
        let most = if self.unwritten.is_some() {
            WRITTEN_EVERY
        } else {
            LOOK_EVERY
        };
        Next::Wait(span.min(most))
    }

    /// Looks at what is gone unsent.
    pub(super) fn look(&mut self, now: Moment) {
        self.looked = Some(now.boot);
        let Some(backlog) = self.reads.told(self.tail.look()) else {
            return;
        };
        for vanished in backlog.vanished {
            let why = if vanished.is_damaged {
                Dropped::Damaged
            } else {
                Dropped::Expired
            };
            self.totals.dropped(why, vanished.samples);
            warn!(
                file = vanished.file,
                most_samples = vanished.samples,
                damaged = vanished.is_damaged,
                "Samples are gone before the receiver of remote write took them."
            );
        }
    }

    /// Writes down how far it came.
    pub(super) fn close(&mut self, now: BootTime) {
        self.write_down(now);
    }

    fn read(&mut self, now: Moment) -> Next {
        let read = self.tail.next(self.most);
        match &read {
            Ok(_) => self.totals.set_trouble(""),
            Err(error) => {
                // what waits is not known to be nothing
                self.totals.begins();
                self.totals.set_trouble(&Chain(error).to_string());
            }
        }
        let Some(chunk) = self.reads.told(read) else {
            return self.wait(self.interval, now);
        };
        for (file, blocks) in &chunk.lost {
            self.totals.dropped(Dropped::Damaged, *blocks);
            warn!(file, blocks, "Damaged blocks of the store are not sent.");
        }
        let mut points = self.table.take(&chunk);
        let left_out = self.table.take_left_out();
        self.totals.dropped(Dropped::Ambiguous, left_out);
        self.leave_out_old(&mut points, now.boot);
        let work = Work {
            pieces: cut(points, self.most, &self.table.lines),
            body: None,
            refused: None,
            failures: 0,
            divisions: DIVISIONS_OF_A_PIECE,
            too_old: 0,
            newest: newest(&chunk),
            last_at: chunk.is_last.then_some(now.boot),
            behind: chunk.cursor,
        };
        if work.pieces.is_empty() {
            return self.done(work, now);
        }
        self.totals.begins();
        self.send(work, now)
    }

    fn send(&mut self, mut work: Work, now: Moment) -> Next {
        if work.refused.is_some() {
            return self.refused(work, now);
        }
        self.fit(&mut work, now.boot);
        let Some(piece) = work.pieces.front() else {
            return self.done(work, now);
        };
        let body = match work.body.take() {
            Some(body) => body,
            // larger than four gigabytes it is not
            None => piece
                .body(&mut self.table.lines, now.boot)
                .unwrap_or_default(),
        };
        match self.post.post(&body) {
            Answer::Taken => {
                self.totals.took(piece.len(), body.len());
                self.delivery.works(work.failures);
                work.failures = 0;
                work.pieces.pop_front();
            }
            Answer::Refused { why, text } => {
                work.failures = 0;
                work.refused = Some((why, text));
                return self.refused(work, now);
            }
            Answer::Later { why, after, text } => {
                self.totals.failed(why, &text);
                self.delivery.fails(&text);
                let longest = if why.is_lasting() {
                    LONGEST_LASTING_WAIT
                } else {
                    LONGEST_WAIT
                };
                let wait = back_off(work.failures, longest, after);
                work.failures = work.failures.saturating_add(1);
                work.body = Some(body);
                self.work = Some(work);
                return self.wait(wait, now);
            }
        }
        self.go_on(work, now)
    }

    fn go_on(&mut self, work: Work, now: Moment) -> Next {
        if work.pieces.is_empty() {
            return self.done(work, now);
        }
        self.work = Some(work);
        Next::Again
    }

    /// The first piece was refused: it is divided or given up, as soon as that may be done again.
    fn refused(&mut self, mut work: Work, now: Moment) -> Next {
        let first = work.pieces.pop_front();
        if let Some((piece, (why, text))) = first.zip(work.refused.take()) {
            let is_divided = piece.len() > 1 && work.divisions > 0 && why != Dropped::TooOld;
            let costs = is_divided || why == Dropped::TooLarge;
            if costs && !self.divisions.take(now.boot) {
                self.totals.set_trouble(&text);
                work.pieces.push_front(piece);
                work.refused = Some((why, text));
                self.work = Some(work);
                return self.wait(ONE_MORE_EACH, now);
            }
            self.refuse(&mut work, piece, why, &text, now);
        }
        self.go_on(work, now)
    }

    /// Divides what was refused, or gives it up.
    fn refuse(&mut self, work: &mut Work, piece: Piece, why: Dropped, text: &str, now: Moment) {
        if why == Dropped::TooOld {
            self.skip_old(work, piece, text, now.boot);
            return;
        }
        let samples = piece.len();
        let is_too_large = why == Dropped::TooLarge;
        if is_too_large {
            self.size = Some(((samples / 2).max(1), now.boot));
        }
        // what is too large is small enough after a dozen divisions, and nothing of it is at fault
        if samples > 1 && (is_too_large || work.divisions > 0) {
            work.divisions = work.divisions.saturating_sub(u32::from(!is_too_large));
            if let Some((first, second)) = piece.halve() {
                work.pieces.push_front(second);
                work.pieces.push_front(first);
                return;
            }
        }
        self.give_up(why, samples, text, now.boot);
    }

    /// Cuts the piece that comes next to what the receiver was found to take. The limit may be another one after a while.
    fn fit(&mut self, work: &mut Work, now: BootTime) {
        if work.body.is_some() {
            return;
        }
        self.size = self
            .size
            .filter(|(_, at)| !is_due(Some(*at), ASK_AGAIN, now));
        let most = self.size.map_or(usize::MAX, |(most, _)| most);
        while let Some(piece) = work.pieces.pop_front() {
            let halves = if piece.len() > most {
                piece.clone().halve()
            } else {
                None
            };
            let Some((first, second)) = halves else {
                work.pieces.push_front(piece);
                return;
            };
            work.pieces.push_front(second);
            work.pieces.push_front(first);
        }
    }

    fn give_up(&mut self, why: Dropped, samples: usize, text: &str, now: BootTime) {
        let count = u64::try_from(samples).unwrap_or(u64::MAX);
        self.totals.refused(why, count, text, now);
        self.delivery.is_refused(samples, text);
    }

    /// Of a request with something too old in it the oldest is: it is given up, with more of what comes next each time. What
    /// came first must be sent first, so the receiver cannot be asked for the middle. Of a day that is too old this costs
    /// a dozen requests, and a minute or two of what would have been new enough.
    fn skip_old(&mut self, work: &mut Work, piece: Piece, text: &str, now: BootTime) {
        if let Some(oldest) = piece.oldest() {
            let known = self.too_old.map_or(i64::MIN, |(known, _)| known);
            self.too_old = Some((oldest.max(known), now));
        }
        let times = 1_usize << work.too_old.min(30);
        work.too_old = work.too_old.saturating_add(1);
        let (rest, left_out) = piece.without_oldest(times);
        self.give_up(Dropped::TooOld, left_out, text, now);
        if rest.len() > 0 {
            work.pieces.push_front(rest);
        }
    }

    /// Leaves out what the receiver would find too old: its bound only moves on, unless somebody moves it.
    fn leave_out_old(&mut self, points: &mut Vec<Point>, now: BootTime) {
        let known = self.too_old;
        if let Some((oldest, _)) = known.filter(|(_, at)| !is_due(Some(*at), ASK_AGAIN, now)) {
            let before = points.len();
            points.retain(|point| point.millis > oldest);
            let left_out = u64::try_from(before - points.len()).unwrap_or(u64::MAX);
            let text = "older than what the receiver found too old before";
            self.totals.refused(Dropped::TooOld, left_out, text, now);
        }
    }

    /// A piece of the store was delivered, or given up.
    fn done(&mut self, work: Work, now: Moment) -> Next {
        // what took long to deliver has more behind it by now
        let is_last = work
            .last_at
            .is_some_and(|at| now.boot.since(at) < self.interval);
        self.totals.reached(work.newest, is_last);
        self.unwritten = Some(work.behind).filter(|cursor| self.known.as_ref() != Some(cursor));
        if is_due(self.written, WRITTEN_EVERY, now.boot) {
            self.write_down(now.boot);
        }
        if is_last {
            self.wait(self.interval, now)
        } else {
            Next::Again
        }
    }

    fn write_down(&mut self, now: BootTime) {
        if let Some(cursor) = &self.unwritten {
            self.written = Some(now);
            if self.writes.told(self.position.write(cursor)).is_some() {
                self.known = self.unwritten.take();
            }
        }
    }
}

impl Allowance {
    fn take(&mut self, now: BootTime) -> bool {
        let at = *self.at.get_or_insert(now);
        let more = now.since(at).as_nanos() / ONE_MORE_EACH.as_nanos();
        if more > 0 || now < at {
            let more = u32::try_from(more).unwrap_or(DIVISIONS);
            self.left = self.left.saturating_add(more).min(DIVISIONS);
            self.at = Some(now);
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

impl Delivery {
    fn works(&mut self, failures: u32) {
        if self.is_failing {
            info!(
                after_failures = failures,
                "The receiver of remote write takes samples again."
            );
        }
        *self = Self::default();
    }

    fn fails(&mut self, text: &str) {
        if !self.is_failing {
            warn!(
                error = text,
                "The receiver of remote write takes no samples; they wait in the store and are sent again."
            );
            self.is_failing = true;
        }
    }

    fn is_refused(&mut self, samples: usize, text: &str) {
        if !self.is_refused {
            warn!(
                samples,
                error = text,
                "The receiver of remote write refused samples, which are given up; more of them are only counted."
            );
            self.is_refused = true;
        }
    }
}

/// The newest time in a piece: its rows', or where none was complete its samples'.
fn newest(chunk: &TailChunk) -> Option<Timestamp> {
    let reached = chunk.reached.iter().map(|(_, at)| *at).max();
    reached.or_else(|| chunk.samples.iter().map(|(_, sample)| sample.at).max())
}

fn is_due(last: Option<BootTime>, every: Duration, now: BootTime) -> bool {
    last.is_none_or(|last| now < last || now.since(last) >= every)
}

/// Longer each time, and as long as the receiver asks at least; and a little off by chance: thousands of nodes must not come
/// back at the same instant.
fn back_off(failures: u32, longest: Duration, after: Option<Duration>) -> Duration {
    let wait = FIRST_WAIT
        .saturating_mul(1 << failures.min(16))
        .min(longest);
    // each state is keyed anew
    let chance = u32::try_from(RandomState::new().hash_one(failures) % 256).unwrap_or(0);
    let part = |span: Duration| span.saturating_mul(chance) / 1024;
    match after.filter(|after| *after >= wait) {
        Some(after) => after.saturating_add(part(after)),
        None => wait.saturating_sub(part(wait)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_differ() {
        for (failures, most) in [(0, 1), (1, 2), (4, 16), (5, 30), (1000, 30)] {
            let most = Duration::from_secs(most);
            for _ in 0..20 {
                let wait = back_off(failures, LONGEST_WAIT, None);
                assert!(most * 3 / 4 <= wait && wait <= most, "{failures} {wait:?}");
            }
        }
        let wait = |after| back_off(9, LONGEST_WAIT, after);
        assert!((0..20).any(|_| wait(None) != wait(None)));
        let minute = Duration::from_secs(60);
        for _ in 0..20 {
            // earlier than we would come anyway
            assert!(wait(Some(FIRST_WAIT)) > LONGEST_WAIT / 2);
            assert!((minute..=minute * 5 / 4).contains(&wait(Some(minute))));
        }
        assert!((0..20).any(|_| wait(Some(minute)) != wait(Some(minute))));
    }

    #[test]
    fn divisions_come_back_one_by_one() {
        let at = |seconds: u64| BootTime::from_nanos(seconds * 1_000_000_000);
        let mut allowance = Allowance {
            left: DIVISIONS,
            at: None,
        };
        assert!((0..DIVISIONS).all(|_| allowance.take(at(10))));
        assert!(!allowance.take(at(10)));
        assert!(allowance.take(at(12)) && allowance.take(at(12)) && !allowance.take(at(12)));
        assert!(allowance.take(at(10_000)));
        assert_eq!(allowance.left, DIVISIONS - 1);
    }
}
