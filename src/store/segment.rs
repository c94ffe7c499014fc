//! Segment files: written once, whole, then only read.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use glasshouse_core::reader::{Resolution, SeriesInfo};

use crate::bytes::{Cursor, narrow, wide};
use crate::disk::{self, File};
use crate::error::{Malformed, OTHER_VERSION, StoreError};
use crate::files::{SegmentName, TEMPORARY};
use crate::index::{IndexBuilder, Place, Stored};
use crate::room::Room;

/// The first bytes of every segment.
const MAGIC: [u8; 8] = *b"GHseg\0\0\x01";

/// The first bytes of every footer; they name the version.
const FOOTER_MAGIC: [u8; 8] = *b"GHend\0\0\x01";

/// Bytes of a footer.
pub(crate) const FOOTER: usize = 88;

/// An index of 65,536 series with long labels; a larger one is damage.
const MOST_INDEX: usize = 32 << 20;

/// More makes an index of 600 series smaller by some tens of bytes.
const ZSTD_LEVEL: i32 = 9;

/// A column of incompressible floats of the longest kind; a larger block is damage.
const MOST_BLOCK: usize = 8 << 20;

/// What a segment says of itself at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) name: SegmentName,
    /// Rows of the longest collector.
    pub(crate) rows: u32,
    /// Wall time of the first batch of the first head in it.
    pub(crate) opened: i64,
    pub(crate) oldest: i64,
    pub(crate) newest: i64,
    /// Values (rollup rows in a rollup).
    pub(crate) samples: u64,
    pub(crate) series: u32,
    pub(crate) index: Place,
    pub(crate) index_crc: u32,
    /// Of the whole file.
    pub(crate) bytes: u64,
}

/// Writes a segment block by block into a temporary; [`Self::finish`] gives it its name.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    name: SegmentName,
    path: PathBuf,
    temporary: PathBuf,
    file: BufWriter<File>,
    offset: u64,
    index: IndexBuilder,
    blocks: Blocks,
    rows: usize,
    samples: u64,
    bounds: Option<(i64, i64)>,
    finished: bool,
    room: Room,
}

/// The blocks of a segment so far. What is the same is written once: most of what a machine reports never changes,
/// and some of it goes by two names.
#[derive(Debug, Default)]
struct Blocks {
    /// Two keyed hashes of a block and its number. 128 bits that nobody can foresee: two blocks do not share them.
    known: HashMap<(u64, u64), usize>,
    hashers: (RandomState, RandomState),
    count: usize,
}

impl Blocks {
    /// How many blocks before the same was added, if it was.
    fn add(&mut self, block: &[u8]) -> Option<usize> {
        let number = self.count;
        self.count += 1;
        let hashes = (
            self.hashers.0.hash_one(block),
            self.hashers.1.hash_one(block),
        );
        self.known
            .insert(hashes, number)
            .map(|before| number - before)
    }
}

impl SegmentWriter {
    pub(crate) fn create(dir: &Path, name: SegmentName, room: &Room) -> Result<Self, StoreError> {
        let path = dir.join(name.to_string());
        let temporary = dir.join(format!("{name}{TEMPORARY}"));
        let file = File::create(&temporary)
            .map_err(|source| StoreError::io("create", &temporary, source))?;
        let mut writer = Self {
            name,
            path,
            temporary,
            file: BufWriter::new(file),
            offset: 0,
            index: IndexBuilder::default(),
            blocks: Blocks::default(),
            rows: 0,
            samples: 0,
            bounds: None,
            finished: false,
            room: room.clone(),
        };
        writer.put(&MAGIC)?;
        Ok(writer)
    }

    /// The file that errors about its contents should name.
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Begins a collector: its times, then come its series.
    pub(crate) fn collector(
        &mut self,
        name: &str,
        rows: usize,
        bounds: (i64, i64),
        times: &[u8],
    ) -> Result<(), StoreError> {
        let stored = self.block(times)?;
        self.index.collector(name, rows, bounds, stored);
        self.rows = self.rows.max(rows);
        let (oldest, newest) = self.bounds.unwrap_or(bounds);
        self.bounds = Some((oldest.min(bounds.0), newest.max(bounds.1)));
        Ok(())
    }

    pub(crate) fn series(
        &mut self,
        info: &SeriesInfo,
        block: &[u8],
        values: u64,
        bounds: (i64, i64),
    ) -> Result<(), StoreError> {
        let stored = self.block(block)?;
        self.index.series(info, stored, values, bounds);
        self.samples += values;
        Ok(())
    }

    /// Writes index and footer, syncs, and puts the file under its name: from then on it counts.
    pub(crate) fn finish(mut self, opened: i64) -> Result<Footer, StoreError> {
        let index = self.index.encode();
        if index.len() > MOST_INDEX {
            return Err(StoreError::TooLarge {
                what: "the index of a segment",
                size: index.len(),
                most: MOST_INDEX,
            });
        }
        let index = zstd::bulk::compress(&index, ZSTD_LEVEL)
            .map_err(|source| StoreError::io("pack the index of", &self.temporary, source))?;
        let (oldest, newest) = self.bounds.unwrap_or((opened, opened));
        let footer = Footer {
            name: self.name,
            rows: u32::try_from(self.rows).unwrap_or(u32::MAX),
            opened,
            oldest,
            newest,
            samples: self.samples,
            series: u32::try_from(self.index.series_count()).unwrap_or(u32::MAX),
            index: Place {
                offset: self.offset,
                length: index.len(),
            },
            index_crc: crc32fast::hash(&index),
            bytes: self.offset + wide(index.len() + FOOTER),
        };
        self.put(&index)?;
        self.put(&footer.encode())?;
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .map_err(|source| StoreError::io("sync", &self.temporary, source))?;
        disk::rename(&self.temporary, &self.path)
            .map_err(|source| StoreError::io("rename", &self.temporary, source))?;
        self.finished = true;
        if let Some(dir) = self.path.parent() {
            sync_folder(dir)?;
        }
        Ok(footer)
    }

    fn block(&mut self, block: &[u8]) -> Result<Stored, StoreError> {
        if let Some(back) = self.blocks.add(block) {
            return Ok(Stored::Again(back));
        }
        self.put(block)?;
        self.put(&crc32fast::hash(block).to_le_bytes())?;
        Ok(Stored::New(block.len() + 4))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.room.take(wide(bytes.len()))?;
        self.offset += wide(bytes.len());
        self.file
            .write_all(bytes)
            .map_err(|source| StoreError::io("write", &self.temporary, source))
    }
}

/// What was begun and not finished leaves nothing behind.
impl Drop for SegmentWriter {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed now is removed at the next start.
            drop(disk::remove_file(&self.temporary));
        }
    }
}

pub(crate) fn sync_folder(dir: &Path) -> Result<(), StoreError> {
    disk::sync_folder(dir).map_err(|source| StoreError::io("sync", dir, source))
}

/// Whether the file begins like a segment of another version.
fn is_of_other_version(file: &File) -> io::Result<bool> {
    let mut start = [0; MAGIC.len()];
    match file.read_exact_at(&mut start, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        read => read?,
    }
    let (version, name) = start.split_last().unwrap_or((&0, &[]));
    Ok(MAGIC.starts_with(name) && !MAGIC.ends_with(&[*version]))
}

/// A segment that is open for reading. It stays readable when it is unlinked.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) footer: Footer,
}

impl SegmentFile {
    pub(crate) fn open(dir: &Path, name: SegmentName) -> Result<Self, StoreError> {
        let path = dir.join(name.to_string());
        let file = File::open(&path).map_err(|source| StoreError::io("open", &path, source))?;
        let bytes = file
            .metadata()
            .map_err(|source| StoreError::io("read", &path, source))?
            .bytes;
        let io = |source| StoreError::io("read", &path, source);
        let mut end = [0; FOOTER];
        let footer = match bytes.checked_sub(wide(FOOTER)) {
            Some(offset) => {
                file.read_exact_at(&mut end, offset).map_err(io)?;
                Footer::decode(&end, name, bytes)
            }
            None => Err(Malformed("it has no footer")),
        };
        match footer {
            Ok(footer) => Ok(Self { file, path, footer }),
            // The footer of another version may look different altogether.
            Err(_) if is_of_other_version(&file).map_err(io)? => Err(OTHER_VERSION.inside(&path)),
            Err(error) => Err(error.inside(&path)),
        }
    }

    /// Opens a segment whose footer is known from before.
    pub(crate) fn open_known(dir: &Path, footer: Footer) -> Result<Self, StoreError> {
        let path = dir.join(footer.name.to_string());
        let file = File::open(&path).map_err(|source| StoreError::io("open", &path, source))?;
        Ok(Self { file, path, footer })
    }

    /// The bytes of the index, checked and unpacked.
    pub(crate) fn index(&self) -> Result<Vec<u8>, StoreError> {
        let packed = self.read(self.footer.index)?;
        if crc32fast::hash(&packed) != self.footer.index_crc {
            return Err(Malformed("the checksum of its index is wrong").inside(&self.path));
        }
        // Takes no more memory than the frame says, and that not beyond the bound.
        zstd::bulk::decompress(&packed, MOST_INDEX)
            .map_err(|_| Malformed("its index cannot be unpacked").inside(&self.path))
    }

    /// Where its blocks begin.
    pub(crate) const fn blocks_start() -> u64 {
        wide(MAGIC.len())
    }

    /// A block, checked.
    pub(crate) fn block(&self, place: Place) -> Result<Vec<u8>, StoreError> {
        let end = place.offset.saturating_add(wide(place.length));
        if place.length > MOST_BLOCK || end > self.footer.index.offset {
            return Err(Malformed("a block is out of bounds").inside(&self.path));
        }
        let mut block = self.read(place)?;
        let crc = block
            .split_last_chunk::<4>()
            .map(|(_, crc)| u32::from_le_bytes(*crc));
        block.truncate(block.len().saturating_sub(4));
        if crc != Some(crc32fast::hash(&block)) {
            return Err(Malformed("the checksum of a block is wrong").inside(&self.path));
        }
        Ok(block)
    }

    fn read(&self, place: Place) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; place.length];
        self.file
            .read_exact_at(&mut bytes, place.offset)
            .map_err(|source| match source.kind() {
                io::ErrorKind::UnexpectedEof => Malformed("it ends too early").inside(&self.path),
                _ => StoreError::io("read", &self.path, source),
            })?;
        Ok(bytes)
    }
}

impl Footer {
    fn encode(&self) -> Vec<u8> {
        let tier = Resolution::ALL
            .iter()
            .position(|tier| *tier == self.name.tier);
        let tier = u32::try_from(tier.unwrap_or(0)).unwrap_or(0);
        let mut out = FOOTER_MAGIC.to_vec();
        out.extend_from_slice(&tier.to_le_bytes());
        out.extend_from_slice(&self.rows.to_le_bytes());
        out.extend_from_slice(&self.name.first.to_le_bytes());
        out.extend_from_slice(&self.name.last.to_le_bytes());
        for time in [self.opened, self.oldest, self.newest] {
            out.extend_from_slice(&time.to_le_bytes());
        }
        out.extend_from_slice(&self.samples.to_le_bytes());
        out.extend_from_slice(&self.series.to_le_bytes());
        let length = u32::try_from(self.index.length).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&self.index_crc.to_le_bytes());
        out.extend_from_slice(&self.index.offset.to_le_bytes());
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        out
    }

    fn decode(bytes: &[u8], name: SegmentName, file: u64) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        let fields = cursor.take(FOOTER - 4)?;
        if cursor.u32()? != crc32fast::hash(fields) {
            return Err(Malformed("the checksum of its footer is wrong"));
        }
        let mut cursor = Cursor::new(fields);
        if cursor.take(FOOTER_MAGIC.len())? != FOOTER_MAGIC {
            return Err(OTHER_VERSION);
        }
        let tier = Resolution::ALL
            .get(narrow(u64::from(cursor.u32()?)))
            .copied();
        let rows = cursor.u32()?;
        let written = SegmentName {
            tier: tier.ok_or(Malformed("it is of an unknown tier"))?,
            first: cursor.u64()?,
            last: cursor.u64()?,
        };
        if written != name {
            return Err(Malformed("it stands under another segment's name"));
        }
        let (opened, oldest, newest) = (cursor.i64()?, cursor.i64()?, cursor.i64()?);
        let (samples, series) = (cursor.u64()?, cursor.u32()?);
        let length = narrow(u64::from(cursor.u32()?));
        let index_crc = cursor.u32()?;
        let index = Place {
            offset: cursor.u64()?,
            length,
        };
        let end = index.offset.checked_add(wide(length + FOOTER));
        if length > MOST_INDEX || end != Some(file) || index.offset < SegmentFile::blocks_start() {
            return Err(Malformed("its footer does not fit its length"));
        }
        Ok(Self {
            name,
            rows,
            opened,
            oldest,
            newest,
            samples,
            series,
            index,
            index_crc,
            bytes: file,
        })
    }
}
