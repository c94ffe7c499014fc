//! A position in a store, and how it is written down.
//!
//! ```text
//! glasshouse-tail 1
//! head 42
//! row 1700000000123456789 12345678901 cpu       wall and boot time in ns of the last row that was read of a collector
//! crc 1a2b3c4d                                  CRC-32 of all lines before
//! ```

use std::collections::BTreeMap;

use glasshouse_core::time::{BootTime, Moment, Timestamp};

/// The first line: what this is, and its version.
const TITLE: &str = "glasshouse-tail 1";

/// Collectors in a position; there are some dozens. Those that were read longest ago go first, and may come twice.
const MOST_COLLECTORS: usize = 1024;

/// How far a row's times may be off after it was sealed; rows of a collector are a second apart at least.
const SAME_ROW_NANOS: u64 = 5_000_000;

/// How far a store has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailCursor {
    /// Everything that came in through heads before this one has been read.
    pub(crate) head: u64,
    /// The last row that was read of each collector.
    pub(crate) rows: BTreeMap<String, Moment>,
}

/// Why a position that was written down cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// It was cut off or changed.
    #[error("the position in the store is damaged")]
    Damaged,
    /// Another version wrote it.
    #[error("the position in the store was written by another version of glasshouse")]
    OtherVersion,
}

impl TailCursor {
    /// The position as text, a line a collector.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = format!("{TITLE}\nhead {}\n", self.head);
        for (collector, at) in &self.rows {
            let (wall, boot) = (at.wall.nanos(), at.boot.nanos());
            text.push_str(&format!("row {wall} {boot} {collector}\n"));
        }
        let crc = crc32fast::hash(text.as_bytes());
        text.push_str(&format!("crc {crc:08x}\n"));
        text
    }

    /// A position from its text.
    ///
    /// # Errors
    /// [`CursorError`] where it is no such text, whole.
    pub fn decode(text: &str) -> Result<Self, CursorError> {
        let other =
            text.starts_with("glasshouse-tail ") && !text.starts_with(&format!("{TITLE}\n"));
        if other {
            return Err(CursorError::OtherVersion);
        }
        Self::parse(text).ok_or(CursorError::Damaged)
    }

    /// The newest time that was read; nothing where nothing was.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        self.rows.values().map(|at| at.wall).max()
    }

    fn parse(text: &str) -> Option<Self> {
        let crc_at = text.rfind("crc ")?;
        let (body, crc) = text.split_at_checked(crc_at)?;
        if crc != format!("crc {:08x}\n", crc32fast::hash(body.as_bytes())) {
            return None;
        }
        let mut lines = body.strip_prefix(TITLE)?.strip_prefix('\n')?.lines();
        let head = lines.next()?.strip_prefix("head ")?.parse().ok()?;
        let mut cursor = Self {
            head,
            rows: BTreeMap::new(),
        };
        for line in lines {
            let mut parts = line.strip_prefix("row ")?.splitn(3, ' ');
            let at = Moment {
                wall: Timestamp::from_nanos(parts.next()?.parse().ok()?),
                boot: BootTime::from_nanos(parts.next()?.parse().ok()?),
            };
            cursor.rows.insert(parts.next()?.to_owned(), at);
        }
        Some(cursor)
    }

    /// A row of a collector was read.
    pub(crate) fn reach(&mut self, collector: &str, at: Moment) {
        if let Some(known) = self.rows.get_mut(collector) {
            *known = at;
            return;
        }
        if self.rows.len() >= MOST_COLLECTORS {
            let oldest = self.rows.iter().min_by_key(|(_, at)| at.wall);
            if let Some(oldest) = oldest.map(|(collector, _)| collector.clone()) {
                self.rows.remove(&oldest);
            }
        }
        // one with a line end in its name would break the text, and is none of ours
        if !collector.contains(['\n', '\r']) {
            self.rows.insert(collector.to_owned(), at);
        }
    }

    /// How many of these rows have been read already: all up to the last one that was, where that is among them.
    pub(crate) fn read_of(
        &self,
        collector: &str,
        rows: impl IntoIterator<Item = (i64, u64)>,
    ) -> usize {
        let Some(last) = self.rows.get(collector) else {
            return 0;
        };
        let (wall, boot) = (last.wall.nanos(), last.boot.nanos());
        let is_last = |row: (i64, u64)| {
            row.0.abs_diff(wall) <= SAME_ROW_NANOS && row.1.abs_diff(boot) <= SAME_ROW_NANOS
        };
        let place = rows.into_iter().position(is_last);
        place.map_or(0, |place| place + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64, boot: u64) -> Moment {
        Moment {
            wall: Timestamp::from_nanos(wall),
            boot: BootTime::from_nanos(boot),
        }
    }

    #[test]
    fn a_position_survives_and_a_changed_one_is_refused() {
        let mut cursor = TailCursor {
            head: 42,
            ..TailCursor::default()
        };
        cursor.reach("cpu", at(-5, 7));
        cursor.reach("odd name crc 1", at(i64::MAX, u64::MAX));
        let text = cursor.encode();
        assert_eq!(TailCursor::decode(&text), Ok(cursor));
        for cut in 0..text.len() {
            let (start, _) = text.split_at(cut);
            assert!(TailCursor::decode(start).is_err(), "cut at {cut}");
            let mut changed = text.clone().into_bytes();
            changed[cut] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert!(TailCursor::decode(&changed).is_err(), "changed at {cut}");
        }
        let newer = text.replace("tail 1", "tail 2");
        assert_eq!(TailCursor::decode(&newer), Err(CursorError::OtherVersion));
    }

    #[test]
    fn a_row_is_found_again_although_sealing_rounds_its_boot_time() {
        let mut cursor = TailCursor::default();
        cursor.reach("cpu", at(3_000_000_000, 1_003_000_900));
        let rows = [1_i64, 2, 3, 4].map(|n| (n * 1_000_000_000, n.unsigned_abs() * 1_000_000_000));
        assert_eq!(cursor.read_of("cpu", rows), 0, "another boot");
        let rows = rows.map(|(wall, boot)| (wall, boot.saturating_sub(1_996_000_000)));
        assert_eq!(cursor.read_of("cpu", rows), 3);
        assert_eq!(cursor.read_of("disk", rows), 0);
    }

    #[test]
    fn positions_of_many_collectors_are_bounded() {
        let mut cursor = TailCursor::default();
        for number in 0..2000 {
            cursor.reach(&number.to_string(), at(number, 0));
        }
        assert_eq!(cursor.rows.len(), MOST_COLLECTORS);
        assert!(cursor.rows.contains_key("1999") && !cursor.rows.contains_key("0"));
    }
}
