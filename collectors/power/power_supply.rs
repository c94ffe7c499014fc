//! Batteries, uninterruptible supplies and mains adapters, from `/sys/class/power_supply`.
//!
//! Batteries of mice and keyboards (scope `Device`) and USB ports are of other machines' power, and left out. Power
//! supplies of servers are not here but among the monitoring chips.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::hardware::{self, LIMIT, LimitType, SENSOR};
use glasshouse_core::metric::{MetricDefinition, ValueType, counter, gauge, state};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, ReadBuffer, Spec, SysRoot, malformed, optional};

pub(crate) static POWER_SUPPLY: Spec = Spec {
    name: "power_supply",
    summary: "Batteries, uninterruptible supplies and mains adapters: charge, health, whether they are online.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    // each reading may ask an embedded controller, and charge moves in minutes
    interval_seconds: 15,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(PowerSupplies {
            root,
            supplies: Vec::new(),
            runs: 0,
            buffer: ReadBuffer::new(),
        })
    },
};

const DIRECTORY: &str = "sys/class/power_supply";

/// Runs between two looks for supplies: five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 20;

/// Supplies of one machine.
const MOST_SUPPLIES: usize = 256;

/// What all of them belong to.
const PARENT: &str = "power_supply";

const MICRO: f64 = 1_000_000.0;
/// Temperatures come in tenths of a degree.
const TENTHS: f64 = 10.0;
const PERCENT: f64 = 100.0;
/// Microwatt hours in a joule, microampere hours in a coulomb.
const MICRO_HOURS: f64 = MICRO / 3600.0;

static METRICS: [MetricDefinition; 15] = [
    gauge(
        "hw.battery.charge",
        "1",
        "How full a battery is, from 0 to 1.",
        "Not of its capacity when new: of what it can hold today.",
        SENSOR,
        "/sys/class/power_supply/*/capacity",
    ),
    gauge(
        "hw.battery.time_left",
        "s",
        "Time until a battery is empty at the present load.",
        "Not a promise: it is the firmware's guess.",
        SENSOR,
        "/sys/class/power_supply/*/time_to_empty_{avg,now}",
    ),
    gauge(
        "hw.battery.energy",
        "J",
        "Energy that is left in a battery.",
        "Not energy used: it falls and rises.",
        SENSOR,
        "/sys/class/power_supply/*/energy_now",
    ),
    gauge(
        "hw.battery.energy.limit",
        "J",
        "Energy that a battery holds when full today (`max`) and when it was new (`rated.max`).",
        "Not what is in it now.",
        LIMIT,
        "/sys/class/power_supply/*/energy_{full,full_design}",
    ),
    gauge(
        "hw.battery.electric_charge",
        "C",
        "Electric charge that is left in a battery, where it counts that and not energy.",
        "Not energy: that needs the voltage too.",
        SENSOR,
        "/sys/class/power_supply/*/charge_now",
    ),
    gauge(
        "hw.battery.electric_charge.limit",
        "C",
        "Electric charge that a battery holds when full today (`max`) and when it was new (`rated.max`).",
        "Not what is in it now.",
        LIMIT,
        "/sys/class/power_supply/*/charge_{full,full_design}",
    ),
    state(
        "hw.battery.status",
        &["unknown", "charging", "discharging", "not_charging", "full"],
        "What a battery does.",
        "Not how well it is: a worn one is full too.",
        SENSOR,
        "/sys/class/power_supply/*/status",
    ),
    state(
        "hw.battery.health",
        HEALTH,
        "How well a battery or supply is, as its driver says.",
        "Not its age: compare its limits for that.",
        SENSOR,
        "/sys/class/power_supply/*/health",
    ),
    state(
        "hw.battery.present",
        &["missing", "present"],
        "Whether a battery is in its bay.",
        "Not whether it has any charge.",
        SENSOR,
        "/sys/class/power_supply/*/present",
    ),
    counter(
        "hw.battery.cycles",
        "{cycle}",
        "Full discharges that a battery has been through.",
        "Not since boot: over its life, where it counts them.",
        SENSOR,
        "/sys/class/power_supply/*/cycle_count",
    ),
    state(
        "hw.power_supply.online",
        &["offline", "online", "online_programmable"],
        "Whether a feed has voltage.",
        "Not whether the machine draws from it.",
        SENSOR,
        "/sys/class/power_supply/*/online",
    ),
    hardware::voltage("/sys/class/power_supply/*/voltage_now"),
    hardware::current("/sys/class/power_supply/*/current_now"),
    hardware::power("/sys/class/power_supply/*/power_now"),
    hardware::temperature("/sys/class/power_supply/*/temp"),
];

/// The kernel's words, spelt as ours; the first stands for one that is newer than this list.
const HEALTH: &[&str] = &[
    "unknown",
    "good",
    "overheat",
    "dead",
    "over_voltage",
    "under_voltage",
    "unspecified_failure",
    "cold",
    "watchdog_timer_expire",
    "safety_timer_expire",
    "over_current",
    "calibration_required",
    "warm",
    "cool",
    "hot",
    "no_battery",
    "blown_fuse",
    "cell_imbalance",
];

/// How a file is read.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// A number, that many of which are one of the metric's unit.
    Number(f64),
    /// As [`Manner::Number`], of such a limit.
    Limit(f64, LimitType),
    /// As [`Manner::Number`], and the kind of part is a label.
    Typed(f64),
    /// A whole number.
    Count,
    /// A number that is the state.
    Index,
    /// A word that is the state.
    Word,
}

/// File, how it is read, metric. Of files for one series the first that exists counts.
static FILES: [(&str, Manner, &MetricDefinition); 18] = [
    ("present", Manner::Index, &METRICS[8]),
    ("online", Manner::Index, &METRICS[10]),
    ("status", Manner::Word, &METRICS[6]),
    ("health", Manner::Word, &METRICS[7]),
    ("capacity", Manner::Number(PERCENT), &METRICS[0]),
    ("time_to_empty_avg", Manner::Number(1.0), &METRICS[1]),
    ("time_to_empty_now", Manner::Number(1.0), &METRICS[1]),
    ("energy_now", Manner::Number(MICRO_HOURS), &METRICS[2]),
    (
        "energy_full",
        Manner::Limit(MICRO_HOURS, LimitType::Max),
        &METRICS[3],
    ),
    (
        "energy_full_design",
        Manner::Limit(MICRO_HOURS, LimitType::RatedMax),
        &METRICS[3],
    ),
    ("charge_now", Manner::Number(MICRO_HOURS), &METRICS[4]),
    (
        "charge_full",
        Manner::Limit(MICRO_HOURS, LimitType::Max),
        &METRICS[5],
    ),
    (
        "charge_full_design",
        Manner::Limit(MICRO_HOURS, LimitType::RatedMax),
        &METRICS[5],
    ),
    ("cycle_count", Manner::Count, &METRICS[9]),
    ("voltage_now", Manner::Number(MICRO), &METRICS[11]),
    ("current_now", Manner::Number(MICRO), &METRICS[12]),
    ("power_now", Manner::Typed(MICRO), &METRICS[13]),
    ("temp", Manner::Number(TENTHS), &METRICS[14]),
];

#[derive(Debug)]
struct PowerSupplies {
    root: SysRoot,
    supplies: Vec<Supply>,
    runs: u32,
    buffer: ReadBuffer,
}

#[derive(Debug)]
struct Supply {
    /// What the driver calls it: `BAT0`, `AC`, `ups`.
    name: String,
    /// `battery`, or `power_supply` for what has no charge.
    part: &'static str,
    readings: Vec<(Manner, &'static MetricDefinition, KeptFile)>,
}

impl Collector for PowerSupplies {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.supplies = find(&self.root, out)?;
        }
        self.runs = self.runs.wrapping_add(1);
        if self.supplies.is_empty() {
            self.runs = 0;
            return Ok(Presence::Absent(format!("no supply in `/{DIRECTORY}`")));
        }
        for supply in &mut self.supplies {
            supply.write(&mut self.buffer, out);
        }
        Ok(Presence::Present)
    }
}

impl Supply {
    fn write(&mut self, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        for (manner, metric, file) in &mut self.readings {
            let last = match manner {
                Manner::Limit(_, limit) => limit.word(),
                _ => self.part,
            };
            let labels = [&*self.name, &*self.name, PARENT, last];
            let used = metric.labels.len().min(labels.len());
            let labels = labels.get(..used).unwrap_or_default();
            match optional(value(*manner, metric, file, buffer)) {
                Ok(Some(value)) => out.sample(metric, labels, value),
                // a battery that is out has files and no numbers
                Ok(None) => {}
                Err(error) => {
                    out.absent(metric, labels, error.reason);
                    if error.reason != FailureReason::Unsupported {
                        out.failure(error);
                    }
                }
            }
        }
    }
}

fn value(
    manner: Manner,
    metric: &'static MetricDefinition,
    file: &mut KeptFile,
    buffer: &mut ReadBuffer,
) -> Result<Value, CollectError> {
    let states = match metric.value {
        ValueType::State(states) => states,
        _ => &[],
    };
    match manner {
        Manner::Number(divisor) | Manner::Limit(divisor, _) | Manner::Typed(divisor) => {
            let number = file.read_i64(buffer)?;
            Ok(Value::F64(whole(number) / divisor))
        }
        Manner::Count => Ok(Value::U64(file.read_u64(buffer)?)),
        Manner::Index => {
            let number = file.read_u64(buffer)?;
            u16::try_from(number)
                .ok()
                .filter(|index| usize::from(*index) < states.len())
                .map(Value::State)
                .ok_or_else(|| malformed(file.path(), None, "a state", &number.to_string()))
        }
        Manner::Word => {
            let word = file.read(buffer)?.trim();
            let index = states.iter().position(|state| is_spelt(state, word));
            // words that the kernel learned later are unknown to us, which is a state too
            if index.is_none() && !is_word(word) {
                let found = word.to_owned();
                return Err(malformed(file.path(), None, "a word", &found));
            }
            let index = u16::try_from(index.unwrap_or(0)).unwrap_or(0);
            Ok(Value::State(index))
        }
    }
}

/// `Not charging` is `not_charging`; without a copy.
fn is_spelt(state: &str, word: &str) -> bool {
    state.len() == word.len()
        && state.bytes().zip(word.bytes()).all(|(ours, theirs)| {
            ours == theirs.to_ascii_lowercase() || (ours == b'_' && theirs == b' ')
        })
}

fn is_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b" _-".contains(&byte))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microunits of a battery are far below 2^53"
)]
const fn whole(number: i64) -> f64 {
    number as f64
}

fn find(root: &SysRoot, out: &mut dyn SampleWriter) -> Result<Vec<Supply>, CollectError> {
    let names = optional(root.list(DIRECTORY))?.unwrap_or_default();
    let mut supplies = Vec::new();
    for name in names.into_iter().take(MOST_SUPPLIES) {
        let directory = format!("{DIRECTORY}/{name}");
        let mut word = |file: &str| {
            root.read_optional_trimmed(&format!("{directory}/{file}"))
                .map_err(|error| out.failure(error))
                .ok()
                .flatten()
                .unwrap_or_default()
        };
        let (kind, scope) = (word("type"), word("scope"));
        if scope == "Device" || kind.starts_with("USB") {
            continue;
        }
        let mut readings: Vec<(Manner, &'static MetricDefinition, KeptFile)> = Vec::new();
        for (file, manner, metric) in &FILES {
            let path = format!("{directory}/{file}");
            let is_told = |(known, of, _): &(Manner, &'static MetricDefinition, KeptFile)| {
                std::ptr::eq(*of, *metric) && !matches!(known, Manner::Limit(..))
            };
            if !readings.iter().any(is_told) && root.exists(&path) {
                readings.push((*manner, metric, KeptFile::attribute(root, &path)));
            }
        }
        if !readings.is_empty() {
            let has_charge = matches!(&*kind, "Battery" | "UPS");
            supplies.push(Supply {
                name,
                part: if has_charge {
                    "battery"
                } else {
                    "power_supply"
                },
                readings,
            });
        }
    }
    Ok(supplies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_spelt_as_the_kernel_does() {
        assert!(is_spelt("not_charging", "Not charging"));
        assert!(is_spelt("unspecified_failure", "Unspecified failure"));
        assert!(!is_spelt("full", "fu"));
        assert!(is_word("Long Life") && !is_word("\u{fffd}") && !is_word(""));
    }
}
