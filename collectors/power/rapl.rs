//! Energy, power and limits of packages, cores and memory, from powercap (RAPL of Intel and AMD, and DTPM).
//!
//! Zones are counted as the kernel finds them (`intel-rapl:0:1`), so they are told by what they are called below their
//! control type: `intel-rapl/package-0/dram`. The same package through memory-mapped registers is a zone of another
//! control type, `intel-rapl-mmio/package-0`.
//!
//! The register behind `energy_uj` wraps within minutes, so what it shows is not what was used. Told is the energy since
//! the collector began, from zero on: a store takes a value below the last one for a counter that began anew, and adds
//! all of it, so a restart that told the register's value would look like kilojoules in a second.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::hardware::{self, LIMIT as LIMIT_LABELS, LimitType, PowerCap, SENSOR};
use glasshouse_core::metric::{Audience, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, ReadBuffer, Spec, SysRoot, optional, ratio};

pub(crate) static RAPL: Spec = Spec {
    name: "rapl",
    summary: "Energy, power and power limits of processor packages, cores and memory.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 1,
    needs: "CAP_DAC_READ_SEARCH: the energy counters are readable by root alone",
    build: |root: SysRoot, _: &Options| {
        Box::new(Rapl {
            root,
            zones: Vec::new(),
            runs: 0,
            buffer: ReadBuffer::new(),
        })
    },
};

const DIRECTORY: &str = "sys/class/powercap";

const MICRO: u32 = 1_000_000;

/// Runs between two looks for zones and limits: ten seconds at the default interval, because a power cap that somebody
/// set shows as slowness long before anybody thinks of it.
const RUNS_BETWEEN_LOOKS: u32 = 10;

/// Constraints of one zone: long term, short term, peak, and room for what is to come.
const MOST_CONSTRAINTS: usize = 8;

/// Zones of one machine: eight packages of four dies with five parts each, by two control types.
const MOST_ZONES: usize = 512;

static METRICS: [MetricDefinition; 6] = [
    hardware::energy("/sys/class/powercap/*/energy_uj"),
    MetricDefinition {
        name: "hw.energy.range",
        unit: "J",
        kind: MetricKind::Gauge,
        value: ValueType::F64,
        help: "Energy after which the hardware's counter begins anew.",
        is_not: "Not a limit of the energy: it is the width of a register.",
        labels: SENSOR,
        source: "/sys/class/powercap/*/max_energy_range_uj",
        audience: Audience::Performance,
    },
    hardware::power_limit(
        "/sys/class/powercap/*/constraint_*_{power_limit,max_power,min_power}_uw",
    ),
    MetricDefinition {
        name: "hw.power.limit.window",
        unit: "s",
        kind: MetricKind::Gauge,
        value: ValueType::F64,
        help: "Time over which a power limit is averaged.",
        is_not: "Not how long a limit lasts: it holds until it is set anew.",
        labels: LIMIT_LABELS,
        source: "/sys/class/powercap/*/constraint_*_time_window_us",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "hw.power.limit.enabled",
        unit: "{state}",
        kind: MetricKind::Gauge,
        value: ValueType::State(&["disabled", "enabled"]),
        help: "Whether the limits of a zone are in force.",
        is_not: "Not whether a limit bites: the part may draw less anyway.",
        labels: SENSOR,
        source: "/sys/class/powercap/*/enabled",
        audience: Audience::Operator,
    },
    hardware::power("/sys/class/powercap/*/{energy_uj,power_uw}"),
];
static ENERGY_USED: &MetricDefinition = &METRICS[0];
static RANGE: &MetricDefinition = &METRICS[1];
static LIMIT: &MetricDefinition = &METRICS[2];
static WINDOW: &MetricDefinition = &METRICS[3];
static ENABLED: &MetricDefinition = &METRICS[4];
static POWER_USED: &MetricDefinition = &METRICS[5];

#[derive(Debug)]
struct Rapl {
    root: SysRoot,
    zones: Vec<Zone>,
    runs: u32,
    buffer: ReadBuffer,
}

#[derive(Debug)]
struct Zone {
    /// The kernel's number of it: `intel-rapl:0:1`.
    number: String,
    /// Control type and names: `intel-rapl/package-0/dram`.
    id: String,
    /// What it measures, with its package: `package-0`, `package-0/dram`.
    name: String,
    /// The id of the zone above, or the control type.
    parent: String,
    /// Its `hw.type`.
    kind: &'static str,
    energy: Option<KeptFile>,
    power: Option<KeptFile>,
    /// Microjoules; `None` where the kernel does not tell.
    range: Option<u64>,
    enabled: Option<bool>,
    unwrapped: Unwrapped,
    limits: Vec<Limit>,
}

#[derive(Debug)]
struct Limit {
    kind: LimitType,
    watts: f64,
    /// Seconds that it is averaged over, where the kernel tells.
    window: Option<f64>,
}

/// What was counted since the first reading, going on where the hardware's counter begins anew.
#[derive(Clone, Copy, Debug, Default)]
struct Unwrapped {
    /// `None` before the first reading.
    last: Option<u64>,
    total: u64,
}

impl Collector for Rapl {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.look(out)?;
        }
        self.runs = self.runs.wrapping_add(1);
        if self.zones.is_empty() {
            self.runs = 0;
            return Ok(Presence::Absent(format!("no zone in `/{DIRECTORY}`")));
        }
        for zone in &mut self.zones {
            zone.write(&mut self.buffer, out);
        }
        Ok(Presence::Present)
    }
}

impl Rapl {
    /// Looks for zones. One that was known and cannot be looked at now stays as it was, and so do all of them where
    /// the directory cannot be listed.
    fn look(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        match optional(self.root.list(DIRECTORY)) {
            Ok(ids) => {
                let before = std::mem::take(&mut self.zones);
                self.zones = find(&self.root, &ids.unwrap_or_default(), before, out);
            }
            Err(error) if self.zones.is_empty() => return Err(error),
            Err(error) => out.failure(error),
        }
        Ok(())
    }
}

impl Zone {
    fn write(&mut self, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        let labels = [&*self.id, &*self.name, &*self.parent];
        let typed = [&*self.id, &*self.name, &*self.parent, self.kind];
        let (unwrapped, range) = (&mut self.unwrapped, self.range);
        if let Some(file) = &mut self.energy {
            let joules = file
                .read_u64(buffer)
                .map(|reading| ratio(unwrapped.advance(reading, range), MICRO));
            write(ENERGY_USED, &typed, joules, out);
        }
        if let Some(file) = &mut self.power {
            let watts = file
                .read_u64(buffer)
                .map(|microwatts| ratio(microwatts, MICRO));
            write(POWER_USED, &typed, watts, out);
        }
        if let Some(range) = range {
            out.sample(RANGE, &labels, Value::F64(ratio(range, MICRO)));
        }
        if let Some(enabled) = self.enabled {
            out.sample(ENABLED, &labels, Value::State(u16::from(enabled)));
        }
        for limit in &self.limits {
            let labels = [&*self.id, &*self.name, &*self.parent, limit.kind.word()];
            out.sample(LIMIT, &labels, Value::F64(limit.watts));
            if let Some(seconds) = limit.window {
                out.sample(WINDOW, &labels, Value::F64(seconds));
            }
        }
    }
}

fn write(
    metric: &'static MetricDefinition,
    labels: &[&str],
    outcome: Result<f64, CollectError>,
    out: &mut dyn SampleWriter,
) {
    match optional(outcome) {
        Ok(Some(value)) => out.sample(metric, labels, Value::F64(value)),
        Ok(None) => {}
        Err(error) => {
            out.absent(metric, labels, error.reason);
            // a zone that has no data, now or ever, says so: that is an answer
            if error.reason != FailureReason::Unsupported {
                out.failure(error);
            }
        }
    }
}

impl Unwrapped {
    /// The total after a reading. A reading below the last one is one wrap, where the range is known and fits; where
    /// it is not, nobody knows what was used meanwhile, and nothing is added.
    fn advance(&mut self, reading: u64, range: Option<u64>) -> u64 {
        let last = self.last.replace(reading).unwrap_or(reading);
        let step = match reading.checked_sub(last) {
            Some(step) => Some(step),
            None => range
                .and_then(|range| range.checked_sub(last))
                .map(|left| left.saturating_add(reading)),
        };
        self.total = self.total.saturating_add(step.unwrap_or(0));
        self.total
    }
}

fn find(
    root: &SysRoot,
    numbers: &[String],
    mut before: Vec<Zone>,
    out: &mut dyn SampleWriter,
) -> Vec<Zone> {
    let mut zones: Vec<Zone> = Vec::new();
    // the control types (`intel-rapl`, `dtpm`) stand among their zones
    for number in numbers.iter().filter(|number| number.contains(':')) {
        if zones.len() >= MOST_ZONES {
            break;
        }
        let known = before.iter().position(|known| known.number == *number);
        let known = known.map(|index| before.swap_remove(index));
        match zone(root, number, &zones, out) {
            Ok(Some(mut zone)) => {
                // a number that now means another zone goes on with nothing
                if let Some(known) = known.filter(|known| known.id == zone.id) {
                    zone.unwrapped = known.unwrapped;
                }
                zones.push(zone);
            }
            Ok(None) => {}
            Err(error) => {
                out.failure(error);
                zones.extend(known);
            }
        }
    }
    zones
}

/// `None` where there is no such zone any more. Zones before it in the list hold its parent: `intel-rapl:0` sorts before
/// `intel-rapl:0:1`.
fn zone(
    root: &SysRoot,
    number: &str,
    known: &[Zone],
    out: &mut dyn SampleWriter,
) -> Result<Option<Zone>, CollectError> {
    let directory = format!("{DIRECTORY}/{number}");
    let file = |name: &str| {
        let path = format!("{directory}/{name}");
        root.exists(&path).then(|| KeptFile::attribute(root, &path))
    };
    let (energy, power) = (file("energy_uj"), file("power_uw"));
    let own_name = root.read_optional_trimmed(&format!("{directory}/name"))?;
    let limits = limits(root, &directory, out);
    if energy.is_none() && power.is_none() && limits.is_empty() {
        return Ok(None);
    }
    let own_name = own_name.unwrap_or_else(|| number.to_owned());
    let above = number.rsplit_once(':').map_or("", |(above, _)| above);
    let above_zone = known.iter().find(|zone| zone.number == above);
    let name = above_zone.map_or_else(
        || own_name.clone(),
        |above| format!("{}/{own_name}", above.name),
    );
    let parent = above_zone.map_or_else(|| above.to_owned(), |above| above.id.clone());
    let range = root.read_optional_u64(&format!("{directory}/max_energy_range_uj"));
    let enabled = root.read_optional_u64(&format!("{directory}/enabled"));
    Ok(Some(Zone {
        number: number.to_owned(),
        id: unlike(format!("{parent}/{own_name}"), known),
        name,
        parent,
        kind: kind(&own_name),
        energy,
        power,
        range: noted(range, out).filter(|range| *range > 0),
        enabled: noted(enabled, out).map(|enabled| enabled != 0),
        unwrapped: Unwrapped::default(),
        limits,
    }))
}

/// The name, or where one before has it, the name with a number: `intel-rapl/package-0#2`.
fn unlike(name: String, known: &[Zone]) -> String {
    let is_free = |name: &str| known.iter().all(|zone| zone.id != name);
    if is_free(&name) {
        return name;
    }
    (2..=MOST_ZONES)
        .map(|n| format!("{name}#{n}"))
        .find(|name| is_free(name))
        .unwrap_or(name)
}

/// The `hw.type` of a zone by its own name. All but these are parts of the processor: packages, dies, cores, uncore.
fn kind(own_name: &str) -> &'static str {
    match own_name {
        "dram" => "memory",
        // the whole platform
        "psys" => "enclosure",
        _ => "cpu",
    }
}

fn limits(root: &SysRoot, directory: &str, out: &mut dyn SampleWriter) -> Vec<Limit> {
    let mut limits: Vec<Limit> = Vec::new();
    for n in 0..MOST_CONSTRAINTS {
        let mut read = |what: &str| {
            let path = format!("{directory}/constraint_{n}_{what}");
            noted(root.read_optional_u64(&path), out)
        };
        let (set, most, least, window) = (
            read("power_limit_uw"),
            read("max_power_uw"),
            read("min_power_uw"),
            read("time_window_us"),
        );
        let word = root.read_optional_trimmed(&format!("{directory}/constraint_{n}_name"));
        let cap = cap_named(noted(word, out).as_deref());
        if limits.iter().any(|known| known.kind == LimitType::Cap(cap)) {
            continue;
        }
        let window = window
            .filter(|microseconds| *microseconds > 0)
            .map(|microseconds| ratio(microseconds, MICRO));
        // 0 is no limit: none set, or none told by the firmware
        for (kind, microwatts, window) in [
            (LimitType::Cap(cap), set, window),
            (LimitType::CapMax(cap), most, None),
            (LimitType::CapMin(cap), least, None),
        ] {
            if let Some(microwatts @ 1..) = microwatts {
                let watts = ratio(microwatts, MICRO);
                limits.push(Limit {
                    kind,
                    watts,
                    window,
                });
            }
        }
    }
    limits
}

/// The cap that a driver means by a name: RAPL has three; DTPM and SCMI have one, and names of their own.
fn cap_named(name: Option<&str>) -> PowerCap {
    match name {
        Some("long_term") => PowerCap::LongTerm,
        Some("short_term") => PowerCap::ShortTerm,
        Some("peak_power") => PowerCap::Peak,
        _ => PowerCap::Only,
    }
}

/// What was read; a file that says that it has nothing is as good as none.
fn noted<T>(outcome: Result<Option<T>, CollectError>, out: &mut dyn SampleWriter) -> Option<T> {
    match outcome {
        Ok(read) => read,
        Err(error) => {
            if error.reason != FailureReason::Unsupported {
                out.failure(error);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_from_the_first_reading_and_a_wrap_goes_on() {
        let mut counter = Unwrapped::default();
        let range = Some(1000);
        assert_eq!(counter.advance(900, range), 0);
        assert_eq!(counter.advance(100, range), 200);
        assert_eq!(counter.advance(300, range), 400);
        // without a range nobody knows how much was lost
        assert_eq!(counter.advance(200, None), 400);
        assert_eq!(counter.advance(260, None), 460);
        // a last reading outside the range cannot be a wrap
        assert_eq!(counter.advance(5260, range), 5460);
        assert_eq!(counter.advance(7, range), 5460);
        assert_eq!(counter.advance(8, range), 5461);
        let mut huge = Unwrapped::default();
        huge.advance(0, Some(u64::MAX));
        huge.advance(u64::MAX, Some(u64::MAX));
        assert_eq!(huge.advance(5, Some(u64::MAX)), u64::MAX);
    }
}
