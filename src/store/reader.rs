//! Reads a store while it is written.

use std::path::Path;
use std::sync::Arc;

use glasshouse_core::reader::{
    Found, Latest, RangeAnswer, RangeQuery, ReadError, SampleReader, Selector, SeriesInfo,
    TierCoverage,
};
use glasshouse_core::time::{Timestamp, Window};

use crate::disk;
use crate::error::StoreError;
use crate::present;
use crate::range::range;
use crate::view::{Snapshot, View};

/// How often a question is asked again because a file was replaced under it. Files are replaced every few minutes.
const MOST_TRIES: usize = 64;

/// Reads a store, also from another process, also while it is written.
///
/// Every question is answered from one snapshot: all that was appended before it was asked, each sample once. What is
/// remembered between questions (footers, a few indexes, what the heads hold) is bounded. It is cheap to share.
///
/// What is damaged costs its block, or its file where nobody can tell what is in it. Answers say so
/// ([`Truncation::Damage`](glasshouse_core::reader::Truncation::Damage), [`Found::damaged`]), and [`Self::damaged`](SampleReader::damaged)
/// lists the files.
#[derive(Debug)]
pub struct StoreReader {
    view: View,
}

impl StoreReader {
    /// A reader of the store in `dir`. Nothing is opened yet: a folder that is empty or missing is an error of the
    /// question.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        Self {
            view: View::new(dir),
        }
    }

    /// Answers from a snapshot; asks again where a file of it was replaced before it could be opened.
    pub(crate) fn ask<T>(
        &self,
        answer: impl Fn(&View, &Snapshot) -> Result<T, StoreError>,
    ) -> Result<T, ReadError> {
        let mut outcome = Err(self.empty());
        for _ in 0..MOST_TRIES {
            let answered = self.view.snapshot().and_then(|snapshot| {
                let empty = snapshot.heads.is_empty()
                    && snapshot.segments.is_empty()
                    && snapshot.unreadable.is_empty();
                (!empty).then(|| answer(&self.view, &snapshot)).transpose()
            });
            match answered {
                Ok(answer) => return answer.ok_or_else(|| self.empty()),
                Err(error) if error.is_missing() => {
                    if disk::metadata(&self.view.dir).is_err() {
                        return Err(self.empty());
                    }
                    outcome = Err(error.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
        outcome
    }

    fn empty(&self) -> ReadError {
        ReadError::Empty {
            path: self.view.dir.display().to_string(),
        }
    }
}

impl SampleReader for StoreReader {
    fn series(
        &self,
        selector: &Selector,
        window: Window,
    ) -> Result<Found<Arc<SeriesInfo>>, ReadError> {
        self.ask(|view, snapshot| present::series(view, snapshot, selector, window))
    }

    fn latest(&self, selector: &Selector, now: Timestamp) -> Result<Found<Latest>, ReadError> {
        self.ask(|view, snapshot| present::latest(view, snapshot, selector, now))
    }

    fn range(&self, query: &RangeQuery) -> Result<RangeAnswer, ReadError> {
        self.ask(|view, snapshot| range(view, snapshot, query))
    }

    fn coverage(&self) -> Result<Vec<TierCoverage>, ReadError> {
        self.ask(|_, snapshot| Ok(present::coverage(snapshot)))
    }

    fn damaged(&self) -> Result<Vec<String>, ReadError> {
        self.ask(|view, snapshot| Ok(view.damaged(snapshot)))
    }
}
