//! Ports of RDMA devices (InfiniBand, RoCE, Omni-Path), from `/sys/class/infiniband`.
//!
//! A driver asks the firmware for most counters at each read, so they are read every ten seconds only.

use std::collections::BTreeSet;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::hardware::facts;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Spec, SysRoot, finite, malformed, optional, scaled};

use crate::labels::NETWORK_DIRECTION;
use crate::parts::{
    HARDWARE_ID, counter, hardware_id, names, noted, state, write_absent, write_state,
};

pub(crate) static RDMA: Spec = Spec {
    name: "rdma",
    summary: "State, rate, traffic and every counter of the ports of RDMA devices.",
    metrics: &METRICS,
    facts: &FACTS,
    options: &[],
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, _: &Options| Box::new(Rdma { root }),
};

const DIRECTORY: &str = "sys/class/infiniband";

const DEVICE: LabelDefinition = LabelDefinition {
    key: "rdma.device",
    help: "The kernel's name of the RDMA device, e.g. `mlx5_0`.",
};
const PORT: LabelDefinition = LabelDefinition {
    key: "rdma.port",
    help: "The number of the port, from 1.",
};
const COUNTER: LabelDefinition = LabelDefinition {
    key: "rdma.counter",
    help: "The kernel's name of the counter, e.g. `symbol_error`, `link_downed`, `out_of_sequence`.",
};

const OF_PORT: &[LabelDefinition] = &[HARDWARE_ID, DEVICE, PORT];
const DIRECTED: &[LabelDefinition] = &[HARDWARE_ID, DEVICE, PORT, NETWORK_DIRECTION];
const COUNTED: &[LabelDefinition] = &[HARDWARE_ID, DEVICE, PORT, COUNTER];

static METRICS: [MetricDefinition; 9] = [
    state(
        "hw.network.rdma.state",
        &[
            "NOP",
            "DOWN",
            "INIT",
            "ARMED",
            "ACTIVE",
            "ACTIVE_DEFER",
            "unknown",
        ],
        "The logical state of the port: `ACTIVE` carries traffic, `INIT` waits for the subnet manager.",
        "Not the cable: see `hw.network.rdma.physical_state`.",
        OF_PORT,
        "/sys/class/infiniband/*/ports/*/state",
    ),
    state(
        "hw.network.rdma.physical_state",
        &[
            "none",
            "sleep",
            "polling",
            "disabled",
            "training",
            "link_up",
            "error_recovery",
            "test",
            "unknown",
        ],
        "The physical state of the port: `link_up` is well, `polling` sees no partner.",
        "Not whether traffic flows: see `hw.network.rdma.state`.",
        OF_PORT,
        "/sys/class/infiniband/*/ports/*/phys_state",
    ),
    MetricDefinition {
        kind: MetricKind::UpDownCounter,
        ..counter(
            "hw.network.rdma.bandwidth.limit",
            "By/s",
            "The rate that the port came up with, all lanes together.",
            "Not the rate that the hardware could have, nor what flows.",
            OF_PORT,
            "/sys/class/infiniband/*/ports/*/rate",
        )
    },
    counter(
        "hw.network.rdma.io",
        "By",
        "Bytes that the port received and transmitted.",
        "Not what programs see: headers are part of it. Old ports count to 16 GiB and stay there.",
        DIRECTED,
        "/sys/class/infiniband/*/ports/*/counters/port_{rcv,xmit}_data, in words of four bytes",
    ),
    counter(
        "hw.network.rdma.packets",
        "{packet}",
        "Packets that the port received and transmitted.",
        "Not messages of programs. Old ports count to 2^32 - 1 and stay there.",
        DIRECTED,
        "/sys/class/infiniband/*/ports/*/counters/port_{rcv,xmit}_packets",
    ),
    counter(
        "hw.network.rdma.events",
        "{event}",
        "What the port counted beside traffic, by the kernel's name.",
        "Not all errors: `port_xmit_wait` counts ticks of congestion. Most stay at their highest value (15 to 65535) instead of wrapping, see `hw.network.rdma.counters.full`.",
        COUNTED,
        "/sys/class/infiniband/*/ports/*/counters",
    ),
    counter(
        "hw.network.rdma.hardware.events",
        "{event}",
        "What the hardware counted beyond the standard, by its driver's name.",
        "Not all errors: `rx_read_requests` and the like are traffic. Their meaning is the driver's.",
        COUNTED,
        "/sys/class/infiniband/*/ports/*/hw_counters",
    ),
    MetricDefinition {
        kind: MetricKind::Gauge,
        ..counter(
            "hw.network.rdma.counters.full",
            "{counter}",
            "Counters of the port that stand at the highest value of the width that the standard gives them: they count no more.",
            "Not errors: but errors may hide behind it until the counters are reset.",
            OF_PORT,
            "/sys/class/infiniband/*/ports/*/counters",
        )
    },
    state(
        "hw.network.rdma.character_device",
        &["missing", "present", "unknown"],
        "Whether the device that programs open exists: `uverbs` to send and receive, `umad` to manage.",
        "Not whether programs may open it.",
        &[
            HARDWARE_ID,
            DEVICE,
            LabelDefinition {
                key: "rdma.character_device",
                help: "One of `uverbs`, `umad`.",
            },
        ],
        "/sys/class/infiniband_{verbs,mad}/*/ibdev",
    ),
];
static STATE: &MetricDefinition = &METRICS[0];
static PHYSICAL_STATE: &MetricDefinition = &METRICS[1];
static RATE: &MetricDefinition = &METRICS[2];
static IO: &MetricDefinition = &METRICS[3];
static PACKETS: &MetricDefinition = &METRICS[4];
static EVENTS: &MetricDefinition = &METRICS[5];
static HARDWARE_EVENTS: &MetricDefinition = &METRICS[6];
static FULL: &MetricDefinition = &METRICS[7];
static CHARACTER_DEVICE: &MetricDefinition = &METRICS[8];

static FACTS: [FactDefinition; 4] = [
    facts::firmware_version("/sys/class/infiniband/*/fw_ver"),
    FactDefinition {
        key: "rdma.board_id",
        help: "The maker's name of the board, which tells which firmware fits.",
        source: "/sys/class/infiniband/*/board_id",
    },
    FactDefinition {
        key: "rdma.type",
        help: "The maker's name of the adapter.",
        source: "/sys/class/infiniband/*/hca_type",
    },
    FactDefinition {
        key: "rdma.link_layer",
        help: "What the port speaks: `InfiniBand` or `Ethernet`.",
        source: "/sys/class/infiniband/*/ports/*/link_layer",
    },
];
const FACT_FILES: [&str; 3] = ["fw_ver", "board_id", "hca_type"];
static LINK_LAYER: &FactDefinition = &FACTS[3];

/// Files with traffic: the name, its direction, and bytes in one of its units (0 counts packets).
const TRAFFIC: [(&str, &str, u64); 4] = [
    ("port_rcv_data", "receive", 4),
    ("port_xmit_data", "transmit", 4),
    ("port_rcv_packets", "receive", 0),
    ("port_xmit_packets", "transmit", 0),
];

/// Bits of the counters as the InfiniBand specification has them in PortCounters. A port with wider ones passes these.
const WIDTHS: [(&str, u32); 17] = [
    ("symbol_error", 16),
    ("link_error_recovery", 8),
    ("link_downed", 8),
    ("port_rcv_errors", 16),
    ("port_rcv_remote_physical_errors", 16),
    ("port_rcv_switch_relay_errors", 16),
    ("port_xmit_discards", 16),
    ("port_xmit_constraint_errors", 8),
    ("port_rcv_constraint_errors", 8),
    ("local_link_integrity_errors", 4),
    ("excessive_buffer_overrun_errors", 4),
    ("VL15_dropped", 16),
    ("port_xmit_data", 32),
    ("port_rcv_data", 32),
    ("port_xmit_packets", 32),
    ("port_rcv_packets", 32),
    ("port_xmit_wait", 32),
];

/// Not a counter but how long the driver keeps an answer.
const NO_COUNTER: &str = "lifespan";

#[derive(Debug)]
struct Rdma {
    root: SysRoot,
}

impl Collector for Rdma {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let devices = names(&self.root, DIRECTORY)?;
        if devices.is_empty() {
            return Ok(Presence::Absent(format!("no device in `/{DIRECTORY}`")));
        }
        let verbs = self.devices_of("sys/class/infiniband_verbs", out);
        let management = self.devices_of("sys/class/infiniband_mad", out);
        for device in &devices {
            let directory = format!("{DIRECTORY}/{device}");
            let id = hardware_id(&self.root, &directory, "infiniband", out);
            for (kind, known) in [("uverbs", &verbs), ("umad", &management)] {
                let state = u16::from(known.contains(device));
                let labels = [&*id, device, kind];
                out.sample(CHARACTER_DEVICE, &labels, Value::State(state));
            }
            for (fact, file) in FACTS.iter().zip(FACT_FILES) {
                let text = self
                    .root
                    .read_optional_trimmed(&format!("{directory}/{file}"));
                if let Some(text) = noted(text, out) {
                    out.fact(fact, &format!("rdma/{device}"), &text);
                }
            }
            let ports = names(&self.root, &format!("{directory}/ports"));
            for number in noted(ports.map(Some), out).unwrap_or_default() {
                let port = Port {
                    root: &self.root,
                    directory: format!("{directory}/ports/{number}"),
                    labels: [&id, device, &number],
                };
                port.write(out);
            }
        }
        Ok(Presence::Present)
    }
}

impl Rdma {
    /// The RDMA devices that have an entry in a class of character devices.
    fn devices_of(&self, class: &str, out: &mut dyn SampleWriter) -> BTreeSet<String> {
        let entries = noted(names(&self.root, class).map(Some), out).unwrap_or_default();
        entries
            .iter()
            .filter_map(|entry| {
                let path = format!("{class}/{entry}/ibdev");
                noted(self.root.read_optional_trimmed(&path), out)
            })
            .collect()
    }
}

struct Port<'r> {
    root: &'r SysRoot,
    directory: String,
    labels: [&'r str; 3],
}

impl Port<'_> {
    fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.directory)
    }

    fn write(&self, out: &mut dyn SampleWriter) {
        for (metric, file) in [(STATE, "state"), (PHYSICAL_STATE, "phys_state")] {
            let path = self.path(file);
            if let Some(text) = noted(self.root.read_optional_trimmed(&path), out)
                && let Err(error) = self.write_numbered(metric, &path, &text, out)
            {
                write_absent(error, metric, &self.labels, out);
            }
        }
        let path = self.path("rate");
        if let Some(text) = noted(self.root.read_optional_trimmed(&path), out) {
            match rate(&path, &text) {
                Ok(0) => out.absent(RATE, &self.labels, FailureReason::Unsupported),
                Ok(rate) => out.sample(RATE, &self.labels, Value::U64(rate)),
                Err(error) => write_absent(error, RATE, &self.labels, out),
            }
        }
        let link_layer = self.root.read_optional_trimmed(&self.path("link_layer"));
        if let Some(link_layer) = noted(link_layer, out) {
            let [_, device, number] = self.labels;
            out.fact(LINK_LAYER, &format!("rdma/{device}/{number}"), &link_layer);
        }
        self.write_counters(out);
        self.write_hardware_counters(out);
    }

    /// `4: ACTIVE`; the number tells, as drivers do not agree on the words.
    fn write_numbered(
        &self,
        metric: &'static MetricDefinition,
        path: &str,
        text: &str,
        out: &mut dyn SampleWriter,
    ) -> Result<(), CollectError> {
        let ValueType::State(states) = metric.value else {
            return Ok(());
        };
        let number = text.split(':').next().unwrap_or_default().trim();
        let number: usize = number
            .parse()
            .map_err(|_| malformed(path, None, "a number and a state", text))?;
        write_state(metric, &self.labels, states.get(number).unwrap_or(&""), out);
        Ok(())
    }

    fn write_counters(&self, out: &mut dyn SampleWriter) {
        let files = noted(names(self.root, &self.path("counters")).map(Some), out);
        let Some(files) = files.filter(|files| !files.is_empty()) else {
            return;
        };
        let mut full = 0;
        for file in &files {
            let path = self.path(&format!("counters/{file}"));
            let traffic = TRAFFIC.iter().find(|(name, _, _)| name == file);
            let count = match self.count(&path) {
                Ok(Some(count)) => count,
                Ok(None) => continue,
                Err(error) => {
                    let [id, device, port] = self.labels;
                    match traffic {
                        Some((_, direction, bytes)) => {
                            let labels = [id, device, port, direction];
                            let metric = if *bytes == 0 { PACKETS } else { IO };
                            write_absent(error, metric, &labels, out);
                        }
                        None => write_absent(error, EVENTS, &[id, device, port, file], out),
                    }
                    continue;
                }
            };
            full += u64::from(is_full(file, count));
            self.write_counter(file, traffic.copied(), count, out);
        }
        out.sample(FULL, &self.labels, Value::U64(full));
    }

    fn write_counter(
        &self,
        file: &str,
        traffic: Option<(&str, &str, u64)>,
        count: u64,
        out: &mut dyn SampleWriter,
    ) {
        let [id, device, port] = self.labels;
        let Some((_, direction, bytes)) = traffic else {
            return out.sample(EVENTS, &[id, device, port, file], Value::U64(count));
        };
        let labels = [id, device, port, direction];
        // kernels before 4.12 kept the wide counters of the same things apart
        let wide = self.path(&format!("counters_ext/{file}_64"));
        let count = noted(optional(self.root.read_u64(&wide)), out).unwrap_or(count);
        match bytes {
            0 => out.sample(PACKETS, &labels, Value::U64(count)),
            bytes => match scaled(count, bytes) {
                Some(count) => out.sample(IO, &labels, Value::U64(count)),
                None => out.absent(IO, &labels, FailureReason::Malformed),
            },
        }
    }

    fn write_hardware_counters(&self, out: &mut dyn SampleWriter) {
        let files = noted(names(self.root, &self.path("hw_counters")).map(Some), out);
        let [id, device, port] = self.labels;
        for file in files.unwrap_or_default() {
            if file == NO_COUNTER {
                continue;
            }
            let labels = [id, device, port, &file];
            match self.count(&self.path(&format!("hw_counters/{file}"))) {
                Ok(Some(count)) => out.sample(HARDWARE_EVENTS, &labels, Value::U64(count)),
                Ok(None) => {}
                Err(error) => write_absent(error, HARDWARE_EVENTS, &labels, out),
            }
        }
    }

    /// `None` where the port does not count this: `N/A (no PMA)`, or a refusal.
    fn count(&self, path: &str) -> Result<Option<u64>, CollectError> {
        match self.root.read_optional_trimmed(path) {
            Ok(Some(word)) if word.starts_with("N/A") => Ok(None),
            Ok(Some(word)) => word
                .parse()
                .map(Some)
                .map_err(|_| malformed(path, None, "a whole number", &word)),
            Ok(None) => Ok(None),
            Err(error)
                if matches!(error.reason, FailureReason::Io | FailureReason::Unsupported) =>
            {
                Err(CollectError {
                    reason: FailureReason::Unsupported,
                    ..error
                })
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a counter stands at the top of the width that the standard gives it.
fn is_full(file: &str, count: u64) -> bool {
    WIDTHS
        .iter()
        .any(|(name, bits)| *name == file && count == (1 << bits) - 1)
}

/// `100 Gb/sec (4X EDR)`, `2.5 Gb/sec (1X SDR)`: bytes per second.
fn rate(path: &str, text: &str) -> Result<u64, CollectError> {
    /// Tenths of Gb/s, as no rate has more digits.
    const TENTHS: f64 = 10.0;
    const BYTES_PER_TENTH: u64 = 100_000_000 / 8;
    let wrong = || malformed(path, None, "a rate in Gb/sec", text);
    let (number, _) = text.split_once(" Gb/sec").ok_or_else(wrong)?;
    let tenths = finite(number).map(|number| (number * TENTHS).round());
    let tenths = tenths.filter(|tenths| (0.0..1e9).contains(tenths));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 10^9, checked above"
    )]
    let tenths = tenths.ok_or_else(wrong)? as u64;
    scaled(tenths, BYTES_PER_TENTH).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_bytes_per_second() {
        assert_eq!(rate("x", "100 Gb/sec (4X EDR)").unwrap(), 12_500_000_000);
        assert_eq!(rate("x", "2.5 Gb/sec (1X SDR)").unwrap(), 312_500_000);
        for bad in ["", "100", "fast Gb/sec", "-1 Gb/sec", "inf Gb/sec"] {
            assert!(rate("x", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_narrow_counter_that_is_full_is_told() {
        assert!(is_full("symbol_error", 65_535));
        assert!(is_full("local_link_integrity_errors", 15));
        assert!(is_full("port_xmit_data", u64::from(u32::MAX)));
        assert!(!is_full("symbol_error", 65_536));
        assert!(!is_full("unicast_rcv_packets", 65_535));
    }
}
