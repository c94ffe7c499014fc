//! The folder of an export: days, in the layout that Hive, DuckDB, Spark, pandas and Polars know.
//!
//! ```text
//! DIR/day=2026-11-22/collector=cpu/part-0.parquet
//! DIR/day=2026-11-22/metrics.om
//! ```
//!
//! A file has its name only when it is whole and synced. Until then it is called `.NAME.tmp`, which readers of such folders
//! pass over; what an interrupted export left under such a name is written over by the next.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use glasshouse_core::time::Day;

use crate::disk::{self, File};
use crate::error::StoreError;

/// What writers hand over at once: a page of Parquet, some lines of text.
const BUFFER: usize = 1 << 16;

/// Files of one name in the folders of days.
#[derive(Clone, Debug)]
pub struct ExportFolder {
    dir: PathBuf,
    name: &'static str,
}

impl ExportFolder {
    /// The files called `name` below `dir`. Nothing is made yet.
    #[must_use]
    pub fn new(dir: &Path, name: &'static str) -> Self {
        Self {
            dir: dir.to_owned(),
            name,
        }
    }

    /// The days that stand there, by name: `2026-11-22`.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the folder is none or cannot be read.
    pub fn existing(&self) -> Result<BTreeSet<String>, StoreError> {
        let mut existing = BTreeSet::new();
        for name in names_in(&self.dir)? {
            if let Some(day) = name.strip_prefix(DAY)
                && !self.files(&self.dir.join(&name))?.is_empty()
            {
                existing.insert(day.to_owned());
            }
        }
        Ok(existing)
    }

    /// Begins the file of a day, or of a part of it: `("collector", "cpu")`.
    ///
    /// # Errors
    /// [`StoreError::Io`] names what cannot be made.
    pub fn create(&self, day: Day, part: Option<(&str, &str)>) -> Result<ExportFile, StoreError> {
        let mut dir = self.day(day);
        if let Some((key, value)) = part {
            dir.push(format!("{}={}", escaped(key), escaped(value)));
        }
        disk::create_dir_all(&dir).map_err(|source| StoreError::io("create", &dir, source))?;
        let temporary = dir.join(format!(".{}.tmp", self.name));
        // what stands there may be a link to elsewhere
        disk::remove_file(&temporary).ok();
        let file = File::create(&temporary)
            .map_err(|source| StoreError::io("create", &temporary, source))?;
        Ok(ExportFile {
            path: dir.join(self.name),
            dir,
            temporary,
            file: Some(BufWriter::with_capacity(BUFFER, file)),
            bytes: 0,
        })
    }

    /// Removes what an earlier export of a day has besides these files.
    ///
    /// # Errors
    /// [`StoreError::Io`] names what cannot be removed.
    pub fn keep_only(&self, day: Day, files: &BTreeSet<PathBuf>) -> Result<(), StoreError> {
        for path in self.files(&self.day(day))? {
            if !files.contains(&path) {
                disk::remove_file(&path)
                    .map_err(|source| StoreError::io("remove", &path, source))?;
            }
        }
        Ok(())
    }

    fn day(&self, day: Day) -> PathBuf {
        self.dir.join(format!("{DAY}{day}"))
    }

    /// The files in the folder of a day.
    fn files(&self, day: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let mut files = Vec::new();
        for name in names_in(day)? {
            let path = day.join(&name);
            if name == self.name {
                files.push(path);
            } else if name.contains('=') && names_in(&path)?.contains(self.name) {
                files.push(path.join(self.name));
            }
        }
        Ok(files)
    }
}

/// What the name of a day's folder begins with.
const DAY: &str = "day=";

/// The names in a folder; none where there is no such folder.
fn names_in(dir: &Path) -> Result<BTreeSet<String>, StoreError> {
    let io = |source| StoreError::io("list", dir, source);
    let entries = match disk::list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries.map_err(io)?,
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        // a name that is no text is none of ours
        names.extend(entry.map_err(io)?.name().into_string());
    }
    Ok(names)
}

/// A name as Hive writes it into a path.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"_-.".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// A file that others see whole or not at all. Dropped before it is finished, it is gone.
#[derive(Debug)]
pub struct ExportFile {
    dir: PathBuf,
    path: PathBuf,
    temporary: PathBuf,
    /// `None` once it is finished.
    file: Option<BufWriter<File>>,
    bytes: u64,
}

impl ExportFile {
    /// What it is called when it is whole.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs it and gives it its name, over a file that had it. Returns its length.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the file, which is gone then.
    pub fn finish(mut self) -> Result<u64, StoreError> {
        let write = |source| StoreError::io("write", &self.temporary, source);
        let Some(file) = &mut self.file else {
            return Ok(self.bytes);
        };
        file.flush().map_err(write)?;
        file.get_ref().sync_all().map_err(write)?;
        disk::rename(&self.temporary, &self.path)
            .map_err(|source| StoreError::io("rename", &self.temporary, source))?;
        self.file = None;
        disk::sync_folder(&self.dir).map_err(|source| StoreError::io("sync", &self.dir, source))?;
        Ok(self.bytes)
    }
}

impl Write for ExportFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let written = file.write(bytes)?;
        self.bytes += u64::try_from(written).unwrap_or(u64::MAX);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Drop for ExportFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // what is left in the buffer is not to be written any more
            drop(file.into_parts());
            // a temporary that stays is no harm
            disk::remove_file(&self.temporary).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use glasshouse_core::time::Timestamp;

    use super::*;

    fn day(number: i64) -> Day {
        Day::of(Timestamp::from_seconds(number * 86_400))
    }

    fn below(dir: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![dir.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path.strip_prefix(dir).unwrap().display().to_string());
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn a_file_is_whole_or_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ExportFolder::new(&dir.path().join("out"), "part-0.parquet");
        let mut file = folder.create(day(1), Some(("collector", "a/b c"))).unwrap();
        file.write_all(b"whole").unwrap();
        assert_eq!(
            below(dir.path()),
            ["out/day=1970-01-02/collector=a%2Fb%20c/.part-0.parquet.tmp"]
        );
        assert_eq!(file.finish().unwrap(), 5);
        let name = "out/day=1970-01-02/collector=a%2Fb%20c/part-0.parquet";
        assert_eq!(below(dir.path()), [name]);
        let mut file = folder.create(day(1), Some(("collector", "a/b c"))).unwrap();
        file.write_all(&[0; 2 * BUFFER]).unwrap();
        drop(file);
        assert_eq!(below(dir.path()), [name]);
        assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), b"whole");
    }

    #[test]
    fn days_that_stand_there_are_found_and_only_theirs_go() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ExportFolder::new(dir.path(), "part-0.parquet");
        assert!(folder.existing().unwrap().is_empty());
        let mut kept = BTreeSet::new();
        for (number, collector) in [(1, "cpu"), (1, "disk"), (3, "cpu"), (4, "cpu")] {
            let file = folder.create(day(number), Some(("collector", collector)));
            let file = file.unwrap();
            if collector == "cpu" {
                kept.insert(file.path().to_owned());
            }
            file.finish().unwrap();
        }
        let text = ExportFolder::new(dir.path(), "metrics.om");
        text.create(day(2), None).unwrap().finish().unwrap();
        let days = |folder: &ExportFolder| folder.existing().unwrap().into_iter().collect();
        let found: Vec<String> = days(&folder);
        assert_eq!(found, ["1970-01-02", "1970-01-04", "1970-01-05"]);
        assert_eq!(days(&text), ["1970-01-03"]);
        folder.keep_only(day(1), &kept).unwrap();
        assert_eq!(
            below(dir.path()),
            [
                "day=1970-01-02/collector=cpu/part-0.parquet",
                "day=1970-01-03/metrics.om",
                "day=1970-01-04/collector=cpu/part-0.parquet",
                "day=1970-01-05/collector=cpu/part-0.parquet",
            ]
        );
    }

    #[test]
    fn a_folder_that_is_none_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "").unwrap();
        let folder = ExportFolder::new(&path, "metrics.om");
        let error = folder.existing().unwrap_err();
        assert!(matches!(error, StoreError::Io { action: "list", .. }));
        assert!(folder.create(day(1), None).is_err());
    }
}
