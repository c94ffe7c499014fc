//! The state of network links, from `/sys/class/net`.
//!
//! Nothing of it takes a lock or asks a driver: the speed, which does both, is read apart.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, Patterns, ReadBuffer, Spec, SysRoot, optional, stable_device};

use super::interface::EXCLUDE;
use super::known::Known;
use crate::labels::INTERFACE;

pub(crate) static NETWORK_LINK: Spec = Spec {
    name: "network_link",
    summary: "Whether each link is up, how often it changed, and hardware errors by cause.",
    metrics: &METRICS,
    facts: &[],
    options: &[EXCLUDE],
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, options: &Options| {
        let exclude = Patterns::new(options.text_list(EXCLUDE.name));
        Box::new(NetworkLink {
            known: Known::new(root, exclude),
            buffer: ReadBuffer::new(),
        })
    },
};

pub(super) const DIRECTORY: &str = "sys/class/net";

/// Files in `statistics` that tell why, and the word for each.
const FAULTS: [(&str, &str); 6] = [
    ("rx_crc_errors", "receive_crc"),
    ("rx_missed_errors", "receive_missed"),
    ("rx_fifo_errors", "receive_fifo"),
    ("tx_carrier_errors", "transmit_carrier"),
    ("tx_fifo_errors", "transmit_fifo"),
    ("collisions", "collision"),
];

pub(super) const ID: LabelDefinition = LabelDefinition {
    key: "hw.id",
    help: "Where the hardware is plugged in, e.g. its PCI address; the interface's name where it is no hardware.",
};

static METRICS: [MetricDefinition; 4] = [
    MetricDefinition {
        name: "hw.network.up",
        unit: "1",
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        help: "1 where the interface is operational, else 0.",
        is_not: "Not proof that anything is reachable: it is the link alone. Loopback says `unknown`, which is 0.",
        labels: &[INTERFACE, ID],
        source: "/sys/class/net/*/operstate",
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
    MetricDefinition {
        name: "system.network.linux.carrier_losses",
        unit: "{change}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Times that the link went down since the interface exists.",
        is_not: "Not times that it came up again: a link that is down now came up once less.",
        labels: &[INTERFACE],
        source: "/sys/class/net/*/carrier_down_count",
        audience: Audience::Operator,
    },
];
static UP: &MetricDefinition = &METRICS[0];
static CHANGES: &MetricDefinition = &METRICS[1];
static FAULT_COUNT: &MetricDefinition = &METRICS[2];
static LOSSES: &MetricDefinition = &METRICS[3];

#[derive(Debug)]
struct NetworkLink {
    known: Known<Interface>,
    buffer: ReadBuffer,
}

impl Collector for NetworkLink {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let interfaces = self.known.look(out, Interface::new)?;
        if interfaces.is_empty() {
            let looked_for = format!("no interface in `/{DIRECTORY}`");
            return Ok(Presence::Absent(looked_for));
        }
        for (name, interface) in interfaces {
            interface.write(name, &mut self.buffer, out);
        }
        Ok(Presence::Present)
    }
}

/// The files of one interface.
#[derive(Debug)]
struct Interface {
    id: String,
    state: KeptFile,
    changes: KeptFile,
    losses: KeptFile,
    /// Of hardware alone, by what they count.
    faults: Vec<(&'static str, KeptFile)>,
}

/// `0000:19:00.1`, and behind a `/` the port where one function of a card has several.
pub(super) fn hardware_id(root: &SysRoot, name: &str, out: &mut dyn SampleWriter) -> String {
    let directory = format!("{DIRECTORY}/{name}");
    let place = root.link_target(&directory).unwrap_or_default();
    let Some(device) = place
        .rsplit_once("/net/")
        .and_then(|(device, _)| stable_device(root, device, out))
    else {
        return name.to_owned();
    };
    // of what cannot be read there is no failure: the name of the interface tells the ports apart too
    match root.read_optional_u64(&format!("{directory}/dev_port")) {
        Ok(Some(port @ 1..)) => format!("{device}/{port}"),
        _ => device,
    }
}

impl Interface {
    fn new(root: &SysRoot, name: &str, out: &mut dyn SampleWriter) -> Self {
        let path = |file: &str| format!("{DIRECTORY}/{name}/{file}");
        let file = |file: &str| KeptFile::attribute(root, &path(file));
        let is_hardware = root.exists(&path("device"));
        let faults = FAULTS.iter().filter(|_| is_hardware);
        Self {
            id: hardware_id(root, name, out),
            state: file("operstate"),
            changes: file("carrier_changes"),
            losses: file("carrier_down_count"),
            faults: faults
                .map(|(counted, fault)| (*fault, file(&format!("statistics/{counted}"))))
                .collect(),
        }
    }

    fn write(&mut self, name: &str, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        match optional(self.state.read(buffer)) {
            Ok(Some(state)) => {
                let up = u64::from(state.trim() == "up");
                out.sample(UP, &[name, &self.id], Value::U64(up));
            }
            Ok(None) => {}
            Err(error) => out.failure(error),
        }
        write_count(&mut self.changes, CHANGES, &[name], buffer, out);
        write_count(&mut self.losses, LOSSES, &[name], buffer, out);
        for (fault, file) in &mut self.faults {
            write_count(file, FAULT_COUNT, &[name, fault], buffer, out);
        }
    }
}

fn write_count(
    file: &mut KeptFile,
    metric: &'static MetricDefinition,
    labels: &[&str],
    buffer: &mut ReadBuffer,
    out: &mut dyn SampleWriter,
) {
    match optional(file.read_u64(buffer)) {
        Ok(Some(count)) => out.sample(metric, labels, Value::U64(count)),
        Ok(None) => {}
        Err(error) => out.failure(error),
    }
}

#[cfg(test)]
mod tests {
    use glasshouse_sysfs::compliance::record;

    use super::*;

    #[test]
    fn an_interface_is_named_by_where_it_is_plugged_in() {
        let tree = tempfile::tempdir().unwrap();
        let class = tree.path().join(DIRECTORY);
        std::fs::create_dir_all(&class).unwrap();
        for (name, place, port) in [
            ("eth0", "pci0000:16/0000:19:00.0/net/eth0", "0"),
            ("eth1", "pci0000:16/0000:19:00.0/net/eth1", "1"),
            ("eth2", "pci0000:00/0000:00:03.0/virtio7/net/eth2", "0"),
            ("bond0", "virtual/net/bond0", "0"),
        ] {
            let device = tree.path().join("sys/devices").join(place);
            std::fs::create_dir_all(&device).unwrap();
            std::fs::write(device.join("operstate"), "up\n").unwrap();
            std::fs::write(device.join("dev_port"), port).unwrap();
            let target = format!("../../devices/{place}");
            std::os::unix::fs::symlink(target, class.join(name)).unwrap();
        }
        let recording = record(&NETWORK_LINK, tree.path());
        for labels in [
            ["eth0", "0000:19:00.0"],
            ["eth1", "0000:19:00.0/1"],
            ["eth2", "0000:00:03.0"],
            ["bond0", "bond0"],
        ] {
            assert_eq!(recording.value("hw.network.up", &labels), Some(1.0));
        }
    }

    #[test]
    fn what_containers_bring_and_take_is_left_out() {
        let exclude = Options::defaults(NETWORK_LINK.options);
        let exclude = Patterns::new(exclude.text_list(EXCLUDE.name));
        for name in [
            "br-4f1e2d3c4b5a",
            "docker0",
            "docker_gwbridge",
            "eni0a1b2c3d4e5",
            "azv0a1b2c3",
            "gke52ccea7b9fe",
            "cali1a2b3c4d5e6",
            "cni0",
            "lxc1234",
            "veth8a1b2c3",
            "vnet3",
            "tap0",
        ] {
            assert!(exclude.matches(name), "{name}");
        }
        for name in [
            "eth0",
            "enp23s0f0",
            "ens5",
            "eno1",
            "br0",
            "bond0",
            "ib0",
            "lo",
        ] {
            assert!(!exclude.matches(name), "{name}");
        }
    }
}
