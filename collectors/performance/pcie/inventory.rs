//! Which devices of PCI there are, so that one that is lost is missed.

use std::collections::BTreeMap;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::CollectError;
use glasshouse_core::hardware::facts;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Spec, SysRoot};

use super::device::{DIRECTORY, Device, all, of_interest};
use crate::parts::noted;

pub(crate) static PCIE_INVENTORY: Spec = Spec {
    name: "pcie_inventory",
    summary: "Which devices of PCI there are, by class, and which driver each has.",
    metrics: &METRICS,
    facts: &FACTS,
    options: &[],
    // three scans without a device are a minute and a half
    interval_seconds: 30,
    needs: "",
    build: |root: SysRoot, _: &Options| Box::new(Inventory { root }),
};

static METRICS: [MetricDefinition; 1] = [MetricDefinition {
    name: "hw.pcie.devices",
    unit: "{device}",
    kind: MetricKind::UpDownCounter,
    value: ValueType::U64,
    help: "Devices of PCI that the kernel sees, by class; virtual functions are left out.",
    is_not: "Not devices that work: see the driver of each, and what its own collector says.",
    labels: &[LabelDefinition {
        key: "hw.pcie.class",
        help: "Class and subclass, e.g. `0108` NVMe, `0200` Ethernet, `0207` InfiniBand, `0302` GPU without a screen.",
    }],
    source: "/sys/bus/pci/devices/*/class",
    audience: Audience::Operator,
}];
static DEVICES: &MetricDefinition = &METRICS[0];

static FACTS: [FactDefinition; 5] = [
    FactDefinition {
        key: "pci.class",
        help: "Class and subclass of the device, e.g. `0302`.",
        source: "/sys/bus/pci/devices/*/class",
    },
    FactDefinition {
        key: "pci.id",
        help: "Numbers of vendor and device, e.g. `10de:2330`.",
        source: "/sys/bus/pci/devices/*/{vendor,device}",
    },
    FactDefinition {
        key: "pci.revision",
        help: "The revision that the maker gave the device.",
        source: "/sys/bus/pci/devices/*/revision",
    },
    facts::driver("/sys/bus/pci/devices/*/driver"),
    FactDefinition {
        key: "pci.inventory.hash",
        help: "A number that changes when a device comes, goes or moves.",
        source: "/sys/bus/pci/devices/*/{class,vendor,device}",
    },
];
static CLASS: &FactDefinition = &FACTS[0];
static DEVICE_ID: &FactDefinition = &FACTS[1];
static REVISION: &FactDefinition = &FACTS[2];
static DRIVER: &FactDefinition = &FACTS[3];
static HASH: &FactDefinition = &FACTS[4];

#[derive(Debug)]
struct Inventory {
    root: SysRoot,
}

impl Collector for Inventory {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let devices = all(&self.root, out)?;
        if devices.is_empty() {
            return Ok(Presence::Absent(format!("no device in `/{DIRECTORY}`")));
        }
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut hash = Hash::default();
        for device in &devices {
            *counts.entry(device.class_word()).or_default() += 1;
            hash.add(&device.address);
            hash.add(&device.class_word());
            for file in ["vendor", "device"] {
                hash.add(&self.word(device, file, out).unwrap_or_default());
            }
        }
        for (class, count) in &counts {
            out.sample(DEVICES, &[class], Value::U64(*count));
        }
        out.fact(HASH, "pci", &format!("{:016x}", hash.0));
        for device in of_interest(&self.root, devices, out) {
            self.tell(&device, out);
        }
        Ok(Presence::Present)
    }
}

impl Inventory {
    fn word(&self, device: &Device, file: &str, out: &mut dyn SampleWriter) -> Option<String> {
        noted(self.root.read_optional_trimmed(&device.path(file)), out)
    }

    fn tell(&self, device: &Device, out: &mut dyn SampleWriter) {
        let component = format!("pci/{}", device.address);
        out.fact(CLASS, &component, &device.class_word());
        let number = |word: String| word.trim_start_matches("0x").to_owned();
        let vendor = self.word(device, "vendor", out).map(number);
        let product = self.word(device, "device", out).map(number);
        if let (Some(vendor), Some(product)) = (vendor, product) {
            out.fact(DEVICE_ID, &component, &format!("{vendor}:{product}"));
        }
        if let Some(revision) = self.word(device, "revision", out).map(number)
            && !revision.is_empty()
        {
            out.fact(REVISION, &component, &revision);
        }
        let driver = self.root.link_name(&device.path("driver"));
        out.fact(DRIVER, &component, driver.as_deref().unwrap_or("none"));
    }
}

/// FNV-1a: the same on every machine and in every version, unlike the hashers of the standard library.
#[derive(Debug)]
struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Hash {
    fn add(&mut self, word: &str) {
        for byte in word.bytes().chain([b'\n']) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
}

#[cfg(test)]
mod tests {
    use glasshouse_sysfs::compliance::record;

    use super::*;

    /// Three hundred devices are too many to read twice.
    #[test]
    fn each_device_is_read_once_a_run() {
        let tree = tempfile::tempdir().unwrap();
        for (address, class) in [("0000:3b:00.0", "0x030200"), ("0000:5e:00.0", "none")] {
            let device = tree.path().join(DIRECTORY).join(address);
            std::fs::create_dir_all(&device).unwrap();
            std::fs::write(device.join("class"), class).unwrap();
        }
        let recording = record(&PCIE_INVENTORY, tree.path());
        assert_eq!(recording.failures.len(), 1, "{:?}", recording.failures);
        assert_eq!(recording.value("hw.pcie.devices", &["0302"]), Some(1.0));
    }

    #[test]
    fn the_hash_is_the_published_one_and_tells_words_apart() {
        let mut hash = Hash::default();
        for byte in "foobar".bytes() {
            hash.0 = (hash.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        assert_eq!(hash.0, 0x8594_4171_f739_67e8);
        let of = |words: &[&str]| {
            let mut hash = Hash::default();
            words.iter().for_each(|word| hash.add(word));
            hash.0
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    }
}
