//! SCSI disks, SATA ones among them, as the kernel's middle layer sees them: state, commands, errors, time-outs.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Spec, SysRoot};

use crate::labels::DEVICE;
use crate::parts::{
    HARDWARE_ID, counter, hardware_id, hexadecimal, names, noted, state, write_absent, write_state,
};

pub(crate) static SCSI: Spec = Spec {
    name: "scsi",
    summary: "State, commands, errors and time-outs of SCSI and SATA disks.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, _: &Options| Box::new(Scsi { root }),
};

const DIRECTORY: &str = "sys/block";

const LABELS: &[LabelDefinition] = &[HARDWARE_ID, DEVICE];

static METRICS: [MetricDefinition; 5] = [
    state(
        "hw.physical_disk.scsi.state",
        &[
            "created",
            "running",
            "cancel",
            "deleted",
            "quiesce",
            "offline",
            "transport-offline",
            "blocked",
            "created-blocked",
            "unknown",
        ],
        "What the kernel does with the disk: `running` is at work, `offline` was given up after errors.",
        "Not health: a disk that runs may be worn out.",
        LABELS,
        "/sys/block/*/device/state",
    ),
    counter(
        "hw.physical_disk.scsi.requests",
        "{command}",
        "Commands sent to the disk since the kernel found it.",
        "Not reads and writes alone: queries of the kernel and of tools count too.",
        LABELS,
        "/sys/block/*/device/iorequest_cnt",
    ),
    counter(
        "hw.physical_disk.scsi.completions",
        "{command}",
        "Commands that the disk answered since the kernel found it.",
        "Not successes alone: an answer may be an error.",
        LABELS,
        "/sys/block/*/device/iodone_cnt",
    ),
    counter(
        "hw.physical_disk.scsi.errors",
        "{error}",
        "Commands that ended with an error since the kernel found the disk.",
        "Not all trouble: a command that the disk does not know counts as well, a few at start are usual.",
        LABELS,
        "/sys/block/*/device/ioerr_cnt",
    ),
    counter(
        "hw.physical_disk.scsi.timeouts",
        "{command}",
        "Commands that the disk did not answer in time since the kernel found it.",
        "Not told before Linux 6.1.",
        LABELS,
        "/sys/block/*/device/iotmo_cnt",
    ),
];
static STATE: &MetricDefinition = &METRICS[0];

/// Files with counts, in the order of the metrics behind the state.
const COUNTS: [&str; 4] = ["iorequest_cnt", "iodone_cnt", "ioerr_cnt", "iotmo_cnt"];

#[derive(Debug)]
struct Scsi {
    root: SysRoot,
}

impl Collector for Scsi {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut present = false;
        for name in names(&self.root, DIRECTORY)? {
            let device = format!("{DIRECTORY}/{name}/device");
            // this file tells SCSI devices from the rest, and the name disks from drives for media
            if !name.starts_with("sd") || !self.root.exists(&format!("{device}/iodone_cnt")) {
                continue;
            }
            present = true;
            let id = hardware_id(&self.root, &format!("{DIRECTORY}/{name}"), "block", out);
            let labels = [&*id, &*name];
            let word = self.root.read_optional_trimmed(&format!("{device}/state"));
            if let Some(word) = noted(word, out) {
                write_state(STATE, &labels, &word, out);
            }
            for (metric, file) in METRICS.iter().skip(1).zip(COUNTS) {
                let path = format!("{device}/{file}");
                let count = self.root.read_optional_trimmed(&path);
                let count =
                    count.and_then(|word| word.map(|word| hexadecimal(&path, &word)).transpose());
                match count {
                    Ok(Some(count)) => out.sample(metric, &labels, Value::U64(count)),
                    Ok(None) => {}
                    Err(error) => write_absent(error, metric, &labels, out),
                }
            }
        }
        if !present {
            let looked_for = format!("no SCSI disk in `/{DIRECTORY}`");
            return Ok(Presence::Absent(looked_for));
        }
        Ok(Presence::Present)
    }
}
