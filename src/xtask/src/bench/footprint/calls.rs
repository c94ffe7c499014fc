//! System calls, and programs started, as the kernel's tracepoints count them. A pass of its own, because counting costs
//! those who are counted.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::exporter::Exporter;
use super::pass;
use super::running::Running;
use super::watch::{Group, Watched};

const SYSTEM_CALL: &str = "raw_syscalls:sys_enter";
const EXEC: &str = "sched:sched_process_exec";

/// What one group did in the pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Calls {
    pub(super) group: Group,
    pub(super) system_calls_a_second: f64,
    /// Programs that its processes, and what they started, have executed.
    pub(super) executions: u64,
}

/// Counts for this long; gives nothing, with a word, where the kernel or `perf` does not let us.
pub(super) fn count(
    seconds: u32,
    watched: &[Watched],
    exporter: Option<&Exporter>,
) -> anyhow::Result<Vec<Calls>> {
    if seconds == 0 {
        return Ok(Vec::new());
    }
    if !crate::peers::in_path("perf") {
        eprintln!(
            "skipped: perf is not installed (apt-get install linux-perf); system calls and programs started are not counted"
        );
        return Ok(Vec::new());
    }
    let folder = tempfile::tempdir()?;
    let mut counters = Vec::new();
    for group in [Group::Node, Group::Exporter, Group::Netdata] {
        let of_group = watched.iter().filter(|one| one.group == group);
        let numbers: Vec<String> = of_group.map(|one| one.process.0.to_string()).collect();
        if numbers.is_empty() {
            continue;
        }
        let file = folder.path().join(format!("{group:?}"));
        let running = Running::start(
            Command::new("perf")
                .args(["stat", "-x", ",", "-e", SYSTEM_CALL, "-e", EXEC, "-p"])
                .arg(numbers.join(","))
                .arg("-o")
                .arg(&file)
                .args(["--timeout", &(u64::from(seconds) * 1000).to_string()])
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )?;
        counters.push((group, file, running));
    }
    // perf needs a moment to begin and to end
    let time = Duration::from_secs(u64::from(seconds) + 2);
    pass(time, exporter, &mut [])?;
    let mut calls = Vec::new();
    for (group, file, mut running) in counters {
        if !running.0.wait()?.success() {
            eprintln!("skipped: perf cannot count here (it needs root and tracefs)");
            return Ok(Vec::new());
        }
        calls.extend(read(group, &file, seconds)?);
    }
    Ok(calls)
}

fn read(group: Group, file: &Path, seconds: u32) -> anyhow::Result<Option<Calls>> {
    let text = std::fs::read_to_string(file)?;
    let counted = |event: &str| -> Option<u64> {
        let mut lines = text.lines().map(|line| line.split(','));
        lines.find_map(|mut fields| {
            let count = fields.next()?.parse().ok()?;
            fields.any(|field| field == event).then_some(count)
        })
    };
    let calls = counted(SYSTEM_CALL).zip(counted(EXEC));
    let calls = calls.and_then(|(calls, executions)| {
        Some(Calls {
            group,
            system_calls_a_second: f64::from(u32::try_from(calls).ok()?) / f64::from(seconds),
            executions,
        })
    });
    if calls.is_none() {
        eprintln!("perf did not count for {group:?}: {}", text.trim());
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_what_perf_writes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "# started on\n\n4210,,raw_syscalls:sys_enter,30,100.00,,\n0,,sched:sched_process_exec,30,100.00,,\n";
        std::fs::write(file.path(), text).unwrap();
        let calls = read(Group::Node, file.path(), 10).unwrap().unwrap();
        assert!((calls.system_calls_a_second - 421.0).abs() < 1e-9);
        assert_eq!(calls.executions, 0);
        std::fs::write(file.path(), "<not counted>,,raw_syscalls:sys_enter,0\n").unwrap();
        assert_eq!(read(Group::Node, file.path(), 10).unwrap(), None);
    }
}
