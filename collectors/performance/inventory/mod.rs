//! What the machine is: kernel, firmware, processors, memory, disks, network interfaces. Facts alone, no metrics.
//!
//! Serial numbers, MAC addresses and the machine id are left out: they tell machines apart, not what is wrong with one.

mod disks;
mod dmi;
mod firmware;
mod host;
mod identifiers;
mod interfaces;
mod processors;
mod settings;

use glasshouse_core::collector::{Collector, CollectorSpec, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::CollectError;
use glasshouse_core::hardware::facts;
use glasshouse_core::options::Options;
use glasshouse_sysfs::{Spec, SysRoot};

/// The collectors of what the machine is.
pub(crate) static COLLECTORS: &[&dyn CollectorSpec] = &[&INVENTORY, &dmi::DMI, &settings::SETTINGS];

static INVENTORY: Spec = Spec {
    name: "inventory",
    summary: "What the machine is: kernel, firmware, processors, memory, disks, network interfaces.",
    metrics: &[],
    facts: &FACTS,
    options: &[],
    interval_seconds: 60,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Inventory {
            root,
            models: processors::Models::default(),
        })
    },
};

pub(super) const fn fact(
    key: &'static str,
    help: &'static str,
    source: &'static str,
) -> FactDefinition {
    FactDefinition { key, help, source }
}

static FACTS: [FactDefinition; 47] = [
    fact(
        "host.name",
        "The name that the machine gives itself.",
        "/proc/sys/kernel/hostname",
    ),
    fact(
        "host.arch",
        "The architecture of the processors.",
        "/proc/sys/kernel/arch, else uname",
    ),
    fact(
        "host.memory.size",
        "Memory that the kernel has, in bytes.",
        "/proc/meminfo",
    ),
    fact(
        "os.name",
        "The name of the distribution.",
        "/etc/os-release",
    ),
    fact(
        "os.version",
        "The version of the distribution.",
        "/etc/os-release",
    ),
    fact(
        "os.description",
        "Name and version of the distribution in one.",
        "/etc/os-release",
    ),
    fact(
        "os.kernel.release",
        "The release of the running kernel.",
        "/proc/sys/kernel/osrelease",
    ),
    fact(
        "os.kernel.version",
        "The build of the running kernel.",
        "/proc/sys/kernel/version",
    ),
    fact(
        "os.kernel.command_line",
        "What the kernel was booted with; values of keys that sound secret are blanked.",
        "/proc/cmdline",
    ),
    fact(
        "os.kernel.taint",
        "Bits that say why the kernel is tainted; 0 is clean.",
        "/proc/sys/kernel/tainted",
    ),
    fact(
        "os.kernel.boot_id",
        "A random id of this boot: another one means that the machine rebooted.",
        "/proc/sys/kernel/random/boot_id",
    ),
    fact(
        "os.kernel.transparent_hugepage",
        "When the kernel uses huge pages by itself.",
        "/sys/kernel/mm/transparent_hugepage/enabled",
    ),
    facts::vendor("/sys/class/dmi/id, /sys/block/*/device/vendor"),
    facts::model("/sys/class/dmi/id, /sys/block/*/device/model"),
    facts::bios_version("/sys/class/dmi/id/bios_version"),
    facts::firmware_version(
        "/sys/class/dmi/id, /sys/block/*/device, /sys/class/{nvme,infiniband,scsi_host}",
    ),
    fact(
        "hw.firmware_date",
        "The date of the part's firmware, as its maker writes it.",
        "/sys/class/dmi/id/bios_date",
    ),
    facts::size("/sys/block/*/size"),
    facts::driver("/sys/class/net/*/device/driver"),
    fact(
        "disk.rotational",
        "Whether the disk turns (1) or not (0).",
        "/sys/block/*/queue/rotational",
    ),
    fact(
        "disk.scheduler",
        "The I/O scheduler of the disk.",
        "/sys/block/*/queue/scheduler",
    ),
    fact(
        "network.interface.mtu",
        "The largest packet of the interface, in bytes.",
        "/sys/class/net/*/mtu",
    ),
    fact(
        "network.interface.speed",
        "The speed of the link in Mbit/s, where it is up.",
        "/sys/class/net/*/speed",
    ),
    fact(
        "network.interface.duplex",
        "Whether the link is full or half duplex, where it is up.",
        "/sys/class/net/*/duplex",
    ),
    fact(
        "host.cpu.vendor.id",
        "Who made the processors.",
        "/proc/cpuinfo, at the first run",
    ),
    fact(
        "host.cpu.model.name",
        "The maker's name of the processors.",
        "/proc/cpuinfo, at the first run",
    ),
    fact(
        "host.cpu.family",
        "The family number of the processors.",
        "/proc/cpuinfo, at the first run",
    ),
    fact(
        "host.cpu.model.id",
        "The model number of the processors.",
        "/proc/cpuinfo, at the first run",
    ),
    fact(
        "host.cpu.stepping",
        "The stepping of the processors.",
        "/proc/cpuinfo, at the first run",
    ),
    facts::microcode("/proc/cpuinfo, at the first run"),
    fact(
        "host.cpu.packages",
        "Packages (sockets) that are in use.",
        "/sys/devices/system/cpu/cpu*/topology",
    ),
    fact(
        "host.cpu.cores",
        "Cores of all packages.",
        "/sys/devices/system/cpu/cpu*/topology",
    ),
    fact(
        "host.cpu.threads",
        "Logical processors of all packages.",
        "/sys/devices/system/cpu/cpu*/topology",
    ),
    fact(
        "host.cpu.smt",
        "Whether simultaneous multithreading is on.",
        "/sys/devices/system/cpu/smt/control",
    ),
    fact(
        "host.cpu.frequency.driver",
        "What sets the clocks.",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver",
    ),
    fact(
        "host.cpu.frequency.governor",
        "By which rule the clocks are set.",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    ),
    fact(
        "host.cpu.frequency.max",
        "The highest clock that is allowed, in Hz.",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq",
    ),
    fact(
        "host.cpu.turbo",
        "Whether the processors may exceed their rated clock (1) or not (0).",
        "/sys/devices/system/cpu/{intel_pstate/no_turbo,cpufreq/boost}",
    ),
    fact(
        "host.cpu.frequency.base",
        "The clock that the processors are rated for, in Hz.",
        "/sys/devices/system/cpu/cpu0/cpufreq/base_frequency",
    ),
    fact(
        "host.numa.nodes",
        "NUMA nodes of the machine.",
        "/sys/devices/system/node",
    ),
    fact(
        "host.numa.nodes_per_package",
        "NUMA nodes with processors in each package: more than one is sub-NUMA clustering.",
        "/sys/devices/system/node/node*/cpulist",
    ),
    facts::version("/sys/class/dmi/id"),
    fact(
        "hw.family",
        "The maker's family of the part.",
        "/sys/class/dmi/id",
    ),
    fact(
        "hw.sku",
        "The maker's order number of the configuration.",
        "/sys/class/dmi/id/product_sku",
    ),
    fact(
        "hw.firmware_release",
        "The release of the part's firmware, as a number.",
        "/sys/class/dmi/id",
    ),
    fact(
        "hw.chassis.type",
        "The number of the chassis' shape in SMBIOS: 23 is a rack mount, 25 a multi-system one.",
        "/sys/class/dmi/id/chassis_type",
    ),
    fact(
        "hw.battery.chemistry",
        "What a battery is made of.",
        "/sys/class/power_supply/*/technology",
    ),
];

#[derive(Debug)]
struct Inventory {
    root: SysRoot,
    models: processors::Models,
}

impl Collector for Inventory {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut teller = Teller::new(&self.root, out, &FACTS);
        host::tell(&mut teller);
        processors::tell(&mut teller, &mut self.models);
        disks::tell(&mut teller);
        interfaces::tell(&mut teller);
        firmware::tell(&mut teller);
        if teller.is_silent() {
            return Ok(Presence::Absent("no `/proc` and no `/sys`".to_owned()));
        }
        Ok(Presence::Present)
    }
}

/// Writes facts, and counts whether there were any.
struct Teller<'r> {
    root: &'r SysRoot,
    out: &'r mut dyn SampleWriter,
    facts: &'static [FactDefinition],
    told: usize,
    failed: usize,
    /// Component and key of the last fact.
    last: Option<(String, &'static str)>,
}

impl<'r> Teller<'r> {
    fn new(
        root: &'r SysRoot,
        out: &'r mut dyn SampleWriter,
        facts: &'static [FactDefinition],
    ) -> Self {
        Self {
            root,
            out,
            facts,
            told: 0,
            failed: 0,
            last: None,
        }
    }

    /// Whether there was nothing at all.
    const fn is_silent(&self) -> bool {
        self.told == 0 && self.failed == 0
    }

    /// One fact; an empty value tells nothing. The key is one of the declared ones.
    fn tell(&mut self, component: &str, key: &str, value: &str) {
        let value = value.trim();
        let known = self.facts.iter().find(|known| known.key == key);
        debug_assert!(known.is_some(), "`{key}` is no declared fact");
        if let Some(known) = known
            && !value.is_empty()
        {
            self.out.fact(known, component, value);
            self.told += 1;
            self.last = Some((component.to_owned(), known.key));
        }
    }

    /// As [`Self::tell_file`], unless the file before it told the same: the first that exists counts.
    fn tell_file_once(&mut self, component: &str, key: &str, path: &str) {
        let last = self.last.as_ref();
        if !last.is_some_and(|(of, known)| of == component && *known == key) {
            self.tell_file(component, key, path);
        }
    }

    /// One fact that is a file of several words, with one blank between them.
    fn tell_words(&mut self, component: &str, key: &str, path: &str) {
        let text = self.root.read_optional_trimmed(path);
        if let Some(text) = self.noted(text).flatten() {
            let words: Vec<&str> = text.split_ascii_whitespace().collect();
            self.tell(component, key, &words.join(" "));
        }
    }

    /// Tells a failure.
    fn fail(&mut self, error: CollectError) {
        self.out.failure(error);
        self.failed += 1;
    }

    /// One fact that is a file, where there is such a file.
    fn tell_file(&mut self, component: &str, key: &str, path: &str) {
        let text = self.root.read_optional_trimmed(path);
        if let Some(text) = self.noted(text).flatten() {
            self.tell(component, key, &text);
        }
    }

    /// One fact that is the choice in brackets of a file like `always [madvise] never`.
    fn tell_choice(&mut self, component: &str, key: &str, path: &str) {
        let text = self.root.read_optional_trimmed(path);
        if let Some(text) = self.noted(text).flatten() {
            let chosen = text
                .split_once('[')
                .and_then(|(_, rest)| rest.split_once(']'))
                .map_or(&*text, |(chosen, _)| chosen);
            self.tell(component, key, chosen);
        }
    }

    /// Tells a failure, and gives what did not fail.
    fn noted<T>(&mut self, outcome: Result<T, CollectError>) -> Option<T> {
        outcome.map_err(|error| self.fail(error)).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use glasshouse_sysfs::compliance::{Recording, opened_by, violations};

    use super::*;

    #[test]
    fn all_pass_the_common_checks() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/host");
        for spec in COLLECTORS {
            let found = violations(*spec, &fixture);
            assert!(found.is_empty(), "{}", found.join("\n"));
        }
    }

    #[test]
    fn what_interrupts_every_processor_is_read_once_and_told_each_time() {
        const CPUINFO: &str = "proc/cpuinfo";
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/host");
        let mut inventory = (INVENTORY.build)(SysRoot::new(&fixture), &Options::default());
        let mut told = Vec::new();
        for opened in [true, false, false] {
            let paths = opened_by(|| told.push(Recording::of(inventory.as_mut()).text()));
            assert_eq!(paths.iter().any(|path| path == CPUINFO), opened);
        }
        assert!(told[0].contains("host.cpu.model.name"));
        assert_eq!(told[0], told[1]);
        assert_eq!(told[0], told[2]);
    }
}
