//! How the queues of disks are set, from `/sys/block/*/queue`: facts that drift detection compares.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::CollectError;
use glasshouse_core::options::Options;
use glasshouse_sysfs::{Spec, SysRoot};

use crate::parts::{names, noted};

pub(crate) static DISK_QUEUE: Spec = Spec {
    name: "disk_queue",
    summary: "How the queues of disks are set.",
    metrics: &[],
    facts: &FACTS,
    options: &[],
    interval_seconds: 300,
    needs: "",
    build: |root: SysRoot, _: &Options| Box::new(DiskQueue { root }),
};

const DIRECTORY: &str = "sys/block";

static FACTS: [FactDefinition; 10] = [
    fact(
        "disk.queue.write_cache",
        "Whether the kernel flushes the disk's cache: `write back` or `write through`.",
    ),
    fact(
        "disk.queue.nr_requests",
        "Requests that may wait in each queue of the disk.",
    ),
    fact(
        "disk.queue.read_ahead_kb",
        "KiB that the kernel reads ahead.",
    ),
    fact(
        "disk.queue.logical_block_size",
        "Bytes of the smallest block that can be addressed.",
    ),
    fact(
        "disk.queue.physical_block_size",
        "Bytes of the smallest block that the disk writes at once.",
    ),
    fact("disk.queue.max_sectors_kb", "KiB of the largest request."),
    fact(
        "disk.queue.nomerges",
        "Whether requests are not merged: 0 merges, 1 only simply, 2 never.",
    ),
    fact(
        "disk.queue.rq_affinity",
        "Where requests complete: 0 anywhere, 1 in the group of the processor that asked, 2 on it.",
    ),
    fact(
        "disk.queue.wbt_lat_usec",
        "Microseconds that writes are held back to keep reads below; 0 is off.",
    ),
    fact(
        "disk.queue.io_timeout",
        "Milliseconds until the kernel gives a request up.",
    ),
];

const fn fact(key: &'static str, help: &'static str) -> FactDefinition {
    FactDefinition {
        key,
        help,
        source: "/sys/block/*/queue",
    }
}

#[derive(Debug)]
struct DiskQueue {
    root: SysRoot,
}

impl Collector for DiskQueue {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut present = false;
        for name in names(&self.root, DIRECTORY)? {
            let disk = format!("{DIRECTORY}/{name}");
            // only hardware has a device: loop, ram, dm and md have none
            if !self.root.exists(&format!("{disk}/device")) {
                continue;
            }
            present = true;
            let component = format!("disk/{name}");
            for fact in &FACTS {
                let file = fact.key.rsplit('.').next().unwrap_or_default();
                let path = format!("{disk}/queue/{file}");
                match self.root.read_optional_trimmed(&path) {
                    // a queue without such a throttle refuses to tell of it
                    Err(error) if is_refusal(&error) => {}
                    outcome => {
                        if let Some(text) = noted(outcome, out) {
                            out.fact(fact, &component, &text);
                        }
                    }
                }
            }
        }
        if !present {
            let looked_for = format!("no disk in `/{DIRECTORY}`");
            return Ok(Presence::Absent(looked_for));
        }
        Ok(Presence::Present)
    }
}

fn is_refusal(error: &CollectError) -> bool {
    use glasshouse_core::failure::FailureReason;
    matches!(error.reason, FailureReason::Io | FailureReason::Unsupported)
}
