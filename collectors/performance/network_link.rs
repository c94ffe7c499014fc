//! The state of network links, from `/sys/class/net`.
//!
//! Apart from `network`, because reading the speed asks the driver and may take a lock.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Patterns, Spec, SysRoot, malformed, optional, scaled};

use crate::labels::INTERFACE;
use crate::network::EXCLUDE;

pub(crate) static NETWORK_LINK: Spec = Spec {
    name: "network_link",
    summary: "Whether each link is up, how fast, how often it changed, and hardware errors by cause.",
    metrics: &METRICS,
    facts: &[],
    options: &[EXCLUDE],
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, options: &Options| {
        Box::new(NetworkLink {
            root,
            exclude: Patterns::new(options.text_list(EXCLUDE.name)),
        })
    },
};

const DIRECTORY: &str = "sys/class/net";

/// The file says Mbit/s.
const BYTES_PER_MEGABIT: u64 = 1_000_000 / 8;

/// Files in `statistics` that tell why, and the word for each.
const FAULTS: [(&str, &str); 6] = [
    ("rx_crc_errors", "receive_crc"),
    ("rx_missed_errors", "receive_missed"),
    ("rx_fifo_errors", "receive_fifo"),
    ("tx_carrier_errors", "transmit_carrier"),
    ("tx_fifo_errors", "transmit_fifo"),
    ("collisions", "collision"),
];

static METRICS: [MetricDefinition; 4] = [
    MetricDefinition {
        name: "hw.network.up",
        unit: "1",
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        help: "1 where the interface is operational, else 0.",
        is_not: "Not proof that anything is reachable: it is the link alone. Loopback says `unknown`, which is 0.",
        labels: &[INTERFACE],
        source: "/sys/class/net/*/operstate",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "hw.network.bandwidth.limit",
        unit: "By/s",
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        help: "The speed that the link came up with.",
        is_not: "Not the speed that the hardware could have, nor what flows.",
        labels: &[INTERFACE],
        source: "/sys/class/net/*/speed",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.network.linux.carrier_changes",
        unit: "{change}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Times that the link went up or down since the interface exists.",
        is_not: "Not losses alone: down and up again is two.",
        labels: &[INTERFACE],
        source: "/sys/class/net/*/carrier_changes",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.network.linux.faults",
        unit: "{error}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Errors of the interface's hardware by cause.",
        is_not: "Not parts of `system.network.errors`: drivers count some in both, some in neither.",
        labels: &[
            INTERFACE,
            LabelDefinition {
                key: "linux.network.fault",
                help: "What happened, e.g. `receive_crc`, `receive_missed`, `transmit_carrier`.",
            },
        ],
        source: "/sys/class/net/*/statistics",
        audience: Audience::Operator,
    },
];
static UP: &MetricDefinition = &METRICS[0];
static SPEED: &MetricDefinition = &METRICS[1];
static CHANGES: &MetricDefinition = &METRICS[2];
static FAULT_COUNT: &MetricDefinition = &METRICS[3];

#[derive(Debug)]
struct NetworkLink {
    root: SysRoot,
    exclude: Patterns,
}

impl Collector for NetworkLink {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let names = optional(self.root.list(DIRECTORY))?.unwrap_or_default();
        let mut present = false;
        for name in names.iter().filter(|name| !self.exclude.matches(name)) {
            // `bonding_masters` is a file among the interfaces
            if !self.root.exists(&format!("{DIRECTORY}/{name}/operstate")) {
                continue;
            }
            present = true;
            let interface = Interface {
                root: &self.root,
                name,
            };
            for outcome in [
                interface.write_state(out),
                interface.write_speed(out),
                interface.write_count("carrier_changes", CHANGES, &[name], out),
                interface.write_faults(out),
            ] {
                if let Err(error) = outcome {
                    out.failure(error);
                }
            }
        }
        if !present {
            let looked_for = format!("no interface in `/{DIRECTORY}`");
            return Ok(Presence::Absent(looked_for));
        }
        Ok(Presence::Present)
    }
}

#[derive(Debug)]
struct Interface<'r> {
    root: &'r SysRoot,
    name: &'r str,
}

impl Interface<'_> {
    fn path(&self, file: &str) -> String {
        format!("{DIRECTORY}/{}/{file}", self.name)
    }

    fn write_state(&self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let state = optional(self.root.read_trimmed(&self.path("operstate")))?;
        if let Some(state) = state {
            out.sample(UP, &[self.name], Value::U64(u64::from(state == "up")));
        }
        Ok(())
    }

    /// -1, or a refusal, where the link is down or the interface has no speed.
    fn write_speed(&self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let path = self.path("speed");
        let is_hardware = self.root.exists(&self.path("device"));
        let word = match optional(self.root.read_trimmed(&path)) {
            Ok(Some(word)) => word,
            Ok(None) => return Ok(()),
            Err(error) if error.reason == FailureReason::Io => "-1".to_owned(),
            Err(error) => return Err(error),
        };
        let speed = match word.parse::<i64>() {
            Ok(megabits) => u64::try_from(megabits).ok(),
            Err(_) => return Err(malformed(&path, None, "Mbit/s", &word)),
        };
        match speed.and_then(|megabits| scaled(megabits, BYTES_PER_MEGABIT)) {
            Some(speed @ 1..) => out.sample(SPEED, &[self.name], Value::U64(speed)),
            _ if is_hardware => out.absent(SPEED, &[self.name], FailureReason::Unsupported),
            _ => {}
        }
        Ok(())
    }

    /// Of hardware only: bridges and the like have none.
    fn write_faults(&self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        if !self.root.exists(&self.path("device")) {
            return Ok(());
        }
        let mut first_error = Ok(());
        for (file, fault) in FAULTS {
            let file = format!("statistics/{file}");
            let outcome = self.write_count(&file, FAULT_COUNT, &[self.name, fault], out);
            first_error = first_error.and(outcome);
        }
        first_error
    }

    fn write_count(
        &self,
        file: &str,
        metric: &'static MetricDefinition,
        labels: &[&str],
        out: &mut dyn SampleWriter,
    ) -> Result<(), CollectError> {
        if let Some(count) = self.root.read_optional_u64(&self.path(file))? {
            out.sample(metric, labels, Value::U64(count));
        }
        Ok(())
    }
}
