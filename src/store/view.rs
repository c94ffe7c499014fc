//! What a reader remembers between questions, and the snapshot that it takes for each.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use glasshouse_core::reader::Resolution;

use crate::blocks::readable;
use crate::bytes::wide;
use crate::disk::File;
use crate::error::StoreError;
use crate::files::{Listing, SegmentName, head_name};
use crate::head_view::HeadView;
use crate::segment::{FOOTER, Footer, SegmentFile};

/// Indexes of recent segments; an hour of 600 series takes some 40 KiB.
const MOST_INDEX_BYTES: usize = 2 << 20;

/// Heads beyond the newest few are leftovers of a writer that cannot seal; they are read anew for every question.
const MOST_HEADS_REMEMBERED: usize = 4;

/// The folder of a store and what is remembered of it.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) dir: PathBuf,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    /// By number, with the inode.
    heads: BTreeMap<u64, (u64, Arc<HeadView>)>,
    /// With the inode.
    footers: HashMap<SegmentName, (u64, Footer)>,
    indexes: Vec<CachedIndex>,
    /// Segments of which a question could not read a block.
    damaged: BTreeSet<SegmentName>,
}

#[derive(Debug)]
struct CachedIndex {
    footer: Footer,
    bytes: Arc<[u8]>,
}

/// The files of the store at one instant. Heads are open; segments may be gone when they are opened, and then the
/// question is asked again.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Oldest first.
    pub(crate) heads: Vec<OpenHead>,
    pub(crate) segments: Vec<Footer>,
    /// Segments whose footer makes no sense, and files that the disk does not give back: nobody knows what is in them.
    pub(crate) unreadable: Vec<String>,
    /// Files that were set aside.
    pub(crate) set_aside: Vec<String>,
    /// What was read to find that out: footers, and what came into heads since the last look.
    pub(crate) bytes_read: u64,
}

/// A head at one instant: what came later is not in its view.
#[derive(Debug)]
pub(crate) struct OpenHead {
    pub(crate) sequence: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) view: Arc<HeadView>,
}

impl View {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            cache: Mutex::default(),
        }
    }

    /// Looks at the folder.
    ///
    /// # Errors
    /// A missing file where one was replaced meanwhile ([`StoreError::is_missing`]): look again.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let listed = Listing::read_stable(&self.dir);
        let mut listing = listed.map_err(|source| StoreError::io("list", &self.dir, source))?;
        listing.drop_replaced();
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let mut heads = Vec::new();
        let mut bytes_read = 0;
        let mut unreadable = Vec::new();
        for head in &listing.heads {
            match cache.head(&self.dir, head.sequence, &mut bytes_read) {
                Err(error) if error.is_damage() => unreadable.push(head.to_string()),
                open => heads.push(open?),
            }
        }
        let forgotten = heads.len().saturating_sub(MOST_HEADS_REMEMBERED);
        let oldest = heads.get(forgotten).map_or(0, |head| head.sequence);
        cache.heads.retain(|sequence, _| *sequence >= oldest);
        let mut footers = HashMap::with_capacity(listing.segments.len());
        let mut segments = Vec::with_capacity(listing.segments.len());
        for (name, inode) in &listing.segments {
            let footer = match cache.footers.get(name) {
                Some((known, footer)) if known == inode => *footer,
                _ => match SegmentFile::open(&self.dir, *name) {
                    Err(error) if error.is_damage() => {
                        unreadable.push(name.to_string());
                        continue;
                    }
                    file => {
                        bytes_read += wide(FOOTER);
                        file?.footer
                    }
                },
            };
            footers.insert(*name, (*inode, footer));
            segments.push(footer);
        }
        cache.damaged.retain(|name| footers.contains_key(name));
        cache.footers = footers;
        Ok(Snapshot {
            heads,
            segments,
            unreadable,
            set_aside: listing.damaged,
            bytes_read,
        })
    }

    /// What was read, or `None` where it is damaged, which is remembered.
    pub(crate) fn readable<T>(
        &self,
        footer: &Footer,
        read: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        readable(read, || {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.damaged.insert(footer.name);
        })
    }

    /// Every file that is known to be damaged.
    pub(crate) fn damaged(&self, snapshot: &Snapshot) -> Vec<String> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let heads = snapshot.heads.iter().filter(|head| head.view.lost > 0);
        let mut damaged: Vec<String> = heads.map(|head| head_name(head.sequence)).collect();
        damaged.extend(cache.damaged.iter().map(SegmentName::to_string));
        damaged.extend_from_slice(&snapshot.unreadable);
        damaged.extend_from_slice(&snapshot.set_aside);
        damaged
    }

    /// The index of an open segment.
    pub(crate) fn index(&self, file: &SegmentFile) -> Result<Arc<[u8]>, StoreError> {
        self.index_and_cost(file).map(|(index, _)| index)
    }

    /// The index of an open segment, and how many bytes were read for it: none where it was remembered.
    pub(crate) fn index_and_cost(
        &self,
        file: &SegmentFile,
    ) -> Result<(Arc<[u8]>, u64), StoreError> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let known = cache
            .indexes
            .iter()
            .position(|known| known.footer == file.footer);
        if let Some(place) = known {
            let known = cache.indexes.remove(place);
            let bytes = Arc::clone(&known.bytes);
            cache.indexes.push(known);
            return Ok((bytes, 0));
        }
        drop(cache);
        let bytes: Arc<[u8]> = file.index()?.into();
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.indexes.push(CachedIndex {
            footer: file.footer,
            bytes: Arc::clone(&bytes),
        });
        let mut kept = cache
            .indexes
            .iter()
            .map(|index| index.bytes.len())
            .sum::<usize>();
        while kept > MOST_INDEX_BYTES && !cache.indexes.is_empty() {
            kept -= cache.indexes.remove(0).bytes.len();
        }
        Ok((bytes, wide(file.footer.index.length)))
    }
}

impl Cache {
    fn head(
        &mut self,
        dir: &Path,
        sequence: u64,
        bytes_read: &mut u64,
    ) -> Result<OpenHead, StoreError> {
        let path = dir.join(head_name(sequence));
        let file = File::open(&path).map_err(|source| StoreError::io("open", &path, source))?;
        let io = |source| StoreError::io("read", &path, source);
        let inode = file.metadata().map_err(io)?.inode;
        let (_, view) = self
            .heads
            .entry(sequence)
            .and_modify(|known| {
                if known.0 != inode {
                    *known = (inode, Arc::default());
                }
            })
            .or_insert_with(|| (inode, Arc::default()));
        let known = view.bytes;
        Arc::make_mut(view).refresh(&file).map_err(io)?;
        *bytes_read += view.bytes.saturating_sub(known);
        let view = Arc::clone(view);
        Ok(OpenHead {
            sequence,
            path,
            file,
            view,
        })
    }
}

/// The segments that answer a question best from one tier: each sample is in exactly one of them.
///
/// What is not rolled up yet comes from a finer tier; what retention took from a finer tier comes from a coarser one.
pub(crate) fn cover(segments: &[Footer], preferred: Resolution) -> Vec<Footer> {
    let of = |tier: Resolution| {
        segments
            .iter()
            .filter(move |footer| footer.name.tier == tier)
    };
    let mut chosen: Vec<Footer> = of(preferred).copied().collect();
    let finer = Resolution::ALL
        .iter()
        .rev()
        .filter(|tier| **tier < preferred);
    for footer in finer.flat_map(|tier| of(*tier)) {
        let name = footer.name;
        if !chosen
            .iter()
            .any(|chosen| chosen.name.covers(name.first, name.last))
        {
            chosen.retain(|chosen| !chosen.name.meets(name));
            chosen.push(*footer);
        }
    }
    for tier in Resolution::ALL.iter().filter(|tier| **tier > preferred) {
        let kept_from = chosen
            .iter()
            .map(|chosen| chosen.name.first)
            .min()
            .unwrap_or(u64::MAX);
        for footer in of(*tier).filter(|footer| footer.name.first < kept_from) {
            chosen.retain(|chosen| !chosen.name.meets(footer.name));
            chosen.push(*footer);
        }
    }
    chosen.sort_unstable_by_key(|footer| footer.name.first);
    chosen
}
