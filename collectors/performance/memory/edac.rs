//! Memory errors that hardware corrected or could not correct, per module, from EDAC.
//!
//! A module is named by where it sits (`mc0/channel1/slot0`), never by the order in which the driver found it. Drivers
//! before Linux 4.9 count by row and channel alone; there a row and channel stand for the module.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::CollectError;
use glasshouse_core::hardware::{self, ERROR_TYPE, facts};
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, ReadBuffer, Spec, SysRoot, optional};

use super::modules::{self, Controller, Module};

pub(crate) static EDAC: Spec = Spec {
    name: "edac",
    summary: "Memory errors, corrected and not, of each module and each memory controller.",
    metrics: &METRICS,
    facts: &FACTS,
    options: &[],
    interval_seconds: 30,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Edac {
            root,
            controllers: Vec::new(),
            runs: 0,
            buffer: ReadBuffer::new(),
        })
    },
};

pub(super) const DIRECTORY: &str = "sys/devices/system/edac/mc";

/// Runs between two looks for controllers and modules: five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 10;

const CONTROLLER: LabelDefinition = LabelDefinition {
    key: "linux.edac.controller",
    help: "The kernel's name of the memory controller: `mc0`.",
};

static METRICS: [MetricDefinition; 3] = [
    hardware::errors("/sys/devices/system/edac/mc/mc*/{dimm,rank}*/dimm_{ce,ue}_count"),
    MetricDefinition {
        name: "system.memory.linux.edac.errors",
        unit: "{error}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Errors that a memory controller counted since its driver was loaded or its counters reset.",
        is_not: "Not beside those of its modules: `all` includes them. `unattributed` ones could not be told apart.",
        labels: &[
            CONTROLLER,
            ERROR_TYPE,
            LabelDefinition {
                key: "linux.edac.scope",
                help: "One of `all`, `unattributed`.",
            },
        ],
        source: "/sys/devices/system/edac/mc/mc*/{ce,ue}{,_noinfo}_count",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.memory.linux.edac.counting_time",
        unit: "s",
        kind: MetricKind::Gauge,
        value: ValueType::U64,
        help: "Seconds since the counters of a memory controller were last set to zero.",
        is_not: "Not the uptime: a driver may be loaded late, and an administrator may reset counters.",
        labels: &[CONTROLLER],
        source: "/sys/devices/system/edac/mc/mc*/seconds_since_reset",
        audience: Audience::Operator,
    },
];
static ERRORS: &MetricDefinition = &METRICS[0];
static CONTROLLER_ERRORS: &MetricDefinition = &METRICS[1];
static COUNTING_TIME: &MetricDefinition = &METRICS[2];

pub(super) static FACTS: [FactDefinition; 5] = [
    FactDefinition {
        key: "hw.memory.linux.controller",
        help: "What kind of memory controller the driver takes it for.",
        source: "/sys/devices/system/edac/mc/mc*/mc_name",
    },
    FactDefinition {
        key: "hw.memory.linux.label",
        help: "What the driver, or the administrator, calls the module's socket.",
        source: "/sys/devices/system/edac/mc/mc*/{dimm,rank}*/dimm_label",
    },
    FactDefinition {
        key: "hw.memory.linux.type",
        help: "What kind of memory the module is, as the controller knows it.",
        source: "/sys/devices/system/edac/mc/mc*/{dimm,rank}*/dimm_mem_type",
    },
    FactDefinition {
        key: "hw.memory.linux.correction",
        help: "How errors of the module are found and corrected, e.g. `SECDED`.",
        source: "/sys/devices/system/edac/mc/mc*/{dimm,rank}*/dimm_edac_mode",
    },
    facts::size("/sys/devices/system/edac/mc/mc*/{dimm,rank}*/size"),
];

#[derive(Debug)]
struct Edac {
    root: SysRoot,
    controllers: Vec<Controller>,
    runs: u32,
    buffer: ReadBuffer,
}

impl Collector for Edac {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.controllers = modules::find(&self.root, out)?;
        }
        self.runs = self.runs.wrapping_add(1);
        if self.controllers.is_empty() {
            self.runs = 0;
            let looked_for = format!("no `/{DIRECTORY}/mc*`: no driver for this memory controller");
            return Ok(Presence::Absent(looked_for));
        }
        for controller in &mut self.controllers {
            controller.write(&mut self.buffer, out);
        }
        Ok(Presence::Present)
    }
}

impl Controller {
    fn write(&mut self, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        for counter in &mut self.counters {
            let labels = [&*self.name, counter.error_type, counter.scope];
            write(CONTROLLER_ERRORS, &labels, &mut counter.file, buffer, out);
        }
        let labels = [&*self.name];
        write(COUNTING_TIME, &labels, &mut self.seconds, buffer, out);
        for (fact, value) in &self.facts {
            out.fact(fact, &format!("memory/{}", self.name), value);
        }
        for module in &mut self.modules {
            module.write(&self.name, buffer, out);
        }
    }
}

impl Module {
    fn write(&mut self, controller: &str, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        for (error_type, file) in &mut self.counters {
            let labels = [&*self.id, &*self.name, controller, "memory", error_type];
            write(ERRORS, &labels, file, buffer, out);
        }
        for (fact, value) in &self.facts {
            out.fact(fact, &self.component, value);
        }
    }
}

fn write(
    metric: &'static MetricDefinition,
    labels: &[&str],
    file: &mut KeptFile,
    buffer: &mut ReadBuffer,
    out: &mut dyn SampleWriter,
) {
    match optional(file.read_u64(buffer)) {
        // the driver lacks it, or was unloaded since
        Ok(None) => {}
        Ok(Some(count)) => out.sample(metric, labels, Value::U64(count)),
        Err(error) => {
            out.absent(metric, labels, error.reason);
            out.failure(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use glasshouse_sysfs::compliance::record;

    use super::*;

    fn file(root: &Path, path: &str, content: &str) {
        let place = root.join(DIRECTORY).join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, content).unwrap();
    }

    /// GHES gives every module the same location words on some boards, and a label with the board's own words.
    #[test]
    fn modules_that_claim_one_place_are_told_apart() {
        let tree = tempfile::tempdir().unwrap();
        file(tree.path(), "mc0/ce_count", "3\n");
        for (dimm, count) in [("dimm0", "1\n"), ("dimm1", "2\n"), ("dimm2", "0\n")] {
            file(tree.path(), &format!("mc0/{dimm}/dimm_ce_count"), count);
            file(
                tree.path(),
                &format!("mc0/{dimm}/dimm_location"),
                "memory 0 \n",
            );
            file(
                tree.path(),
                &format!("mc0/{dimm}/dimm_label"),
                "P1 DIMM_A1\n",
            );
        }
        let recording = record(&EDAC, tree.path());
        for (id, count) in [
            ("mc0/memory0", 1.0),
            ("mc0/memory0#2", 2.0),
            ("mc0/memory0#3", 0.0),
        ] {
            let labels = [id, "P1 DIMM_A1", "mc0", "memory", "corrected"];
            assert_eq!(recording.value("hw.errors", &labels), Some(count), "{id}");
        }
    }

    #[test]
    fn rows_and_channels_stand_for_modules_where_no_module_counts() {
        let tree = tempfile::tempdir().unwrap();
        file(tree.path(), "mc0/ce_count", "7\n");
        file(tree.path(), "mc0/dimm0/dimm_label", "");
        file(tree.path(), "mc0/csrow2/ce_count", "7\n");
        file(tree.path(), "mc0/csrow2/ue_count", "1\n");
        file(tree.path(), "mc0/csrow2/ch0_ce_count", "4\n");
        file(tree.path(), "mc0/csrow2/ch1_ce_count", "3\n");
        file(tree.path(), "mc0/csrow2/ch1_dimm_label", "DIMM_B1\n");
        let recording = record(&EDAC, tree.path());
        for (labels, count) in [
            (
                [
                    "mc0/csrow2/channel0",
                    "mc0/csrow2/channel0",
                    "mc0",
                    "memory",
                    "corrected",
                ],
                4.0,
            ),
            (
                [
                    "mc0/csrow2/channel1",
                    "DIMM_B1",
                    "mc0",
                    "memory",
                    "corrected",
                ],
                3.0,
            ),
            (
                ["mc0/csrow2", "mc0/csrow2", "mc0", "memory", "uncorrected"],
                1.0,
            ),
        ] {
            assert_eq!(
                recording.value("hw.errors", &labels),
                Some(count),
                "{labels:?}"
            );
        }
        assert!(recording.failures.is_empty(), "{:?}", recording.failures);
    }
}
