//! What the processes of the probe use, by the kernel's own words. The one thing here that is read by its path: it is said
//! of these processes, not of the machine, so no root that a test chooses has it.

use glasshouse_core::process::ProcessUse;
use glasshouse_core::worker::Worker;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::read;
use rustix::param::page_size;

use crate::relay::WorkerCounts;

/// What the probe and the workers that it started use, where the kernel says so.
pub(crate) fn uses(
    workers: &[(Worker, WorkerCounts)],
) -> impl Iterator<Item = (&'static str, ProcessUse)> {
    let children = workers.iter().filter_map(|(worker, counts)| {
        let role = match worker {
            Worker::Gpu => "probe gpu",
            Worker::Ipmi => "probe ipmi",
            // others start them
            Worker::Bmc | Worker::Privileged => return None,
        };
        Some((role, used(&format!("/proc/{}/stat", counts.process?))?))
    });
    let own = used("/proc/self/stat").map(|own| ("probe", own));
    own.into_iter().chain(children)
}

/// Longer than the kernel's longest line there.
const STAT_BYTES: usize = 2048;

fn used(stat: &str) -> Option<ProcessUse> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = open(stat, flags, Mode::empty()).ok()?;
    let mut bytes = [0; STAT_BYTES];
    let length = read(&file, &mut bytes).ok()?;
    let text = String::from_utf8_lossy(bytes.get(..length)?);
    ProcessUse::parse(&text, u64::try_from(page_size()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_and_its_children_are_told_of_and_no_others() {
        let child = WorkerCounts {
            process: Some(std::process::id()),
            ..WorkerCounts::default()
        };
        let workers = [
            (Worker::Gpu, child),
            (Worker::Ipmi, WorkerCounts::default()),
            (Worker::Bmc, child),
        ];
        let told: Vec<(&str, ProcessUse)> = uses(&workers).collect();
        let roles: Vec<&str> = told.iter().map(|(role, _)| *role).collect();
        assert_eq!(roles, ["probe", "probe gpu"]);
        assert!(
            told.iter()
                .all(|(_, used)| used.resident_bytes > 0 && used.threads > 0)
        );
        assert_eq!(used("/proc/0/stat"), None);
    }
}
