//! Files that are broken in every way: a collector says so, and never panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use glasshouse_core::collector::CollectorSpec;
use glasshouse_core::options::Options;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::recording::{Recording, record};

/// Broken files a collector is shown: enough to reach each way of breaking several times, little enough for each build.
const CASES: u32 = 96;

/// What no parser takes for anything.
const GARBAGE: &[u8] = b"\xff\xfe garbage \0 \x1b[31m\n\xc3\x28\n";

/// Breaks every file that the collector reads in the fixture; returns what it did wrong then.
#[must_use]
pub fn hostile_violations(spec: &dyn CollectorSpec, fixture: &Path) -> Vec<String> {
    match Broken::new(spec, fixture) {
        Ok(broken) if broken.files.is_empty() => vec!["it reads no file of the fixture".to_owned()],
        Ok(broken) => {
            let mut found = broken.losses();
            found.extend(broken.mutations());
            found
        }
        Err(error) => vec![format!("the fixture cannot be copied: {error}")],
    }
}

/// A copy of the fixture, to break.
struct Broken<'s> {
    spec: &'s dyn CollectorSpec,
    copy: tempfile::TempDir,
    /// Regular files that the collector opens, below the root.
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl<'s> Broken<'s> {
    fn new(spec: &'s dyn CollectorSpec, fixture: &Path) -> std::io::Result<Self> {
        let copy = tempfile::tempdir()?;
        copy_tree(fixture, copy.path())?;
        let opened = super::opened_by(|| drop(record(spec, copy.path())));
        let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
        for path in opened {
            let place = copy.path().join(&path);
            if place.is_file() {
                let content = std::fs::read(&place)?;
                files.push((PathBuf::from(path), content));
            }
        }
        Ok(Self { spec, copy, files })
    }

    /// A file of garbage must not make series vanish in silence.
    fn losses(&self) -> Vec<String> {
        let whole = record(self.spec, self.copy.path()).series();
        let mut found = Vec::new();
        for (path, content) in &self.files {
            let place = self.copy.path().join(path);
            let machine_path = Path::new("/").join(path);
            if std::fs::write(&place, GARBAGE).is_err() {
                continue;
            }
            let recording = catch_unwind(AssertUnwindSafe(|| record(self.spec, self.copy.path())));
            std::fs::write(&place, content).ok();
            let Ok(recording) = recording else {
                found.push(format!("it panics over `{}`", path.display()));
                continue;
            };
            let lost = whole.difference(&recording.series()).next().cloned();
            let told = recording.errors().any(|error| error.path == machine_path);
            if let Some(lost) = lost
                && !told
            {
                let path = path.display();
                found.push(format!("garbage in `{path}` loses {lost} in silence"));
            }
        }
        found
    }

    fn mutations(&self) -> Vec<String> {
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            ..Config::default()
        };
        let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config, random);
        let strategy = (0..self.files.len(), mutation());
        let outcome = runner.run(&strategy, |(index, mutation)| {
            let Some((path, content)) = self.files.get(index) else {
                return Ok(());
            };
            self.survives(path, content, &mutation)
                .map_err(TestCaseError::fail)
        });
        outcome
            .err()
            .map(|error| error.to_string())
            .into_iter()
            .collect()
    }

    /// Runs one collector over the good, the broken and the mended tree, so that its state is tried too.
    fn survives(&self, path: &Path, content: &[u8], mutation: &Mutation) -> Result<(), String> {
        let place = self.copy.path().join(path);
        let options = Options::defaults(self.spec.options());
        let mut collector = self.spec.build(self.copy.path(), &options);
        let good = Recording::of(collector.as_mut());
        mutation.apply(&place, content).map_err(|e| e.to_string())?;
        let broken = catch_unwind(AssertUnwindSafe(|| Recording::of(collector.as_mut())));
        mend(&place, content).map_err(|error| error.to_string())?;
        let broken = broken.map_err(|_| format!("it panics over `{}`", path.display()))?;
        let wrong = broken.violations(self.spec);
        if let Some(wrong) = wrong.first() {
            return Err(wrong.clone());
        }
        // a reader may look for devices only now and then, so it has a few runs to recover
        const RUNS_TO_RECOVER: usize = 100;
        let recovers = (0..RUNS_TO_RECOVER)
            .any(|_| Recording::of(collector.as_mut()).series() == good.series());
        if !recovers {
            return Err(format!("it does not recover from `{}`", path.display()));
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Mutation {
    Truncate(usize),
    Flip(Vec<(usize, u8)>),
    Replace(Vec<u8>),
    HugeNumbers,
    NegativeNumbers,
    Repeat,
    Empty,
    Directory,
    Gone,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        any::<usize>().prop_map(Mutation::Truncate),
        proptest::collection::vec((any::<usize>(), 0..8u8), 1..20).prop_map(Mutation::Flip),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Mutation::Replace),
        Just(Mutation::HugeNumbers),
        Just(Mutation::NegativeNumbers),
        Just(Mutation::Repeat),
        Just(Mutation::Empty),
        Just(Mutation::Directory),
        Just(Mutation::Gone),
    ]
}

impl Mutation {
    fn apply(&self, place: &Path, content: &[u8]) -> std::io::Result<()> {
        let broken = match self {
            Self::Truncate(length) => {
                let length = length % (content.len() + 1);
                content.get(..length).unwrap_or_default().to_vec()
            }
            Self::Flip(flips) => flipped(content, flips),
            Self::Replace(bytes) => bytes.clone(),
            Self::HugeNumbers => numbers_replaced(content, b"99999999999999999999999"),
            Self::NegativeNumbers => numbers_replaced(content, b"-1"),
            Self::Repeat => content.repeat(3),
            Self::Empty => Vec::new(),
            Self::Directory => {
                std::fs::remove_file(place)?;
                return std::fs::create_dir(place);
            }
            Self::Gone => return std::fs::remove_file(place),
        };
        std::fs::write(place, broken)
    }
}

fn flipped(content: &[u8], flips: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = content.to_vec();
    let length = bytes.len().max(1);
    for (position, bit) in flips {
        if let Some(byte) = bytes.get_mut(position % length) {
            *byte ^= 1 << bit;
        }
    }
    bytes
}

fn numbers_replaced(content: &[u8], number: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(content.len());
    let mut in_number = false;
    for byte in content {
        if !byte.is_ascii_digit() {
            replaced.push(*byte);
        } else if !in_number {
            replaced.extend_from_slice(number);
        }
        in_number = byte.is_ascii_digit();
    }
    replaced
}

fn mend(place: &Path, content: &[u8]) -> std::io::Result<()> {
    if place.is_dir() {
        std::fs::remove_dir(place)?;
    }
    std::fs::write(place, content)
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(source)?, target)?;
        } else if kind.is_dir() {
            std::fs::create_dir(&target)?;
            copy_tree(&source, &target)?;
        } else {
            std::fs::write(&target, std::fs::read(source)?)?;
        }
    }
    Ok(())
}
