//! Thermal zones and cooling devices of the kernel, from `/sys/class/thermal`.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::hardware::{self, LimitType};
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::{OptionDefault, OptionDefinition, Options};
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{
    KeptFile, Patterns, ReadBuffer, Spec, SysRoot, optional, stable_device, unique_names,
};

pub(crate) static THERMAL: Spec = Spec {
    name: "thermal",
    summary: "Thermal zones of the kernel with their trip points, and how hard its cooling devices work.",
    metrics: &METRICS,
    facts: &[],
    options: &[OptionDefinition {
        name: "exclude_cooling",
        help: "Types of cooling devices to leave out: names, or the start of one and `*`. ACPI makes one of each processor.",
        default: OptionDefault::TextList(&["Processor"]),
    }],
    // a zone of ACPI runs code of the firmware, that of a package interrupts a core
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, options: &Options| {
        Box::new(Thermal {
            root,
            exclude: Patterns::new(options.text_list("exclude_cooling")),
            zones: Vec::new(),
            cooling: Vec::new(),
            runs: 0,
            buffer: ReadBuffer::new(),
        })
    },
};

const DIRECTORY: &str = "sys/class/thermal";

/// Runs between two looks for zones: five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 30;

/// What all zones and cooling devices belong to.
const PARENT: &str = "thermal";

const MILLI: f64 = 1000.0;

/// Trip points of one zone: the kernel allowed twelve until it dropped the limit.
const MOST_TRIPS: usize = 64;

/// Zones and cooling devices of each kind: large machines have a few hundred.
const MOST_DEVICES: usize = 2048;

const COOLING_LABELS: &[LabelDefinition] = &[
    LabelDefinition {
        key: "hw.id",
        help: "The type of the cooling device and, where firmware names it, which; equal ones numbered from the second on.",
    },
    LabelDefinition {
        key: "hw.name",
        help: "The kernel's name of the cooling device.",
    },
];

const fn level(
    name: &'static str,
    help: &'static str,
    is_not: &'static str,
    source: &'static str,
) -> MetricDefinition {
    MetricDefinition {
        name,
        // a share it is not, and unit `1` would be called one
        unit: "{level}",
        kind: MetricKind::Gauge,
        value: ValueType::F64,
        help,
        is_not,
        labels: COOLING_LABELS,
        source,
        audience: Audience::Operator,
    }
}

static METRICS: [MetricDefinition; 4] = [
    hardware::temperature("/sys/class/thermal/thermal_zone*/temp"),
    level(
        "hw.cooling.level",
        "How hard a cooling device works, from 0 (not at all) to its limit.",
        "Not a share and not comparable between devices: each has its own scale.",
        "/sys/class/thermal/cooling_device*/cur_state",
    ),
    level(
        "hw.cooling.level.limit",
        "The hardest that a cooling device can work.",
        "Not how hard it works.",
        "/sys/class/thermal/cooling_device*/max_state",
    ),
    hardware::temperature_limit("/sys/class/thermal/thermal_zone*/trip_point_*_temp"),
];
static ZONE: &MetricDefinition = &METRICS[0];
static LEVEL: &MetricDefinition = &METRICS[1];
static LEVEL_LIMIT: &MetricDefinition = &METRICS[2];
static TRIP: &MetricDefinition = &METRICS[3];

#[derive(Debug)]
struct Thermal {
    root: SysRoot,
    exclude: Patterns,
    zones: Vec<Zone>,
    cooling: Vec<Cooling>,
    runs: u32,
    buffer: ReadBuffer,
}

#[derive(Debug)]
struct Reading {
    /// The type as the kernel says it.
    kind: String,
    id: String,
    name: String,
    file: KeptFile,
}

#[derive(Debug)]
struct Zone {
    reading: Reading,
    /// The word for each trip point, and degrees.
    trips: Vec<(LimitType, f64)>,
}

#[derive(Debug)]
struct Cooling {
    level: Reading,
    limit: KeptFile,
}

impl Collector for Thermal {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.find(out)?;
        }
        self.runs = self.runs.wrapping_add(1);
        if self.zones.is_empty() && self.cooling.is_empty() {
            self.runs = 0;
            return Ok(Presence::Absent(format!("no zone in `/{DIRECTORY}`")));
        }
        let buffer = &mut self.buffer;
        for zone in &mut self.zones {
            let Reading { id, name, file, .. } = &mut zone.reading;
            let celsius = file.read_i64(buffer).map(|milli| whole(milli) / MILLI);
            write(ZONE, &[id, name, PARENT], celsius, out);
            for (limit, celsius) in &zone.trips {
                let labels = [id.as_str(), name.as_str(), PARENT, limit.word()];
                out.sample(TRIP, &labels, Value::F64(*celsius));
            }
        }
        for device in &mut self.cooling {
            let labels = [&*device.level.id, &*device.level.name];
            match device.level.file.read_i64(buffer) {
                // intel_powerclamp says -1 while it is not at work
                Ok(..0) => out.absent(LEVEL, &labels, FailureReason::Unsupported),
                level => write(LEVEL, &labels, level.map(whole), out),
            }
            let limit = device.limit.read_i64(buffer).map(whole);
            write(LEVEL_LIMIT, &labels, limit, out);
        }
        Ok(Presence::Present)
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
            // a zone that is switched off says that it has no data: that is an answer
            if error.reason != FailureReason::Unsupported {
                out.failure(error);
            }
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a temperature or a level is far below 2^53"
)]
const fn whole(number: i64) -> f64 {
    number as f64
}

impl Thermal {
    fn find(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let names = optional(self.root.list(DIRECTORY))?.unwrap_or_default();
        let of = |stem| {
            let of_kind = names.iter().filter(move |name| name.starts_with(stem));
            of_kind.take(MOST_DEVICES)
        };
        let zones = self.readings(of("thermal_zone"), "temp", out);
        self.zones = zones
            .into_iter()
            .map(|reading| Zone {
                trips: self.trips(&reading.name, out),
                reading,
            })
            .collect();
        let levels = self.readings(of("cooling_device"), "cur_state", out);
        self.cooling = levels
            .into_iter()
            .filter(|level| !self.exclude.matches(&level.kind))
            .map(|level| Cooling {
                limit: KeptFile::attribute(
                    &self.root,
                    &format!("{DIRECTORY}/{}/max_state", level.name),
                ),
                level,
            })
            .collect();
        Ok(())
    }

    fn readings<'n>(
        &self,
        names: impl Iterator<Item = &'n String>,
        file: &str,
        out: &mut dyn SampleWriter,
    ) -> Vec<Reading> {
        let mut found: Vec<(String, &String)> = Vec::new();
        for name in names {
            match self
                .root
                .read_optional_trimmed(&format!("{DIRECTORY}/{name}/type"))
            {
                Ok(kind) => found.push((kind.unwrap_or_else(|| name.clone()), name)),
                Err(error) => out.failure(error),
            }
        }
        let mut ids: Vec<String> = found
            .iter()
            .map(|(kind, name)| self.stable_name(kind, name, out))
            .collect();
        unique_names(&mut ids);
        ids.into_iter()
            .zip(found)
            .map(|(id, (kind, name))| Reading {
                kind,
                id,
                name: name.clone(),
                file: KeptFile::attribute(&self.root, &format!("{DIRECTORY}/{name}/{file}")),
            })
            .collect()
    }

    /// The temperatures at which the kernel does something about a zone. Ones that are not set are left out;
    /// of several of one kind, the lowest counts: there it begins.
    fn trips(&self, zone: &str, out: &mut dyn SampleWriter) -> Vec<(LimitType, f64)> {
        let mut trips: Vec<(LimitType, f64)> = Vec::new();
        for n in 0..MOST_TRIPS {
            let trip = format!("{DIRECTORY}/{zone}/trip_point_{n}");
            let kind = self.root.read_optional_trimmed(&format!("{trip}_type"));
            let milli = KeptFile::attribute(&self.root, &format!("{trip}_temp"))
                .read_i64(&mut ReadBuffer::new());
            let (Some(kind), Some(milli)) = (noted(kind, out), noted(optional(milli), out)) else {
                break;
            };
            // 0 and -274 °C say that nobody set it
            if milli > 0 {
                let (kind, celsius) = (trip_type(&kind), whole(milli) / MILLI);
                match trips.iter_mut().find(|(known, _)| *known == kind) {
                    Some((_, lowest)) => *lowest = lowest.min(celsius),
                    None => trips.push((kind, celsius)),
                }
            }
        }
        trips
    }

    /// `acpitz@LNXTHERM:00`, or the type alone where no device stands behind it: the kernel's own number is the order
    /// in which it found them.
    fn stable_name(&self, kind: &str, name: &str, out: &mut dyn SampleWriter) -> String {
        let device = self.root.link_target(&format!("{DIRECTORY}/{name}/device"));
        match device.and_then(|device| stable_device(&self.root, &device, out)) {
            Some(device) => format!("{kind}@{device}"),
            None => kind.to_owned(),
        }
    }
}

/// The limit that a kind of trip point is: `critical` turns the machine off, `hot` warns, `passive` slows down, `active`
/// turns fans on.
fn trip_type(kind: &str) -> LimitType {
    match kind {
        "critical" => LimitType::HighCritical,
        "hot" => LimitType::HighDegraded,
        "passive" => LimitType::Throttled,
        "active" => LimitType::Cooled,
        _ => LimitType::Other,
    }
}

fn noted<T>(outcome: Result<Option<T>, CollectError>, out: &mut dyn SampleWriter) -> Option<T> {
    outcome.map_err(|error| out.failure(error)).ok().flatten()
}
