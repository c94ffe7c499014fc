//! What control groups use and how they are held back, from cgroup v2.
//!
//! Names are whatever runs here chose. Groups come and go between two reads, so a missing file is no failure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::options::{OptionDefault, OptionDefinition, Options};
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, ReadBuffer, Spec, SysRoot, malformed, ratio};

use super::cgroup_metrics::{
    CPU_TIME, IO, LEFT_OUT, LIMIT, MEMORY_EVENTS, METRICS, OPERATIONS, PRESSURE, THROTTLED_PERIODS,
    THROTTLED_TIME,
};
use super::groups::{self, Choice, DIRECTORY, Groups};

pub(crate) static CGROUP: Spec = Spec {
    name: "cgroup",
    summary: "Processor time, memory, disk traffic and waiting of each control group.",
    metrics: &METRICS,
    facts: &[],
    options: &[
        OptionDefinition {
            name: "services",
            help: "Whether the services below `system.slice` are read one by one too.",
            default: OptionDefault::Bool(false),
        },
        OptionDefinition {
            name: "depth",
            help: "How many levels of groups are read, 1 to 5; 1 is the slices alone.",
            default: OptionDefault::Integer(1),
        },
        OptionDefinition {
            name: "most",
            help: "How many groups are read at most, 1 to 4096; what is left out is counted.",
            default: OptionDefault::Integer(64),
        },
    ],
    // ten files a group, and the kernel adds up over all processors for each
    interval_seconds: 10,
    needs: "cgroup v2 at /sys/fs/cgroup",
    build: |root: SysRoot, options: &Options| {
        Box::new(Cgroup {
            choice: Choice::new(options),
            root,
            groups: Groups::default(),
            devices: BTreeMap::new(),
            runs: 0,
            path: String::new(),
            buffer: ReadBuffer::new(),
        })
    },
};

/// Runs between two looks for groups: half a minute at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 3;

/// The most devices of one group that are told.
const MOST_DEVICES: usize = 256;

const MICROSECONDS_PER_SECOND: u32 = 1_000_000;

/// Files with one number, or `max`, and what it is.
static NUMBERS: [(&str, &MetricDefinition); 5] = [
    ("memory.current", &METRICS[3]),
    ("memory.peak", &METRICS[4]),
    ("memory.max", &METRICS[5]),
    ("memory.swap.current", &METRICS[6]),
    ("pids.current", &METRICS[11]),
];

const PRESSURES: [(&str, &str); 3] = [
    ("cpu.pressure", "cpu"),
    ("memory.pressure", "memory"),
    ("io.pressure", "io"),
];

/// Lines of `memory.events`.
const EVENTS: [&str; 5] = ["low", "high", "max", "oom", "oom_kill"];

#[derive(Debug)]
struct Cgroup {
    root: SysRoot,
    choice: Choice,
    groups: Groups,
    /// Names of block devices by their numbers.
    devices: BTreeMap<String, String>,
    runs: u32,
    path: String,
    buffer: ReadBuffer,
}

impl Collector for Cgroup {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            if !self.root.exists(&format!("{DIRECTORY}/cgroup.controllers")) {
                let looked_for = format!(
                    "no `/{DIRECTORY}/cgroup.controllers`: cgroup v2 is not mounted there alone"
                );
                return Ok(Presence::Absent(looked_for));
            }
            self.groups = groups::find(&self.root, &self.choice, out)?;
            self.devices.clear();
        }
        self.runs = self.runs.wrapping_add(1);
        for group in std::mem::take(&mut self.groups.names) {
            self.read_group(&group, out);
            self.groups.names.push(group);
        }
        out.sample(LEFT_OUT, &[], Value::U64(self.groups.left_out));
        Ok(Presence::Present)
    }
}

/// One file of one group.
struct Page<'p> {
    path: &'p str,
    text: &'p str,
}

impl Page<'_> {
    /// Each line as its fields.
    fn lines(&self) -> impl Iterator<Item = Fields<'_>> {
        let lines = self.text.lines().enumerate();
        lines.map(|(n, line)| Fields::new(self.path, n + 1, line))
    }
}

impl Cgroup {
    fn read_group(&mut self, group: &str, out: &mut dyn SampleWriter) {
        self.with(group, "cpu.stat", out, |page, out| {
            write_cpu(group, &page, out);
            Ok(())
        });
        for (file, metric) in NUMBERS {
            self.with(group, file, out, |page, out| {
                let word = page.text.trim();
                if word == "max" && std::ptr::eq(metric, LIMIT) {
                    return Ok(());
                }
                let number = word
                    .parse()
                    .map_err(|_| malformed(page.path, None, "a whole number", word))?;
                out.sample(metric, &[group], Value::U64(number));
                Ok(())
            });
        }
        self.with(group, "memory.events", out, |page, out| {
            write_events(group, &page, out);
            Ok(())
        });
        for (file, resource) in PRESSURES {
            self.with(group, file, out, |page, out| {
                write_pressure(group, resource, &page, out);
                Ok(())
            });
        }
        let mut devices = std::mem::take(&mut self.devices);
        let root = self.root.clone();
        self.with(group, "io.stat", out, |page, out| {
            for fields in page.lines().take(MOST_DEVICES) {
                if let Err(error) = write_io(group, &root, &mut devices, fields, out) {
                    out.failure(error);
                }
            }
            Ok(())
        });
        self.devices = devices;
    }

    /// Reads one file and hands it on; says what goes wrong, and nothing where the file is not there.
    fn with(
        &mut self,
        group: &str,
        file: &str,
        out: &mut dyn SampleWriter,
        take: impl FnOnce(Page<'_>, &mut dyn SampleWriter) -> Result<(), CollectError>,
    ) {
        self.path.clear();
        // writing to a String cannot fail
        write!(self.path, "{DIRECTORY}/{group}/{file}").ok();
        let path = self.path.as_str();
        let outcome = self
            .root
            .read_bytes(path, &mut self.buffer)
            .and_then(|bytes| {
                let text = std::str::from_utf8(bytes)
                    .map_err(|_| malformed(path, None, "text", "bytes that are not UTF-8"))?;
                take(Page { path, text }, out)
            });
        if let Err(error) = outcome {
            // without the controller, gone meanwhile, or a kernel that does not account pressure
            let silent = [FailureReason::Missing, FailureReason::Unsupported];
            if !silent.contains(&error.reason) {
                out.failure(error);
            }
        }
    }
}

/// `usage_usec 812`, one key and number a line.
fn write_cpu(group: &str, page: &Page<'_>, out: &mut dyn SampleWriter) {
    let mut known = 0;
    for mut fields in page.lines() {
        let key = fields.word("a key").unwrap_or_default();
        let (metric, labels): (_, &[&str]) = match key {
            "user_usec" => (CPU_TIME, &[group, "user"]),
            "system_usec" => (CPU_TIME, &[group, "system"]),
            "throttled_usec" => (THROTTLED_TIME, &[group]),
            "nr_throttled" => (THROTTLED_PERIODS, &[group]),
            _ => continue,
        };
        known += 1;
        match fields.number("a count") {
            Ok(count) if key.ends_with("_usec") => {
                let seconds = ratio(count, MICROSECONDS_PER_SECOND);
                out.sample(metric, labels, Value::F64(seconds));
            }
            Ok(count) => out.sample(metric, labels, Value::U64(count)),
            Err(error) => out.failure(error),
        }
    }
    if known == 0 {
        out.failure(malformed(page.path, None, "a line `user_usec`", page.text));
    }
}

fn write_events(group: &str, page: &Page<'_>, out: &mut dyn SampleWriter) {
    let mut known = 0;
    for mut fields in page.lines() {
        let key = fields.word("a key").unwrap_or_default();
        let Some(event) = EVENTS.iter().find(|event| **event == key) else {
            continue;
        };
        known += 1;
        match fields.number("a count") {
            Ok(count) => out.sample(MEMORY_EVENTS, &[group, event], Value::U64(count)),
            Err(error) => out.failure(error),
        }
    }
    if known == 0 {
        out.failure(malformed(page.path, None, "a line `oom_kill`", page.text));
    }
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=812`; the averages are left to those who ask for a rate.
fn write_pressure(group: &str, resource: &str, page: &Page<'_>, out: &mut dyn SampleWriter) {
    let mut known = 0;
    for mut fields in page.lines() {
        let scope = match fields.word("`some` or `full`") {
            Ok(scope @ ("some" | "full")) => scope,
            _ => continue,
        };
        known += 1;
        let total = loop {
            match fields.word("total=") {
                Ok(word) => match word.strip_prefix("total=") {
                    Some(total) => {
                        break total.parse().map_err(|_| fields.malformed("total=", word));
                    }
                    None => continue,
                },
                Err(error) => break Err(error),
            }
        };
        match total {
            Ok(microseconds) => {
                let seconds = ratio(microseconds, MICROSECONDS_PER_SECOND);
                let labels = [group, resource, scope];
                out.sample(PRESSURE, &labels, Value::F64(seconds));
            }
            Err(error) => out.failure(error),
        }
    }
    if known == 0 {
        out.failure(malformed(page.path, None, "a line `some`", page.text));
    }
}

/// `8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0`; a device alone where it did nothing.
fn write_io(
    group: &str,
    root: &SysRoot,
    devices: &mut BTreeMap<String, String>,
    mut fields: Fields<'_>,
    out: &mut dyn SampleWriter,
) -> Result<(), CollectError> {
    let number = fields.word("a device")?;
    let is_device = number.split_once(':').is_some_and(|(major, minor)| {
        let is_number = |word: &str| word.parse::<u32>().is_ok();
        is_number(major) && is_number(minor)
    });
    if !is_device {
        return Err(fields.malformed("the numbers of a device", number));
    }
    let device = devices.entry(number.to_owned()).or_insert_with(|| {
        let name = root.link_name(&format!("sys/dev/block/{number}"));
        name.unwrap_or_else(|| number.to_owned())
    });
    while let Ok(word) = fields.word("a count") {
        let Some((key, count)) = word.split_once('=') else {
            return Err(fields.malformed("a key and a count", word));
        };
        let (metric, direction) = match key {
            "rbytes" => (IO, "read"),
            "wbytes" => (IO, "write"),
            "rios" => (OPERATIONS, "read"),
            "wios" => (OPERATIONS, "write"),
            _ => continue,
        };
        let count = count.parse().map_err(|_| fields.malformed(key, count))?;
        out.sample(metric, &[group, device, direction], Value::U64(count));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use glasshouse_core::options::OptionValue;
    use glasshouse_sysfs::compliance::{Recording, record};

    use super::*;

    fn group(tree: &Path, name: &str) {
        let place = tree.join(DIRECTORY).join(name);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("cgroup.procs"), "").unwrap();
        std::fs::write(place.join("memory.current"), "4096\n").unwrap();
        std::fs::write(place.join("memory.max"), "max\n").unwrap();
    }

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        group(tree.path(), "system.slice/ssh.service");
        group(tree.path(), "system.slice");
        group(tree.path(), "user.slice");
        std::fs::write(
            tree.path().join(DIRECTORY).join("cgroup.controllers"),
            "cpu\n",
        )
        .unwrap();
        tree
    }

    fn usage(recording: &Recording, group: &str) -> Option<f64> {
        recording.value("system.linux.cgroup.memory.usage", &[group])
    }

    #[test]
    fn services_are_read_on_request_and_never_more_than_the_bound() {
        let tree = tree();
        let recording = record(&CGROUP, tree.path());
        assert_eq!(usage(&recording, "system.slice"), Some(4096.0));
        assert_eq!(usage(&recording, "system.slice/ssh.service"), None);
        let limit = recording.value("system.linux.cgroup.memory.limit", &["user.slice"]);
        assert_eq!(limit, None, "no limit is no number");
        let run = |options: Options| {
            let mut collector = (CGROUP.build)(SysRoot::new(tree.path()), &options);
            Recording::of(collector.as_mut())
        };
        let defaults = || Options::defaults(CGROUP.options);
        let recording = run(defaults().with("services", OptionValue::Bool(true)));
        assert_eq!(usage(&recording, "system.slice/ssh.service"), Some(4096.0));
        let recording = run(defaults().with("most", OptionValue::Integer(1)));
        let left_out = recording.value("system.linux.cgroup.left_out", &[]);
        assert_eq!(left_out, Some(1.0));
    }

    #[test]
    fn a_group_that_goes_is_no_failure() {
        let tree = tree();
        let options = Options::defaults(CGROUP.options);
        let mut collector = (CGROUP.build)(SysRoot::new(tree.path()), &options);
        Recording::of(collector.as_mut());
        std::fs::remove_dir_all(tree.path().join(DIRECTORY).join("user.slice")).unwrap();
        let recording = Recording::of(collector.as_mut());
        assert!(recording.failures.is_empty(), "{:?}", recording.failures);
        assert_eq!(usage(&recording, "user.slice"), None);
        assert_eq!(usage(&recording, "system.slice"), Some(4096.0));
    }

    #[test]
    fn version_1_is_absent_with_the_reason() {
        let tree = tempfile::tempdir().unwrap();
        group(tree.path(), "memory/x");
        let outcome = record(&CGROUP, tree.path()).outcome;
        assert!(matches!(outcome, Ok(Presence::Absent(why)) if why.contains("v2")));
    }
}
