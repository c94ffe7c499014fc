//! Energy and power limits of packages, cores and memory, from powercap (RAPL of Intel and AMD).
//!
//! The register behind `energy_uj` wraps within minutes, so what it shows is not what was used. Told is the energy since
//! the collector began, from zero on: a store takes a value below the last one for a counter that began anew, and adds
//! all of it, so a restart that told the register's value would look like kilojoules in a second.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, ReadBuffer, Spec, SysRoot, optional, ratio};

use crate::metrics::{ENERGY, POWER_LIMIT, SENSOR};

pub(crate) static RAPL: Spec = Spec {
    name: "rapl",
    summary: "Energy and power limits of processor packages, cores and memory.",
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

/// Constraints of one zone: long term, short term, peak.
const MOST_CONSTRAINTS: usize = 3;

static METRICS: [MetricDefinition; 3] = [
    ENERGY,
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
    POWER_LIMIT,
];
static ENERGY_USED: &MetricDefinition = &METRICS[0];
static RANGE: &MetricDefinition = &METRICS[1];
static LIMIT: &MetricDefinition = &METRICS[2];

#[derive(Debug)]
struct Rapl {
    root: SysRoot,
    zones: Vec<Zone>,
    runs: u32,
    buffer: ReadBuffer,
}

#[derive(Debug)]
struct Zone {
    /// The kernel's name, which follows the hardware: `intel-rapl:0:1`.
    id: String,
    /// What it measures, with its package: `package-0`, `package-0/dram`.
    name: String,
    parent: String,
    /// Its `hw.type`.
    kind: &'static str,
    energy: KeptFile,
    /// Microjoules; `None` where the kernel does not tell.
    range: Option<u64>,
    unwrapped: Unwrapped,
    /// The word for each limit, and watts.
    limits: Vec<(String, f64)>,
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
        match optional(self.energy.read_u64(buffer)) {
            Ok(Some(microjoules)) => {
                let total = self.unwrapped.advance(microjoules, self.range);
                out.sample(ENERGY_USED, &typed, Value::F64(ratio(total, MICRO)));
            }
            Ok(None) => {}
            Err(error) => {
                out.absent(ENERGY_USED, &typed, error.reason);
                out.failure(error);
            }
        }
        if let Some(range) = self.range {
            out.sample(RANGE, &labels, Value::F64(ratio(range, MICRO)));
        }
        for (limit, watts) in &self.limits {
            let labels = [&*self.id, &*self.name, &*self.parent, limit];
            out.sample(LIMIT, &labels, Value::F64(*watts));
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
    ids: &[String],
    mut before: Vec<Zone>,
    out: &mut dyn SampleWriter,
) -> Vec<Zone> {
    let mut zones: Vec<Zone> = Vec::new();
    for id in ids {
        // the control types (`intel-rapl`, `dtpm`) stand among their zones
        if !id.contains(':') || !root.exists(&format!("{DIRECTORY}/{id}/energy_uj")) {
            continue;
        }
        let known = before.iter().position(|known| known.id == *id);
        let known = known.map(|index| before.swap_remove(index));
        match zone(root, id, &zones, out) {
            Ok(mut zone) => {
                if let Some(known) = known {
                    zone.unwrapped = known.unwrapped;
                }
                zones.push(zone);
            }
            Err(error) => {
                out.failure(error);
                zones.extend(known);
            }
        }
    }
    zones
}

/// Zones before it in the list hold its parent: `intel-rapl:0` sorts before `intel-rapl:0:1`.
fn zone(
    root: &SysRoot,
    id: &str,
    known: &[Zone],
    out: &mut dyn SampleWriter,
) -> Result<Zone, CollectError> {
    let directory = format!("{DIRECTORY}/{id}");
    let own_name = root.read_trimmed(&format!("{directory}/name"))?;
    let kind = kind(&own_name);
    let parent = id.rsplit_once(':').map_or("", |(parent, _)| parent);
    let name = match known.iter().find(|zone| zone.id == parent) {
        Some(parent) => format!("{}/{own_name}", parent.name),
        None => own_name,
    };
    let range = root.read_optional_u64(&format!("{directory}/max_energy_range_uj"));
    Ok(Zone {
        name: if name.is_empty() { id.to_owned() } else { name },
        id: id.to_owned(),
        parent: parent.to_owned(),
        kind,
        energy: KeptFile::attribute(root, &format!("{directory}/energy_uj")),
        range: noted(range, out).filter(|range| *range > 0),
        unwrapped: Unwrapped::default(),
        limits: limits(root, &directory, out),
    })
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

fn limits(root: &SysRoot, directory: &str, out: &mut dyn SampleWriter) -> Vec<(String, f64)> {
    let mut limits: Vec<(String, f64)> = Vec::new();
    for n in 0..MOST_CONSTRAINTS {
        let file = |what: &str| format!("{directory}/constraint_{n}_{what}");
        let word = root.read_optional_trimmed(&file("name"));
        let word = noted(word, out).unwrap_or_else(|| format!("constraint_{n}"));
        if limits.iter().any(|(known, _)| *known == word) {
            continue;
        }
        // 0 is no limit: none set, or none told by the firmware
        let set = root.read_optional_u64(&file("power_limit_uw"));
        if let Some(microwatts @ 1..) = noted(set, out) {
            limits.push((word.clone(), ratio(microwatts, MICRO)));
        }
        let rated = root.read_optional_u64(&file("max_power_uw"));
        if let Some(microwatts @ 1..) = noted(rated, out) {
            limits.push((format!("{word}.rated"), ratio(microwatts, MICRO)));
        }
    }
    limits
}

fn noted<T>(outcome: Result<Option<T>, CollectError>, out: &mut dyn SampleWriter) -> Option<T> {
    outcome.map_err(|error| out.failure(error)).ok().flatten()
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
