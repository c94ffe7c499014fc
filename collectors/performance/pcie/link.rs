//! Speed and width of links of PCI Express, and their errors by Advanced Error Reporting.
//!
//! A device that sleeps is left alone: reading its link could wake it.

use std::collections::BTreeSet;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::hardware::PCIE_SEVERITY as SEVERITY;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, Spec, SysRoot, finite, malformed};

use super::device::{DIRECTORY, Device, ID, TYPE, all, of_interest};
use crate::parts::{counter, names, noted, state, write_number, write_state};

pub(crate) static PCIE: Spec = Spec {
    name: "pcie",
    summary: "Speed and width of PCI Express links, errors by cause, power states.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Pcie {
            root,
            addresses: Vec::new(),
            devices: Vec::new(),
            seen_causes: BTreeSet::new(),
        })
    },
};

const CAUSE: LabelDefinition = LabelDefinition {
    key: "hw.pcie.cause",
    help: "The kernel's name of the error, e.g. `BadTLP`, `CmpltTO`, `Timeout`.",
};

const fn gauge(
    name: &'static str,
    unit: &'static str,
    value: ValueType,
    help: &'static str,
    is_not: &'static str,
    source: &'static str,
) -> MetricDefinition {
    MetricDefinition {
        kind: MetricKind::Gauge,
        value,
        ..counter(name, unit, help, is_not, &[ID, TYPE], source)
    }
}

static METRICS: [MetricDefinition; 8] = [
    gauge(
        "hw.pcie.link.speed",
        "Hz",
        ValueType::F64,
        "Transfers per second on each lane of the link above the device, as it is now.",
        "Not a clock and not bytes: a transfer is one bit before coding. Idle devices may lower it by design.",
        "/sys/bus/pci/devices/*/current_link_speed",
    ),
    gauge(
        "hw.pcie.link.speed.limit",
        "Hz",
        ValueType::F64,
        "Transfers per second on each lane that the device could have.",
        "Not what the slot can: the port above has its own limit.",
        "/sys/bus/pci/devices/*/max_link_speed",
    ),
    gauge(
        "hw.pcie.link.width",
        "{lane}",
        ValueType::U64,
        "Lanes of the link above the device, as it is now.",
        "Not lanes in use for traffic: it is what the link came up with.",
        "/sys/bus/pci/devices/*/current_link_width",
    ),
    gauge(
        "hw.pcie.link.width.limit",
        "{lane}",
        ValueType::U64,
        "Lanes that the device could have.",
        "Not what the slot is wired for: the port above has its own limit.",
        "/sys/bus/pci/devices/*/max_link_width",
    ),
    counter(
        "hw.pcie.errors",
        "{error}",
        "Errors that the device reported since boot, by severity.",
        "Not all errors of the link: the other end counts its own.",
        &[ID, TYPE, SEVERITY],
        "/sys/bus/pci/devices/*/aer_dev_{correctable,nonfatal,fatal}",
    ),
    counter(
        "hw.pcie.error.causes",
        "{error}",
        "Errors that the device reported since boot, by severity and cause.",
        "Not told for causes that never happened; their sum is `hw.pcie.errors`.",
        &[ID, TYPE, SEVERITY, CAUSE],
        "/sys/bus/pci/devices/*/aer_dev_{correctable,nonfatal,fatal}",
    ),
    counter(
        "hw.pcie.root_port.errors",
        "{error}",
        "Error messages since boot that reached the root port from all below it, by severity.",
        "Not errors of the port alone, and not a sum of `hw.pcie.errors`: one message may stand for several.",
        &[ID, TYPE, SEVERITY],
        "/sys/bus/pci/devices/*/aer_rootport_total_err_*",
    ),
    state(
        "hw.pcie.power_state",
        &["D0", "D1", "D2", "D3hot", "D3cold", "unknown"],
        "The power state that the kernel put the device in.",
        "Not how much it draws: D0 is awake, whatever it does.",
        &[ID, TYPE],
        "/sys/bus/pci/devices/*/power_state",
    ),
];
static SPEED: &MetricDefinition = &METRICS[0];
static SPEED_LIMIT: &MetricDefinition = &METRICS[1];
static WIDTH: &MetricDefinition = &METRICS[2];
static WIDTH_LIMIT: &MetricDefinition = &METRICS[3];
static ERRORS: &MetricDefinition = &METRICS[4];
static CAUSES: &MetricDefinition = &METRICS[5];
static ROOT_PORT_ERRORS: &MetricDefinition = &METRICS[6];
static POWER_STATE: &MetricDefinition = &METRICS[7];

/// Files of a device by severity, and those of a root port.
const SEVERITIES: [(&str, &str, &str); 3] = [
    (
        "correctable",
        "aer_dev_correctable",
        "aer_rootport_total_err_cor",
    ),
    (
        "nonfatal",
        "aer_dev_nonfatal",
        "aer_rootport_total_err_nonfatal",
    ),
    ("fatal", "aer_dev_fatal", "aer_rootport_total_err_fatal"),
];

#[derive(Debug)]
struct Pcie {
    root: SysRoot,
    /// What stood in the directory at the last look.
    addresses: Vec<String>,
    devices: Vec<Device>,
    /// File and name of errors that happened once: told from then on.
    seen_causes: BTreeSet<(String, String)>,
}

impl Collector for Pcie {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let addresses = names(&self.root, DIRECTORY)?;
        if addresses != self.addresses || self.devices.is_empty() {
            let all = all(&self.root, out)?;
            self.devices = of_interest(&self.root, all, out);
            self.addresses = addresses;
        }
        if self.devices.is_empty() {
            return Ok(Presence::Absent(format!(
                "no device of interest in `/{DIRECTORY}`"
            )));
        }
        for device in &self.devices {
            let reader = Reader {
                root: &self.root,
                device,
                labels: [&device.address, device.kind],
            };
            if reader.write_power_state(out) {
                reader.write_link(out);
            }
            reader.write_root_port(out);
            for (severity, file, _) in SEVERITIES {
                reader.write_errors(severity, file, &mut self.seen_causes, out);
            }
        }
        Ok(Presence::Present)
    }
}

struct Reader<'p> {
    root: &'p SysRoot,
    device: &'p Device,
    labels: [&'p str; 2],
}

impl Reader<'_> {
    /// Writes the power state, and says whether the device is awake.
    fn write_power_state(&self, out: &mut dyn SampleWriter) -> bool {
        let path = self.device.path("power_state");
        let Some(word) = noted(self.root.read_optional_trimmed(&path), out) else {
            // before Linux 5.12 nothing says
            return true;
        };
        write_state(POWER_STATE, &self.labels, &word, out);
        !word.starts_with("D3")
    }

    fn write_link(&self, out: &mut dyn SampleWriter) {
        for (file, metric) in [
            ("current_link_speed", SPEED),
            ("max_link_speed", SPEED_LIMIT),
        ] {
            let path = self.device.path(file);
            let word = self.root.read_optional_trimmed(&path);
            let speed = word.and_then(|word| word.map_or(Ok(None), |word| speed(&path, &word)));
            if let Some(speed) = noted(speed, out) {
                out.sample(metric, &self.labels, Value::F64(speed));
            }
        }
        for (file, metric) in [
            ("current_link_width", WIDTH),
            ("max_link_width", WIDTH_LIMIT),
        ] {
            let path = self.device.path(file);
            let word = self.root.read_optional_trimmed(&path);
            let width = word.and_then(|word| word.map_or(Ok(None), |word| width(&path, &word)));
            if let Some(width) = noted(width, out) {
                out.sample(metric, &self.labels, Value::U64(width));
            }
        }
    }

    fn write_root_port(&self, out: &mut dyn SampleWriter) {
        let [id, kind] = self.labels;
        for (severity, _, file) in SEVERITIES {
            let labels = [id, kind, severity];
            write_number(
                self.root,
                &self.device.path(file),
                ROOT_PORT_ERRORS,
                &labels,
                out,
            );
        }
    }

    fn write_errors(
        &self,
        severity: &str,
        file: &str,
        seen: &mut BTreeSet<(String, String)>,
        out: &mut dyn SampleWriter,
    ) {
        let path = self.device.path(file);
        let Some(text) = noted(self.root.read_optional_trimmed(&path), out) else {
            return;
        };
        let [id, kind] = self.labels;
        match causes(&path, &text) {
            Ok(causes) => {
                let sum = causes.iter().map(|(_, count)| count);
                let sum = sum.fold(0_u64, |sum, count| sum.saturating_add(*count));
                out.sample(ERRORS, &[id, kind, severity], Value::U64(sum));
                for (cause, count) in causes {
                    let key = (path.clone(), cause.to_owned());
                    if count > 0 {
                        seen.insert(key.clone());
                    }
                    if seen.contains(&key) {
                        let labels = [id, kind, severity, cause];
                        out.sample(CAUSES, &labels, Value::U64(count));
                    }
                }
            }
            Err(error) => out.failure(error),
        }
    }
}

/// `16.0 GT/s PCIe`; without a link `Unknown`, `Unknown speed`.
fn speed(path: &str, word: &str) -> Result<Option<f64>, CollectError> {
    const GIGA: f64 = 1e9;
    if word.starts_with("Unknown") {
        return Ok(None);
    }
    let number = word
        .split_once(" GT/s")
        .and_then(|(number, _)| finite(number));
    number
        .filter(|number| *number > 0.0)
        .map(|number| Some(number * GIGA))
        .ok_or_else(|| malformed(path, None, "a speed in GT/s", word))
}

/// 0 without a link; 255 is what a device says that does not answer.
fn width(path: &str, word: &str) -> Result<Option<u64>, CollectError> {
    const UNKNOWN: [u64; 3] = [0, 63, 255];
    if word.starts_with("Unknown") {
        return Ok(None);
    }
    let width: u64 = word
        .parse()
        .map_err(|_| malformed(path, None, "a number of lanes", word))?;
    Ok(Some(width).filter(|width| !UNKNOWN.contains(width)))
}

/// A name and a count a line; the last line is the sum, named `TOTAL_ERR_*`. Each name once.
fn causes<'t>(path: &str, text: &'t str) -> Result<Vec<(&'t str, u64)>, CollectError> {
    let mut causes: Vec<(&str, u64)> = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let (cause, count) = line.trim().rsplit_once(' ').unwrap_or((line, ""));
        let count = Fields::new(path, n + 1, count).number("a name and a count")?;
        let known = causes.iter().any(|(known, _)| *known == cause);
        if !cause.is_empty() && !known && !cause.starts_with("TOTAL_") {
            causes.push((cause, count));
        }
    }
    Ok(causes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_absent_and_no_error() {
        for word in ["Unknown", "Unknown speed"] {
            assert_eq!(speed("x", word).unwrap(), None);
            assert_eq!(width("x", word).unwrap(), None);
        }
        assert_eq!(speed("x", "2.5 GT/s").unwrap(), Some(2.5e9));
        assert_eq!(speed("x", "64.0 GT/s PCIe").unwrap(), Some(64e9));
        assert_eq!(width("x", "16").unwrap(), Some(16));
        assert_eq!(width("x", "0").unwrap(), None);
        assert_eq!(width("x", "255").unwrap(), None);
        for bad in ["", "fast", "-8 GT/s", "inf GT/s"] {
            assert!(speed("x", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_sum_is_of_causes_and_not_of_the_sum() {
        let text = "RxErr 1\nBadTLP 20\nTOTAL_ERR_COR 21\n";
        assert_eq!(causes("x", text).unwrap(), [("RxErr", 1), ("BadTLP", 20)]);
        assert!(causes("x", "RxErr").is_err());
    }
}
