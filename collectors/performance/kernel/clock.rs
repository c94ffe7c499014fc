//! Whether the time is right: how the clock is kept, and what it counts with.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{
    ClockState, KeptFile, ReadBuffer, Spec, SysRoot, clock_state, malformed, optional,
};

pub(crate) static CLOCK: Spec = Spec {
    name: "clock",
    summary: "Whether the clock is kept, how far it is off, and what it counts with.",
    metrics: &METRICS,
    facts: &FACTS,
    options: &[],
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Clock {
            source: KeptFile::attribute(&root, SOURCE_PATH),
            root,
            buffer: ReadBuffer::new(),
        })
    },
};

const SOURCE_PATH: &str = "sys/devices/system/clocksource/clocksource0/current_clocksource";
const PTP_DIRECTORY: &str = "sys/class/ptp";

/// The most clocks of network cards that are told: two a card are many.
const MOST_PTP_CLOCKS: usize = 64;

/// Sources by their names in the kernel; one that is not here is `other`.
const SOURCES: &[&str] = &[
    "other",
    "tsc",
    "hpet",
    "acpi_pm",
    "arch_sys_counter",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
    "xen",
    "jiffies",
    "refined-jiffies",
    "timebase",
    "riscv_clocksource",
    "tsc-early",
];

static FACTS: [FactDefinition; 1] = [FactDefinition {
    key: "hw.clock.name",
    help: "Which clock a network card, or a host of virtual machines, offers.",
    source: "/sys/class/ptp/ptp*/clock_name",
}];

const fn gauge(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    is_not: &'static str,
) -> MetricDefinition {
    MetricDefinition {
        name,
        unit,
        kind: MetricKind::Gauge,
        value: ValueType::F64,
        help,
        is_not,
        labels: &[],
        source: "adjtimex(2)",
        audience: Audience::Operator,
    }
}

static METRICS: [MetricDefinition; 6] = [
    MetricDefinition {
        value: ValueType::State(&["unsynchronized", "synchronized"]),
        ..gauge(
            "system.linux.clock.state",
            "{state}",
            "Whether somebody (NTP, PTP, a host of virtual machines) keeps the clock, as the kernel was told.",
            "Not whether the time is right: who keeps it may be wrong, and some keep it without telling the kernel.",
        )
    },
    gauge(
        "system.linux.clock.offset",
        "s",
        "What is still to be corrected; positive where the clock is behind.",
        "Not the distance to true time: a daemon that steps the clock itself leaves 0 here.",
    ),
    MetricDefinition {
        labels: &[LabelDefinition {
            key: "linux.clock.bound",
            help: "One of `estimated`, `most`.",
        }],
        ..gauge(
            "system.linux.clock.error",
            "s",
            "How far the clock is probably off, and at most.",
            "Not measured by the kernel: it is told, and lets `most` grow while nobody tells it.",
        )
    },
    gauge(
        "system.linux.clock.adjustment",
        "{ppm}",
        "By how many parts in a million the clock is made to run faster.",
        "Not an error: every crystal needs some. A jump says that temperature or hardware changed.",
    ),
    gauge(
        "system.linux.clock.tai_offset",
        "s",
        "Seconds that atomic time is ahead of UTC, as the kernel was told; 0 where nobody did.",
        "Not needed but for PTP.",
    ),
    MetricDefinition {
        value: ValueType::State(SOURCES),
        source: "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        ..gauge(
            "system.linux.clock.source",
            "{state}",
            "What the kernel counts time with.",
            "Not what keeps the time right. On x86 anything but a time stamp counter makes every look at the clock slow.",
        )
    },
];
static STATE: &MetricDefinition = &METRICS[0];
static OFFSET: &MetricDefinition = &METRICS[1];
static ERROR: &MetricDefinition = &METRICS[2];
static ADJUSTMENT: &MetricDefinition = &METRICS[3];
static TAI_OFFSET: &MetricDefinition = &METRICS[4];
static SOURCE: &MetricDefinition = &METRICS[5];

const NANO: f64 = 1e9;
const MICRO: f64 = 1e6;
/// The kernel's frequency is in parts per million with 16 bits behind the point.
const SCALED_PPM: f64 = 65_536.0;

#[derive(Debug)]
struct Clock {
    root: SysRoot,
    source: KeptFile,
    buffer: ReadBuffer,
}

impl Collector for Clock {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut present = false;
        match clock_state(&self.root) {
            Ok(None) => {}
            Ok(Some(state)) => {
                present = true;
                write(state, out);
            }
            Err(error) => {
                present = true;
                out.absent(STATE, &[], error.reason);
                out.failure(error);
            }
        }
        present |= self.read_source(out);
        present |= self.read_ptp(out);
        if !present {
            return Ok(Presence::Absent(format!("no `/{SOURCE_PATH}`")));
        }
        Ok(Presence::Present)
    }
}

impl Clock {
    fn read_source(&mut self, out: &mut dyn SampleWriter) -> bool {
        match optional(self.source.read(&mut self.buffer)) {
            Ok(None) => return false,
            Ok(Some(text)) => match index(text.trim()) {
                Some(index) => out.sample(SOURCE, &[], Value::State(index)),
                None => out.failure(malformed(SOURCE_PATH, None, "a name", text)),
            },
            Err(error) => {
                out.absent(SOURCE, &[], error.reason);
                out.failure(error);
            }
        }
        true
    }

    fn read_ptp(&self, out: &mut dyn SampleWriter) -> bool {
        let names = match optional(self.root.list(PTP_DIRECTORY)) {
            Ok(names) => names.unwrap_or_default(),
            Err(error) => {
                out.failure(error);
                return false;
            }
        };
        for name in names.iter().take(MOST_PTP_CLOCKS) {
            let path = format!("{PTP_DIRECTORY}/{name}/clock_name");
            match self.root.read_optional_trimmed(&path) {
                Ok(Some(clock)) => {
                    let number = name.strip_prefix("ptp").unwrap_or(name);
                    out.fact(fact(), &format!("ptp/{number}"), &clock);
                }
                Ok(None) => {}
                Err(error) => out.failure(error),
            }
        }
        !names.is_empty()
    }
}

fn fact() -> &'static FactDefinition {
    let [fact] = &FACTS;
    fact
}

#[expect(
    clippy::cast_precision_loss,
    reason = "offsets and errors of clocks are far below 2^53 nanoseconds"
)]
fn write(state: ClockState, out: &mut dyn SampleWriter) {
    let kept = Value::State(u16::from(state.is_synchronized));
    out.sample(STATE, &[], kept);
    let mut number = |metric, labels: &[&str], value: i64, unit: f64| {
        out.sample(metric, labels, Value::F64(value as f64 / unit));
    };
    number(OFFSET, &[], state.offset_nanoseconds, NANO);
    number(ERROR, &["most"], state.most_error_microseconds, MICRO);
    number(
        ERROR,
        &["estimated"],
        state.estimated_error_microseconds,
        MICRO,
    );
    number(ADJUSTMENT, &[], state.frequency_scaled_ppm, SCALED_PPM);
    number(TAI_OFFSET, &[], state.tai_offset_seconds, 1.0);
}

/// `None` where it is no name at all.
fn index(name: &str) -> Option<u16> {
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    let known = SOURCES.iter().position(|source| *source == name);
    is_name.then(|| u16::try_from(known.unwrap_or(0)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use glasshouse_sysfs::compliance::{Recording, record};

    use super::*;

    #[test]
    fn units_are_those_of_the_definitions() {
        let mut recording = Recording::empty();
        let state = ClockState {
            is_synchronized: true,
            offset_nanoseconds: -1_500_000,
            most_error_microseconds: 250_000,
            estimated_error_microseconds: 12,
            frequency_scaled_ppm: -65_536 * 3,
            tai_offset_seconds: 37,
        };
        write(state, &mut recording);
        for (name, labels, value) in [
            ("system.linux.clock.state", &[][..], 1.0),
            ("system.linux.clock.offset", &[], -0.0015),
            ("system.linux.clock.error", &["most"], 0.25),
            ("system.linux.clock.error", &["estimated"], 0.000_012),
            ("system.linux.clock.adjustment", &[], -3.0),
            ("system.linux.clock.tai_offset", &[], 37.0),
        ] {
            assert_eq!(recording.value(name, labels), Some(value), "{name}");
        }
    }

    #[test]
    fn the_live_clock_is_read() {
        let recording = record(&CLOCK, Path::new("/"));
        assert!(recording.value("system.linux.clock.state", &[]).is_some());
    }
}
