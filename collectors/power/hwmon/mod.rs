//! Temperatures, voltages, currents, power, fans, humidity and energy of hardware monitoring chips, from
//! `/sys/class/hwmon`.
//!
//! The number in `hwmon3` changes between boots. A chip is therefore named by its driver and where its device is wired
//! (`coretemp@coretemp.0`, `nvme@0000:17:00.0`), and where two share even that, numbered from the second on in the order
//! of their places in `/sys/devices`.
//!
//! Chips that ask a drive, a card or a management controller are read apart ([`HWMON_DEVICE`]): one of those that does not
//! answer would take the temperatures and the wall power of the whole machine with it.

mod alarms;
mod chip;
mod device;
mod kind;
mod metrics;
mod part;
mod sensor;
mod supplies;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::options::{OptionDefault, OptionDefinition, Options};
use glasshouse_sysfs::{Patterns, ReadBuffer, Spec, SysRoot};

pub(crate) use alarms::HWMON_ALARM;
use chip::Whose;
pub(crate) use device::HWMON_DEVICE;
use sensor::Sensor;
use supplies::Supplies;

pub(crate) static HWMON: Spec = Spec {
    name: "hwmon",
    summary: "Temperatures, voltages, currents, power, fans, humidity and energy of monitoring chips.",
    metrics: METRICS.split_at(ALARM_INDEX).0,
    facts: &[],
    options: &[EXCLUDE],
    // each reading interrupts a core, of which there are hundreds (coretemp), or waits for a slow bus (i2c); heat moves
    // slowly
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, options: &Options| Box::new(Hwmon::new(root, options, Whose::Machine)),
};

const EXCLUDE: OptionDefinition = OptionDefinition {
    name: "exclude_chips",
    help: "Chips to leave out, by the driver's name: names, or the start of one and `*`.",
    default: OptionDefault::TextList(&[]),
};

const DIRECTORY: &str = "sys/class/hwmon";

/// Runs between two looks for chips, labels and limits: five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 30;

/// Chips of one machine: a server with 24 disks, 32 DIMMs, 16 ports and 4 supplies has a hundred.
const MOST_CHIPS: usize = 1024;

/// Channels of one chip, and alarms of all: the richest super I/O chips have sixty channels.
const MOST_SENSORS: usize = 4096;

/// Of all collectors of chips: the first is that of the machine alone, the last that of alarms.
static METRICS: [MetricDefinition; 19] = [
    metrics::HOST_POWER,
    metrics::TEMPERATURE,
    metrics::TEMPERATURE_LIMIT,
    metrics::VOLTAGE,
    metrics::VOLTAGE_LIMIT,
    metrics::CURRENT,
    metrics::CURRENT_LIMIT,
    metrics::POWER,
    metrics::POWER_INSTANT,
    metrics::POWER_LIMIT,
    metrics::FAN_SPEED,
    metrics::FAN_SPEED_LIMIT,
    metrics::FAN_SPEED_TARGET,
    metrics::FAN_DUTY,
    metrics::ENERGY,
    metrics::HUMIDITY,
    metrics::HUMIDITY_LIMIT,
    metrics::SENSOR_FAULT,
    metrics::SENSOR_ALARM,
];
static HOST_POWER: &MetricDefinition = &METRICS[0];
static FAULT: &MetricDefinition = &METRICS[17];
const ALARM_INDEX: usize = 18;
static ALARM: &MetricDefinition = &METRICS[ALARM_INDEX];

#[derive(Debug)]
struct Hwmon {
    root: SysRoot,
    whose: Whose,
    exclude: Patterns,
    sensors: Vec<Sensor>,
    supplies: Supplies,
    runs: u32,
    buffer: ReadBuffer,
}

impl Collector for Hwmon {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.look(out)?;
        }
        self.runs = self.runs.wrapping_add(1);
        if self.sensors.is_empty() {
            self.runs = 0;
            return Ok(Presence::Absent(format!("no sensor in `/{DIRECTORY}`")));
        }
        self.supplies.begin();
        for sensor in &mut self.sensors {
            let outcome = sensor.write(&mut self.buffer, out);
            self.supplies.take(sensor, outcome);
        }
        self.supplies.write(out);
        Ok(Presence::Present)
    }
}

impl Hwmon {
    fn new(root: SysRoot, options: &Options, whose: Whose) -> Self {
        Self {
            root,
            whose,
            exclude: Patterns::new(options.text_list(EXCLUDE.name)),
            sensors: Vec::new(),
            supplies: Supplies::default(),
            runs: 0,
            buffer: ReadBuffer::new(),
        }
    }

    fn look(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let chips = chip::find(&self.root, self.whose, &self.exclude, out)?;
        self.sensors.clear();
        self.supplies = Supplies::default();
        for chip in &chips {
            let sensors = sensor::find(&self.root, chip, out);
            self.supplies.consider(&self.root, chip);
            self.sensors.extend(sensors);
        }
        Ok(())
    }
}
