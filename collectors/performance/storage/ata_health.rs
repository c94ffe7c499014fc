//! The health of SATA disks by their own account: SMART attributes and thresholds, asked of each disk.
//!
//! Runs in the privileged worker. Disks that the kernel has put to sleep are not asked; one that sleeps by its own
//! timer may wake.

use std::collections::BTreeSet;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::hardware;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, MetricKind};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_core::worker::Worker;
use glasshouse_sysfs::{DeviceRequest, Spec, SysRoot, WorkerSpec, malformed};

use super::ata_smart::{Attribute, KNOWN, attributes, failing, life_left, temperature, thresholds};
use super::drive_labels::{NEEDS, has_hwmon, remaining};
use crate::parts::{
    HARDWARE_ID, HARDWARE_NAME, counter, hardware_id, names, noted, state, write_state,
};

pub(crate) static ATA_HEALTH: WorkerSpec = WorkerSpec {
    spec: Spec {
        name: "ata_health",
        summary: "SMART attributes and thresholds of SATA disks.",
        metrics: &METRICS,
        facts: &[],
        options: &[],
        // it interrupts a turning disk for some milliseconds, and what it tells moves in hours
        interval_seconds: 300,
        needs: NEEDS,
        build: |root: SysRoot, _: &Options| Box::new(AtaHealth { root }),
    },
    worker: Worker::Privileged,
    look: |root: &SysRoot, _: &Options| {
        if disks(root).is_empty() {
            absent()
        } else {
            Presence::Present
        }
    },
};

const DIRECTORY: &str = "sys/block";

const ATTRIBUTE: LabelDefinition = LabelDefinition {
    key: "hw.physical_disk.smart_attribute",
    help: "Which attribute, e.g. `reallocated_sectors`, `pending_sectors`, `link_crc_errors`; `attribute_<id>` where its meaning is the maker's.",
};
const KIND: LabelDefinition = LabelDefinition {
    key: "hw.physical_disk.smart_kind",
    help: "One of `prefail`, `old_age`: what it means when the attribute fails.",
};
const SOURCE: &str = "SATA SMART READ DATA, SMART READ THRESHOLDS";

static METRICS: [MetricDefinition; 5] = [
    MetricDefinition {
        kind: MetricKind::Gauge,
        ..counter(
            "hw.physical_disk.smart",
            "{count}",
            "The raw value of the attribute: what the disk counted of it.",
            "Not comparable between makers: `read_error_rate` of some is large on a sound disk. `power_on_hours` is hours with most, not all.",
            &[HARDWARE_ID, HARDWARE_NAME, ATTRIBUTE],
            SOURCE,
        )
    },
    MetricDefinition {
        kind: MetricKind::Gauge,
        ..counter(
            "hw.physical_disk.smart.normalized",
            "{point}",
            "The attribute by the maker's own scale: 1 to 253, more is better.",
            "Not percent, though many begin at 100.",
            &[HARDWARE_ID, HARDWARE_NAME, ATTRIBUTE, KIND],
            SOURCE,
        )
    },
    state(
        "hw.physical_disk.smart.failing",
        &["no", "now", "past", "unknown"],
        "Whether the attribute is at or below its maker's threshold, or was.",
        "Not proof of health when it is `no`: many disks fail without it.",
        &[HARDWARE_ID, HARDWARE_NAME, ATTRIBUTE, KIND],
        SOURCE,
    ),
    hardware::endurance(SOURCE),
    hardware::temperature(SOURCE),
];
static RAW: &MetricDefinition = &METRICS[0];
static NORMALIZED: &MetricDefinition = &METRICS[1];
static FAILING: &MetricDefinition = &METRICS[2];
static ENDURANCE: &MetricDefinition = &METRICS[3];
static HEAT: &MetricDefinition = &METRICS[4];

#[derive(Debug)]
struct AtaHealth {
    root: SysRoot,
}

/// Disks that speak ATA: the layer that translates says so in the place of the maker.
fn disks(root: &SysRoot) -> Vec<String> {
    let mut disks = names(root, DIRECTORY).unwrap_or_default();
    disks.retain(|name| {
        let vendor = root.read_optional_trimmed(&format!("{DIRECTORY}/{name}/device/vendor"));
        name.starts_with("sd") && matches!(vendor, Ok(Some(vendor)) if vendor == "ATA")
    });
    disks
}

fn absent() -> Presence {
    Presence::Absent(format!("no ATA disk in `/{DIRECTORY}`"))
}

impl Collector for AtaHealth {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut answered = false;
        let mut found = false;
        for name in names(&self.root, DIRECTORY)? {
            if !name.starts_with("sd") || !self.is_ata(&name, out) {
                continue;
            }
            found = true;
            if self.sleeps(&name) {
                answered = true;
                continue;
            }
            answered |= self.write(&name, out);
        }
        match (found, answered) {
            (false, _) => Ok(absent()),
            (true, false) => Ok(Presence::Absent("no answer of a disk".to_owned())),
            (true, true) => Ok(Presence::Present),
        }
    }
}

impl AtaHealth {
    fn is_ata(&self, name: &str, out: &mut dyn SampleWriter) -> bool {
        let path = format!("{DIRECTORY}/{name}/device/vendor");
        noted(self.root.read_optional_trimmed(&path), out).as_deref() == Some("ATA")
    }

    fn sleeps(&self, name: &str) -> bool {
        let path = format!("{DIRECTORY}/{name}/device/power/runtime_status");
        matches!(self.root.read_optional_trimmed(&path), Ok(Some(word)) if word == "suspended")
    }

    /// Says whether the disk answered, be it with an error.
    fn write(&self, name: &str, out: &mut dyn SampleWriter) -> bool {
        let id = hardware_id(&self.root, &format!("{DIRECTORY}/{name}"), "block", out);
        out.calling("ATA SMART READ DATA");
        let data = match self.ask(DeviceRequest::AtaSmartData, name, attributes) {
            Ok(data) => data,
            // a captured tree without the answer of this one
            Err(error) if error.reason == FailureReason::Missing => return false,
            Err(error) => {
                out.absent(RAW, &[&id, name, "reallocated_sectors"], error.reason);
                out.failure(error);
                return true;
            }
        };
        out.calling("ATA SMART READ THRESHOLDS");
        let limits = self.ask(DeviceRequest::AtaSmartThresholds, name, thresholds);
        let limits = limits.map_err(|error| out.failure(error)).ok();
        let disk = Disk { id: &id, name };
        disk.write_attributes(&data, limits.as_deref(), out);
        let model = format!("{DIRECTORY}/{name}/device/model");
        let model = noted(self.root.read_optional_trimmed(&model), out);
        if let Some(left) = model.and_then(|model| life_left(&model, &data)) {
            let left = remaining(100_u8.saturating_sub(left));
            let labels = [&*id, name, &*id, "remaining"];
            out.sample(ENDURANCE, &labels, Value::F64(left));
        }
        let hwmon = format!("{DIRECTORY}/{name}/device/hwmon");
        if !has_hwmon(&self.root, &[hwmon])
            && let Some(celsius) = temperature(&data)
        {
            let chip = format!("drivetemp@{id}");
            let sensor = format!("{chip}/temp1");
            out.sample(HEAT, &[&sensor, "temp1", &chip], Value::F64(celsius));
        }
        true
    }

    fn ask<T>(
        &self,
        request: DeviceRequest,
        name: &str,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, CollectError> {
        let block = self.root.ask(request, name)?;
        parse(&block).ok_or_else(|| {
            let place = if self.root.is_live() {
                format!("dev/{name}")
            } else {
                format!("answers/{name}/{}", request.word())
            };
            let found = format!("{} bytes", block.len());
            malformed(&place, None, "512 bytes whose sum is 0", &found)
        })
    }
}

struct Disk<'n> {
    id: &'n str,
    name: &'n str,
}

impl Disk<'_> {
    fn write_attributes(
        &self,
        data: &[Attribute],
        limits: Option<&[(u8, u8)]>,
        out: &mut dyn SampleWriter,
    ) {
        let mut seen = BTreeSet::new();
        for attribute in data {
            // a disk that says one twice is believed once
            if !seen.insert(attribute.id) {
                continue;
            }
            let known = KNOWN.iter().find(|known| known.id == attribute.id);
            let unknown = format!("attribute_{}", attribute.id);
            let word = known.map_or(&*unknown, |known| known.word);
            let kind = if attribute.is_prefail {
                "prefail"
            } else {
                "old_age"
            };
            if let Some(known) = known {
                let count = Value::U64(attribute.count(known));
                out.sample(RAW, &[self.id, self.name, word], count);
            }
            let labels = [self.id, self.name, word, kind];
            let value = Value::U64(u64::from(attribute.value));
            // of what is the maker's own, only what can fail is told
            if known.is_some() || attribute.is_prefail {
                out.sample(NORMALIZED, &labels, value);
            }
            let limit = limits.and_then(|limits| limits.iter().find(|(id, _)| *id == attribute.id));
            if let Some((_, limit @ 1..)) = limit {
                write_state(FAILING, &labels, failing(attribute, *limit), out);
            }
        }
    }
}
