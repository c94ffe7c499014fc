//! What each value of the peer is in our words, or why we do not have it.

use glasshouse_sysfs::compliance::RecordedSample;

use crate::device_meaning;
use crate::kernel_meaning;
use crate::peer::PeerSample;

/// What a value of the peer means to us.
pub(crate) enum Meaning {
    /// The sum of these of our series is the peer's value times the factor.
    Ours(Vec<Series>, f64),
    /// We do not have it, on purpose.
    Excluded(&'static str),
}

/// One of our series, by metric and some of its labels.
#[derive(Debug)]
pub(crate) struct Series {
    metric: &'static str,
    labels: Vec<(&'static str, String)>,
}

impl Series {
    pub(crate) fn matches(&self, sample: &RecordedSample) -> bool {
        sample.metric.name == self.metric
            && self.labels.iter().all(|(key, value)| {
                let mut labels = sample.metric.labels.iter().zip(&sample.labels);
                labels.any(|(label, have)| label.key == *key && have == value)
            })
    }
}

/// The family of a metric of the peer; `None` is none of ours.
pub(crate) fn family(name: &str) -> Option<&'static str> {
    let families = [
        ("node_cpu_", "cpu"),
        ("node_context_switches", "cpu"),
        ("node_intr_", "cpu"),
        ("node_forks", "cpu"),
        ("node_procs", "cpu"),
        ("node_boot_time", "cpu"),
        ("node_memory_numa_", "numa"),
        ("node_memory_", "memory"),
        ("node_edac_", "edac"),
        ("node_interrupts_", "interrupts"),
        ("node_timex_", "clock"),
        ("node_entropy_", "tables"),
        ("node_nf_conntrack_", "tables"),
        ("node_vmstat_", "memory"),
        ("node_disk_", "disk"),
        ("node_filesystem_", "filesystem"),
        ("node_network_", "network"),
        ("node_pressure_", "pressure"),
        ("node_load", "load"),
        ("node_thermal_", "thermal"),
        ("node_cooling_", "thermal"),
        ("node_rapl_", "rapl"),
        ("node_hwmon_", "hwmon"),
        ("node_power_supply_", "power_supply"),
        ("node_infiniband_", "infiniband"),
        ("node_bonding_", "bonding"),
        ("node_md_", "md"),
        ("node_xfs_", "xfs"),
        ("node_netstat_", "protocols"),
        ("node_sockstat_", "sockets"),
        ("node_softnet_", "backlog"),
    ];
    families
        .iter()
        .find(|(start, _)| name.starts_with(start))
        .map(|(_, family)| *family)
}

/// What a value means; `None` where nobody has said it yet, which fails the test.
pub(crate) fn meaning(sample: &PeerSample) -> Option<Meaning> {
    match family(&sample.name)? {
        "cpu" => cpu(sample),
        "memory" => memory(sample),
        "numa" => kernel_meaning::numa(sample),
        "edac" => kernel_meaning::edac(sample),
        "interrupts" => kernel_meaning::interrupts(sample),
        "clock" => kernel_meaning::clock(sample),
        "tables" => kernel_meaning::tables(sample),
        "disk" => disk(sample),
        "filesystem" => filesystem(sample),
        "network" => network(sample),
        "pressure" => pressure(sample),
        "load" => load(sample),
        "thermal" => thermal(sample),
        "rapl" => rapl(sample),
        "hwmon" => hwmon(sample),
        "power_supply" => power_supply(sample),
        "infiniband" => device_meaning::infiniband(sample),
        "bonding" => device_meaning::bonding(sample),
        "md" => device_meaning::arrays(sample),
        "xfs" => device_meaning::xfs(sample),
        "protocols" => device_meaning::protocols(sample),
        "sockets" => device_meaning::sockets(sample),
        "backlog" => device_meaning::backlog(sample),
        _ => None,
    }
}

pub(crate) fn one(metric: &'static str, labels: &[(&'static str, &str)]) -> Option<Meaning> {
    scaled(metric, labels, 1.0)
}

pub(crate) fn scaled(
    metric: &'static str,
    labels: &[(&'static str, &str)],
    factor: f64,
) -> Option<Meaning> {
    Some(Meaning::Ours(vec![series(metric, labels)], factor))
}

pub(crate) fn series(metric: &'static str, labels: &[(&'static str, &str)]) -> Series {
    let labels = labels
        .iter()
        .map(|(key, value)| (*key, (*value).to_owned()));
    Series {
        metric,
        labels: labels.collect(),
    }
}

pub(crate) fn excluded(reason: &'static str) -> Option<Meaning> {
    Some(Meaning::Excluded(reason))
}

fn cpu(sample: &PeerSample) -> Option<Meaning> {
    let cpu = sample.label("cpu");
    match sample.name.as_str() {
        "node_cpu_seconds_total" => {
            let mode = match sample.label("mode") {
                "irq" => "interrupt",
                mode => mode,
            };
            one(
                "system.cpu.time",
                &[("cpu.logical_number", cpu), ("cpu.mode", mode)],
            )
        }
        "node_cpu_guest_seconds_total" => excluded("guest time is a part of `user` and `nice`"),
        "node_cpu_scaling_frequency_hertz" => {
            one("system.cpu.frequency", &[("cpu.logical_number", cpu)])
        }
        "node_cpu_core_throttles_total" => throttles(sample.label("package"), sample.label("core")),
        "node_cpu_package_throttles_total" => throttles(sample.label("package"), "package"),
        name if name.ends_with("_min_hertz")
            || name.ends_with("_max_hertz")
            || name.starts_with("node_cpu_frequency_")
            || name.starts_with("node_cpu_scaling_governor")
            || name == "node_cpu_isolated" =>
        {
            kernel_meaning::frequency_limit(sample)
        }
        "node_context_switches_total" => one("system.cpu.linux.context_switches", &[]),
        "node_intr_total" => one("system.cpu.linux.interrupts", &[]),
        "node_forks_total" => one("system.process.created", &[]),
        "node_procs_running" if sample.is_live => {
            excluded("an instant: each reader counts itself and its threads")
        }
        "node_procs_running" => one("system.process.linux.runnable", &[]),
        "node_procs_blocked" => one("system.process.linux.blocked", &[]),
        "node_boot_time_seconds" => one("system.linux.boot_time", &[]),
        _ => None,
    }
}

fn throttles(package: &str, core: &str) -> Option<Meaning> {
    one(
        "system.cpu.linux.throttle.count",
        &[("cpu.package", package), ("cpu.core", core)],
    )
}

fn memory(sample: &PeerSample) -> Option<Meaning> {
    const STATE: &str = "system.memory.state";
    const HUGE: &str = "system.memory.linux.hugepages.usage";
    const FAULT: &str = "system.paging.fault.type";
    let nothing = sample.value == 0.0;
    if let Some(key) = sample.name.strip_prefix("node_vmstat_") {
        return match key {
            "pgfault" => {
                let kinds = ["minor", "major"];
                let kinds = kinds.map(|kind| series("system.paging.faults", &[(FAULT, kind)]));
                Some(Meaning::Ours(kinds.into(), 1.0))
            }
            "pgmajfault" => one("system.paging.faults", &[(FAULT, "major")]),
            "pswpin" => one(
                "system.paging.operations",
                &[("system.paging.direction", "in")],
            ),
            "pswpout" => one(
                "system.paging.operations",
                &[("system.paging.direction", "out")],
            ),
            "oom_kill" => one("system.memory.linux.oom_kills", &[]),
            "pgpgin" | "pgpgout" => excluded("bytes to and from disks are counted by disk"),
            _ => None,
        };
    }
    let key = sample.name.strip_prefix("node_memory_")?;
    match key.strip_suffix("_bytes").unwrap_or(key) {
        "MemTotal" => one("system.memory.limit", &[]),
        "MemFree" => one("system.memory.usage", &[(STATE, "free")]),
        "Buffers" => one("system.memory.usage", &[(STATE, "buffers")]),
        "Cached" => one("system.memory.usage", &[(STATE, "cached")]),
        "MemAvailable" => one("system.memory.linux.available", &[]),
        "Shmem" => one("system.memory.linux.shared", &[]),
        "SReclaimable" => slab("reclaimable"),
        "SUnreclaim" => slab("unreclaimable"),
        "HugePages_Total" | "HugePages_Free" | "SwapTotal" | "SwapFree" if nothing => {
            excluded("no huge pages or swap: silence rather than zero")
        }
        "HugePages_Total" => one("system.memory.linux.hugepages.limit", &[]),
        "HugePages_Free" => one(HUGE, &[("system.memory.linux.hugepages.state", "free")]),
        "Hugepagesize" => one("system.memory.linux.hugepages.page_size", &[]),
        "SwapTotal" => one("system.paging.limit", &[]),
        "SwapFree" => one("system.paging.usage", &[("system.paging.state", "free")]),
        "Dirty" => detail("dirty"),
        "Writeback" => detail("writeback"),
        "AnonPages" => detail("anonymous"),
        "AnonHugePages" => detail("anonymous_huge"),
        "Mapped" => detail("mapped"),
        "PageTables" => detail("page_tables"),
        "KernelStack" => detail("kernel_stack"),
        "Percpu" => detail("per_cpu"),
        "Unevictable" => detail("unevictable"),
        "SwapCached" => detail("swap_cached"),
        "Committed_AS" => detail("committed"),
        "CommitLimit" => detail("commit_limit"),
        "HardwareCorrupted" => detail("hardware_corrupted"),
        _ => excluded("a line of meminfo that no diagnosis wants"),
    }
}

fn slab(state: &str) -> Option<Meaning> {
    one(
        "system.memory.linux.slab.usage",
        &[("linux.memory.slab.state", state)],
    )
}

fn detail(kind: &str) -> Option<Meaning> {
    one("system.memory.linux.detail", &[("linux.memory.kind", kind)])
}

fn disk(sample: &PeerSample) -> Option<Meaning> {
    let device = sample.label("device");
    if is_partition(device) {
        return excluded("partitions are left out by default");
    }
    let of = |metric, direction| {
        one(
            metric,
            &[("system.device", device), ("disk.io.direction", direction)],
        )
    };
    let whole = |metric| one(metric, &[("system.device", device)]);
    let other = |metric, operation| {
        one(
            metric,
            &[
                ("system.device", device),
                ("linux.disk.operation", operation),
            ],
        )
    };
    const OTHER_OPERATIONS: &str = "system.disk.linux.operations";
    const OTHER_TIME: &str = "system.disk.linux.operation_time";
    const OPERATIONS: &str = "system.disk.operations";
    const MERGED: &str = "system.disk.merged";
    const IO: &str = "system.disk.io";
    const TIME: &str = "system.disk.operation_time";
    match sample.name.strip_prefix("node_disk_")? {
        "reads_completed_total" => of(OPERATIONS, "read"),
        "writes_completed_total" => of(OPERATIONS, "write"),
        "discards_completed_total" => other(OTHER_OPERATIONS, "discard"),
        "flush_requests_total" => other(OTHER_OPERATIONS, "flush"),
        "reads_merged_total" => of(MERGED, "read"),
        "writes_merged_total" => of(MERGED, "write"),
        "discards_merged_total" => other("system.disk.linux.merged", "discard"),
        "read_bytes_total" => of(IO, "read"),
        "written_bytes_total" => of(IO, "write"),
        "discarded_sectors_total" => scaled(
            "system.disk.linux.discarded",
            &[("system.device", device)],
            512.0,
        ),
        "read_time_seconds_total" => of(TIME, "read"),
        "write_time_seconds_total" => of(TIME, "write"),
        "discard_time_seconds_total" => other(OTHER_TIME, "discard"),
        "flush_requests_time_seconds_total" => other(OTHER_TIME, "flush"),
        "io_now" => whole("system.disk.pending_operations"),
        "io_time_seconds_total" => whole("system.disk.io_time"),
        "io_time_weighted_seconds_total" => whole("system.disk.weighted_io_time"),
        "info" | "filesystem_info" | "device_mapper_info" => excluded("not a number: a fact"),
        name if name.starts_with("ata_") => excluded("settings of the disk are facts, not samples"),
        _ => None,
    }
}

/// Told by the peer's own sight of names, not by ours.
fn is_partition(device: &str) -> bool {
    let digits = device.trim_end_matches(|c: char| c.is_ascii_digit());
    (device.starts_with("mmcblk") || device.starts_with("nvme"))
        && digits.ends_with('p')
        && digits.len() < device.len()
}

fn filesystem(sample: &PeerSample) -> Option<Meaning> {
    const STATE: &str = "system.filesystem.state";
    if !sample.is_live {
        return excluded("capacities of the machine that runs the test, not of the tree");
    }
    if !matches!(
        sample.label("fstype"),
        "ext4" | "xfs" | "btrfs" | "vfat" | "ext3" | "ext2"
    ) {
        return excluded("no local file system of its own");
    }
    let point = ("system.filesystem.mountpoint", sample.label("mountpoint"));
    let states = |metric: &'static str, states: &[&str]| {
        let states = states
            .iter()
            .map(|state| series(metric, &[point, (STATE, state)]));
        Some(Meaning::Ours(states.collect(), 1.0))
    };
    match sample.name.strip_prefix("node_filesystem_")? {
        "size_bytes" => one("system.filesystem.limit", &[point]),
        "free_bytes" => states("system.filesystem.usage", &["free", "reserved"]),
        "avail_bytes" => states("system.filesystem.usage", &["free"]),
        "files" => states("system.filesystem.inodes.usage", &["used", "free"]),
        "files_free" => states("system.filesystem.inodes.usage", &["free"]),
        "readonly" if sample.value == 1.0 => {
            excluded("read-only as a mount in the peer's sight; ours is the file system itself")
        }
        "readonly" => one("system.filesystem.linux.read_only", &[point]),
        "device_error" => excluded("an error is a failure with its reason, not a sample"),
        _ => None,
    }
}

fn network(sample: &PeerSample) -> Option<Meaning> {
    let device = sample.label("device");
    const OF_CONTAINERS: [&str; 4] = ["veth", "docker", "br-", "cni"];
    if OF_CONTAINERS.iter().any(|start| device.starts_with(start)) {
        return excluded("interfaces of containers are left out by default");
    }
    let interface = ("network.interface.name", device);
    let name = sample.name.strip_prefix("node_network_")?;
    for direction in ["receive", "transmit"] {
        let Some(column) = name
            .strip_prefix(direction)
            .and_then(|rest| rest.strip_prefix('_'))
        else {
            continue;
        };
        let metric = match column {
            "bytes_total" => "system.network.io",
            "packets_total" => "system.network.packet.count",
            "errs_total" => "system.network.errors",
            "drop_total" => "system.network.packet.dropped",
            "queue_length" => return excluded("settings of the interface are facts, not samples"),
            _ => return excluded("parts of errors; causes of hardware come from its statistics"),
        };
        return one(metric, &[interface, ("network.io.direction", direction)]);
    }
    match name {
        "up" => one("hw.network.up", &[interface]),
        "carrier_down_changes_total" => one("system.network.linux.carrier_losses", &[interface]),
        "carrier_changes_total" => one("system.network.linux.carrier_changes", &[interface]),
        "speed_bytes" if sample.value <= 0.0 => excluded("no speed: absent rather than negative"),
        "speed_bytes" => one("hw.network.bandwidth.limit", &[interface]),
        _ => excluded("settings of the interface are facts, not samples"),
    }
}

fn pressure(sample: &PeerSample) -> Option<Meaning> {
    let name = sample.name.strip_prefix("node_pressure_")?;
    let (resource, rest) = name.split_once('_')?;
    let scope = match rest {
        "waiting_seconds_total" => "some",
        "stalled_seconds_total" => "full",
        _ => return None,
    };
    one(
        "system.linux.pressure.time",
        &[
            ("linux.pressure.resource", resource),
            ("linux.pressure.scope", scope),
        ],
    )
}

fn load(sample: &PeerSample) -> Option<Meaning> {
    match sample.name.as_str() {
        "node_load1" => one("system.cpu.load_average.1m", &[]),
        "node_load5" => one("system.cpu.load_average.5m", &[]),
        "node_load15" => one("system.cpu.load_average.15m", &[]),
        _ => None,
    }
}

fn thermal(sample: &PeerSample) -> Option<Meaning> {
    let cooling = format!("cooling_device{}", sample.label("name"));
    match sample.name.as_str() {
        "node_thermal_zone_temp" => {
            let zone = format!("thermal_zone{}", sample.label("zone"));
            one(
                "hw.temperature",
                &[("hw.name", &zone), ("hw.parent", "thermal")],
            )
        }
        _ if sample.label("type") == "Processor" => {
            excluded("ACPI makes a cooling device of each processor: left out by default")
        }
        "node_cooling_device_cur_state" if sample.value < 0.0 => {
            excluded("not at work: absent rather than negative")
        }
        "node_cooling_device_cur_state" => one("hw.cooling.level", &[("hw.name", &cooling)]),
        "node_cooling_device_max_state" => one("hw.cooling.level.limit", &[("hw.name", &cooling)]),
        _ => None,
    }
}

fn rapl(sample: &PeerSample) -> Option<Meaning> {
    sample.name.ends_with("_joules_total").then_some(())?;
    excluded("the peer tells the register, which wraps; ours counts from our first reading on")
}

fn power_supply(sample: &PeerSample) -> Option<Meaning> {
    let id = ("hw.id", sample.label("power_supply"));
    match sample.name.strip_prefix("node_power_supply_")? {
        "capacity" => scaled("hw.battery.charge", &[id], 0.01),
        "present" => one("hw.battery.present", &[id]),
        "online" => one("hw.power_supply.online", &[id]),
        "cyclecount" => one("hw.battery.cycles", &[id]),
        "voltage_volt" => one("hw.voltage", &[id]),
        "current_ampere" => one("hw.current", &[id]),
        "power_watt" => one("hw.power", &[id]),
        "time_to_empty_seconds" => one("hw.battery.time_left", &[id]),
        "energy_watthour" => scaled("hw.battery.energy", &[id], 3600.0),
        name @ ("energy_full" | "energy_full_design") => {
            let is_new = name.ends_with("_design");
            let limit = if is_new { "rated.max" } else { "max" };
            scaled(
                "hw.battery.energy.limit",
                &[id, ("hw.limit_type", limit)],
                3600.0,
            )
        }
        "info" => excluded("not a number: facts and states of ours"),
        _ => excluded("design values that nothing is judged by"),
    }
}

fn hwmon(sample: &PeerSample) -> Option<Meaning> {
    let sensor = sample.label("sensor");
    let chip = match sample.label("chip") {
        "platform_coretemp_0" => "coretemp@coretemp.0",
        "platform_coretemp_1" => "coretemp@coretemp.1",
        "nvme_nvme0" => "nvme@0000:17:00.0",
        "nvme_nvme1" => "nvme@0000:18:00.0",
        "platform_nct6775_656" => "nct6798@nct6775.656",
        _ => return hwmon_of_an_unnamed_chip(sample),
    };
    let id = format!("{chip}/{sensor}");
    let id = ("hw.id", id.as_str());
    match sample.name.strip_prefix("node_hwmon_")? {
        "temp_celsius" if sample.value == -62.0 => {
            excluded("the sensor says that it is broken: absent")
        }
        "temp_celsius" => one("hw.temperature", &[id]),
        "temp_max_celsius" => one(
            "hw.temperature.limit",
            &[id, ("hw.limit_type", "high.degraded")],
        ),
        "temp_crit_celsius" => one(
            "hw.temperature.limit",
            &[id, ("hw.limit_type", "high.critical")],
        ),
        "in_volts" => one("hw.voltage", &[id]),
        "fan_rpm" => one("hw.fan.speed", &[id]),
        "sensor_label" | "chip_names" => excluded("not a number: a label of ours"),
        "fan_min_rpm" => one(
            "hw.fan.speed.limit",
            &[id, ("hw.limit_type", "low.degraded")],
        ),
        "temp_fault" => one("hw.sensor.fault", &[id]),
        "pwm" => scaled("hw.fan.duty.ratio", &[id], 1.0 / 255.0),
        "in_alarm" | "fan_alarm" | "intrusion_alarm" => {
            one("hw.sensor.alarm", &[id, ("hw.limit_type", "any")])
        }
        "temp_crit_alarm_celsius" | "temp_crit_alarm" => {
            excluded("each alarm of a processor interrupts a core: left out by default")
        }
        _ => None,
    }
}

/// The peer names these by number or bus, so they are told by value: each stands once in the fixture.
fn hwmon_of_an_unnamed_chip(sample: &PeerSample) -> Option<Meaning> {
    match sample.name.strip_prefix("node_hwmon_")? {
        "sensor_label" | "chip_names" => excluded("not a number: a label of ours"),
        _ => excluded("named by number or bus in the peer; our golden file has the value"),
    }
}
