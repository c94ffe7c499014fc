//! A stand-in library of its own for each test, and collectors that load it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use glasshouse_core::collector::{Collector, CollectorSpec};
use glasshouse_core::options::{OptionValue, Options};
use glasshouse_core::sample::Value;
use glasshouse_gpu::COLLECTORS;
use glasshouse_sysfs::compliance::Recording;

/// A copy of the library with a state of its own: two paths are two libraries to the loader.
pub(crate) struct Fake {
    folder: tempfile::TempDir,
}

/// The machine of the fixture: two GPUs that the driver holds.
pub(crate) fn machine() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/gpu")
}

/// What the fixture's library says.
pub(crate) fn recorded() -> String {
    std::fs::read_to_string(machine().join("nvml.state")).unwrap()
}

pub(crate) fn spec(name: &str) -> &'static dyn CollectorSpec {
    let mut specs = COLLECTORS.iter();
    *specs.find(|spec| spec.name() == name).unwrap()
}

/// Cargo builds the library for whoever depends on it, beside the test.
fn built() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().join("libfake_nvml.so")
}

impl Fake {
    /// A library that says what the fixture says.
    pub(crate) fn new() -> Self {
        Self::without(&[])
    }

    /// A library in which these functions do not exist: their names stand nowhere in it, as in an older release.
    pub(crate) fn without(functions: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = std::fs::read(built()).unwrap();
        for function in functions {
            let name = format!("\0{function}\0");
            let mut found = 0;
            let mut from = 0;
            while let Some(at) = find(&bytes[from..], name.as_bytes()) {
                bytes[from + at + 1] = b'X';
                from += at + 1;
                found += 1;
            }
            assert!(found > 0, "{function} is no function of the library");
        }
        let fake = Self { folder };
        std::fs::write(fake.library(), bytes).unwrap();
        fake.say(&recorded());
        fake
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.folder.path().join("libnvidia-ml.so.1")
    }

    /// Says something else from now on. A reader sees the old or the new, never a part.
    pub(crate) fn say(&self, state: &str) {
        let next = self.folder.path().join("next");
        std::fs::write(&next, state).unwrap();
        std::fs::rename(next, self.folder.path().join("state")).unwrap();
    }

    /// Says what the fixture says, and this.
    pub(crate) fn say_besides(&self, lines: &str) {
        self.say(&format!("{}\n{lines}\n", recorded()));
    }

    /// Every call so far, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    pub(crate) fn collector(&self, name: &str) -> Box<dyn Collector> {
        self.collector_over(name, &machine())
    }

    pub(crate) fn collector_over(&self, name: &str, root: &Path) -> Box<dyn Collector> {
        let path = self.library().to_str().unwrap().to_owned();
        collector_with(name, root, &path)
    }
}

pub(crate) fn collector_with(name: &str, root: &Path, library: &str) -> Box<dyn Collector> {
    let spec = spec(name);
    let options = Options::defaults(spec.options());
    let options = options.with("library", OptionValue::Text(library.to_owned()));
    spec.build(root, &options)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// One run, which must keep to what its collector declares.
pub(crate) fn run(name: &str, collector: &mut dyn Collector) -> Recording {
    let recording = Recording::of(collector);
    let spec = spec(name);
    let mut names = BTreeSet::new();
    for sample in &recording.samples {
        let declared = spec.metrics();
        assert!(
            declared
                .iter()
                .any(|known| std::ptr::eq(known, sample.metric)),
            "{} is not declared",
            sample.name()
        );
        assert_eq!(
            sample.labels.len(),
            sample.metric.labels.len(),
            "{}",
            sample.name()
        );
        assert!(
            !sample.labels.iter().any(String::is_empty),
            "{}",
            sample.name()
        );
        assert!(names.insert(sample.name()), "{} twice", sample.name());
        if let Ok(value) = sample.value {
            assert!(value.is_finite(), "{}", sample.name());
            use glasshouse_core::metric::ValueType;
            match (sample.metric.value, value) {
                (ValueType::U64, Value::U64(_)) | (ValueType::F64, Value::F64(_)) => {}
                (ValueType::State(states), Value::State(state)) => {
                    assert!(usize::from(state) < states.len(), "{}", sample.name());
                }
                _ => panic!("{} is of another type", sample.name()),
            }
        }
    }
    for (fact, component, value) in &recording.facts {
        assert!(spec.facts().iter().any(|known| std::ptr::eq(known, *fact)));
        assert!(component.starts_with("gpu/") && !value.is_empty());
    }
    for error in recording.errors() {
        assert!(!error.detail.is_empty());
    }
    recording
}

/// The lines of the text of a recording that are about one GPU.
pub(crate) fn about(recording: &Recording, address: &str) -> Vec<String> {
    let text = recording.text();
    let lines = text.lines().filter(|line| line.contains(address));
    lines.map(str::to_owned).collect()
}
