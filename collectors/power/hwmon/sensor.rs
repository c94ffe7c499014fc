//! One channel of a chip: its readings, whether it is broken, its limits.

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::hardware::LimitType;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, ReadBuffer, SysRoot, optional};

use super::chip::Chip;
use super::kind::{Kind, kind_of, parts};
use super::part::part_of_socket;
use super::{FAULT, MOST_SENSORS};

/// One channel with at least one reading.
#[derive(Debug)]
pub(super) struct Sensor {
    kind: &'static Kind,
    pub(super) id: String,
    /// Its own label, else its channel.
    pub(super) name: String,
    pub(super) chip: String,
    /// The `hw.type` of what the chip is in.
    part: &'static str,
    readings: Vec<Reading>,
    /// Says 1 while the sensor is broken or not connected.
    fault: Option<KeptFile>,
    /// Which limits, and their values.
    limits: Vec<(LimitType, f64)>,
}

#[derive(Debug)]
struct Reading {
    metric: &'static MetricDefinition,
    typed: bool,
    file: KeptFile,
}

/// Labels of a sensor before its type.
const UNTYPED_LABELS: usize = 3;

impl Sensor {
    /// Writes all of it; gives the first reading, in units of its metric.
    pub(super) fn write(
        &mut self,
        buffer: &mut ReadBuffer,
        out: &mut dyn SampleWriter,
    ) -> Result<f64, FailureReason> {
        let typed = [&*self.id, &*self.name, &*self.chip, self.part];
        let untyped = typed.get(..UNTYPED_LABELS).unwrap_or_default();
        let broken = match self.fault.as_mut().map(|fault| fault.read_u64(buffer)) {
            Some(outcome) => told_fault(outcome, untyped, out),
            None => false,
        };
        let mut first = None;
        for reading in &mut self.readings {
            let labels = if reading.typed { &typed } else { untyped };
            let outcome = match optional(reading.file.read_i64(buffer)) {
                _ if broken => Err(FailureReason::Unsupported),
                Ok(Some(number)) => Ok(divided(number, self.kind.divisor)),
                Ok(None) => {
                    first.get_or_insert(Err(FailureReason::Missing));
                    continue;
                }
                Err(error) => Err(told(error, out)),
            };
            match outcome {
                Ok(value) => out.sample(reading.metric, labels, Value::F64(value)),
                Err(reason) => out.absent(reading.metric, labels, reason),
            }
            first.get_or_insert(outcome);
        }
        if let Some(metric) = self.kind.limit {
            for (limit, value) in &self.limits {
                let labels = [&*self.id, &*self.name, &*self.chip, limit.word()];
                out.sample(metric, &labels, Value::F64(*value));
            }
        }
        first.unwrap_or(Err(FailureReason::Missing))
    }
}

/// A sensor that says that it has no data, now or ever, is an answer and no failure.
pub(super) fn told(error: CollectError, out: &mut dyn SampleWriter) -> FailureReason {
    let reason = error.reason;
    if reason != FailureReason::Unsupported {
        out.failure(error);
    }
    reason
}

fn told_fault(
    outcome: Result<u64, CollectError>,
    labels: &[&str],
    out: &mut dyn SampleWriter,
) -> bool {
    match optional(outcome) {
        Ok(Some(fault)) => {
            out.sample(FAULT, labels, Value::State(u16::from(fault != 0)));
            fault != 0
        }
        Ok(None) => false,
        Err(error) => {
            let reason = told(error, out);
            out.absent(FAULT, labels, reason);
            false
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "energy beyond 2^53 microjoules loses its last bits only"
)]
pub(super) fn divided(number: i64, divisor: f64) -> f64 {
    number as f64 / divisor
}

/// Every channel of a chip that has a reading.
pub(super) fn find(root: &SysRoot, chip: &Chip, out: &mut dyn SampleWriter) -> Vec<Sensor> {
    let mut sensors: Vec<Sensor> = Vec::new();
    let mut last = "";
    for (channel, stem) in channels(chip) {
        // files are sorted, so those of a channel stand together but for those of its kind with the same start
        if channel == last || sensors.len() >= MOST_SENSORS {
            continue;
        }
        last = channel;
        if let Some(kind) = kind_of(stem)
            && !sensors.iter().any(|known| is_channel(known, chip, channel))
            && let Some(sensor) = sensor(root, chip, kind, channel, out)
        {
            sensors.push(sensor);
        }
    }
    sensors
}

fn is_channel(sensor: &Sensor, chip: &Chip, channel: &str) -> bool {
    sensor
        .id
        .strip_prefix(&*chip.name)
        .and_then(|rest| rest.strip_prefix('/'))
        == Some(channel)
}

/// Channel and stem of each file that has them.
pub(super) fn channels(chip: &Chip) -> impl Iterator<Item = (&str, &str)> {
    chip.files
        .iter()
        .filter_map(|file| parts(file))
        .map(|(channel, stem, _)| (channel, stem))
}

fn sensor(
    root: &SysRoot,
    chip: &Chip,
    kind: &'static Kind,
    channel: &str,
    out: &mut dyn SampleWriter,
) -> Option<Sensor> {
    let file = |what: &str| match what {
        "" => channel.to_owned(),
        what => format!("{channel}_{what}"),
    };
    let mut readings: Vec<Reading> = Vec::new();
    let mut used: Vec<&str> = Vec::new();
    for reading in kind.readings {
        let is_told = readings
            .iter()
            .any(|known| std::ptr::eq(known.metric, reading.metric));
        if is_told || used.contains(&reading.file) || !chip.has(&file(reading.file)) {
            continue;
        }
        used.push(reading.file);
        readings.push(Reading {
            metric: reading.metric,
            typed: reading.typed,
            file: KeptFile::attribute(root, &chip.path(&file(reading.file))),
        });
    }
    if readings.is_empty() {
        return None;
    }
    let mut limits = Vec::new();
    for (what, limit) in kind.limits {
        if chip.has(&file(what))
            && let Some(number) = noted(read_number(root, &chip.path(&file(what))), out)
        {
            limits.push((*limit, divided(number, kind.divisor)));
        }
    }
    let (name, part) = label(root, chip, channel, out);
    Some(Sensor {
        kind,
        id: format!("{}/{channel}", chip.name),
        name,
        chip: chip.name.clone(),
        part,
        readings,
        fault: chip
            .has(&file("fault"))
            .then(|| KeptFile::attribute(root, &chip.path(&file("fault")))),
        limits,
    })
}

/// What the driver, or the firmware behind it, calls a channel, and the part that it is about.
pub(super) fn label(
    root: &SysRoot,
    chip: &Chip,
    channel: &str,
    out: &mut dyn SampleWriter,
) -> (String, &'static str) {
    let mut read = |path: String| noted(root.read_optional_trimmed(&path), out);
    if let Some(label) = read(chip.path(&format!("{channel}_label"))) {
        return (label, chip.part);
    }
    // ACPI's power meter says in the maker's words what it measures
    if channel.starts_with("power")
        && let Some(text) = read(format!("{}/device/{channel}_oem_info", chip.class))
    {
        let part = part_of_socket(&text).unwrap_or(chip.part);
        return (text, part);
    }
    (channel.to_owned(), chip.part)
}

fn read_number(root: &SysRoot, path: &str) -> Result<Option<i64>, CollectError> {
    optional(KeptFile::attribute(root, path).read_i64(&mut ReadBuffer::new()))
}

/// What was read; a file that says that it has nothing is as good as none.
pub(super) fn noted<T>(
    outcome: Result<Option<T>, CollectError>,
    out: &mut dyn SampleWriter,
) -> Option<T> {
    match outcome {
        Ok(read) => read,
        Err(error) => {
            told(error, out);
            None
        }
    }
}
