//! Interrupts that say that hardware is in trouble, by kind, from the last lines of `/proc/interrupts`.
//!
//! The kernel writes a line for every interrupt with a number for every processor: megabytes on a large machine. What is
//! wanted stands at the end, so the file is read seldom and parsed backwards, up to the first line of a device.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{ReadBuffer, Spec, SysRoot, malformed, presence};

pub(crate) static INTERRUPTS: Spec = Spec {
    name: "interrupts",
    summary: "Interrupts of trouble: heat, machine checks, memory thresholds, errors.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    // the kernel formats a number for each interrupt and processor
    interval_seconds: 30,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Interrupts {
            root,
            last: [None; KINDS.len()],
            buffer: ReadBuffer::new(),
        })
    },
};

const PATH: &str = "proc/interrupts";

/// Keys of lines (x86, and `Err` of Arm), and the word for each.
const KINDS: [(&str, &str); 12] = [
    ("TRM", "thermal"),
    ("THR", "threshold"),
    ("DFR", "deferred_error"),
    ("MCE", "machine_check"),
    ("MCP", "machine_check_poll"),
    ("NMI", "non_maskable"),
    ("PMI", "performance"),
    ("SPU", "spurious"),
    ("RTR", "retry"),
    ("ERR", "error"),
    ("Err", "error"),
    ("MIS", "missed"),
];

static METRICS: [MetricDefinition; 1] = [MetricDefinition {
    name: "system.linux.trouble_interrupts",
    unit: "{interrupt}",
    kind: MetricKind::Counter,
    value: ValueType::U64,
    help: "Interrupts since boot that tell of trouble, all processors together.",
    is_not: "Not all interrupts, which `cpu` counts; and not all bad: polls for machine checks are regular.",
    labels: &[LabelDefinition {
        key: "linux.interrupt.kind",
        help: "`thermal`, `threshold` (corrected memory errors), `deferred_error`, `machine_check`, `machine_check_poll`, `non_maskable`, `performance`, `spurious`, `retry`, `error`, `missed`.",
    }],
    source: "/proc/interrupts",
    audience: Audience::Operator,
}];
static COUNT: &MetricDefinition = &METRICS[0];

#[derive(Debug)]
struct Interrupts {
    root: SysRoot,
    /// Columns and sum of each kind at the last run.
    last: [Option<(usize, u64)>; KINDS.len()],
    buffer: ReadBuffer,
}

impl Collector for Interrupts {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        presence(self.read(out))
    }
}

impl Interrupts {
    fn read(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        // not as text: drivers and interfaces choose names of any bytes
        let bytes = self.root.read_end(PATH, &mut self.buffer)?;
        let mut named = 0;
        let mut seen = [false; KINDS.len()];
        for line in bytes.rsplit(|byte| *byte == b'\n') {
            let line = line.trim_ascii_start();
            if line.first().is_some_and(u8::is_ascii_digit) {
                break;
            }
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                continue;
            };
            let (key, rest) = line.split_at(colon);
            named += 1;
            let Some(kind) = KINDS.iter().position(|(word, _)| word.as_bytes() == key) else {
                continue;
            };
            let (Some(last), Some(seen)) = (self.last.get_mut(kind), seen.get_mut(kind)) else {
                continue;
            };
            if std::mem::replace(seen, true) {
                continue;
            }
            let word = KINDS.get(kind).map_or("", |(_, word)| word);
            match sum(rest) {
                Some((columns, sum)) => {
                    let count = never_less(last, columns, sum);
                    out.sample(COUNT, &[word], Value::U64(count));
                }
                None => {
                    let shown = String::from_utf8_lossy(line);
                    out.failure(malformed(PATH, None, "a number a processor", &shown));
                }
            }
        }
        if named == 0 {
            return Err(malformed(PATH, None, "lines of named interrupts", ""));
        }
        Ok(())
    }
}

/// The numbers after the colon, up to the words that explain the line: how many, and their sum.
fn sum(rest: &[u8]) -> Option<(usize, u64)> {
    let (mut columns, mut sum) = (0, 0_u64);
    let words = rest
        .get(1..)?
        .split(|byte| byte.is_ascii_whitespace())
        .filter(|word| !word.is_empty());
    for word in words {
        if !word.first().is_some_and(u8::is_ascii_digit) {
            break;
        }
        let number: u64 = std::str::from_utf8(word).ok()?.parse().ok()?;
        sum = sum.checked_add(number)?;
        columns += 1;
    }
    (columns > 0).then_some((columns, sum))
}

/// A processor that goes offline takes its column away. Its interrupts happened nevertheless, and a store would take the
/// smaller sum for a counter that began anew.
fn never_less(last: &mut Option<(usize, u64)>, columns: usize, sum: u64) -> u64 {
    let count = match *last {
        Some((before, count)) if columns < before => count.max(sum),
        _ => sum,
    };
    // as many columns as ever, so that the sum stands until all are back
    let most = last.map_or(columns, |(before, _)| before.max(columns));
    *last = Some((most, count));
    count
}

#[cfg(test)]
mod tests {
    use glasshouse_sysfs::compliance::Recording;

    use super::*;

    const NAME: &str = "system.linux.trouble_interrupts";

    #[test]
    fn the_end_of_the_file_is_enough_and_names_may_be_any_bytes() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("proc")).unwrap();
        let write = |text: &[u8]| std::fs::write(tree.path().join(PATH), text).unwrap();
        let mut collector = (INTERRUPTS.build)(SysRoot::new(tree.path()), &Options::default());
        let mut read = |kind: &str| {
            let recording = Recording::of(collector.as_mut());
            assert!(recording.failures.is_empty(), "{:?}", recording.failures);
            recording.value(NAME, &[kind])
        };
        write(b"           CPU0       CPU1\n MCE:  99 99 x\n 24:  1  0  IO-APIC \xff\xfe TRM: 7\nTRM:   3   4   Thermal event interrupts\nERR:   5\n\n");
        assert_eq!(read("thermal"), Some(7.0));
        assert_eq!(read("error"), Some(5.0));
        assert_eq!(read("machine_check"), None, "before the devices");
        write(b"           CPU0\n 24:  1  IO-APIC\nTRM:   4   Thermal event interrupts\n");
        assert_eq!(read("thermal"), Some(7.0), "a processor went offline");
        write(b"           CPU0\n 24:  1  IO-APIC\nTRM:   9   Thermal event interrupts\n");
        assert_eq!(read("thermal"), Some(9.0));
    }

    #[test]
    fn the_file_of_a_large_machine_is_read() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("proc")).unwrap();
        let line = |key: &str, number: u32| {
            let numbers = format!("{number:>10} ").repeat(512);
            format!("{key:>4}: {numbers}  Some interrupts\n")
        };
        let devices: String = (0..1200).map(|n| line(&n.to_string(), n)).collect();
        let text = format!("{devices}{}{}", line("TRM", 2), line("MCE", 1));
        assert!(text.len() > 6 << 20);
        std::fs::write(tree.path().join(PATH), text).unwrap();
        let mut collector = (INTERRUPTS.build)(SysRoot::new(tree.path()), &Options::default());
        let recording = Recording::of(collector.as_mut());
        assert_eq!(recording.value(NAME, &["thermal"]), Some(1024.0));
        assert_eq!(recording.value(NAME, &["machine_check"]), Some(512.0));
    }

    #[test]
    fn arm_has_errors_and_interrupts_between_processors() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("proc")).unwrap();
        let text = "      CPU0  CPU1\n 11:  1  2  GICv3  30 Level  arch_timer\nIPI0:  10  20  Rescheduling interrupts\nErr:          3\n";
        std::fs::write(tree.path().join(PATH), text).unwrap();
        let mut collector = (INTERRUPTS.build)(SysRoot::new(tree.path()), &Options::default());
        let recording = Recording::of(collector.as_mut());
        assert_eq!(recording.value(NAME, &["error"]), Some(3.0));
        assert_eq!(recording.samples.len(), 1);
    }
}
