//! Heat, voltage and light of plugged-in network modules, from their own diagnostics.
//!
//! The kernel lets nobody read a module's memory without CAP_NET_ADMIN, by ioctl or by netlink, so this runs in the
//! privileged worker, the one that has rights which the probe has not. Flags that a reading would clear are not
//! read: limits are told instead, and what passes them shows by itself.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::hardware::LIMIT_TYPE;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_core::worker::Worker;
use glasshouse_sysfs::{DeviceRequest, Patterns, Spec, SysRoot, WorkerSpec, malformed};

use super::interface::EXCLUDE;
use super::link::{DIRECTORY, ID, hardware_id};
use super::module_memory::{LIMIT_TYPES, Module, parse};
use crate::labels::INTERFACE;
use crate::parts::{counter, names, state};

pub(crate) static OPTICS: WorkerSpec = WorkerSpec {
    spec: Spec {
        name: "optics",
        summary: "Heat, voltage and light of plugged-in network modules.",
        metrics: &METRICS,
        facts: &FACTS,
        options: &[EXCLUDE],
        // the bus to a module is slow, and light fades over weeks
        interval_seconds: 60,
        needs: "The worker `privileged`, which is off by default, with CAP_NET_ADMIN: the kernel wants it to read a module.",
        build: |root: SysRoot, options: &Options| {
            Box::new(Optics {
                root,
                exclude: Patterns::new(options.text_list(EXCLUDE.name)),
            })
        },
    },
    worker: Worker::Privileged,
    look: |root: &SysRoot, _: &Options| {
        let names = names(root, DIRECTORY).unwrap_or_default();
        let is_hardware = |name: &String| root.exists(&format!("{DIRECTORY}/{name}/device"));
        if names.iter().any(is_hardware) {
            Presence::Present
        } else {
            absent()
        }
    },
};

const LANE: LabelDefinition = LabelDefinition {
    key: "hw.network.lane",
    help: "The number of the lane, from 1.",
};
const OF_MODULE: &[LabelDefinition] = &[INTERFACE, ID];
const OF_LANE: &[LabelDefinition] = &[INTERFACE, ID, LANE];
const OF_LIMIT: &[LabelDefinition] = &[INTERFACE, ID, LIMIT_TYPE];
const SOURCE: &str = "ioctl ETHTOOL_GMODULEEEPROM: SFF-8472, SFF-8636, CMIS";

const fn gauge(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    is_not: &'static str,
    labels: &'static [LabelDefinition],
) -> MetricDefinition {
    MetricDefinition {
        kind: MetricKind::Gauge,
        value: ValueType::F64,
        ..counter(name, unit, help, is_not, labels, SOURCE)
    }
}

const fn limit(name: &'static str, unit: &'static str, help: &'static str) -> MetricDefinition {
    let is_not = "Not what the link needs: it is what the module's maker wrote into it.";
    gauge(name, unit, help, is_not, OF_LIMIT)
}

static METRICS: [MetricDefinition; 13] = [
    gauge(
        "hw.network.module.temperature",
        "Cel",
        "Temperature in the module.",
        "Not of the air around it: modules are warmer by tens of degrees.",
        OF_MODULE,
    ),
    gauge(
        "hw.network.module.voltage",
        "V",
        "Voltage that the module gets.",
        "Not the voltage of its laser.",
        OF_MODULE,
    ),
    gauge(
        "hw.network.module.bias",
        "A",
        "Current through the laser of the lane.",
        "Not the module's current: one that creeps up means that a laser ages.",
        OF_LANE,
    ),
    gauge(
        "hw.network.module.transmit_power",
        "W",
        "Light that the lane sends; 1 mW is 0 dBm.",
        "Not dBm: that is 10 times the logarithm of milliwatts.",
        OF_LANE,
    ),
    gauge(
        "hw.network.module.receive_power",
        "W",
        "Light that the lane gets; 1 mW is 0 dBm.",
        "Not dBm: half of the watts is 3 dB less. 0 is darkness.",
        OF_LANE,
    ),
    limit(
        "hw.network.module.temperature.limit",
        "Cel",
        "Temperature at which the module warns or is in danger.",
    ),
    limit(
        "hw.network.module.voltage.limit",
        "V",
        "Voltage at which the module warns or is in danger.",
    ),
    limit(
        "hw.network.module.bias.limit",
        "A",
        "Current through a laser at which the module warns or is in danger.",
    ),
    limit(
        "hw.network.module.transmit_power.limit",
        "W",
        "Light sent at which the module warns or is in danger.",
    ),
    limit(
        "hw.network.module.receive_power.limit",
        "W",
        "Light received at which the module warns or is in danger.",
    ),
    state(
        "hw.network.module.receive_lost",
        &["no", "yes", "unknown"],
        "Whether the module gets no light, by its own status.",
        "Not told of QSFP and CMIS modules: there, reading would clear it.",
        OF_MODULE,
        SOURCE,
    ),
    state(
        "hw.network.module.transmit_failed",
        &["no", "yes", "unknown"],
        "Whether the transmitter of the module has failed, by its own status.",
        "Not told of QSFP and CMIS modules: there, reading would clear it.",
        OF_MODULE,
        SOURCE,
    ),
    state(
        "hw.network.module.presence",
        &["absent", "present", "unknown"],
        "Whether a module is plugged in that could be read.",
        "Not told where the driver knows no modules: copper ports have none.",
        OF_MODULE,
        SOURCE,
    ),
];
static TEMPERATURE: &MetricDefinition = &METRICS[0];
static VOLTAGE: &MetricDefinition = &METRICS[1];
static BIAS: &MetricDefinition = &METRICS[2];
static TRANSMIT: &MetricDefinition = &METRICS[3];
static RECEIVE: &MetricDefinition = &METRICS[4];
static ALL: &[MetricDefinition] = &METRICS;
const FIRST_LIMIT: usize = 5;
static RECEIVE_LOST: &MetricDefinition = &METRICS[10];
static TRANSMIT_FAILED: &MetricDefinition = &METRICS[11];
static PRESENCE: &MetricDefinition = &METRICS[12];

static FACTS: [FactDefinition; 3] = [
    FactDefinition {
        key: "network.module.form",
        help: "What kind of module is plugged in: `SFP`, `QSFP`, `CMIS`.",
        source: SOURCE,
    },
    FactDefinition {
        key: "network.module.vendor",
        help: "Who made the module.",
        source: SOURCE,
    },
    FactDefinition {
        key: "network.module.part",
        help: "The maker's number of the module's kind.",
        source: SOURCE,
    },
];

#[derive(Debug)]
struct Optics {
    root: SysRoot,
    exclude: Patterns,
}

fn absent() -> Presence {
    Presence::Absent(format!("no module in an interface of `/{DIRECTORY}`"))
}

impl Collector for Optics {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut present = false;
        for name in names(&self.root, DIRECTORY)? {
            let is_hardware = self.root.exists(&format!("{DIRECTORY}/{name}/device"));
            if !is_hardware || self.exclude.matches(&name) {
                continue;
            }
            let request = DeviceRequest::EthtoolModuleMemory;
            out.calling("ioctl SIOCETHTOOL ETHTOOL_GMODULEEEPROM");
            match self.root.ask(request, &name) {
                Ok(memory) => {
                    present = true;
                    self.write(&name, &memory, out);
                }
                // a port without modules, or a captured tree without the answer
                Err(error)
                    if matches!(
                        error.reason,
                        FailureReason::Missing | FailureReason::Unsupported
                    ) => {}
                Err(error) => {
                    present = true;
                    let id = hardware_id(&self.root, &name, out);
                    out.absent(PRESENCE, &[&name, &id], error.reason);
                    // an empty cage refuses too, so only a missing right is told as a failure
                    if error.reason != FailureReason::Io {
                        out.failure(error);
                    }
                }
            }
        }
        if !present {
            return Ok(absent());
        }
        Ok(Presence::Present)
    }
}

impl Optics {
    fn write(&self, name: &str, memory: &[u8], out: &mut dyn SampleWriter) {
        let id = hardware_id(&self.root, name, out);
        let Some(module) = parse(memory) else {
            let place = if self.root.is_live() {
                format!("{DIRECTORY}/{name}")
            } else {
                let request = DeviceRequest::EthtoolModuleMemory;
                format!("answers/{name}/{}", request.word())
            };
            let found = format!("{} bytes", memory.len());
            out.absent(PRESENCE, &[name, &id], FailureReason::Unsupported);
            return out.failure(malformed(
                &place,
                None,
                "an SFP, QSFP or CMIS module",
                &found,
            ));
        };
        out.sample(PRESENCE, &[name, &id], Value::State(1));
        let component = format!("network/{name}");
        let texts = [module.form, &*module.vendor, &*module.part];
        for (fact, text) in FACTS.iter().zip(texts) {
            if !text.is_empty() {
                out.fact(fact, &component, text);
            }
        }
        write_readings(&[name, &id], &module, out);
    }
}

fn write_readings(labels: &[&str; 2], module: &Module, out: &mut dyn SampleWriter) {
    let [name, id] = *labels;
    for (metric, reading) in [(TEMPERATURE, module.temperature), (VOLTAGE, module.voltage)] {
        if let Some(reading) = reading {
            out.sample(metric, labels, Value::F64(reading));
        }
    }
    for (n, lane) in module.lanes.iter().enumerate() {
        let number = (n + 1).to_string();
        for (metric, reading) in [
            (BIAS, lane.bias),
            (TRANSMIT, lane.transmit),
            (RECEIVE, lane.receive),
        ] {
            if let Some(reading) = reading {
                out.sample(metric, &[name, id, &number], Value::F64(reading));
            }
        }
    }
    for (metric, limits) in ALL.iter().skip(FIRST_LIMIT).zip(module.limits) {
        for (kind, limit) in LIMIT_TYPES.into_iter().zip(limits.unwrap_or_default()) {
            if limits.is_some() && limit.is_finite() {
                out.sample(metric, &[name, id, kind.word()], Value::F64(limit));
            }
        }
    }
    for (metric, flag) in [
        (RECEIVE_LOST, module.receive_lost),
        (TRANSMIT_FAILED, module.transmit_failed),
    ] {
        if let Some(flag) = flag {
            out.sample(metric, labels, Value::State(u16::from(flag)));
        }
    }
}
