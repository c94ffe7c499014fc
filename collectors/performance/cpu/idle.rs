//! How long processors rested, by the depth of the rest, from cpuidle.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, ReadBuffer, Spec, SysRoot, optional, ratio};

use super::processors::{self, DIRECTORY};

pub(crate) static CPU_IDLE: Spec = Spec {
    name: "cpu_idle",
    summary: "Time that processors spent in each idle state, and how often they entered it.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    // two files a processor and state: 2,000 on a machine with 256 processors
    interval_seconds: 60,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(CpuIdle {
            root,
            states: BTreeMap::new(),
            sums: BTreeMap::new(),
            runs: 0,
            path: String::new(),
            buffer: ReadBuffer::new(),
        })
    },
};

/// Runs between two looks for processors that came online: five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 5;

/// `CPUIDLE_STATE_MAX`: a driver cannot declare more.
const MOST_STATES: usize = 10;

/// The most names of states over all processors: a machine with two kinds of cores may have twice the states of one.
const MOST_NAMES: usize = 32;

const MICROSECONDS_PER_SECOND: u32 = 1_000_000;

const STATE: &[LabelDefinition] = &[LabelDefinition {
    key: "linux.cpu.idle.state",
    help: "The name of the state, as its driver says: `POLL`, `C1`, `C6`, `WFI`.",
}];

static METRICS: [MetricDefinition; 2] = [
    MetricDefinition {
        name: "system.cpu.linux.idle.time",
        unit: "s",
        kind: MetricKind::Counter,
        value: ValueType::F64,
        help: "Seconds that all processors together were asked to spend in each idle state.",
        is_not: "Not what the hardware did: it may choose a lighter state than it was asked for.",
        labels: STATE,
        source: "/sys/devices/system/cpu/cpu*/cpuidle/state*/time",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.cpu.linux.idle.count",
        unit: "{entry}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Times that processors entered each idle state.",
        is_not: "Not how long they stayed.",
        labels: STATE,
        source: "/sys/devices/system/cpu/cpu*/cpuidle/state*/usage",
        audience: Audience::Performance,
    },
];
static TIME: &MetricDefinition = &METRICS[0];
static COUNT: &MetricDefinition = &METRICS[1];

#[derive(Debug)]
struct CpuIdle {
    root: SysRoot,
    /// By folder.
    states: BTreeMap<String, State>,
    /// By name. Sums of growth, so that a processor that goes offline takes nothing away.
    sums: BTreeMap<String, Sums>,
    runs: u32,
    path: String,
    buffer: ReadBuffer,
}

/// What all processors together did in one state; nothing where no file said anything yet.
#[derive(Debug, Default)]
struct Sums {
    microseconds: Option<u64>,
    entries: Option<u64>,
}

/// One idle state of one processor, and what it said last.
#[derive(Debug)]
struct State {
    name: String,
    microseconds: u64,
    entries: u64,
}

impl Collector for CpuIdle {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.look(out)?;
        }
        self.runs = self.runs.wrapping_add(1);
        if self.states.is_empty() {
            self.runs = 0;
            let looked_for = format!("no `/{DIRECTORY}/cpu*/cpuidle/state*`");
            return Ok(Presence::Absent(looked_for));
        }
        for (place, state) in &mut self.states {
            let Some(sums) = self.sums.get_mut(&state.name) else {
                continue;
            };
            for (file, last, sum) in [
                ("time", &mut state.microseconds, &mut sums.microseconds),
                ("usage", &mut state.entries, &mut sums.entries),
            ] {
                self.path.clear();
                // writing to a String cannot fail
                write!(self.path, "{place}/{file}").ok();
                match read_number(&self.root, &self.path, &mut self.buffer) {
                    Ok(Some(now)) => {
                        let growth = now.saturating_sub(*last);
                        *sum = Some(sum.unwrap_or(0).saturating_add(growth));
                        *last = now;
                    }
                    // the processor went offline
                    Ok(None) => {}
                    Err(error) => out.failure(error),
                }
            }
        }
        for (name, sums) in &self.sums {
            if let Some(microseconds) = sums.microseconds {
                let seconds = ratio(microseconds, MICROSECONDS_PER_SECOND);
                out.sample(TIME, &[name], Value::F64(seconds));
            }
            if let Some(entries) = sums.entries {
                out.sample(COUNT, &[name], Value::U64(entries));
            }
        }
        Ok(Presence::Present)
    }
}

impl CpuIdle {
    /// Adds the states that are new; what is known keeps its last values.
    fn look(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        for processor in processors::with(&self.root, "cpuidle")? {
            for number in 0..MOST_STATES {
                let place = format!("{DIRECTORY}/cpu{processor}/cpuidle/state{number}");
                if self.states.contains_key(&place) {
                    continue;
                }
                match self.root.read_optional_trimmed(&format!("{place}/name")) {
                    Ok(Some(name)) => self.add(place, name),
                    Ok(None) => break,
                    Err(error) => out.failure(error),
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, place: String, name: String) {
        if !self.sums.contains_key(&name) {
            if self.sums.len() >= MOST_NAMES {
                return;
            }
            self.sums.insert(name.clone(), Sums::default());
        }
        let state = State {
            name,
            microseconds: 0,
            entries: 0,
        };
        self.states.insert(place, state);
    }
}

fn read_number(
    root: &SysRoot,
    path: &str,
    buffer: &mut ReadBuffer,
) -> Result<Option<u64>, CollectError> {
    let Some(bytes) = optional(root.read_bytes(path, buffer))? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(bytes).unwrap_or("\u{fffd}");
    Fields::new(path, 1, text)
        .number("a whole number")
        .map(Some)
}

#[cfg(test)]
mod tests {
    use glasshouse_sysfs::compliance::Recording;

    use super::*;

    #[test]
    fn a_processor_that_goes_offline_takes_nothing_away() {
        let tree = tempfile::tempdir().unwrap();
        let write = |processor: u32, time: u64| {
            let state = tree
                .path()
                .join(format!("{DIRECTORY}/cpu{processor}/cpuidle/state0"));
            std::fs::create_dir_all(&state).unwrap();
            std::fs::write(state.join("name"), "C1\n").unwrap();
            std::fs::write(state.join("time"), format!("{time}\n")).unwrap();
            std::fs::write(state.join("usage"), "1\n").unwrap();
        };
        write(0, 2_000_000);
        write(1, 5_000_000);
        let root = SysRoot::new(tree.path());
        let mut collector = (CPU_IDLE.build)(root, &Options::default());
        let time = |recording: &Recording| {
            recording
                .value("system.cpu.linux.idle.time", &["C1"])
                .unwrap()
        };
        assert_eq!(time(&Recording::of(collector.as_mut())), 7.0);
        std::fs::remove_dir_all(tree.path().join(format!("{DIRECTORY}/cpu1"))).unwrap();
        write(0, 3_000_000);
        assert_eq!(time(&Recording::of(collector.as_mut())), 8.0);
        write(1, 6_000_000);
        assert_eq!(time(&Recording::of(collector.as_mut())), 9.0);
    }
}
