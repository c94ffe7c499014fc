//! Temperatures, voltages, currents, power, fans and energy of hardware monitoring chips, from `/sys/class/hwmon`.
//!
//! The number in `hwmon3` changes between boots. A chip is therefore named by its driver and the device behind it
//! (`coretemp@coretemp.0`, `nvme@0000:17:00.0`), and where two share even that, numbered from the second on in the order
//! of their places in `/sys/devices`.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::options::{OptionDefault, OptionDefinition, Options};
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{
    KeptFile, Patterns, ReadBuffer, Spec, SysRoot, optional, stable_device, unique_names,
};

use crate::metrics::{
    CURRENT, ENERGY, FAN_SPEED, POWER, POWER_LIMIT, TEMPERATURE, TEMPERATURE_LIMIT, VOLTAGE,
};

pub(crate) static HWMON: Spec = Spec {
    name: "hwmon",
    summary: "Temperatures, voltages, currents, power, fans and energy of monitoring chips.",
    metrics: &METRICS,
    facts: &[],
    options: &[OptionDefinition {
        name: "exclude_chips",
        help: "Chips to leave out, by the driver's name: names, or the start of one and `*`.",
        default: OptionDefault::TextList(&[]),
    }],
    // reading wakes idle cores (coretemp) or waits for a slow bus (i2c), and heat moves slowly
    interval_seconds: 5,
    needs: "",
    build: |root: SysRoot, options: &Options| {
        Box::new(Hwmon {
            root,
            exclude: Patterns::new(options.text_list("exclude_chips")),
            sensors: Vec::new(),
            runs: 0,
            buffer: ReadBuffer::new(),
        })
    },
};

const DIRECTORY: &str = "sys/class/hwmon";

/// Runs between two looks for chips, labels and limits: five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 60;

static METRICS: [MetricDefinition; 8] = [
    TEMPERATURE,
    TEMPERATURE_LIMIT,
    VOLTAGE,
    CURRENT,
    POWER,
    POWER_LIMIT,
    FAN_SPEED,
    ENERGY,
];

/// A kind of sensor: how its files are called, and what a unit of them is.
#[derive(Debug)]
struct Kind {
    /// `temp` in `temp1_input`.
    stem: &'static str,
    /// Files with the reading, best first.
    readings: &'static [&'static str],
    metric: &'static MetricDefinition,
    /// Units of the file in one of the metric.
    divisor: f64,
    /// Files with limits, and the word for each.
    limits: &'static [(&'static str, &'static str)],
    limit: Option<&'static MetricDefinition>,
    /// Whether its metric serves all kinds of parts, so that the kind is a label.
    typed: bool,
}

/// Labels of a sensor before its type.
const UNTYPED_LABELS: usize = 3;

const MILLI: f64 = 1000.0;
const MICRO: f64 = 1_000_000.0;

static KINDS: [Kind; 6] = [
    Kind {
        stem: "temp",
        readings: &["input"],
        metric: &METRICS[0],
        divisor: MILLI,
        limits: &[
            ("max", "high.degraded"),
            ("crit", "high.critical"),
            ("emergency", "high.emergency"),
        ],
        limit: Some(&METRICS[1]),
        typed: false,
    },
    Kind {
        stem: "in",
        readings: &["input"],
        metric: &METRICS[2],
        divisor: MILLI,
        limits: &[],
        limit: None,
        typed: false,
    },
    Kind {
        stem: "curr",
        readings: &["input"],
        metric: &METRICS[3],
        divisor: MILLI,
        limits: &[],
        limit: None,
        typed: false,
    },
    Kind {
        stem: "power",
        readings: &["average", "input"],
        metric: &METRICS[4],
        divisor: MICRO,
        limits: &[("cap", "cap"), ("crit", "high.critical")],
        limit: Some(&METRICS[5]),
        typed: true,
    },
    Kind {
        stem: "fan",
        readings: &["input"],
        metric: &METRICS[6],
        divisor: 1.0,
        limits: &[],
        limit: None,
        typed: false,
    },
    Kind {
        stem: "energy",
        readings: &["input"],
        metric: &METRICS[7],
        divisor: MICRO,
        limits: &[],
        limit: None,
        typed: true,
    },
];

#[derive(Debug)]
struct Hwmon {
    root: SysRoot,
    exclude: Patterns,
    sensors: Vec<Sensor>,
    runs: u32,
    buffer: ReadBuffer,
}

#[derive(Debug)]
struct Sensor {
    kind: &'static Kind,
    id: String,
    name: String,
    chip: String,
    /// The `hw.type` of what the chip is in.
    part: &'static str,
    reading: KeptFile,
    /// Says 1 while the sensor is broken or not connected.
    fault: Option<KeptFile>,
    /// The word for each limit, and the value.
    limits: Vec<(&'static str, f64)>,
}

impl Collector for Hwmon {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.sensors = find(&self.root, &self.exclude, out)?;
        }
        self.runs = self.runs.wrapping_add(1);
        if self.sensors.is_empty() {
            self.runs = 0;
            return Ok(Presence::Absent(format!("no sensor in `/{DIRECTORY}`")));
        }
        for sensor in &mut self.sensors {
            sensor.write(&mut self.buffer, out);
        }
        Ok(Presence::Present)
    }
}

impl Sensor {
    fn write(&mut self, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        let typed = [&*self.id, &*self.name, &*self.chip, self.part];
        let labels = if self.kind.typed {
            &typed
        } else {
            typed.get(..UNTYPED_LABELS).unwrap_or_default()
        };
        let broken = match self.fault.as_mut().map(|fault| fault.read_u64(buffer)) {
            Some(Ok(fault)) => fault != 0,
            Some(Err(error)) => {
                out.failure(error);
                false
            }
            None => false,
        };
        let reading = optional(self.reading.read_i64(buffer));
        match reading {
            _ if broken => out.absent(self.kind.metric, labels, FailureReason::Unsupported),
            Ok(Some(number)) => {
                let value = Value::F64(divided(number, self.kind.divisor));
                out.sample(self.kind.metric, labels, value);
            }
            Ok(None) => {}
            Err(error) => {
                out.absent(self.kind.metric, labels, error.reason);
                out.failure(error);
            }
        }
        if let Some(metric) = self.kind.limit {
            for (limit, value) in &self.limits {
                let labels = [&*self.id, &*self.name, &*self.chip, limit];
                out.sample(metric, &labels, Value::F64(*value));
            }
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "energy beyond 2^53 microjoules loses its last bits only"
)]
fn divided(number: i64, divisor: f64) -> f64 {
    number as f64 / divisor
}

fn find(
    root: &SysRoot,
    exclude: &Patterns,
    out: &mut dyn SampleWriter,
) -> Result<Vec<Sensor>, CollectError> {
    let mut chips: Vec<Chip> = Vec::new();
    for name in optional(root.list(DIRECTORY))?.unwrap_or_default() {
        let directory = format!("{DIRECTORY}/{name}");
        match root.read_optional_trimmed(&format!("{directory}/name")) {
            Ok(driver) => {
                let driver = driver.unwrap_or_else(|| "unknown".to_owned());
                if !exclude.matches(&driver) {
                    chips.push(Chip::new(root, directory, &driver));
                }
            }
            Err(error) => out.failure(error),
        }
    }
    // by name and place, so that the numbering does not depend on the order of discovery alone
    chips.sort_by(|a, b| (&a.name, &a.place).cmp(&(&b.name, &b.place)));
    let mut names: Vec<String> = chips.iter().map(|chip| chip.name.clone()).collect();
    unique_names(&mut names);
    let mut sensors = Vec::new();
    for (name, chip) in names.into_iter().zip(chips) {
        let chip = Chip { name, ..chip };
        match root.list(&chip.directory) {
            Ok(files) => sensors.extend(find_sensors(root, &chip, &files, out)),
            Err(error) => out.failure(error),
        }
    }
    Ok(sensors)
}

#[derive(Debug)]
struct Chip {
    name: String,
    /// Where it stands in `/sys/devices`, without its own number; empty where its class folder is no link.
    place: String,
    directory: String,
    part: &'static str,
}

impl Chip {
    /// Named `coretemp@coretemp.0`, `nvme@0000:17:00.0`, or by the driver alone where no device stands behind it.
    fn new(root: &SysRoot, directory: String, driver: &str) -> Self {
        let place = root.link_target(&directory).unwrap_or_default();
        let place = place.rsplit_once('/').map_or("", |(place, _)| place);
        // classes of devices have a folder between, unless the device is of a class itself
        let place = place.strip_suffix("/hwmon").unwrap_or(place).to_owned();
        let device = if place.is_empty() {
            root.link_name(&format!("{directory}/device"))
        } else {
            stable_device(&place)
        };
        let name = device.map_or_else(|| driver.to_owned(), |device| format!("{driver}@{device}"));
        Self {
            name,
            place,
            directory,
            part: part(driver),
        }
    }
}

/// Drivers whose chips measure power or energy, and the `hw.type` of the part that they are in.
const PARTS: [(&str, &[&str]); 7] = [
    (
        "cpu",
        &[
            "amd_energy",
            "coretemp",
            "fam15h_power",
            "k10temp",
            "zenpower",
        ],
    ),
    ("enclosure", &["power_meter"]),
    ("gpu", &["amdgpu", "i915", "nouveau", "radeon", "xe"]),
    ("memory", &["jc42", "spd5118"]),
    ("network", &["bnxt_en", "ice", "iwlwifi*", "mlx5", "nfp"]),
    ("physical_disk", &["drivetemp", "nvme"]),
    (
        "power_supply",
        &[
            "acbel_fsg032",
            "bel-pfe",
            "bpa-rs600",
            "cffps*",
            "corsairpsu",
            "crps",
            "dps*",
            "fsp*",
            "pfe*",
            "pmbus",
        ],
    ),
];

fn part(driver: &str) -> &'static str {
    let known = |names: &&[&str]| {
        names.iter().any(|name| match name.strip_suffix('*') {
            Some(start) => driver.starts_with(start),
            None => driver == *name,
        })
    };
    PARTS
        .iter()
        .find(|(_, names)| known(names))
        .map_or("other", |(part, _)| part)
}

fn find_sensors(
    root: &SysRoot,
    chip: &Chip,
    files: &[String],
    out: &mut dyn SampleWriter,
) -> Vec<Sensor> {
    let mut sensors: Vec<Sensor> = Vec::new();
    let has = |file: &str| files.iter().any(|known| known == file);
    for file in files {
        let Some((kind, channel)) = reading_of(file, &has) else {
            continue;
        };
        let directory = &chip.directory;
        let path = |what: &str| format!("{directory}/{channel}_{what}");
        let label = root.read_optional_trimmed(&path("label"));
        let label = noted(label, out).unwrap_or_else(|| channel.to_owned());
        let mut limits = Vec::new();
        for (file, word) in kind.limits {
            if has(&format!("{channel}_{file}"))
                && let Some(number) = noted(read_number(root, &path(file)), out)
            {
                limits.push((*word, divided(number, kind.divisor)));
            }
        }
        sensors.push(Sensor {
            kind,
            id: format!("{}/{channel}", chip.name),
            name: label,
            chip: chip.name.clone(),
            part: chip.part,
            reading: KeptFile::attribute(root, &format!("{directory}/{file}")),
            fault: has(&format!("{channel}_fault"))
                .then(|| KeptFile::attribute(root, &path("fault"))),
            limits,
        });
    }
    sensors
}

/// The kind and channel (`temp1`) of a file with a reading, where no better file of the channel exists.
fn reading_of<'f>(file: &'f str, has: &impl Fn(&str) -> bool) -> Option<(&'static Kind, &'f str)> {
    let (channel, what) = file.split_once('_')?;
    let stem = channel.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == channel.len() {
        return None;
    }
    let kind = KINDS.iter().find(|kind| kind.stem == stem)?;
    let best = kind
        .readings
        .iter()
        .find(|reading| has(&format!("{channel}_{reading}")))?;
    (*best == what).then_some((kind, channel))
}

fn read_number(root: &SysRoot, path: &str) -> Result<Option<i64>, CollectError> {
    optional(KeptFile::attribute(root, path).read_i64(&mut ReadBuffer::new()))
}

fn noted<T>(outcome: Result<Option<T>, CollectError>, out: &mut dyn SampleWriter) -> Option<T> {
    outcome.map_err(|error| out.failure(error)).ok().flatten()
}
