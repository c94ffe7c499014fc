//! The files of a store: their names, which of them count, and how a reader gets a list that holds together.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;

use glasshouse_core::reader::Resolution;

use crate::disk;

/// A head: `head-<number>.log`. Numbers only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HeadName {
    pub(crate) sequence: u64,
    pub(crate) inode: u64,
}

/// A segment: `<tier>-<first>-<last>.seg`, made from the heads of these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentName {
    pub(crate) tier: Resolution,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl SegmentName {
    /// Whether all that the other was made from is in this one too.
    pub(crate) const fn covers(self, first: u64, last: u64) -> bool {
        self.first <= first && last <= self.last
    }

    pub(crate) const fn meets(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (tier, range) = name.strip_suffix(".seg")?.split_once('-')?;
        let tier = Resolution::ALL.iter().find(|known| known.word() == tier)?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        (first <= last).then_some(Self {
            tier: *tier,
            first,
            last,
        })
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tier = self.tier.word();
        write!(f, "{tier}-{:012}-{:012}.seg", self.first, self.last)
    }
}

impl fmt::Display for HeadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&head_name(self.sequence))
    }
}

pub(crate) fn head_name(sequence: u64) -> String {
    format!("head-{sequence:012}.log")
}

/// What a temporary's name ends with.
pub(crate) const TEMPORARY: &str = ".tmp";

/// What stands behind the name of a file that makes no sense and was set aside.
pub(crate) const DAMAGED: &str = ".damaged";

/// What stands in the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Sorted.
    pub(crate) heads: Vec<HeadName>,
    /// Sorted by tier, then by first head; with their inodes.
    pub(crate) segments: Vec<(SegmentName, u64)>,
    /// Names of temporaries.
    pub(crate) temporaries: Vec<String>,
    /// Names of files that were set aside.
    pub(crate) damaged: Vec<String>,
}

impl Listing {
    /// Reads the folder once.
    pub(crate) fn read(dir: &Path) -> io::Result<Self> {
        let mut listing = Self::default();
        for entry in disk::list(dir)? {
            let entry = entry?;
            let Ok(name) = entry.name().into_string() else {
                continue;
            };
            if let Some(sequence) = parse_head(&name) {
                let inode = entry.inode();
                listing.heads.push(HeadName { sequence, inode });
            } else if let Some(segment) = SegmentName::parse(&name) {
                listing.segments.push((segment, entry.inode()));
            } else if name.ends_with(TEMPORARY) {
                listing.temporaries.push(name);
            } else if name.ends_with(DAMAGED) {
                listing.damaged.push(name);
            }
        }
        listing.heads.sort_unstable();
        listing.segments.sort_unstable();
        listing.damaged.sort_unstable();
        Ok(listing)
    }

    /// Reads the folder until two readings in a row agree on heads and segments.
    ///
    /// One reading is not enough: it may pass the place of a segment before that appears and reach that of its head
    /// after that is gone. Two that agree saw every file that stood between them, because no name is used twice.
    pub(crate) fn read_stable(dir: &Path) -> io::Result<Self> {
        let mut before = Self::read(dir)?;
        for _ in 0..MOST_READINGS {
            let again = Self::read(dir)?;
            if before.heads == again.heads && before.segments == again.segments {
                break;
            }
            before = again;
        }
        Ok(before)
    }

    /// Removes from the list what a newer file replaces, and returns the names.
    pub(crate) fn drop_replaced(&mut self) -> Vec<String> {
        let mut replaced = Vec::new();
        // Of those that begin with the same head the longest comes first now.
        let key = |segment: &SegmentName| (segment.tier, segment.first, u64::MAX - segment.last);
        self.segments
            .sort_unstable_by_key(|(segment, _)| key(segment));
        let mut widest: Option<SegmentName> = None;
        self.segments.retain(|(segment, _)| {
            let beaten = widest.is_some_and(|widest| {
                widest.tier == segment.tier && widest.covers(segment.first, segment.last)
            });
            if beaten {
                replaced.push(segment.to_string());
            } else {
                widest = Some(*segment);
            }
            !beaten
        });
        let sealed: BTreeSet<(u64, u64)> = self
            .segments
            .iter()
            .map(|(segment, _)| (segment.first, segment.last))
            .collect();
        self.heads.retain(|head| {
            let beaten = sealed
                .iter()
                .any(|(first, last)| *first <= head.sequence && head.sequence <= *last);
            if beaten {
                replaced.push(head.to_string());
            }
            !beaten
        });
        replaced
    }

    /// The largest number in use.
    pub(crate) fn newest(&self) -> u64 {
        let heads = self.heads.iter().map(|head| head.sequence);
        heads
            .chain(self.segments.iter().map(|(segment, _)| segment.last))
            .max()
            .unwrap_or(0)
    }
}

/// A store changes its files every few minutes; one that changes faster than the folder can be read is under test.
const MOST_READINGS: usize = 16;

fn parse_head(name: &str) -> Option<u64> {
    number(name.strip_prefix("head-")?.strip_suffix(".log")?)
}

/// Exactly as we write it, so that no two names mean the same file.
fn number(text: &str) -> Option<u64> {
    let digits = text.len() == 12 || (text.len() > 12 && !text.starts_with('0'));
    (digits && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(text: &str) -> (SegmentName, u64) {
        (SegmentName::parse(text).unwrap(), 0)
    }

    #[test]
    fn names_survive_and_strangers_are_ignored() {
        for name in [
            "raw-000000000001-000000000002.seg",
            "1m-000000000007-000000000007.seg",
            "1h-000000000000-1000000000000.seg",
        ] {
            assert_eq!(SegmentName::parse(name).unwrap().to_string(), name);
        }
        for name in [
            "raw-1-2.seg",
            "raw-000000000002-000000000001.seg",
            "2h-000000000001-000000000002.seg",
            "raw-0000000000012-000000000013.seg",
            "raw-.seg",
            "x",
        ] {
            assert_eq!(SegmentName::parse(name), None, "{name}");
        }
        assert_eq!(parse_head(&head_name(12)), Some(12));
        assert_eq!(parse_head("head-+00000000001.log"), None);
    }

    #[test]
    fn what_a_newer_file_replaces_is_dropped() {
        let mut listing = Listing {
            heads: [4, 5, 6]
                .map(|sequence| HeadName { sequence, inode: 0 })
                .to_vec(),
            segments: vec![
                segment("raw-000000000001-000000000001.seg"),
                segment("raw-000000000001-000000000003.seg"),
                segment("raw-000000000002-000000000002.seg"),
                segment("raw-000000000004-000000000004.seg"),
                segment("1m-000000000001-000000000003.seg"),
            ],
            ..Listing::default()
        };
        let replaced = listing.drop_replaced();
        assert_eq!(
            replaced,
            [
                "raw-000000000001-000000000001.seg",
                "raw-000000000002-000000000002.seg",
                "head-000000000004.log"
            ]
        );
        assert_eq!(listing.heads.len(), 2);
        assert_eq!(listing.segments.len(), 3);
        assert_eq!(listing.newest(), 6);
    }
}
