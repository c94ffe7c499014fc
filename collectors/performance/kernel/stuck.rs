//! Processes that have been in uninterruptible sleep for minutes, and what they wait for.

use std::collections::BTreeMap;

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::condition::{Condition, Severity};
use glasshouse_core::failure::CollectError;
use glasshouse_core::sample::Value;
use glasshouse_core::text::Untrusted;
use glasshouse_sysfs::{Fields, KeptFile, ReadBuffer, SysRoot, finite, optional};

use super::processes::STUCK;

/// As long as the kernel itself waits before it speaks of a hung task.
const STUCK_SECONDS: f64 = 120.0;

/// Above it a machine is not merely hampered.
const MANY: u64 = 10;

/// The most waiting processes that are remembered; a storm beyond it is told by those.
const MOST_WAITING: usize = 4096;

/// The most stuck processes whose place in the kernel is looked up in one run; the rest are `unknown`.
const MOST_LOOKED_UP: usize = 64;

const UPTIME: &str = "proc/uptime";

/// What processes wait for, by the beginning of the function in which they sleep, in this order.
const WAITS: [(&str, &[&str]); 5] = [
    ("nvidia", &["nvidia", "_nv", "nv_", "os_acquire", "uvm_"]),
    ("nfs", &["nfs", "rpc_", "xprt_", "__rpc"]),
    (
        "network_storage",
        &[
            "cifs",
            "smb",
            "ceph",
            "fuse",
            "request_wait_answer",
            "lustre",
            "ll_",
            "ptlrpc",
            "gpfs",
        ],
    ),
    (
        "storage",
        &[
            "io_schedule",
            "blk",
            "bio",
            "bit_wait_io",
            "wait_on_page",
            "folio_wait",
            "wait_on_buffer",
            "__wait_on_buffer",
            "jbd2",
            "ext4",
            "xfs",
            "xlog",
            "btrfs",
            "md_",
            "raid",
            "dm_",
            "nvme",
            "scsi",
            "do_get_write",
            "sync_",
            "balance_dirty",
        ],
    ),
    (
        "lock",
        &[
            "mutex",
            "__mutex",
            "rwsem",
            "down",
            "__down",
            "synchronize_",
            "wait_rcu",
            "rt_mutex",
        ],
    ),
];
const OTHER: &str = "other";
const UNKNOWN: &str = "unknown";

/// Functions in which a process sleeps like one that is stuck, by design and for as long as somebody else likes: frozen
/// with its group, behind a child of `vfork` that goes on in its memory, or a thread of the kernel made for later.
const PATIENT: [&str; 6] = [
    "__refrigerator",
    "_do_fork",
    "do_freezer_trap",
    "kernel_clone",
    "kthread",
    "wait_for_vfork_done",
];

/// Lines of `status` that count how often the process was taken off a processor. Who sleeps in short turns, as loops
/// of drivers do, uses no tick and is never seen awake; the kernel's own watch goes by this too.
const SWITCHES: [&str; 2] = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];

/// What a process has done, to tell one that works now and then from one that is stuck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Task {
    /// When it started: the number may belong to another process by now.
    pub(super) start: u64,
    /// Ticks of any kind that it used, and times that it was taken off a processor.
    pub(super) work: u64,
}

/// Who waits, over several runs.
#[derive(Debug)]
pub(super) struct Stuck {
    uptime: KeptFile,
    /// Seconds since boot, now and at the first run.
    now: Option<f64>,
    watched_since: Option<f64>,
    /// By number: who waits, and since when as far as was seen.
    waiting: BTreeMap<u32, (Task, f64)>,
    still: BTreeMap<u32, (Task, f64)>,
}

impl Stuck {
    pub(super) fn new(root: &SysRoot) -> Self {
        Self {
            uptime: KeptFile::table(root, UPTIME),
            now: None,
            watched_since: None,
            waiting: BTreeMap::new(),
            still: BTreeMap::new(),
        }
    }

    /// A walk begins.
    pub(super) fn begin(&mut self, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        self.now = match optional(read_uptime(&mut self.uptime, buffer)) {
            Ok(now) => now,
            Err(error) => {
                out.failure(error);
                None
            }
        };
        self.watched_since = self.watched_since.or(self.now);
    }

    /// A process waits that cannot be interrupted.
    pub(super) fn waits(
        &mut self,
        root: &SysRoot,
        pid: u32,
        mut task: Task,
        buffer: &mut ReadBuffer,
    ) {
        let Some(now) = self.now else { return };
        if self.still.len() >= MOST_WAITING {
            return;
        }
        task.work = task.work.wrapping_add(switches(root, pid, buffer));
        let since = match self.waiting.get(&pid) {
            Some((known, since)) if *known == task => *since,
            _ => now,
        };
        self.still.insert(pid, (task, since));
    }

    /// The walk is over: says who is stuck.
    pub(super) fn end(
        &mut self,
        root: &SysRoot,
        buffer: &mut ReadBuffer,
        out: &mut dyn SampleWriter,
    ) {
        let (Some(now), Some(first)) = (self.now, self.watched_since) else {
            return;
        };
        self.waiting.clear();
        std::mem::swap(&mut self.waiting, &mut self.still);
        if now - first < STUCK_SECONDS {
            return;
        }
        let stuck = self
            .waiting
            .iter()
            .filter(|(_, (_, since))| now - since >= STUCK_SECONDS);
        let mut counts: BTreeMap<&str, u64> = WAITS
            .iter()
            .map(|(word, _)| *word)
            .chain([OTHER, UNKNOWN])
            .map(|word| (word, 0))
            .collect();
        for (n, (pid, _)) in stuck.enumerate() {
            let word = if n < MOST_LOOKED_UP {
                wait(root, *pid, buffer)
            } else {
                Some(UNKNOWN)
            };
            if let Some(word) = word {
                *counts.entry(word).or_default() += 1;
            }
        }
        for (word, count) in &counts {
            out.sample(STUCK, &[word], Value::U64(*count));
        }
        if let Some(condition) = condition(&counts) {
            out.condition(condition);
        }
    }
}

fn read_uptime(file: &mut KeptFile, buffer: &mut ReadBuffer) -> Result<f64, CollectError> {
    let mut fields = Fields::new(UPTIME, 1, file.read(buffer)?);
    let word = fields.word("seconds")?;
    finite(word)
        .filter(|seconds| *seconds >= 0.0)
        .ok_or_else(|| fields.malformed("seconds", word))
}

/// How often a process was taken off a processor; 0 where it does not say, and ticks alone must tell.
fn switches(root: &SysRoot, pid: u32, buffer: &mut ReadBuffer) -> u64 {
    let path = format!("proc/{pid}/status");
    let Ok(bytes) = root.read_bytes(&path, buffer) else {
        return 0;
    };
    // the name of the process stands there too, and may be any bytes but an end of a line
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
        .filter_map(|line| {
            let count = SWITCHES.iter().find_map(|key| line.strip_prefix(key))?;
            count.trim().parse::<u64>().ok()
        })
        .fold(0, u64::wrapping_add)
}

/// What a process waits for; `None` where it waits by design. The kernel says `0` to those who may not know.
fn wait(root: &SysRoot, pid: u32, buffer: &mut ReadBuffer) -> Option<&'static str> {
    let path = format!("proc/{pid}/wchan");
    let function = root
        .read_bytes(&path, buffer)
        .ok()
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .map(str::trim);
    let Some(function) = function.filter(|name| !matches!(*name, "" | "0")) else {
        return Some(UNKNOWN);
    };
    if PATIENT.contains(&function) {
        return None;
    }
    let known = WAITS
        .iter()
        .find(|(_, starts)| starts.iter().any(|start| function.starts_with(start)));
    Some(known.map_or(OTHER, |(word, _)| word))
}

fn condition(counts: &BTreeMap<&str, u64>) -> Option<Condition> {
    let all: u64 = counts.values().sum();
    if all == 0 {
        return None;
    }
    let of = |word: &str| counts.get(word).copied().unwrap_or(0);
    let severity = if all > MANY || of("nvidia") + of("nfs") > 0 {
        Severity::Critical
    } else {
        Severity::Warning
    };
    let parts: Vec<String> = counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(word, count)| format!("{count} for {word}"))
        .collect();
    let detail = format!(
        "{all} in uninterruptible sleep for more than {STUCK_SECONDS} s: waiting {}",
        parts.join(", ")
    );
    Some(Condition {
        cause: "kernel.tasks_stuck".to_owned(),
        severity,
        component: Untrusted::new("kernel"),
        detail: Untrusted::new(&detail),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use glasshouse_core::options::Options;
    use glasshouse_sysfs::compliance::Recording;

    use super::super::processes::PROCESSES;
    use super::*;

    fn process(tree: &Path, pid: u32, state: &str, ticks: u32, wchan: &str) {
        let place = tree.join(format!("proc/{pid}"));
        std::fs::create_dir_all(&place).unwrap();
        let zeros = "0 ".repeat(22);
        let stat = format!(
            "{pid} (D) 1 (x) {state} 0 0 0 0 0 0 0 0 0 0 {ticks} 0 0 0 0 0 1 0 77 {zeros}\n"
        );
        std::fs::write(place.join("stat"), stat).unwrap();
        std::fs::write(place.join("wchan"), wchan).unwrap();
    }

    fn switches(tree: &Path, pid: u32, count: u32) {
        let text = format!(
            "Name:\tvoluntary_ctxt_switches: 9\nState:\tD (disk sleep)\nvoluntary_ctxt_switches:\t{count}\nnonvoluntary_ctxt_switches:\t1\n"
        );
        std::fs::write(tree.join(format!("proc/{pid}/status")), text).unwrap();
    }

    /// A driver's loop of `msleep` is always asleep when looked at and uses no tick; a frozen container, and a parent
    /// whose child of `vfork` runs on, wait as long as they are meant to.
    #[test]
    fn who_sleeps_by_design_is_not_stuck() {
        let tree = tempfile::tempdir().unwrap();
        let tree = tree.path();
        process(tree, 10, "D", 5, "msleep");
        process(tree, 11, "D", 5, "__refrigerator");
        process(tree, 12, "D", 5, "kernel_clone");
        process(tree, 13, "D", 5, "blk_mq_get_tag");
        let mut collector = (PROCESSES.build)(SysRoot::new(tree), &Options::default());
        for (n, at) in [1000, 1060, 1121].into_iter().enumerate() {
            uptime(tree, at);
            switches(tree, 10, u32::try_from(n).unwrap());
            switches(tree, 13, 7);
            let recording = Recording::of(collector.as_mut());
            assert!(recording.failures.is_empty(), "{:?}", recording.failures);
            let stuck = |word| recording.value("system.process.linux.stuck", &[word]);
            if at > 1120 {
                assert_eq!(stuck("storage"), Some(1.0));
                assert_eq!(stuck("other"), Some(0.0));
                let condition = recording.conditions.first().unwrap();
                assert_eq!(condition.severity, Severity::Warning);
            } else {
                assert!(recording.conditions.is_empty());
            }
        }
    }

    fn uptime(tree: &Path, seconds: u32) {
        std::fs::write(tree.join(UPTIME), format!("{seconds}.00 1.00\n")).unwrap();
    }

    #[test]
    fn who_waits_for_two_minutes_without_a_tick_is_stuck() {
        let tree = tempfile::tempdir().unwrap();
        let tree = tree.path();
        process(tree, 10, "D", 5, "rpc_wait_bit_killable");
        process(tree, 11, "D", 5, "folio_wait_bit_common");
        process(tree, 12, "D", 5, "0");
        process(tree, 13, "S", 5, "0");
        let mut collector = (PROCESSES.build)(SysRoot::new(tree), &Options::default());
        let mut run = |at| {
            uptime(tree, at);
            let recording = Recording::of(collector.as_mut());
            assert!(recording.failures.is_empty(), "{:?}", recording.failures);
            recording
        };
        let stuck =
            |recording: &Recording, word| recording.value("system.process.linux.stuck", &[word]);
        for at in [1000, 1030, 1110] {
            let recording = run(at);
            assert_eq!(stuck(&recording, "nfs"), None, "nobody knows yet");
            assert!(recording.conditions.is_empty());
        }
        // it did something meanwhile
        process(tree, 11, "D", 6, "folio_wait_bit_common");
        let recording = run(1121);
        assert_eq!(stuck(&recording, "nfs"), Some(1.0));
        assert_eq!(stuck(&recording, "unknown"), Some(1.0));
        assert_eq!(stuck(&recording, "storage"), Some(0.0));
        let condition = recording.conditions.first().unwrap();
        assert_eq!(condition.cause, "kernel.tasks_stuck");
        assert_eq!(condition.severity, Severity::Critical);
        assert_eq!(
            condition.detail.raw(),
            "2 in uninterruptible sleep for more than 120 s: waiting 1 for nfs, 1 for unknown"
        );
        process(tree, 10, "S", 5, "0");
        process(tree, 12, "S", 5, "0");
        assert!(run(1150).conditions.is_empty());
        assert_eq!(stuck(&run(1242), "storage"), Some(1.0));
    }
}
