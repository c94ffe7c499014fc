//! How the kernel is set: what decides about performance and safety, and drifts apart between machines.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::CollectError;
use glasshouse_core::hardware::facts;
use glasshouse_core::options::Options;
use glasshouse_sysfs::{ReadBuffer, Spec, SysRoot, malformed, optional};

use super::{Teller, fact};

pub(super) static SETTINGS: Spec = Spec {
    name: "settings",
    summary: "How the kernel is set: mitigations, sysctls, huge pages, clock source, drivers, IOMMU, secure boot.",
    metrics: &[],
    facts: &FACTS,
    options: &[],
    interval_seconds: 60,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Settings {
            root,
            buffer: ReadBuffer::new(),
        })
    },
};

static FACTS: [FactDefinition; 21] = [
    fact(
        "os.kernel.sysctl",
        "A setting of the kernel that is known to decide about performance.",
        "/proc/sys",
    ),
    fact(
        "host.cpu.vulnerability",
        "Whether the processors have a flaw, and what the kernel does about it.",
        "/sys/devices/system/cpu/vulnerabilities/*",
    ),
    facts::driver_version("/sys/module/*/version"),
    fact(
        "host.memory.hugepages",
        "Huge pages of a size that are set aside.",
        "/sys/kernel/mm/hugepages/hugepages-*/nr_hugepages",
    ),
    fact(
        "os.kernel.transparent_hugepage.defrag",
        "When the kernel stalls to make a huge page.",
        "/sys/kernel/mm/transparent_hugepage/defrag",
    ),
    fact(
        "os.kernel.transparent_hugepage.shared",
        "When shared memory uses huge pages.",
        "/sys/kernel/mm/transparent_hugepage/shmem_enabled",
    ),
    fact(
        "os.kernel.clocksource",
        "What the kernel tells the time by.",
        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    ),
    fact(
        "os.kernel.clocksource.available",
        "What the kernel could tell the time by.",
        "/sys/devices/system/clocksource/clocksource0/available_clocksource",
    ),
    fact(
        "host.cpu.smt.active",
        "Whether two threads of a core run now (1) or not (0).",
        "/sys/devices/system/cpu/smt/active",
    ),
    fact(
        "host.cpu.isolated",
        "Processors that the scheduler leaves alone.",
        "/sys/devices/system/cpu/isolated",
    ),
    fact(
        "host.cpu.online",
        "Processors that are online.",
        "/sys/devices/system/cpu/online",
    ),
    fact(
        "host.cpu.pstate.status",
        "Who chooses the clock: hardware (`active`) or the kernel (`passive`, `guided`).",
        "/sys/devices/system/cpu/{intel_pstate,amd_pstate}/status",
    ),
    fact(
        "host.cpu.frequency.preference",
        "What the hardware prefers: power or performance.",
        "/sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference",
    ),
    fact(
        "host.cpu.idle.driver",
        "Who sends idle processors to sleep.",
        "/sys/devices/system/cpu/cpuidle/current_driver",
    ),
    fact(
        "host.cpu.idle.governor",
        "By which rule idle processors are sent to sleep.",
        "/sys/devices/system/cpu/cpuidle/current_governor*",
    ),
    fact(
        "host.iommu.units",
        "Units that keep devices apart from memory that is not theirs.",
        "/sys/class/iommu",
    ),
    fact(
        "host.iommu.domain",
        "How devices reach memory: mapped (`DMA`, `DMA-FQ`) or not (`identity`).",
        "/sys/kernel/iommu_groups/0/type",
    ),
    fact(
        "host.secure_boot",
        "Whether firmware starts only what is signed (1) or anything (0).",
        "/sys/firmware/efi/efivars",
    ),
    fact(
        "host.firmware.interface",
        "How the machine was started, where by EFI.",
        "/sys/firmware/efi",
    ),
    fact(
        "os.kernel.lockdown",
        "What the kernel keeps even from root.",
        "/sys/kernel/security/lockdown",
    ),
    fact(
        "hw.tpm.version",
        "The version of the trusted platform module.",
        "/sys/class/tpm/tpm*/tpm_version_major",
    ),
];

const CPU: &str = "sys/devices/system/cpu";
const CLOCKSOURCE: &str = "sys/devices/system/clocksource/clocksource0";

/// Component, fact, file with one word.
const FILES: [(&str, &str, &str); 11] = [
    (
        "kernel",
        "os.kernel.clocksource",
        "sys/devices/system/clocksource/clocksource0/current_clocksource",
    ),
    (
        "cpu",
        "host.cpu.smt.active",
        "sys/devices/system/cpu/smt/active",
    ),
    (
        "cpu",
        "host.cpu.isolated",
        "sys/devices/system/cpu/isolated",
    ),
    ("cpu", "host.cpu.online", "sys/devices/system/cpu/online"),
    (
        "cpu",
        "host.cpu.pstate.status",
        "sys/devices/system/cpu/intel_pstate/status",
    ),
    (
        "cpu",
        "host.cpu.pstate.status",
        "sys/devices/system/cpu/amd_pstate/status",
    ),
    (
        "cpu",
        "host.cpu.frequency.preference",
        "sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference",
    ),
    (
        "cpu",
        "host.cpu.idle.driver",
        "sys/devices/system/cpu/cpuidle/current_driver",
    ),
    (
        "cpu",
        "host.cpu.idle.governor",
        "sys/devices/system/cpu/cpuidle/current_governor",
    ),
    (
        "cpu",
        "host.cpu.idle.governor",
        "sys/devices/system/cpu/cpuidle/current_governor_ro",
    ),
    (
        "host",
        "host.iommu.domain",
        "sys/kernel/iommu_groups/0/type",
    ),
];

/// Component, fact, file with a choice in brackets.
const CHOICES: [(&str, &str, &str); 3] = [
    (
        "kernel",
        "os.kernel.lockdown",
        "sys/kernel/security/lockdown",
    ),
    (
        "kernel",
        "os.kernel.transparent_hugepage.defrag",
        "sys/kernel/mm/transparent_hugepage/defrag",
    ),
    (
        "kernel",
        "os.kernel.transparent_hugepage.shared",
        "sys/kernel/mm/transparent_hugepage/shmem_enabled",
    ),
];

/// Settings that change how fast work runs, by the name that `sysctl` gives them.
const SYSCTLS: [&str; 30] = [
    "kernel.numa_balancing",
    "kernel.nmi_watchdog",
    "kernel.perf_event_paranoid",
    "kernel.sched_autogroup_enabled",
    "kernel.sched_rt_runtime_us",
    "kernel.timer_migration",
    "kernel.watchdog_thresh",
    "net.core.busy_poll",
    "net.core.default_qdisc",
    "net.core.netdev_max_backlog",
    "net.core.rmem_max",
    "net.core.somaxconn",
    "net.core.wmem_max",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_mtu_probing",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "vm.compaction_proactiveness",
    "vm.dirty_background_ratio",
    "vm.dirty_bytes",
    "vm.dirty_ratio",
    "vm.max_map_count",
    "vm.min_free_kbytes",
    "vm.nr_overcommit_hugepages",
    "vm.overcommit_memory",
    "vm.overcommit_ratio",
    "vm.stat_interval",
    "vm.swappiness",
    "vm.watermark_scale_factor",
    "vm.zone_reclaim_mode",
];

/// Drivers of processors' accelerators, networks, storage and management, whose versions drift between machines.
const DRIVERS: [&str; 44] = [
    "aacraid",
    "amdgpu",
    "amdkfd",
    "be2net",
    "bnx2x",
    "bnxt_en",
    "cxgb4",
    "drbd",
    "efa",
    "ena",
    "gdrdrv",
    "habanalabs",
    "hpsa",
    "i40e",
    "iavf",
    "ib_core",
    "ice",
    "idxd",
    "igb",
    "ipmi_si",
    "irdma",
    "ixgbe",
    "kvm",
    "lpfc",
    "megaraid_sas",
    "mlx4_core",
    "mlx5_core",
    "mlx5_ib",
    "mpi3mr",
    "mpt3sas",
    "nfp",
    "nvidia",
    "nvidia_peermem",
    "nvidia_uvm",
    "nvme",
    "qed",
    "qede",
    "qla2xxx",
    "rdma_cm",
    "sfc",
    "smartpqi",
    "xe",
    "xpmem",
    "zfs",
];

/// The variable by which EFI says whether it checks signatures: its name and the GUID of EFI's own variables.
const SECURE_BOOT: &str =
    "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// Entries of directories that are told: flaws, sizes of huge pages, modules.
const MOST_ENTRIES: usize = 256;

#[derive(Debug)]
struct Settings {
    root: SysRoot,
    buffer: ReadBuffer,
}

impl Collector for Settings {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut teller = Teller::new(&self.root, out, &FACTS);
        for (component, key, path) in FILES {
            teller.tell_file_once(component, key, path);
        }
        for (component, key, path) in CHOICES {
            teller.tell_choice(component, key, path);
        }
        tell_clocksources(&mut teller);
        for name in SYSCTLS {
            let path = format!("proc/sys/{}", name.replace('.', "/"));
            teller.tell_words(&format!("sysctl/{name}"), "os.kernel.sysctl", &path);
        }
        for driver in DRIVERS {
            let path = format!("sys/module/{driver}/version");
            teller.tell_file(&format!("driver/{driver}"), "hw.driver_version", &path);
        }
        let flaws = format!("{CPU}/vulnerabilities");
        for name in list(&mut teller, &flaws) {
            let path = format!("{flaws}/{name}");
            let component = format!("vulnerability/{name}");
            teller.tell_file(&component, "host.cpu.vulnerability", &path);
        }
        tell_huge_pages(&mut teller);
        tell_security(&mut teller, &mut self.buffer);
        if teller.is_silent() {
            return Ok(Presence::Absent("no `/proc/sys` and no `/sys`".to_owned()));
        }
        Ok(Presence::Present)
    }
}

fn list(teller: &mut Teller<'_>, directory: &str) -> Vec<String> {
    let names = optional(teller.root.list(directory));
    let mut names = teller.noted(names).flatten().unwrap_or_default();
    names.truncate(MOST_ENTRIES);
    names
}

fn tell_clocksources(teller: &mut Teller<'_>) {
    let path = format!("{CLOCKSOURCE}/available_clocksource");
    teller.tell_words("kernel", "os.kernel.clocksource.available", &path);
}

fn tell_huge_pages(teller: &mut Teller<'_>) {
    const DIRECTORY: &str = "sys/kernel/mm/hugepages";
    for name in list(teller, DIRECTORY) {
        if let Some(size) = name.strip_prefix("hugepages-") {
            let path = format!("{DIRECTORY}/{name}/nr_hugepages");
            teller.tell_file(&format!("hugepages/{size}"), "host.memory.hugepages", &path);
        }
    }
}

fn tell_security(teller: &mut Teller<'_>, buffer: &mut ReadBuffer) {
    let units = list(teller, "sys/class/iommu").len();
    if units > 0 {
        teller.tell("host", "host.iommu.units", &units.to_string());
    }
    if teller.root.exists("sys/firmware/efi") {
        teller.tell("host", "host.firmware.interface", "efi");
    }
    // four bytes of attributes, then the value
    let variable = teller.root.read_bytes(SECURE_BOOT, buffer);
    let state = optional(variable).and_then(|bytes| match bytes {
        None => Ok(None),
        Some([_, _, _, _, state @ (0 | 1)]) => Ok(Some(*state)),
        Some(bytes) => {
            let found = format!("{} bytes", bytes.len());
            Err(malformed(
                SECURE_BOOT,
                None,
                "four bytes and 0 or 1",
                &found,
            ))
        }
    });
    if let Some(Some(state)) = teller.noted(state) {
        teller.tell("host", "host.secure_boot", &state.to_string());
    }
    for name in list(teller, "sys/class/tpm") {
        let path = format!("sys/class/tpm/{name}/tpm_version_major");
        teller.tell_file(&format!("tpm/{name}"), "hw.tpm.version", &path);
    }
}
