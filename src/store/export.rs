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

use crate::disk::{self, File, Folder};
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
        let root = match Folder::open(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            root => root.map_err(|source| StoreError::io("list", &self.dir, source))?,
        };
        let mut existing = BTreeSet::new();
        for name in names_in(&root)? {
            if let Some(day) = name.strip_prefix(DAY)
                && let Some(folder) = enter(&root, &name)?
                && self.is_in(&folder)?
            {
                existing.insert(day.to_owned());
            }
        }
        Ok(existing)
    }

    /// Begins the file of a day, or of a part of it: `("collector", "cpu")`. No link below the folder is followed: who may
    /// write there must not choose what an exporting root writes over.
    ///
    /// # Errors
    /// [`StoreError::Io`] names what cannot be made.
    pub fn create(&self, day: Day, part: Option<(&str, &str)>) -> Result<ExportFile, StoreError> {
        let root = disk::create_dir_all(&self.dir).and_then(|()| Folder::open(&self.dir));
        let root = root.map_err(|source| StoreError::io("create", &self.dir, source))?;
        let mut folder = make(&root, &format!("{DAY}{day}"))?;
        if let Some((key, value)) = part {
            folder = make(&folder, &format!("{}={}", escaped(key), escaped(value)))?;
        }
        let temporary = format!(".{}.tmp", self.name);
        // what an interrupted export left, or a link to elsewhere
        folder.remove(&temporary).ok();
        let file = folder
            .create_new(&temporary)
            .map_err(|source| StoreError::io("create", &folder.path().join(&temporary), source))?;
        Ok(ExportFile {
            path: folder.path().join(self.name),
            folder,
            name: self.name,
            temporary,
            file: Some(BufWriter::with_capacity(BUFFER, file)),
            bytes: 0,
        })
    }

    /// Whether the folder of a day has such a file, itself or in one of its parts.
    fn is_in(&self, day: &Folder) -> Result<bool, StoreError> {
        for name in names_in(day)? {
            if name == self.name {
                return Ok(true);
            }
            if name.contains('=')
                && let Some(part) = enter(day, &name)?
                && names_in(&part)?.contains(self.name)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What the name of a day's folder begins with.
const DAY: &str = "day=";

/// A folder of this name, made where it is missing.
fn make(folder: &Folder, name: &str) -> Result<Folder, StoreError> {
    let made = folder.make(name);
    made.map_err(|source| StoreError::io("create", &folder.path().join(name), source))
}

/// The folder of this name; `None` where it is none, or is gone.
fn enter(folder: &Folder, name: &str) -> Result<Option<Folder>, StoreError> {
    match folder.enter(name) {
        Ok(entered) => Ok(Some(entered)),
        Err(error) if is_none(&error) => Ok(None),
        Err(source) => Err(StoreError::io("list", &folder.path().join(name), source)),
    }
}

/// What is no folder has no names; a link is none.
fn is_none(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The names in a folder.
fn names_in(folder: &Folder) -> Result<BTreeSet<String>, StoreError> {
    let names = folder.names();
    let names = names.map_err(|source| StoreError::io("list", folder.path(), source))?;
    // a name that is no text is none of ours
    Ok(names
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .collect())
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
    folder: Folder,
    path: PathBuf,
    name: &'static str,
    temporary: String,
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
        let temporary = self.folder.path().join(&self.temporary);
        let failed = |action| move |source| (action, source);
        let Some(file) = &mut self.file else {
            return Ok(self.bytes);
        };
        let done = file
            .flush()
            .and_then(|()| file.get_ref().sync_all())
            .map_err(failed("write"));
        let renamed = || self.folder.rename(&self.temporary, self.name);
        let done = done.and_then(|()| renamed().map_err(failed("rename")));
        done.map_err(|(action, source)| StoreError::io(action, &temporary, source))?;
        self.file = None;
        let synced = self.folder.sync();
        synced.map_err(|source| StoreError::io("sync", self.folder.path(), source))?;
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
            self.folder.remove(&self.temporary).ok();
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
    fn days_that_stand_there_are_found_whatever_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ExportFolder::new(dir.path(), "part-0.parquet");
        assert!(folder.existing().unwrap().is_empty());
        for (number, collector) in [(1, "cpu"), (1, "disk"), (3, "cpu"), (4, "cpu")] {
            let file = folder.create(day(number), Some(("collector", collector)));
            file.unwrap().finish().unwrap();
        }
        let text = ExportFolder::new(dir.path(), "metrics.om");
        text.create(day(2), None).unwrap().finish().unwrap();
        std::fs::write(dir.path().join("day=1970-01-03/a=b"), "notes").unwrap();
        std::fs::write(dir.path().join("day=today"), "notes").unwrap();
        let days = |folder: &ExportFolder| folder.existing().unwrap().into_iter().collect();
        let found: Vec<String> = days(&folder);
        assert_eq!(found, ["1970-01-02", "1970-01-04", "1970-01-05"]);
        assert_eq!(days(&text), ["1970-01-03"]);
    }

    #[test]
    fn no_link_below_the_folder_is_followed() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let (out, elsewhere) = (dir.path().join("out"), dir.path().join("elsewhere"));
        std::fs::create_dir_all(out.join("day=1970-01-02")).unwrap();
        std::fs::create_dir(&elsewhere).unwrap();
        let precious = elsewhere.join("metrics.om");
        std::fs::write(&precious, "precious").unwrap();
        let folder = ExportFolder::new(&out, "metrics.om");
        let temporary = out.join("day=1970-01-02/.metrics.om.tmp");
        symlink(&precious, &temporary).unwrap();
        symlink(&precious, out.join("day=1970-01-02/metrics.om")).unwrap();
        let mut file = folder.create(day(1), None).unwrap();
        file.write_all(b"samples").unwrap();
        file.finish().unwrap();
        symlink(&elsewhere, out.join("day=1970-01-03")).unwrap();
        symlink(&elsewhere, out.join("day=1970-01-02/collector=cpu")).unwrap();
        for (number, part) in [(2, None), (1, Some(("collector", "cpu")))] {
            let error = folder.create(day(number), part).unwrap_err();
            assert!(matches!(
                error,
                StoreError::Io {
                    action: "create",
                    ..
                }
            ));
        }
        let existing: Vec<String> = folder.existing().unwrap().into_iter().collect();
        assert_eq!(existing, ["1970-01-02"]);
        assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
        assert_eq!(below(&elsewhere), ["metrics.om"]);
    }

    #[test]
    fn a_name_that_is_taken_is_never_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        std::os::unix::fs::symlink("elsewhere", dir.path().join("name")).unwrap();
        let error = folder.create_new("name").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(below(dir.path()), ["name"]);
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
