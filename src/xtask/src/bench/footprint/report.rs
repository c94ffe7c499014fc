//! The tables, and the same as JSON.

use serde_json::{Value, json};

use super::calls::Calls;
use super::watch::{Group, Memory, Series, Watched};

/// The budget: CPU beside the exporter's, and what is aimed at.
const CPU_RATIO: (f64, f64) = (1.0, 0.5);

/// The budget: memory in MiB of all that is counted, and what is aimed at.
const MEMORY_MIB: (f64, f64) = (64.0, 48.0);

/// What was found beside what the processes used.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) machine: String,
    pub(super) seconds: f64,
    pub(super) scrapes: u64,
    pub(super) ours: Series,
    pub(super) exporter: Option<Series>,
    pub(super) netdata: Option<Series>,
    /// Processes and threads that were made in the run, where that is known.
    pub(super) new_processes: Option<u64>,
    pub(super) calls: Vec<Calls>,
}

/// A row of the table: one process, or a group.
#[derive(Debug)]
struct Row {
    name: String,
    cpu_seconds: f64,
    memory: Memory,
    threads: u64,
    wakes_a_second: f64,
    preempted_a_second: f64,
}

#[derive(Debug)]
pub(super) struct Report {
    facts: Facts,
    processes: Vec<Row>,
    groups: Vec<(Group, Row)>,
}

impl Report {
    pub(super) fn new(watched: &[Watched], facts: Facts) -> Self {
        let row = |name: &str, of: &[&Watched]| {
            let (mut cpu_seconds, mut threads, mut wakes, mut preempted) = (0.0, 0, 0_u64, 0_u64);
            for one in of {
                cpu_seconds += one.cpu_seconds();
                threads += one.threads();
                wakes += one.switches().voluntary;
                preempted += one.switches().involuntary;
            }
            let a_second =
                |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / facts.seconds;
            Row {
                name: name.to_owned(),
                cpu_seconds,
                memory: Memory::sum(of.iter().copied()),
                threads,
                wakes_a_second: a_second(wakes),
                preempted_a_second: a_second(preempted),
            }
        };
        let processes = watched.iter().map(|one| row(&one.name, &[one])).collect();
        let groups = [
            (Group::Node, "probe + workers + node + serve"),
            (Group::Exporter, "prometheus-node-exporter"),
            (Group::Netdata, "netdata"),
        ];
        let groups = groups.into_iter().filter_map(|(group, name)| {
            let of: Vec<&Watched> = watched.iter().filter(|one| one.group == group).collect();
            (!of.is_empty()).then(|| (group, row(name, &of)))
        });
        let groups = groups.collect();
        Self {
            facts,
            processes,
            groups,
        }
    }

    pub(super) fn print(&self) {
        println!(
            "\n{:<32} {:>8} {:>7}  {:>8} {:>8} {:>8} {:>9} {:>8} {:>9} {:>9}",
            "process",
            "CPU s",
            "% core",
            "PSS MiB",
            "at end",
            "most",
            "KiB/min",
            "threads",
            "wakes/s",
            "preempt/s"
        );
        for row in &self.processes {
            self.print_row(row);
        }
        println!();
        for (_, row) in &self.groups {
            self.print_row(row);
        }
        println!(
            "\n{}; {:.1} s, {} scrapes",
            self.facts.machine, self.facts.seconds, self.facts.scrapes
        );
        for (group, row) in &self.groups {
            let series = self.series(*group);
            println!(
                "{:<32} {:>6} series, {:>6.0} samples a second; CPU: {:>6.2} µs a series and second, {:>6.2} µs a sample",
                row.name,
                series.count,
                series.samples_a_second,
                self.cpu_a_series(*group).unwrap_or_default(),
                self.cpu_a_sample(*group).unwrap_or_default()
            );
        }
        for calls in &self.facts.calls {
            println!(
                "{:<32} {:>6.0} system calls a second, {} programs started (counted by perf in a pass of its own)",
                self.name(calls.group),
                calls.system_calls_a_second,
                calls.executions
            );
        }
        if let Some(new) = self.facts.new_processes {
            println!("processes and threads made by all of them in the run: {new}");
        }
        self.print_goals();
    }

    fn print_row(&self, row: &Row) {
        println!(
            "{:<32} {:>8.2} {:>7.2}  {:>8.1} {:>8.1} {:>8.1} {:>9.1} {:>8} {:>9.1} {:>9.1}",
            row.name,
            row.cpu_seconds,
            row.cpu_seconds / self.facts.seconds * 100.0,
            row.memory.first_mib(),
            row.memory.last_mib(),
            row.memory.most_mib(),
            row.memory.slope_kib_a_minute(),
            row.threads,
            row.wakes_a_second,
            row.preempted_a_second
        );
    }

    fn print_goals(&self) {
        println!();
        if let Some(ratio) = self.cpu_ratio() {
            println!(
                "CPU beside the exporter's: {ratio:.2}; goal at most {:.2}, {}; aim {:.2}, {}",
                CPU_RATIO.0,
                word(ratio <= CPU_RATIO.0),
                CPU_RATIO.1,
                word(ratio <= CPU_RATIO.1)
            );
        }
        if let Some(ratio) = self.series_ratio() {
            println!(
                "CPU a series beside Netdata's: {ratio:.2}; goal at most 1.00, {}",
                word(ratio <= 1.0)
            );
        }
        if let Some(ratio) = self.sample_ratio() {
            println!(
                "CPU a sample beside Netdata's: {ratio:.2} (not all of ours come each second)"
            );
        }
        if let Some(row) = self.row(Group::Node) {
            let most = row.memory.most_mib();
            println!(
                "PSS in all at most {most:.1} MiB; goal at most {:.0}, {}; aim {:.0}, {}; slope {:.1} KiB a minute",
                MEMORY_MIB.0,
                word(most <= MEMORY_MIB.0),
                MEMORY_MIB.1,
                word(most <= MEMORY_MIB.1),
                row.memory.slope_kib_a_minute()
            );
        }
        for calls in &self.facts.calls {
            if calls.group == Group::Node {
                println!(
                    "programs started in steady state: {}; goal none, {}",
                    calls.executions,
                    word(calls.executions == 0)
                );
            }
        }
    }

    pub(super) fn json(&self) -> Value {
        let groups = self.groups.iter().map(|(group, row)| {
            let mut value = self.row_json(row);
            let calls = self.facts.calls.iter().find(|calls| calls.group == *group);
            if let Some(fields) = value.as_object_mut() {
                fields.insert("series".to_owned(), json!(self.series(*group).count));
                fields.insert(
                    "samples_a_second".to_owned(),
                    json!(self.series(*group).samples_a_second),
                );
                fields.insert(
                    "system_calls_a_second".to_owned(),
                    json!(calls.map(|calls| calls.system_calls_a_second)),
                );
                fields.insert(
                    "programs_started".to_owned(),
                    json!(calls.map(|calls| calls.executions)),
                );
            }
            value
        });
        json!({
            "bench": "footprint",
            "machine": self.facts.machine,
            "seconds": self.facts.seconds,
            "scrapes": self.facts.scrapes,
            "processes": self.processes.iter().map(|row| self.row_json(row)).collect::<Vec<_>>(),
            "groups": groups.collect::<Vec<_>>(),
            "new_processes": self.facts.new_processes,
            "ratios": {
                "cpu_to_exporter": self.cpu_ratio(),
                "cpu_a_series_to_netdata": self.series_ratio(),
                "cpu_a_sample_to_netdata": self.sample_ratio(),
            },
            "goals": {
                "cpu_to_exporter": {"at_most": CPU_RATIO.0, "aim": CPU_RATIO.1},
                "cpu_a_series_to_netdata": {"at_most": 1.0},
                "pss_mib": {"at_most": MEMORY_MIB.0, "aim": MEMORY_MIB.1},
                "programs_started": {"at_most": 0},
            },
        })
    }

    fn row_json(&self, row: &Row) -> Value {
        json!({
            "name": row.name,
            "cpu_seconds": row.cpu_seconds,
            "cpu_percent": row.cpu_seconds / self.facts.seconds * 100.0,
            "pss_mib": {
                "start": row.memory.first_mib(),
                "end": row.memory.last_mib(),
                "most": row.memory.most_mib(),
                "slope_kib_a_minute": row.memory.slope_kib_a_minute(),
                "seconds_and_kib": row.memory.looks(),
            },
            "threads": row.threads,
            "wakes_a_second": row.wakes_a_second,
            "preempted_a_second": row.preempted_a_second,
        })
    }

    fn row(&self, group: Group) -> Option<&Row> {
        let found = self.groups.iter().find(|(of, _)| *of == group);
        found.map(|(_, row)| row)
    }

    fn name(&self, group: Group) -> &str {
        self.row(group).map_or("", |row| row.name.as_str())
    }

    fn series(&self, group: Group) -> Series {
        let series = match group {
            Group::Node => Some(self.facts.ours),
            Group::Exporter => self.facts.exporter,
            Group::Netdata => self.facts.netdata,
            Group::Beside => None,
        };
        series.unwrap_or_default()
    }

    /// Microseconds of CPU a series and second.
    fn cpu_a_series(&self, group: Group) -> Option<f64> {
        let series = f64::from(u32::try_from(self.series(group).count).ok()?);
        self.cpu_a(group, series)
    }

    /// Microseconds of CPU a sample.
    fn cpu_a_sample(&self, group: Group) -> Option<f64> {
        self.cpu_a(group, self.series(group).samples_a_second)
    }

    fn cpu_a(&self, group: Group, many: f64) -> Option<f64> {
        let row = self.row(group)?;
        (many > 0.0).then(|| row.cpu_seconds * 1e6 / self.facts.seconds / many)
    }

    fn cpu_ratio(&self) -> Option<f64> {
        let exporter = self.row(Group::Exporter)?.cpu_seconds;
        let ours = self.row(Group::Node)?.cpu_seconds;
        (exporter > 0.0).then(|| ours / exporter)
    }

    fn series_ratio(&self) -> Option<f64> {
        let theirs = self.cpu_a_series(Group::Netdata)?;
        let ours = self.cpu_a_series(Group::Node)?;
        (theirs > 0.0).then(|| ours / theirs)
    }

    fn sample_ratio(&self) -> Option<f64> {
        let theirs = self.cpu_a_sample(Group::Netdata)?;
        let ours = self.cpu_a_sample(Group::Node)?;
        (theirs > 0.0).then(|| ours / theirs)
    }
}

const fn word(is_met: bool) -> &'static str {
    if is_met { "met" } else { "missed" }
}
