//! What the peer's values of nodes, memory errors, interrupts, the clock and the kernel's tables are in our words.

use crate::meaning::{Meaning, excluded, one, scaled, series};
use crate::peer::PeerSample;

pub(crate) fn numa(sample: &PeerSample) -> Option<Meaning> {
    const NODE: &str = "linux.memory.node";
    let node = sample.label("node");
    let key = sample.name.strip_prefix("node_memory_numa_")?;
    let usage = |state| {
        series(
            "system.memory.linux.numa.usage",
            &[(NODE, node), ("system.memory.state", state)],
        )
    };
    let detail = |kind| {
        one(
            "system.memory.linux.numa.detail",
            &[(NODE, node), ("linux.memory.kind", kind)],
        )
    };
    let allocations = |outcome| {
        one(
            "system.memory.linux.numa.allocations",
            &[(NODE, node), ("linux.memory.numa.outcome", outcome)],
        )
    };
    match key {
        "MemTotal" => Some(Meaning::Ours(vec![usage("used"), usage("free")], 1.0)),
        "MemFree" => Some(Meaning::Ours(vec![usage("free")], 1.0)),
        "MemUsed" => Some(Meaning::Ours(vec![usage("used")], 1.0)),
        "FilePages" => detail("file"),
        "AnonPages" => detail("anonymous"),
        "AnonHugePages" => detail("anonymous_huge"),
        "Mapped" => detail("mapped"),
        "Shmem" => detail("shared"),
        "Dirty" => detail("dirty"),
        "Writeback" => detail("writeback"),
        "KernelStack" => detail("kernel_stack"),
        "PageTables" => detail("page_tables"),
        "SReclaimable" => detail("slab_reclaimable"),
        "SUnreclaim" => detail("slab_unreclaimable"),
        "Unevictable" => detail("unevictable"),
        "numa_hit_total" => allocations("hit"),
        "numa_miss_total" => allocations("miss"),
        "numa_foreign_total" => allocations("foreign"),
        "interleave_hit_total" => allocations("interleave"),
        "local_node_total" => allocations("local"),
        "other_node_total" => allocations("other"),
        _ => excluded("a line of meminfo that no diagnosis asks for by node"),
    }
}

pub(crate) fn edac(sample: &PeerSample) -> Option<Meaning> {
    let controller = format!("mc{}", sample.label("controller"));
    let error_type = if sample.name.contains("_uncorrectable_") {
        "uncorrected"
    } else {
        "corrected"
    };
    let of_controller = |scope| {
        one(
            "system.memory.linux.edac.errors",
            &[
                ("linux.edac.controller", &controller),
                ("error.type", error_type),
                ("linux.edac.scope", scope),
            ],
        )
    };
    match (sample.label("csrow"), error_type) {
        ("", _) => of_controller("all"),
        ("unknown", _) => of_controller("unattributed"),
        // a row's corrected errors are those of its channels, two in our fixture
        (row, "corrected") => {
            let channels = ["channel0", "channel1"].map(|channel| {
                let id = format!("{controller}/csrow{row}/{channel}");
                series("hw.errors", &[("hw.id", &id), ("error.type", error_type)])
            });
            Some(Meaning::Ours(channels.into(), 1.0))
        }
        (row, _) => one(
            "hw.errors",
            &[
                ("hw.id", &format!("{controller}/csrow{row}")),
                ("error.type", error_type),
            ],
        ),
    }
}

/// The peer's numbers of one kind, summed up over processors.
pub(crate) fn interrupts(sample: &PeerSample) -> Option<Meaning> {
    let kind = match sample.label("type") {
        "TRM" => "thermal",
        "THR" => "threshold",
        "DFR" => "deferred_error",
        "MCE" => "machine_check",
        "MCP" => "machine_check_poll",
        "NMI" => "non_maskable",
        "PMI" => "performance",
        "SPU" => "spurious",
        "RTR" => "retry",
        _ => return excluded("interrupts of devices and of work: counted as a whole"),
    };
    one(
        "system.linux.trouble_interrupts",
        &[("linux.interrupt.kind", kind)],
    )
}

pub(crate) fn clock(sample: &PeerSample) -> Option<Meaning> {
    if !sample.is_live {
        return excluded("the peer asks the running machine, whatever tree it is given");
    }
    let error = |bound| one("system.linux.clock.error", &[("linux.clock.bound", bound)]);
    match sample.name.strip_prefix("node_timex_")? {
        "offset_seconds" => one("system.linux.clock.offset", &[]),
        "maxerror_seconds" => error("most"),
        "estimated_error_seconds" => error("estimated"),
        "sync_status" => one("system.linux.clock.state", &[]),
        "tai_offset_seconds" => one("system.linux.clock.tai_offset", &[]),
        "frequency_adjustment_ratio" => {
            excluded("1 and our millionths of it: rounded differently by the peer")
        }
        _ => excluded("settings of the kernel's clock loop, and pulses that nothing here gives"),
    }
}

pub(crate) fn tables(sample: &PeerSample) -> Option<Meaning> {
    match sample.name.as_str() {
        "node_entropy_available_bits" => one("system.linux.entropy.available", &[]),
        "node_entropy_pool_size_bits" => one("system.linux.entropy.limit", &[]),
        "node_nf_conntrack_entries" => one("system.network.linux.conntrack.usage", &[]),
        "node_nf_conntrack_entries_limit" => one("system.network.linux.conntrack.limit", &[]),
        name if name.starts_with("node_nf_conntrack_stat_") => {
            excluded("statistics of tracking by kind: no diagnosis asks for them")
        }
        _ => None,
    }
}

/// Limits of clocks, in hertz in both.
pub(crate) fn frequency_limit(sample: &PeerSample) -> Option<Meaning> {
    let limit = match sample.name.as_str() {
        "node_cpu_scaling_frequency_min_hertz" => "min",
        "node_cpu_scaling_frequency_max_hertz" => "max",
        "node_cpu_frequency_min_hertz" => "hardware_min",
        "node_cpu_frequency_max_hertz" => "hardware_max",
        _ => return excluded("governors and isolation are facts, not samples"),
    };
    scaled(
        "system.cpu.linux.frequency.limit",
        &[
            ("cpu.logical_number", sample.label("cpu")),
            ("linux.cpu.frequency.limit_type", limit),
        ],
        1.0,
    )
}
