//! What messages of the kernel mean: a table, first match wins.
//!
//! Names of processes, disks, servers and modules stand in messages, and some are chosen by whoever runs programs here.
//! So a pattern says how a message *begins* wherever the kernel writes a beginning of its own, and messages that begin
//! with a name (`<process> invoked oom-killer`) are left to the line of the same event that does not.

use glasshouse_core::condition::Severity;
use glasshouse_core::condition::Severity::{Critical, Info, Warning};

/// A class of messages, and how to know them.
#[derive(Debug)]
pub(super) struct Pattern {
    /// The word for the class: label and code.
    pub(super) class: &'static str,
    pub(super) severity: Severity,
    /// One of these begins the message.
    starts: &'static [&'static str],
    /// All of these stand in it, in any case of letters.
    holds: &'static [&'static str],
    /// Where the number stands that makes the code more precise.
    pub(super) number: Number,
}

/// A number in a message that belongs to its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// There is none.
    None,
    /// Behind the address in parentheses: `Xid (PCI:0000:3b:00): 79, …`.
    BehindAddress,
}

const fn pattern(
    class: &'static str,
    severity: Severity,
    starts: &'static [&'static str],
    holds: &'static [&'static str],
) -> Pattern {
    Pattern {
        class,
        severity,
        starts,
        holds,
        number: Number::None,
    }
}

/// Every class once per way of saying it.
pub(super) static PATTERNS: &[Pattern] = &[
    // GPUs
    Pattern {
        number: Number::BehindAddress,
        ..pattern("xid", Warning, &["NVRM: Xid (PCI:"], &["): "])
    },
    Pattern {
        number: Number::BehindAddress,
        ..pattern("sxid", Warning, &["nvidia-nvswitch"], &["sxid ("])
    },
    pattern("gpu_lost", Critical, &["NVRM: "], &["fallen off the bus"]),
    pattern(
        "gpu_firmware_timeout",
        Critical,
        &["NVRM: "],
        &["rpc", "timeout"],
    ),
    pattern(
        "gpu_firmware_timeout",
        Critical,
        &["NVRM: "],
        &["timeout waiting for rpc"],
    ),
    pattern("gpu_reset", Warning, &["amdgpu "], &["gpu reset"]),
    pattern(
        "gpu_hang",
        Warning,
        &["amdgpu ", "[drm:amdgpu_job_timedout"],
        &["timeout"],
    ),
    // the kernel itself
    pattern("panic", Critical, &["Kernel panic - not syncing"], &[]),
    pattern(
        "soft_lockup",
        Critical,
        &[
            "watchdog: BUG: soft lockup",
            "NMI watchdog: BUG: soft lockup",
            "BUG: soft lockup",
        ],
        &[],
    ),
    pattern(
        "hard_lockup",
        Critical,
        &["watchdog: ", "NMI watchdog: ", "Watchdog detected"],
        &["hard lockup"],
    ),
    pattern(
        "rcu_stall",
        Critical,
        &["rcu: INFO: ", "INFO: rcu_"],
        &["detected", "stall"],
    ),
    pattern("rcu_stall", Critical, &["rcu: "], &["kthread starved"]),
    pattern(
        "hung_task",
        Warning,
        &["INFO: task "],
        &[" blocked for more than "],
    ),
    pattern(
        "oops",
        Critical,
        &[
            "BUG: unable to handle",
            "BUG: kernel NULL pointer",
            "kernel BUG at ",
            "Oops: ",
            "Internal error: ",
            "general protection fault",
            "Unable to handle kernel ",
        ],
        &[],
    ),
    pattern(
        "bad_page",
        Critical,
        &["BUG: Bad page state", "BUG: Bad rss-counter"],
        &[],
    ),
    pattern("warning", Info, &["WARNING: CPU: ", "WARNING: "], &[" at "]),
    // hardware
    pattern(
        "thermal_throttle",
        Warning,
        &["CPU", "mce: CPU"],
        &["temperature", "above threshold"],
    ),
    pattern(
        "thermal_critical",
        Critical,
        &["thermal "],
        &["critical temperature reached"],
    ),
    pattern("memory_failure", Critical, &["Memory failure: "], &[]),
    pattern("edac_uncorrected", Critical, &["EDAC "], &[" ue "]),
    pattern("edac_corrected", Warning, &["EDAC "], &[" ce "]),
    pattern(
        "machine_check",
        Warning,
        &["mce: [Hardware Error]", "[Hardware Error]"],
        &[],
    ),
    pattern(
        "firmware_error",
        Warning,
        &["BERT: [Hardware Error]", "BERT: Error records"],
        &[],
    ),
    pattern("firmware_error", Warning, &["{"], &["}[hardware error]"]),
    pattern(
        "aer_uncorrected",
        Critical,
        &["pcieport "],
        &["aer:", "uncorrected"],
    ),
    pattern(
        "aer_uncorrected",
        Critical,
        &["pcieport "],
        &["aer:", "uncorrectable"],
    ),
    pattern("aer_corrected", Info, &["pcieport "], &["aer:", "correct"]),
    pattern(
        "pcie_containment",
        Critical,
        &["pcieport "],
        &["dpc: containment event"],
    ),
    pattern("pcie_link_down", Warning, &["pcieport "], &["link down"]),
    pattern(
        "pcie_narrow",
        Info,
        &["pci ", "mlx5_core ", "nvme ", "nvidia "],
        &["available pcie bandwidth, limited by"],
    ),
    pattern(
        "iommu_fault",
        Warning,
        &["DMAR: ", "AMD-Vi: ", "arm-smmu"],
        &["fault"],
    ),
    pattern("firmware_bug", Info, &["[Firmware Bug]"], &[]),
    // storage
    pattern("nvme_timeout", Warning, &["nvme "], &["timeout"]),
    pattern("nvme_down", Critical, &["nvme "], &["controller is down"]),
    pattern(
        "nvme_down",
        Critical,
        &["nvme "],
        &["disabling device after reset failure"],
    ),
    pattern(
        "nvme_down",
        Critical,
        &["nvme "],
        &["removing after probe failure"],
    ),
    pattern("nvme_reset", Warning, &["nvme "], &["reset"]),
    pattern("filesystem_shutdown", Critical, &["XFS ("], &["shut"]),
    pattern(
        "filesystem_shutdown",
        Critical,
        &["EXT4-fs ("],
        &["remounting filesystem read-only"],
    ),
    pattern(
        "filesystem_shutdown",
        Critical,
        &["Aborting journal on device "],
        &[],
    ),
    pattern(
        "filesystem_shutdown",
        Critical,
        &["BTRFS", "BTRFS: "],
        &["forced readonly"],
    ),
    pattern(
        "filesystem_error",
        Critical,
        &[
            "EXT4-fs error (",
            "BTRFS error (",
            "BTRFS critical (",
            "JBD2: ",
        ],
        &["error"],
    ),
    pattern(
        "filesystem_error",
        Critical,
        &["EXT4-fs error (", "BTRFS critical ("],
        &[],
    ),
    pattern("filesystem_error", Critical, &["XFS ("], &["corruption"]),
    pattern("filesystem_error", Critical, &["XFS ("], &["i/o error"]),
    pattern("raid_failure", Critical, &["md/raid"], &["disk failure on"]),
    pattern("raid_failure", Critical, &["md/raid"], &["cannot continue"]),
    pattern(
        "io_error",
        Warning,
        &[
            "I/O error, dev ",
            "critical medium error, dev ",
            "critical target error, dev ",
            "blk_update_request: ",
            "Buffer I/O error on dev ",
        ],
        &["error"],
    ),
    pattern(
        "io_error",
        Warning,
        &["sd "],
        &["rejecting i/o to offline device"],
    ),
    pattern("ata_error", Warning, &["ata"], &["exception emask"]),
    pattern("ata_link_down", Warning, &["ata"], &["link down"]),
    pattern(
        "nfs_silent",
        Warning,
        &["nfs: server "],
        &[" not responding"],
    ),
    // networks: drivers begin with their name and the address of the card
    pattern(
        "network_stalled",
        Critical,
        &["NETDEV WATCHDOG: "],
        &["timed out"],
    ),
    pattern(
        "network_card_failed",
        Critical,
        &["mlx5_core ", "mlx4_core "],
        &["health compromised"],
    ),
    pattern(
        "network_card_failed",
        Critical,
        &["mlx5_core "],
        &["fatal error"],
    ),
    pattern("link_down", Info, LINK_DRIVERS, &["link is down"]),
    pattern("link_down", Info, LINK_DRIVERS, &["link down"]),
    pattern("link_up", Info, LINK_DRIVERS, &["link is up"]),
    pattern("link_up", Info, LINK_DRIVERS, &["link up"]),
    // memory and time
    pattern(
        "out_of_memory",
        Warning,
        &[
            "Out of memory: Killed process",
            "Memory cgroup out of memory: Killed process",
            "Out of memory: Kill process",
        ],
        &[],
    ),
    pattern(
        "clock_unstable",
        Critical,
        &["clocksource: "],
        &["unstable"],
    ),
    pattern(
        "clock_unstable",
        Critical,
        &["tsc: Marking TSC unstable", "TSC found unstable"],
        &[],
    ),
];

/// How drivers of network cards, and those of their links, begin.
const LINK_DRIVERS: &[&str] = &[
    "ixgbe ",
    "ixgbevf ",
    "i40e ",
    "iavf ",
    "ice ",
    "igb ",
    "igc ",
    "e1000e",
    "mlx5_core ",
    "mlx4_core ",
    "mlx4_en",
    "bnxt_en ",
    "bnx2x ",
    "bnx2 ",
    "tg3 ",
    "qede ",
    "qed ",
    "cxgb4 ",
    "be2net ",
    "ena ",
    "hns3 ",
    "r8169 ",
    "atlantic ",
    "ionic ",
    "sfc ",
    "nfp ",
    "fm10k ",
    "thunder-nic",
    "mvneta ",
    "stmmac",
    "macb ",
    "virtio_net ",
    "bond",
    "eth",
    "enP",
    "eno",
    "ens",
    "enp",
    "mlxbf_gige ",
];

/// What the kernel writes behind the name of a process, where a message begins with one: a process may be called
/// `EDAC MC0: 1 UE `.
const BEHIND_PROCESSES: [&str; 9] = [
    " invoked oom-killer",
    "]: segfault at ",
    ": page allocation failure",
    ": page allocation stalls",
    ": drop_caches: ",
    ": vmalloc ",
    " used greatest stack depth",
    "]: bad frame in ",
    " uses obsolete ",
];

/// The class of a message; `None` where nothing in it is of interest.
pub(super) fn classify(text: &str) -> Option<&'static Pattern> {
    if BEHIND_PROCESSES.iter().any(|words| text.contains(words)) {
        return None;
    }
    PATTERNS.iter().find(|pattern| {
        pattern.starts.iter().any(|start| text.starts_with(start))
            && pattern.holds.iter().all(|part| holds(text, part))
    })
}

/// Every class, each once, in the order of the table.
pub(super) fn classes() -> Vec<&'static str> {
    let mut classes: Vec<&'static str> = Vec::new();
    for pattern in PATTERNS {
        if !classes.contains(&pattern.class) {
            classes.push(pattern.class);
        }
    }
    classes
}

/// What tells messages of one class apart: `xid.79`, or the class where the message has no such number.
pub(super) fn code(pattern: &Pattern, text: &str) -> String {
    let number = match pattern.number {
        Number::None => None,
        Number::BehindAddress => text
            .split_once("id (")
            .and_then(|(_, rest)| rest.split_once("): "))
            .and_then(|(_, rest)| {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                rest.get(..digits)?.parse::<u32>().ok()
            }),
    };
    number.map_or_else(
        || pattern.class.to_owned(),
        |number| format!("{}.{number}", pattern.class),
    )
}

/// Which part a message is about: the address of a PCI device, a disk, a file system; empty where it does not say.
pub(super) fn component(text: &str) -> &str {
    let inside = |open: &str, close: &str| {
        let (_, rest) = text.split_once(open)?;
        Some(rest.split_once(close)?.0)
    };
    let found = inside("(PCI:", ")")
        .or_else(|| inside("(device ", ")"))
        .or_else(|| inside("(device: ", ")"))
        .or_else(|| inside("XFS (", ")"))
        .or_else(|| inside(", dev ", ","))
        .or_else(|| device_of_driver(text));
    found
        .filter(|part| part.len() <= MOST_COMPONENT_BYTES && !part.contains(' '))
        .unwrap_or_default()
}

/// No name of a device is longer.
const MOST_COMPONENT_BYTES: usize = 64;

/// `0000:3b:00.0` of `mlx5_core 0000:3b:00.0 eth0: Link down`, `nvme0` of `nvme nvme0: …`, `MC0` of `EDAC MC0: …`.
fn device_of_driver(text: &str) -> Option<&str> {
    const DRIVERS: [&str; 6] = ["nvme", "EDAC", "pcieport", "sd", "amdgpu", "nvidia"];
    let mut words = text.split(' ');
    let driver = words.next()?;
    let device = words.next()?.trim_end_matches(':');
    let is_address = device.len() >= 12 && device.contains(':') && device.contains('.');
    (is_address || DRIVERS.contains(&driver)).then_some(device)
}

/// Whether `part`, which is in lower case, stands in the text in any case.
fn holds(text: &str, part: &str) -> bool {
    text.as_bytes()
        .windows(part.len())
        .any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written as the kernel and drivers write them, addresses and numbers made up.
    const EXAMPLES: &[(&str, &str, &str)] = &[
        (
            "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
            "xid.79",
            "0000:3b:00",
        ),
        (
            "NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0 (None) to 0x1",
            "xid.154",
            "0000:3b:00",
        ),
        (
            "nvidia-nvswitch0: SXid (PCI:0000:c1:00.0): 12028, Non-fatal, Link 32 egress",
            "sxid.12028",
            "0000:c1:00.0",
        ),
        (
            "NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus.",
            "gpu_lost",
            "",
        ),
        (
            "NVRM: _issueRpcAndWait: GSP RPC timeout on GPU0",
            "gpu_firmware_timeout",
            "",
        ),
        (
            "INFO: task kworker/3:1:412 blocked for more than 122 seconds.",
            "hung_task",
            "",
        ),
        (
            "watchdog: BUG: soft lockup - CPU#3 stuck for 26s! [python3:4411]",
            "soft_lockup",
            "",
        ),
        (
            "watchdog: Watchdog detected hard LOCKUP on cpu 12",
            "hard_lockup",
            "",
        ),
        (
            "rcu: INFO: rcu_sched self-detected stall on CPU",
            "rcu_stall",
            "",
        ),
        (
            "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks: { 3-... }",
            "rcu_stall",
            "",
        ),
        (
            "BUG: kernel NULL pointer dereference, address: 0000000000000010",
            "oops",
            "",
        ),
        (
            "mce: [Hardware Error]: CPU 4: Machine Check: 0 Bank 7: 8c00004000010092",
            "machine_check",
            "",
        ),
        (
            "[Hardware Error]: Corrected error, no action required.",
            "machine_check",
            "",
        ),
        (
            "{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 0",
            "firmware_error",
            "",
        ),
        (
            "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0 (channel:1 slot:0)",
            "edac_corrected",
            "MC0",
        ),
        (
            "EDAC MC1: 1 UE memory scrubbing error on any memory ( page:0x0 offset:0x0)",
            "edac_uncorrected",
            "MC1",
        ),
        (
            "Memory failure: 0x21bc4: recovery action for dirty LRU page: Recovered",
            "memory_failure",
            "",
        ),
        (
            "nvme nvme0: I/O 23 (I/O Cmd) QID 4 timeout, aborting",
            "nvme_timeout",
            "nvme0",
        ),
        (
            "nvme nvme0: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0xffff",
            "nvme_down",
            "nvme0",
        ),
        ("nvme nvme0: resetting controller", "nvme_reset", "nvme0"),
        (
            "EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0",
            "filesystem_error",
            "sda1",
        ),
        (
            "EXT4-fs (sda1): Remounting filesystem read-only",
            "filesystem_shutdown",
            "",
        ),
        (
            "XFS (nvme1n1p2): Metadata corruption detected at xfs_agf_read_verify+0x9f",
            "filesystem_error",
            "nvme1n1p2",
        ),
        (
            "XFS (nvme1n1p2): Log I/O Error Detected. Shutting down filesystem",
            "filesystem_shutdown",
            "nvme1n1p2",
        ),
        (
            "md/raid1:md0: Disk failure on sdb1, disabling device.",
            "raid_failure",
            "",
        ),
        (
            "I/O error, dev sda, sector 12345 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 0",
            "io_error",
            "sda",
        ),
        (
            "blk_update_request: I/O error, dev sdb, sector 0",
            "io_error",
            "sdb",
        ),
        (
            "ixgbe 0000:01:00.0 eth0: NIC Link is Down",
            "link_down",
            "0000:01:00.0",
        ),
        (
            "mlx5_core 0000:5e:00.0 enp94s0f0np0: Link up",
            "link_up",
            "0000:5e:00.0",
        ),
        (
            "NETDEV WATCHDOG: eth0 (ixgbe): transmit queue 3 timed out",
            "network_stalled",
            "",
        ),
        (
            "Out of memory: Killed process 4411 (python3) total-vm:1kB",
            "out_of_memory",
            "",
        ),
        (
            "Memory cgroup out of memory: Killed process 12 (x) total-vm:1kB",
            "out_of_memory",
            "",
        ),
        (
            "pcieport 0000:00:1c.0: AER: Corrected error received: 0000:02:00.0",
            "aer_corrected",
            "0000:00:1c.0",
        ),
        (
            "pcieport 0000:00:1c.0: AER: Multiple Uncorrected (Fatal) error received: 0000:02:00.0",
            "aer_uncorrected",
            "0000:00:1c.0",
        ),
        (
            "clocksource: timekeeping watchdog on CPU3: Marking clocksource 'tsc' as unstable because the skew is too large:",
            "clock_unstable",
            "",
        ),
        (
            "mce: CPU12: Core temperature is above threshold, cpu clock is throttled (total events = 1)",
            "thermal_throttle",
            "",
        ),
        (
            "[Firmware Bug]: TSC_DEADLINE disabled due to Errata",
            "firmware_bug",
            "",
        ),
    ];

    #[test]
    fn messages_mean_what_the_table_says() {
        for (text, expected, part) in EXAMPLES {
            let pattern = classify(text).unwrap_or_else(|| panic!("no class: {text}"));
            assert_eq!(code(pattern, text), *expected, "{text}");
            assert_eq!(component(text), *part, "{text}");
        }
    }

    #[test]
    fn what_programs_choose_makes_no_class() {
        for text in [
            "python3[44]: segfault at 0 ip 0 sp 0 error 4 in NVRM: Xid (PCI:0): 79",
            "NVRM: Xid (PCI: invoked oom-killer: gfp_mask=0x0",
            "EDAC MC0: 1 UE  invoked oom-killer: gfp_mask=0x0",
            "EDAC MC0: 1 UE [44]: segfault at 0 ip 0 sp 0 error 4",
            "kernel BUG at x: page allocation failure: order:0",
            "usb 1-1: Product: I/O error, dev sda, sector 0",
            "process 'EDAC MC0: 1 UE ' started with executable stack",
            "audit: type=1400 apparmor=\"DENIED\" name=\"Kernel panic - not syncing\"",
            "systemd[1]: Out of memory",
            "",
        ] {
            assert!(classify(text).is_none(), "{text}");
        }
    }

    #[test]
    fn every_class_is_a_word() {
        for class in classes() {
            let is_word = class
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(is_word, "{class}");
        }
    }
}
