//! The clock that cores deliver while they are busy, and what holds them back, from their registers.
//!
//! Needs `/dev/cpu/*/msr`, which few machines offer and few operators grant. Where it is denied, that is said once.

use std::collections::{BTreeMap, BTreeSet};

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_core::worker::Worker;
use glasshouse_sysfs::{Register, Spec, SysRoot, WorkerSpec, optional, read_register};

use super::processors::{self, DIRECTORY};
use crate::labels::LOGICAL_CPU;

pub(crate) static CPU_REGISTERS: WorkerSpec = WorkerSpec {
    spec: Spec {
        name: "cpu_registers",
        summary: "The clock that cores deliver while busy, and what limits them, from their registers.",
        metrics: &METRICS,
        facts: &[],
        options: &[],
        // each read interrupts a core, three a core and run
        interval_seconds: 30,
        needs: "The worker `privileged`, which is off by default, with CAP_SYS_RAWIO; and the kernel's module `msr`",
        build: |root: SysRoot, _: &Options| Box::new(CpuRegisters::new(root, read_register)),
    },
    worker: Worker::Privileged,
    look: |root: &SysRoot, _: &Options| {
        if root.exists(NODE) {
            Presence::Present
        } else {
            Presence::Absent(format!(
                "no `/{NODE}`: the kernel's module `msr` is not loaded"
            ))
        }
    },
};

/// The registers of the first processor: there where there are any.
const NODE: &str = "dev/cpu/0/msr";

/// Runs between two looks for cores, and between two tries where it was denied: half an hour at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 60;

/// Rated cycles in which a core must have been busy between two runs: below a millisecond the ratio is noise.
const FEWEST_CYCLES: u64 = 2_000_000;

/// No processor delivers more than this many times its rated clock; what says so is a counter that began anew.
const MOST_RATIO: f64 = 8.0;

static METRICS: [MetricDefinition; 2] = [
    MetricDefinition {
        name: "system.cpu.linux.frequency.delivered.ratio",
        unit: "1",
        kind: MetricKind::Gauge,
        value: ValueType::F64,
        help: "The clock that a core delivered while it was busy since the last reading, in parts of its rated one.",
        is_not: "Not utilization: time at rest does not count. Turbo is above 1. Told for one thread of each core.",
        labels: &[LOGICAL_CPU],
        source: "/dev/cpu/*/msr (IA32_APERF, IA32_MPERF)",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.cpu.linux.limited",
        unit: "{state}",
        kind: MetricKind::Gauge,
        value: ValueType::State(&["no", "yes"]),
        help: "Whether something holds a package, or at least one of its cores, back right now.",
        is_not: "Not for how long: it is an instant. Processors of other makers than Intel do not say it.",
        labels: &[
            LabelDefinition {
                key: "cpu.package",
                help: "The number of the package (socket).",
            },
            LabelDefinition {
                key: "linux.cpu.limit",
                help: "What: `core.hot`, `package.external` (PROCHOT asserted from outside), `clock.power_1`, and so on.",
            },
        ],
        source: "/dev/cpu/*/msr (IA32_THERM_STATUS, IA32_PACKAGE_THERM_STATUS, MSR_CORE_PERF_LIMIT_REASONS)",
        audience: Audience::Operator,
    },
];
static RATIO: &MetricDefinition = &METRICS[0];
static LIMITED: &MetricDefinition = &METRICS[1];

/// Status bits of each register, Intel SDM volume 4; the sticky log bits beside them are not read.
const BITS: [(Register, u32, &str); 17] = [
    (Register::CoreThermalStatus, 0, "core.hot"),
    (Register::CoreThermalStatus, 2, "core.external"),
    (Register::CoreThermalStatus, 4, "core.critical"),
    (Register::CoreThermalStatus, 10, "core.power"),
    (Register::PackageThermalStatus, 0, "package.hot"),
    (Register::PackageThermalStatus, 2, "package.external"),
    (Register::PackageThermalStatus, 4, "package.critical"),
    (Register::PackageThermalStatus, 10, "package.power"),
    (Register::LimitReasons, 0, "clock.external"),
    (Register::LimitReasons, 1, "clock.hot"),
    (Register::LimitReasons, 5, "clock.average_hot"),
    (Register::LimitReasons, 6, "clock.regulator_hot"),
    (Register::LimitReasons, 7, "clock.regulator_current"),
    (Register::LimitReasons, 8, "clock.electrical"),
    (Register::LimitReasons, 10, "clock.power_1"),
    (Register::LimitReasons, 11, "clock.power_2"),
    (Register::LimitReasons, 12, "clock.turbo"),
];

const DENIED: &str = "it is denied";

type Read = fn(&SysRoot, u32, Register) -> Result<u64, CollectError>;

#[derive(Debug)]
struct CpuRegisters {
    root: SysRoot,
    read: Read,
    cores: Vec<Core>,
    /// Registers that the processor said it lacks.
    lacking: Vec<Register>,
    /// Why nothing can be read here.
    silent: Option<&'static str>,
    runs: u32,
}

/// One thread of a core stands for it.
#[derive(Debug)]
struct Core {
    thread: u32,
    label: String,
    package: String,
    leads_package: bool,
    /// Rated and delivered cycles at the last run.
    cycles: Option<(u64, u64)>,
}

impl Collector for CpuRegisters {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let looks = self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS);
        self.runs = self.runs.wrapping_add(1);
        if looks {
            self.cores = find(&self.root)?;
            self.lacking.clear();
            let now = self.try_one()?;
            let before = std::mem::replace(&mut self.silent, now);
            if self.silent == Some(DENIED) && before != self.silent {
                return Err(denied());
            }
        }
        if let Some(why) = self.silent {
            return Ok(Presence::Absent(format!("no `/dev/cpu/*/msr`: {why}")));
        }
        self.read_ratios(out);
        self.read_limits(out);
        Ok(Presence::Present)
    }
}

impl CpuRegisters {
    const fn new(root: SysRoot, read: Read) -> Self {
        Self {
            root,
            read,
            cores: Vec::new(),
            lacking: Vec::new(),
            silent: None,
            runs: 0,
        }
    }

    /// Why registers cannot be read at all; `None` where they can.
    fn try_one(&self) -> Result<Option<&'static str>, CollectError> {
        let Some(first) = self.cores.first().map(|core| core.thread) else {
            return Ok(Some("no processor says its core and package"));
        };
        match (self.read)(&self.root, first, Register::RatedCycles) {
            Ok(_) => Ok(None),
            Err(error) => match error.reason {
                FailureReason::Missing => Ok(Some("the module `msr` is not loaded")),
                FailureReason::Denied => Ok(Some(DENIED)),
                _ => Err(error),
            },
        }
    }

    fn read_ratios(&mut self, out: &mut dyn SampleWriter) {
        for core in &mut self.cores {
            let register = |register| (self.read)(&self.root, core.thread, register);
            let pair = register(Register::RatedCycles)
                .and_then(|rated| Ok((rated, register(Register::DeliveredCycles)?)));
            match optional(pair) {
                Ok(None) => core.cycles = None,
                Ok(Some(now)) => {
                    let last = core.cycles.replace(now);
                    if let Some(ratio) = last.and_then(|last| delivered(last, now)) {
                        out.sample(RATIO, &[&core.label], Value::F64(ratio));
                    }
                }
                Err(error) => {
                    core.cycles = None;
                    out.absent(RATIO, &[&core.label], error.reason);
                    out.failure(error);
                }
            }
        }
    }

    fn read_limits(&mut self, out: &mut dyn SampleWriter) {
        // of the maker whose registers these are; others may have anything there
        if !self
            .root
            .exists("sys/devices/system/cpu/cpu0/thermal_throttle")
        {
            return;
        }
        let mut seen: BTreeMap<(&str, &'static str), bool> = BTreeMap::new();
        for register in [
            Register::CoreThermalStatus,
            Register::PackageThermalStatus,
            Register::LimitReasons,
        ] {
            for core in &self.cores {
                let asked = register == Register::CoreThermalStatus || core.leads_package;
                if !asked || self.lacking.contains(&register) {
                    continue;
                }
                match optional((self.read)(&self.root, core.thread, register)) {
                    Ok(Some(bits)) => {
                        for (_, bit, word) in BITS.iter().filter(|(of, _, _)| *of == register) {
                            *seen.entry((&core.package, word)).or_default() |= bits >> bit & 1 == 1;
                        }
                    }
                    // a processor that went offline has no register at all
                    Ok(None) => {
                        if (self.read)(&self.root, core.thread, Register::RatedCycles).is_ok() {
                            self.lacking.push(register);
                        }
                    }
                    Err(error) => out.failure(error),
                }
            }
        }
        for ((package, word), limited) in seen {
            out.sample(LIMITED, &[package, word], Value::State(u16::from(limited)));
        }
    }
}

/// Said once; the runs after it are silent.
fn denied() -> CollectError {
    CollectError {
        path: "/dev/cpu/0/msr".into(),
        line: None,
        reason: FailureReason::Denied,
        detail: "permission denied; grant CAP_SYS_RAWIO to read it, or leave it".to_owned(),
    }
}

/// `None` where a counter began anew, or the core was hardly busy.
#[expect(
    clippy::cast_precision_loss,
    reason = "cycles between two runs are far below 2^53"
)]
fn delivered(last: (u64, u64), now: (u64, u64)) -> Option<f64> {
    let rated = now.0.checked_sub(last.0)?;
    let delivered = now.1.checked_sub(last.1)?;
    if rated < FEWEST_CYCLES || delivered == 0 {
        return None;
    }
    let ratio = delivered as f64 / rated as f64;
    (ratio <= MOST_RATIO).then_some(ratio)
}

/// The first thread of each core.
fn find(root: &SysRoot) -> Result<Vec<Core>, CollectError> {
    let (mut cores, mut packages) = (BTreeSet::new(), BTreeSet::new());
    let mut found = Vec::new();
    for label in processors::with(root, "topology/core_id")? {
        let number = |file: &str| root.read_u64(&format!("{DIRECTORY}/cpu{label}/topology/{file}"));
        let Some((package, core)) = optional(
            number("physical_package_id").and_then(|package| Ok((package, number("core_id")?))),
        )?
        else {
            continue;
        };
        let Ok(thread) = label.parse() else { continue };
        if cores.insert((package, core)) {
            found.push(Core {
                thread,
                label,
                package: package.to_string(),
                leads_package: packages.insert(package),
                cycles: None,
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::Path;

    use glasshouse_sysfs::compliance::{Recording, definition_violations, empty_root_violations};

    use super::*;

    thread_local! {
        static CYCLES: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    }

    fn fixture() -> SysRoot {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        SysRoot::new(&here.join("../../tests/fixtures/host"))
    }

    fn failed(reason: FailureReason) -> CollectError {
        CollectError {
            path: "/dev/cpu/0/msr".into(),
            line: None,
            reason,
            detail: "refused".to_owned(),
        }
    }

    #[test]
    fn it_is_defined_well_and_silent_where_nothing_is() {
        assert_eq!(definition_violations(&CPU_REGISTERS), Vec::<String>::new());
        assert_eq!(empty_root_violations(&CPU_REGISTERS), Vec::<String>::new());
        let mut collector = (CPU_REGISTERS.spec.build)(fixture(), &Options::default());
        let recording = Recording::of(collector.as_mut());
        assert!(matches!(recording.outcome, Ok(Presence::Absent(_))));
    }

    #[test]
    fn what_is_denied_is_said_once() {
        let mut collector =
            CpuRegisters::new(fixture(), |_, _, _| Err(failed(FailureReason::Denied)));
        let outcome = Recording::of(&mut collector).outcome;
        assert!(outcome.unwrap_err().detail.contains("CAP_SYS_RAWIO"));
        for _ in 0..3 * RUNS_BETWEEN_LOOKS {
            let recording = Recording::of(&mut collector);
            assert!(matches!(recording.outcome, Ok(Presence::Absent(_))));
        }
    }

    #[test]
    fn a_processor_that_goes_offline_takes_no_register_from_the_others() {
        thread_local! {
            static OFFLINE: Cell<bool> = const { Cell::new(true) };
        }
        let mut collector = CpuRegisters::new(fixture(), |_, thread, register| {
            match (OFFLINE.get() && thread == 0, register) {
                (true, _) => Err(failed(FailureReason::Missing)),
                (false, Register::LimitReasons) => Ok(1 << 10),
                (false, _) => Ok(0),
            }
        });
        OFFLINE.set(false);
        Recording::of(&mut collector);
        OFFLINE.set(true);
        Recording::of(&mut collector);
        OFFLINE.set(false);
        let recording = Recording::of(&mut collector);
        let limited = |word| recording.value("system.cpu.linux.limited", &["0", word]);
        assert_eq!(limited("clock.power_1"), Some(1.0));
        assert_eq!(limited("core.hot"), Some(0.0));
    }

    #[test]
    fn the_delivered_clock_is_the_ratio_of_two_counters() {
        let mut collector = CpuRegisters::new(fixture(), |_, _, register| {
            let (rated, delivered) = CYCLES.get();
            match register {
                Register::RatedCycles => Ok(rated),
                Register::DeliveredCycles => Ok(delivered),
                Register::CoreThermalStatus => Ok(1 << 2),
                Register::PackageThermalStatus => Ok(0),
                Register::LimitReasons => Err(failed(FailureReason::Missing)),
            }
        });
        const NAME: &str = "system.cpu.linux.frequency.delivered.ratio";
        let mut ratio = |rated, delivered| {
            CYCLES.set((rated, delivered));
            let recording = Recording::of(&mut collector);
            let limited = |word| recording.value("system.cpu.linux.limited", &["0", word]);
            assert_eq!(limited("core.external"), Some(1.0));
            assert_eq!(limited("package.hot"), Some(0.0));
            assert_eq!(limited("clock.hot"), None);
            recording.value(NAME, &["0"])
        };
        assert_eq!(ratio(5, 5), None, "nothing to compare with");
        assert_eq!(ratio(10_000_005, 8_000_005), Some(0.8));
        assert_eq!(ratio(10_000_006, 8_000_006), None, "hardly busy");
        assert_eq!(ratio(20, 16), None, "counters began anew");
        assert_eq!(ratio(10_000_020, 2_000_000_000), None, "impossible");
    }
}
