//! The health of NVMe drives by their own account: the SMART log, asked of each controller.
//!
//! Runs in the privileged worker. It reads the log and nothing else; the log is asked for so that no event is cleared
//! that somebody else waits for, which controllers of before NVMe 1.3 may refuse.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::hardware;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_core::worker::Worker;
use glasshouse_sysfs::{DeviceRequest, Spec, SysRoot, WorkerSpec, malformed, ratio};

use super::drive_labels::{DRIVE, NEEDS, has_hwmon, remaining};
use super::nvme::DIRECTORY;
use super::nvme_log::{HealthLog, LOG_BYTES};
use crate::labels::DISK_DIRECTION;
use crate::parts::{HARDWARE_ID, HARDWARE_NAME, counter, hardware_id, names, state};

pub(crate) static NVME_HEALTH: WorkerSpec = WorkerSpec {
    spec: Spec {
        name: "nvme_health",
        summary: "Wear, errors, warnings and heat of NVMe drives, by their own log.",
        metrics: &METRICS,
        facts: &[],
        options: &[],
        interval_seconds: 60,
        needs: NEEDS,
        build: |root: SysRoot, _: &Options| Box::new(NvmeHealth { root }),
    },
    worker: Worker::Privileged,
    look: |root: &SysRoot, _: &Options| match controllers(root) {
        Ok(names) if !names.is_empty() => Presence::Present,
        _ => absent(),
    },
};

const SOURCE: &str = "NVMe log page 02h";

/// Bits of the warning, from the lowest.
const WARNINGS: [&str; 6] = [
    "spare",
    "temperature",
    "reliability",
    "read_only",
    "backup",
    "persistent_memory",
];

const fn count(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    is_not: &'static str,
) -> MetricDefinition {
    counter(name, unit, help, is_not, DRIVE, SOURCE)
}

const fn share(name: &'static str, help: &'static str, is_not: &'static str) -> MetricDefinition {
    MetricDefinition {
        kind: MetricKind::Gauge,
        value: ValueType::F64,
        ..counter(name, "1", help, is_not, DRIVE, SOURCE)
    }
}

const LEVELLED: &[LabelDefinition] = &[
    HARDWARE_ID,
    HARDWARE_NAME,
    LabelDefinition {
        key: "hw.physical_disk.nvme.level",
        help: "One of `light`, `heavy`.",
    },
];

static METRICS: [MetricDefinition; 18] = [
    state(
        "hw.physical_disk.nvme.warning",
        &["no", "yes", "unknown"],
        "Whether the drive warns, by cause: `spare` runs out, `reliability` is lost, it is `read_only`, and so on.",
        "Not a history: it is what the drive says now.",
        &[
            HARDWARE_ID,
            HARDWARE_NAME,
            LabelDefinition {
                key: "hw.physical_disk.nvme.cause",
                help: "One of `spare`, `temperature`, `reliability`, `read_only`, `backup`, `persistent_memory`.",
            },
        ],
        SOURCE,
    ),
    share(
        "hw.physical_disk.nvme.spare.ratio",
        "Spare blocks that are left, as a share of those at first.",
        "Not room for data: it replaces blocks that fail.",
    ),
    share(
        "hw.physical_disk.nvme.spare.limit.ratio",
        "The share of spare blocks at which the drive warns.",
        "Not a reading: the maker fixed it.",
    ),
    counter(
        "hw.physical_disk.nvme.io",
        "By",
        "Bytes that the host read and wrote over the drive's life, to the next 512,000.",
        "Not what the flash took: that is more by the drive's own housekeeping.",
        &[HARDWARE_ID, HARDWARE_NAME, DISK_DIRECTION],
        SOURCE,
    ),
    counter(
        "hw.physical_disk.nvme.commands",
        "{command}",
        "Read and write commands over the drive's life.",
        "Not blocks or bytes.",
        &[HARDWARE_ID, HARDWARE_NAME, DISK_DIRECTION],
        SOURCE,
    ),
    count(
        "hw.physical_disk.nvme.busy_time",
        "s",
        "Time over the drive's life with a command under way, to the minute.",
        "Not saturation: one command at a time is busy too.",
    ),
    count(
        "hw.physical_disk.nvme.power_cycles",
        "{cycle}",
        "Times that the drive was switched on.",
        "Not boots of this machine: a drive may come from another.",
    ),
    count(
        "hw.physical_disk.nvme.power_on_time",
        "s",
        "Time that the drive was on, to the hour.",
        "Not age: some drives leave out time in low-power states.",
    ),
    count(
        "hw.physical_disk.nvme.unsafe_shutdowns",
        "{shutdown}",
        "Times that the drive lost power without being told before.",
        "Not lost data as such.",
    ),
    count(
        "hw.physical_disk.nvme.media_errors",
        "{error}",
        "Times that the drive found data that it could not mend.",
        "Not errors of the link or of commands.",
    ),
    count(
        "hw.physical_disk.nvme.error_log_entries",
        "{entry}",
        "Entries that the drive wrote to its error log over its life.",
        "Not all trouble: commands that a drive does not know fill it too.",
    ),
    count(
        "hw.physical_disk.nvme.warning_temperature_time",
        "s",
        "Time that the drive was hotter than it warns of, to the minute.",
        "Not time of throttling.",
    ),
    count(
        "hw.physical_disk.nvme.critical_temperature_time",
        "s",
        "Time that the drive was hotter than its critical limit, to the minute.",
        "Not part of `hw.physical_disk.nvme.warning_temperature_time` on every drive.",
    ),
    counter(
        "hw.physical_disk.nvme.throttle.count",
        "{transition}",
        "Times that the drive slowed down for heat, by how much.",
        "Not told by all drives: 0 may mean that it is not counted.",
        LEVELLED,
        SOURCE,
    ),
    counter(
        "hw.physical_disk.nvme.throttle.time",
        "s",
        "Time that the drive was slowed down for heat, by how much.",
        "Not told by all drives: 0 may mean that it is not counted.",
        LEVELLED,
        SOURCE,
    ),
    hardware::endurance(SOURCE),
    hardware::temperature(SOURCE),
    share(
        "hw.physical_disk.nvme.used.ratio",
        "Rated life that the drive has used, by its own measure; beyond 1 where it outlives that.",
        "Not how full the drive is.",
    ),
];
static WARNING: &MetricDefinition = &METRICS[0];
static SPARE: &MetricDefinition = &METRICS[1];
static SPARE_LIMIT: &MetricDefinition = &METRICS[2];
static IO: &MetricDefinition = &METRICS[3];
static COMMANDS: &MetricDefinition = &METRICS[4];
/// Those that are one number in the log, with what one of it is: seconds, or things.
static NUMBERS: &[MetricDefinition] = &METRICS;
const FIRST_NUMBER: usize = 5;
static THROTTLE_COUNT: &MetricDefinition = &METRICS[13];
static THROTTLE_TIME: &MetricDefinition = &METRICS[14];
static ENDURANCE: &MetricDefinition = &METRICS[15];
static HEAT: &MetricDefinition = &METRICS[16];
static USED: &MetricDefinition = &METRICS[17];

const SECONDS_PER_MINUTE: u128 = 60;
const SECONDS_PER_HOUR: u128 = 3600;
const BYTES_PER_DATA_UNIT: u128 = 512_000;
const PERCENT: u32 = 100;

#[derive(Debug)]
struct NvmeHealth {
    root: SysRoot,
}

/// Controllers, `nvme0` and so on; of paths to one drive over a network each is a controller.
fn controllers(root: &SysRoot) -> Result<Vec<String>, CollectError> {
    names(root, DIRECTORY)
}

fn absent() -> Presence {
    Presence::Absent(format!("no controller in `/{DIRECTORY}`"))
}

impl Collector for NvmeHealth {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let controllers = controllers(&self.root)?;
        if controllers.is_empty() {
            return Ok(absent());
        }
        let mut answered = false;
        for name in &controllers {
            let directory = format!("{DIRECTORY}/{name}");
            let id = hardware_id(&self.root, &directory, "nvme", out);
            out.calling("NVMe Get Log Page 02h");
            match self.ask(name) {
                Ok(log) => {
                    answered = true;
                    let places = [directory.clone(), format!("{directory}/device/hwmon")];
                    let drive = Drive {
                        id: &id,
                        name,
                        has_hwmon: has_hwmon(&self.root, &places),
                    };
                    drive.write(&log, out);
                }
                // a captured tree without the answer of this one
                Err(error) if error.reason == FailureReason::Missing => {}
                Err(error) => {
                    answered = true;
                    out.absent(WARNING, &[&id, name, "reliability"], error.reason);
                    out.failure(error);
                }
            }
        }
        if !answered {
            return Ok(Presence::Absent("no answer of a controller".to_owned()));
        }
        Ok(Presence::Present)
    }
}

impl NvmeHealth {
    fn ask(&self, name: &str) -> Result<HealthLog, CollectError> {
        let request = DeviceRequest::NvmeSmartLog;
        let log = self.root.ask(request, name)?;
        HealthLog::parse(&log).ok_or_else(|| {
            let place = if self.root.is_live() {
                format!("dev/{name}")
            } else {
                format!("answers/{name}/{}", request.word())
            };
            let found = format!("{} bytes", log.len());
            malformed(&place, None, &format!("a log of {LOG_BYTES} bytes"), &found)
        })
    }
}

struct Drive<'n> {
    id: &'n str,
    name: &'n str,
    has_hwmon: bool,
}

impl Drive<'_> {
    fn write(&self, log: &HealthLog, out: &mut dyn SampleWriter) {
        let labels = [self.id, self.name];
        for (bit, cause) in WARNINGS.into_iter().enumerate() {
            let set = log.critical_warning >> bit & 1;
            let labels = [self.id, self.name, cause];
            out.sample(WARNING, &labels, Value::State(u16::from(set)));
        }
        for (metric, percent) in [
            (SPARE, log.available_spare),
            (SPARE_LIMIT, log.spare_threshold),
        ] {
            let share = ratio(u64::from(percent), PERCENT);
            out.sample(metric, &labels, Value::F64(share));
        }
        let used = ratio(u64::from(log.percentage_used), PERCENT);
        out.sample(USED, &labels, Value::F64(used));
        let left = remaining(log.percentage_used);
        let parts = [self.id, self.name, self.id, "remaining"];
        out.sample(ENDURANCE, &parts, Value::F64(left));
        for (n, direction) in ["read", "write"].into_iter().enumerate() {
            let labels = [self.id, self.name, direction];
            let of = |pair: [u128; 2]| pair.get(n).copied().unwrap_or_default();
            write_wide(IO, &labels, of(log.data_units), BYTES_PER_DATA_UNIT, out);
            write_wide(COMMANDS, &labels, of(log.commands), 1, out);
        }
        let numbers = [
            (log.busy_minutes, SECONDS_PER_MINUTE),
            (log.power_cycles, 1),
            (log.power_on_hours, SECONDS_PER_HOUR),
            (log.unsafe_shutdowns, 1),
            (log.media_errors, 1),
            (log.error_log_entries, 1),
            (u128::from(log.warning_minutes), SECONDS_PER_MINUTE),
            (u128::from(log.critical_minutes), SECONDS_PER_MINUTE),
        ];
        for (metric, (number, factor)) in NUMBERS.iter().skip(FIRST_NUMBER).zip(numbers) {
            write_wide(metric, &labels, number, factor, out);
        }
        for (n, level) in ["light", "heavy"].into_iter().enumerate() {
            let labels = [self.id, self.name, level];
            let of = |pair: [u32; 2]| u64::from(pair.get(n).copied().unwrap_or_default());
            let (times, seconds) = (of(log.thermal_transitions), of(log.thermal_seconds));
            out.sample(THROTTLE_COUNT, &labels, Value::U64(times));
            out.sample(THROTTLE_TIME, &labels, Value::U64(seconds));
        }
        if !self.has_hwmon {
            self.write_temperatures(log, out);
        }
    }

    /// As hwmon would name them, which shows the same where the kernel was built to.
    fn write_temperatures(&self, log: &HealthLog, out: &mut dyn SampleWriter) {
        const ZERO_CELSIUS: f64 = 273.15;
        let chip = format!("nvme@{}", self.id);
        for (n, kelvin) in log.temperatures.iter().enumerate() {
            let Some(kelvin) = kelvin else {
                continue;
            };
            let id = format!("{chip}/temp{}", n + 1);
            let name = match n {
                0 => "Composite".to_owned(),
                n => format!("Sensor {n}"),
            };
            let celsius = f64::from(*kelvin) - ZERO_CELSIUS;
            out.sample(HEAT, &[&id, &name, &chip], Value::F64(celsius));
        }
    }
}

/// Writes a number of 128 bits that is counted in `factor`; one beyond 64 bits is no drive's, and absent.
fn write_wide(
    metric: &'static MetricDefinition,
    labels: &[&str],
    number: u128,
    factor: u128,
    out: &mut dyn SampleWriter,
) {
    let number = number.checked_mul(factor);
    match number.and_then(|number| u64::try_from(number).ok()) {
        Some(number) => out.sample(metric, labels, Value::U64(number)),
        None => out.absent(metric, labels, FailureReason::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use glasshouse_sysfs::compliance::Recording;

    use super::*;

    #[test]
    fn a_counter_beyond_64_bits_is_absent_and_not_cut() {
        let mut told = Recording::empty();
        let labels = ["0000:17:00.0", "nvme0", "read"];
        write_wide(
            IO,
            &labels,
            u128::from(u64::MAX),
            BYTES_PER_DATA_UNIT,
            &mut told,
        );
        assert_eq!(told.samples[0].value, Err(FailureReason::Malformed));
        write_wide(IO, &labels, 2, BYTES_PER_DATA_UNIT, &mut told);
        assert_eq!(told.samples[1].value, Ok(Value::U64(1_024_000)));
    }
}
