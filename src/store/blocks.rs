//! Reads the blocks of samples in a segment, for whoever goes through them one after the other.

use crate::column::Column;
use crate::error::{Malformed, StoreError};
use crate::index::Place;
use crate::segment::SegmentFile;
use crate::times::Times;

impl SegmentFile {
    /// The times that the series of a collector share.
    ///
    /// # Errors
    /// [`StoreError`] where the block cannot be read or is damaged.
    pub(crate) fn times(&self, place: Place) -> Result<Times, StoreError> {
        Times::decode(&self.block(place)?).map_err(|error| error.inside(&self.path))
    }

    /// The samples of a series, of which there is a row for each of these times. What was in the column is gone.
    ///
    /// # Errors
    /// As [`Self::times`].
    pub(crate) fn column(
        &self,
        place: Place,
        times: &Times,
        column: &mut Column,
    ) -> Result<(), StoreError> {
        let inside = |error: Malformed| error.inside(&self.path);
        column.clear();
        column.decode(&self.block(place)?).map_err(inside)?;
        if column.len() != times.len() {
            return Err(inside(Malformed("a column is not as long as its times")));
        }
        Ok(())
    }
}

/// What was read, or `None` where it is damaged, which is noted.
///
/// # Errors
/// What else keeps it from being read.
pub(crate) fn readable<T>(
    read: Result<T, StoreError>,
    note: impl FnOnce(),
) -> Result<Option<T>, StoreError> {
    match read {
        Err(error) if error.is_damage() => {
            note();
            Ok(None)
        }
        read => read.map(Some),
    }
}
