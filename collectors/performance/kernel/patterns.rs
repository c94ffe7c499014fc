//! What messages of the kernel mean: a table, first match wins.
//!
//! Names of processes, disks, servers and modules stand in messages, and some are chosen by whoever runs programs here.
//! So a pattern says how a message *begins* wherever the kernel writes a beginning of its own, and messages that begin
//! with a name (`<process> invoked oom-killer`) are left to the line of the same event that does not.

use glasshouse_core::condition::Severity;
use glasshouse_core::condition::Severity::{Critical, Info, Warning};

use super::subject::is_address;

/// A class of messages, and how to know them.
#[derive(Debug)]
pub(super) struct Pattern {
    /// The word for the class: label and code.
    pub(super) class: &'static str,
    pub(super) severity: Severity,
    /// One of these begins the message, or what follows the device of a driver that speaks.
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
    /// Behind the address in parentheses: `Xid (PCI:0000:3b:00): 79, …`, and without `PCI:` in old drivers.
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
        ..pattern("xid", Warning, &["NVRM: Xid ("], &["): "])
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
    // `rpcRecvPoll timedout`
    pattern(
        "gpu_firmware_timeout",
        Critical,
        &["NVRM: "],
        &["rpc", "timedout"],
    ),
    pattern("gpu_reset", Warning, &["amdgpu "], &["gpu reset"]),
    pattern(
        "gpu_hang",
        Warning,
        &["amdgpu ", "[drm:amdgpu_job_timedout"],
        &["ring ", " timeout"],
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
    // newer kernels say `blocked in I/O wait for more than`
    pattern(
        "hung_task",
        Warning,
        &["INFO: task "],
        &[" blocked ", " for more than "],
    ),
    pattern(
        "oops",
        Critical,
        &[
            "BUG: unable to handle",
            "BUG: kernel NULL pointer",
            "general protection fault",
            "Unable to handle kernel ",
        ],
        &[],
    ),
    // each is numbered: `Oops: 0002 [#1] SMP`, `Internal error: Oops: 96000004 [#1] SMP`
    pattern(
        "oops",
        Critical,
        &["Oops: ", "Internal error: "],
        &["[#", "] "],
    ),
    pattern("oops", Critical, &["kernel BUG at "], &[".c:"]),
    pattern("oops", Critical, &["kernel BUG at "], &[".h:"]),
    pattern(
        "bad_page",
        Critical,
        &[
            "BUG: Bad page state",
            "BUG: Bad page map",
            "BUG: Bad rss-counter",
        ],
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
    // `EDAC MC0: 1 CE memory read error on CPU_SrcID#0…`
    pattern(
        "edac_uncorrected",
        Critical,
        &["EDAC MC"],
        &[" ue ", " on "],
    ),
    pattern("edac_corrected", Warning, &["EDAC MC"], &[" ce ", " on "]),
    // an exception, unlike what was found by looking, stopped a processor
    pattern(
        "machine_check",
        Critical,
        &["mce: [Hardware Error]"],
        &["machine check exception: "],
    ),
    pattern(
        "machine_check",
        Critical,
        &["[Hardware Error]: Uncorrected, "],
        &[],
    ),
    pattern(
        "machine_check",
        Critical,
        &["[Hardware Error]: System Fatal error"],
        &[],
    ),
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
    // one error is ten such lines; its severity stands in one of them
    pattern(
        "firmware_error",
        Critical,
        &["{"],
        &["}[hardware error]", "event severity: fatal"],
    ),
    pattern(
        "firmware_error",
        Critical,
        &["{"],
        &["}[hardware error]", "event severity: recoverable"],
    ),
    pattern("firmware_error", Warning, &["{"], &["}[hardware error]"]),
    // the root port says what it received, be it `Uncorrected error received: ` or, since Linux 6.11,
    // `Uncorrectable error message received from `; the device that sent it adds its details
    pattern(
        "aer_uncorrected",
        Critical,
        &["pcieport "],
        &["aer:", "uncorrect", " received"],
    ),
    pattern(
        "aer_corrected",
        Info,
        &["pcieport "],
        &["aer:", "correct", " received"],
    ),
    pattern(
        "pcie_containment",
        Critical,
        &["pcieport "],
        &["dpc: containment event"],
    ),
    pattern(
        "pcie_link_down",
        Warning,
        &["pcieport "],
        &["slot(", "link down"],
    ),
    pattern("iommu_fault", Warning, &["DMAR: "], &["fault addr"]),
    pattern(
        "iommu_fault",
        Warning,
        &["DMAR: "],
        &["handling fault status"],
    ),
    pattern("iommu_fault", Warning, &["AMD-Vi: "], &["io_page_fault"]),
    pattern("iommu_fault", Warning, &["arm-smmu"], &["context fault"]),
    pattern("firmware_bug", Info, &["[Firmware Bug]: "], &[]),
    // storage. `Shutdown timeout set to 8 seconds` is said at every boot
    pattern("nvme_timeout", Warning, &["nvme "], &[" qid ", " timeout"]),
    // over a network, before Linux 6.1
    pattern(
        "nvme_timeout",
        Warning,
        &["nvme "],
        &["queue ", ": timeout "],
    ),
    pattern(
        "nvme_down",
        Critical,
        &["nvme "],
        &["device not ready; aborting"],
    ),
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
        &["EXT4-fs error (device ", "BTRFS critical (device "],
        &[],
    ),
    pattern(
        "filesystem_error",
        Critical,
        &["BTRFS error (device ", "BTRFS: error (device "],
        &[],
    ),
    pattern("filesystem_error", Critical, &["JBD2: "], &[" error"]),
    pattern(
        "filesystem_error",
        Warning,
        &["BTRFS warning (device "],
        &["csum failed"],
    ),
    pattern(
        "filesystem_error",
        Critical,
        &["XFS ("],
        &["corruption detected"],
    ),
    pattern(
        "filesystem_error",
        Critical,
        &["XFS ("],
        &["): internal error "],
    ),
    pattern(
        "filesystem_error",
        Critical,
        &["XFS ("],
        &["crc error detected"],
    ),
    pattern("filesystem_error", Critical, &["XFS ("], &["i/o error"]),
    pattern("raid_failure", Critical, &["md/raid"], &["disk failure on"]),
    pattern("raid_failure", Critical, &["md/raid"], &["cannot continue"]),
    // before Linux 5.17 the name of the function stands before it
    pattern("io_error", Warning, IO_ERRORS, &[", sector "]),
    pattern("io_error", Warning, &["Buffer I/O error on dev "], &[","]),
    pattern(
        "io_error",
        Warning,
        &["sd "],
        &["rejecting i/o to offline device"],
    ),
    // `SATA link down` is what each empty port says at boot and as its disk is pulled: it means nothing by itself
    pattern("ata_error", Warning, &["ata"], &[": exception emask "]),
    pattern("ata_disabled", Warning, &["ata"], &[": disable device"]),
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
        &["fatal error "],
    ),
    pattern(
        "network_card_failed",
        Critical,
        &["mlx4_core "],
        &["internal error detected"],
    ),
    pattern("link_down", Info, LINK_DRIVERS, &["link is down"]),
    pattern("link_down", Info, LINK_DRIVERS, &["link down"]),
    pattern("link_up", Info, LINK_DRIVERS, &["link is up"]),
    pattern("link_up", Info, LINK_DRIVERS, &["link up"]),
    pattern(
        "link_down",
        Info,
        &["bond"],
        &["link status definitely down"],
    ),
    pattern("link_up", Info, &["bond"], &["link status definitely up"]),
    // memory and time
    pattern(
        "out_of_memory",
        Warning,
        &[
            "Out of memory: Killed process",
            "Out of memory (oom_kill_allocating_task): Killed process",
        ],
        &[],
    ),
    // a group that reached the limit that somebody gave it: the machine has memory
    pattern(
        "group_out_of_memory",
        Info,
        &["Memory cgroup out of memory: Killed process"],
        &[],
    ),
    pattern(
        "clock_unstable",
        Critical,
        &["clocksource: "],
        &["marking ", "unstable"],
    ),
    pattern(
        "clock_unstable",
        Critical,
        &["tsc: Marking TSC unstable", "TSC found unstable"],
        &[],
    ),
];

/// The words of `blk_status_to_str` that are faults of a disk or of the way to it; `operation not supported`, `reservation
/// conflict` and `kernel resource` are answers.
const IO_ERRORS: &[&str] = &[
    "I/O error, dev ",
    "timeout error, dev ",
    "recoverable transport error, dev ",
    "critical target error, dev ",
    "critical medium error, dev ",
    "protection error, dev ",
    "blk_update_request: I/O error, dev ",
    "blk_update_request: timeout error, dev ",
    "blk_update_request: recoverable transport error, dev ",
    "blk_update_request: critical target error, dev ",
    "blk_update_request: critical medium error, dev ",
    "blk_update_request: protection error, dev ",
    "print_req_error: I/O error, dev ",
    "print_req_error: critical medium error, dev ",
];

/// Behind these stands the name of the block device.
const BEFORE_DISKS: [&str; 2] = [" error, dev ", "I/O error on dev "];

/// Drives for media and files: empty drives, virtual media of a BMC that somebody took away, and images that were
/// detached say errors, and no disk is the worse for it.
const NO_DISKS: [&str; 4] = ["fd", "loop", "nbd", "sr"];

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
/// `EDAC MC0: 1 UE `. Each line is longer than such a name, or has a second part, so that no name can be one and hide a
/// message in which it stands.
const BEHIND_PROCESSES: [&[&str]; 9] = [
    &[" invoked oom-killer"],
    &["]: segfault at ", " ip "],
    &[": page allocation failure"],
    &[": page allocation stalls"],
    &["): drop_caches: "],
    &["vmalloc error: size "],
    &[" used greatest stack depth"],
    &["bad frame in ", " frame:"],
    &[" uses obsolete ", "("],
];

/// The bytes of the longest name of a process, `TASK_COMM_LEN` without its end.
const PROCESS_NAME_BYTES: usize = 15;

/// The class of a message; `None` where nothing in it is of interest.
pub(super) fn classify(text: &str) -> Option<&'static Pattern> {
    let is_of_process = |words: &[&str]| words.iter().all(|word| text.contains(word));
    if BEHIND_PROCESSES.iter().any(|words| is_of_process(words)) || is_no_disk(text) {
        return None;
    }
    let behind = behind_device(text);
    PATTERNS.iter().find(|pattern| {
        pattern.matches(text) || behind.is_some_and(|behind| pattern.matches(behind))
    })
}

impl Pattern {
    /// Whether a message is of this class, by more than what could be the name of a process at its beginning: drivers of
    /// all kinds write one there.
    fn matches(&self, text: &str) -> bool {
        let Some(start) = self.starts.iter().find(|start| text.starts_with(**start)) else {
            return false;
        };
        let mut end = start.len();
        for part in self.holds {
            let Some(found) = end_of(text, part) else {
                return false;
            };
            end = end.max(found);
        }
        end > PROCESS_NAME_BYTES
    }
}

fn is_no_disk(text: &str) -> bool {
    BEFORE_DISKS
        .iter()
        .filter_map(|before| text.split_once(before))
        .any(|(_, name)| NO_DISKS.iter().any(|stem| is_numbered(name, stem)))
}

/// `sr0, sector 0` for `sr`, but not `srx`.
fn is_numbered(name: &str, stem: &str) -> bool {
    name.strip_prefix(stem)
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// What a driver says, without itself, the device and the interface: `NETDEV WATCHDOG: …` of `ixgbe 0000:01:00.0 eth0:
/// NETDEV WATCHDOG: …`. `None` where the message does not begin with a driver and a device: a path that somebody chose
/// may follow the first word of other messages.
fn behind_device(text: &str) -> Option<&str> {
    let (driver, rest) = text.split_once(' ')?;
    let (device, said) = rest.split_once(": ")?;
    let mut words = device.split(' ');
    let is_device = is_address(words.next()?)
        || LINK_DRIVERS
            .iter()
            .any(|known| known.strip_suffix(' ') == Some(driver));
    // the interface, and nothing more
    let is_short = words.nth(1).is_none();
    // and it is longer than the name of a process
    let before = driver.len() + 1 + device.len();
    (is_device && is_short && before > PROCESS_NAME_BYTES).then_some(said)
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

/// Where `part`, which is in lower case, ends in the text, in any case of letters.
fn end_of(text: &str, part: &str) -> Option<usize> {
    text.as_bytes()
        .windows(part.len())
        .position(|window| window.eq_ignore_ascii_case(part.as_bytes()))
        .map(|start| start + part.len())
}

#[cfg(test)]
mod tests {
    use super::super::subject::{code, component};
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
            "NVRM: Xid (0000:03:00): 48, An uncorrectable double bit error (DBE) has been detected",
            "xid.48",
            "0000:03:00",
        ),
        (
            "NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus.",
            "gpu_lost",
            "0000:3b:00.0",
        ),
        (
            "NVRM: GPU at 0000:3b:00.0 has fallen off the bus.",
            "gpu_lost",
            "0000:3b:00.0",
        ),
        (
            "NVRM: _issueRpcAndWait: rpcRecvPoll timedout for fn 76!",
            "gpu_firmware_timeout",
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
            "watchdog: CPU3: Watchdog detected hard LOCKUP on cpu 3",
            "hard_lockup",
            "",
        ),
        (
            "INFO: task dd:456 blocked in I/O wait for more than 122 seconds.",
            "hung_task",
            "",
        ),
        ("Oops: 0002 [#1] PREEMPT SMP NOPTI", "oops", ""),
        ("Oops: Oops: 0000 [#1] SMP", "oops", ""),
        ("Internal error: Oops: 96000004 [#1] SMP", "oops", ""),
        ("kernel BUG at mm/slub.c:305!", "oops", ""),
        (
            "rcu: rcu_sched kthread starved for 5250 jiffies! g1 f0x0",
            "rcu_stall",
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
            "ixgbe 0000:01:00.0 eth0: NETDEV WATCHDOG: CPU: 1: transmit queue 0 timed out 5500 ms",
            "network_stalled",
            "0000:01:00.0",
        ),
        (
            "virtio_net virtio0 eth0: NETDEV WATCHDOG: CPU: 1: transmit queue 0 timed out 5500 ms",
            "network_stalled",
            "",
        ),
        (
            "ahci 0000:28:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0035 address=0x7 flags=0x0]",
            "iommu_fault",
            "0000:28:00.0",
        ),
        (
            "DMAR: [DMA Read NO_PASID] Request device [3b:00.0] fault addr 0x7 [fault reason 0x06]",
            "iommu_fault",
            "",
        ),
        (
            "nvme nvme1: I/O tag 12 (c00c) opcode 0x2 (I/O Cmd) QID 4 timeout, aborting req_op:READ(0) size:4096",
            "nvme_timeout",
            "nvme1",
        ),
        (
            "nvme nvme2: queue 3: timeout cid 0x1 type 4 opcode 0x2 (Read)",
            "nvme_timeout",
            "nvme2",
        ),
        (
            "nvme nvme0: Device not ready; aborting reset, CSTS=0x1",
            "nvme_down",
            "nvme0",
        ),
        (
            "BTRFS: error (device sdi state A) in btrfs_create_new_inode:6854: errno=-75 unknown",
            "filesystem_error",
            "sdi",
        ),
        (
            "BTRFS info (device dm-2: state EA): forced readonly",
            "filesystem_shutdown",
            "dm-2",
        ),
        (
            "XFS (sdb1): Metadata CRC error detected at xfs_inobt_read_verify+0x12",
            "filesystem_error",
            "sdb1",
        ),
        (
            "XFS (sdb1): Internal error xfs_trans_cancel at line 1000 of file fs/xfs/xfs_trans.c.",
            "filesystem_error",
            "sdb1",
        ),
        (
            "Buffer I/O error on dev dm-0, logical block 0, lost async page write",
            "io_error",
            "dm-0",
        ),
        ("ata1.00: disable device", "ata_disabled", ""),
        (
            "ata1.00: exception Emask 0x0 SAct 0x30000 SErr 0x0 action 0x6 frozen",
            "ata_error",
            "",
        ),
        (
            "pcieport 0000:00:1c.0: AER: Multiple Uncorrectable (Non-Fatal) error message received from 0000:73:00.1",
            "aer_uncorrected",
            "0000:00:1c.0",
        ),
        (
            "pcieport 0000:16:02.0: pciehp: Slot(1): Link Down",
            "pcie_link_down",
            "0000:16:02.0",
        ),
        (
            "bond0: (slave eth1): link status definitely down, disabling slave",
            "link_down",
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
            "sda1",
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
            "md0",
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
            "group_out_of_memory",
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
    fn what_a_sound_machine_says_makes_no_class() {
        for text in [
            "nvme nvme0: Shutdown timeout set to 8 seconds",
            "nvme nvme0: 128/0/0 default/read/poll queues",
            "ata3: SATA link down (SStatus 0 SControl 300)",
            "ata1: SATA link up 6.0 Gbps (SStatus 133 SControl 300)",
            "pci 0000:01:00.0: 63.008 Gb/s available PCIe bandwidth, limited by 8.0 GT/s PCIe x8 link",
            "pcieport 0000:00:1c.0: AER: enabled with IRQ 122",
            "docker0: port 1(veth1a2b3c4) entered disabled state",
            "IPv6: ADDRCONF(NETDEV_CHANGE): veth1a2b3c4: link becomes ready",
            "eth0: renamed from veth1a2b3c4",
            "perf: interrupt took too long (2510 > 2500), lowering kernel.perf_event_max_sample_rate",
            "NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.",
            "DMAR: RMRR base: 0x0000007b800000 end: 0x0000007fffffff",
            "iommu: Default domain type: Translated",
            "AMD-Vi: Interrupt remapping enabled",
            "EDAC MC0: Giving out device to module skx_edac controller Skylake Socket#0 IMC#0",
            "EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: errors=remount-ro",
            "EXT4-fs (sda1): error count since last fsck: 5",
            "XFS (sda1): Ending clean mount",
            "BTRFS info (device sda1): bdev /dev/sda1 errs: wr 0, rd 0, flush 0, corrupt 5, gen 0",
            "operation not supported error, dev nvme0n1, sector 0 op 0x9:(WRITE_ZEROES) flags 0x800",
            "blk_update_request: operation not supported error, dev sda, sector 0 op 0x3:(DISCARD)",
            "I/O error, dev fd0, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0",
            "blk_update_request: I/O error, dev sr0, sector 0 op 0x0:(READ)",
            "Buffer I/O error on dev loop3, logical block 0, async page read",
            "clocksource: timekeeping watchdog on CPU9: hpet wd-wd read-back delay of 150280ns",
            "clocksource: Switched to clocksource tsc",
            "tsc: Refined TSC clocksource calibration: 2100.000 MHz",
            "md/raid1:md0: active with 2 out of 2 mirrors",
            "rcu: Hierarchical RCU implementation.",
            "amdgpu 0000:c1:00.0: amdgpu: Using BACO for runtime pm",
            "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.54.15",
            "NVRM: GPU at PCI:0000:3b:00: GPU-00000000-0000-0000-0000-000000000000",
            "mlx5_core 0000:5e:00.0: 126.024 Gb/s available PCIe bandwidth (16.0 GT/s PCIe x8 link)",
        ] {
            assert!(classify(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_worst_of_a_class_is_told_as_such() {
        for (text, severity) in [
            (
                "mce: [Hardware Error]: CPU 4: Machine Check Exception: 5 Bank 7: be00000001100153",
                Critical,
            ),
            (
                "[Hardware Error]: Uncorrected, software restartable error.",
                Critical,
            ),
            (
                "[Hardware Error]: Deferred error, no action required.",
                Warning,
            ),
            ("{1}[Hardware Error]: event severity: fatal", Critical),
            ("{1}[Hardware Error]: event severity: corrected", Warning),
        ] {
            assert_eq!(classify(text).unwrap().severity, severity, "{text}");
        }
    }

    /// A name of fifteen bytes can neither hide the message in which it stands nor be one.
    #[test]
    fn a_process_hides_nothing_by_its_name() {
        for name in [
            "]: segfault at ",
            ": vmalloc error",
            ": drop_caches: ",
            " uses obsolete ",
        ] {
            let text = format!("INFO: task {name}:44 blocked for more than 122 seconds.");
            assert_eq!(classify(&text).unwrap().class, "hung_task", "{text}");
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
            "EDAC M: 1 UE on[44]: memfd_create() called without MFD_EXEC or MFD_NOEXEC_SEAL set",
            "Oops: x[44]: memfd_create() called without MFD_EXEC or MFD_NOEXEC_SEAL set",
            "kernel BUG at a: sending ioctl 5331 to a partition!",
            "process '/tmp/0000:01:00.0 x: Kernel panic - not syncing' started with executable stack",
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
