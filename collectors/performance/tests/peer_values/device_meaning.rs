//! What the peer's values of arrays, file systems, fabrics, bonds and protocols are in our words.

use crate::meaning::{Meaning, excluded, one, scaled};
use crate::peer::PeerSample;

/// The peer's names of RDMA counters that differ from the kernel's by more than `_total`.
const RDMA_COUNTERS: [(&str, &str); 11] = [
    (
        "port_constraint_errors_received",
        "port_rcv_constraint_errors",
    ),
    (
        "port_constraint_errors_transmitted",
        "port_xmit_constraint_errors",
    ),
    ("port_discards_transmitted", "port_xmit_discards"),
    ("port_errors_received", "port_rcv_errors"),
    (
        "port_receive_remote_physical_errors",
        "port_rcv_remote_physical_errors",
    ),
    (
        "port_receive_switch_relay_errors",
        "port_rcv_switch_relay_errors",
    ),
    ("port_transmit_wait", "port_xmit_wait"),
    ("multicast_packets_received", "multicast_rcv_packets"),
    ("multicast_packets_transmitted", "multicast_xmit_packets"),
    ("unicast_packets_received", "unicast_rcv_packets"),
    ("unicast_packets_transmitted", "unicast_xmit_packets"),
];

pub(crate) fn infiniband(sample: &PeerSample) -> Option<Meaning> {
    let port = [
        ("rdma.device", sample.label("device")),
        ("rdma.port", sample.label("port")),
    ];
    let [device, number] = port;
    let directed = |metric, direction| {
        let direction = ("network.io.direction", direction);
        one(metric, &[device, number, direction])
    };
    let name = sample.name.strip_prefix("node_infiniband_")?;
    match name.strip_suffix("_total").unwrap_or(name) {
        "info" => excluded("not a number: facts"),
        "state_id" => one("hw.network.rdma.state", &port),
        "physical_state_id" => one("hw.network.rdma.physical_state", &port),
        "rate_bytes_per_second" => one("hw.network.rdma.bandwidth.limit", &port),
        "port_data_received_bytes" => directed("hw.network.rdma.io", "receive"),
        "port_data_transmitted_bytes" => directed("hw.network.rdma.io", "transmit"),
        "port_packets_received" => directed("hw.network.rdma.packets", "receive"),
        "port_packets_transmitted" => directed("hw.network.rdma.packets", "transmit"),
        counter => {
            let known = RDMA_COUNTERS.iter().find(|(theirs, _)| *theirs == counter);
            let counter = match known {
                Some((_, kernel)) => kernel,
                None if counter == "vl15_dropped" => "VL15_dropped",
                None => counter,
            };
            let counter = ("rdma.counter", counter);
            one("hw.network.rdma.events", &[device, number, counter])
        }
    }
}

pub(crate) fn bonding(sample: &PeerSample) -> Option<Meaning> {
    let bond = ("network.interface.name", sample.label("master"));
    match sample.name.as_str() {
        "node_bonding_slaves" => one("system.network.linux.bond.members", &[bond]),
        "node_bonding_active" => one("system.network.linux.bond.members.up", &[bond]),
        _ => None,
    }
}

pub(crate) fn arrays(sample: &PeerSample) -> Option<Meaning> {
    let device = sample.label("device");
    match sample.name.as_str() {
        // in the recorded tree the table and the folders are of different machines
        "node_md_disks_required" if ["md0", "md1"].contains(&device) => {
            one("system.linux.md.disks", &[("system.device", device)])
        }
        _ => excluded("from /proc/mdstat; ours is what the kernel says of each array and member"),
    }
}

pub(crate) fn xfs(sample: &PeerSample) -> Option<Meaning> {
    const WORDS: [(&str, &str); 10] = [
        ("extent_allocation_extents_allocated", "extent_allocated"),
        ("extent_allocation_blocks_allocated", "block_allocated"),
        ("extent_allocation_extents_freed", "extent_freed"),
        ("extent_allocation_blocks_freed", "block_freed"),
        ("directory_operation_lookup", "directory_looked_up"),
        ("directory_operation_create", "directory_entry_created"),
        ("directory_operation_remove", "directory_entry_removed"),
        ("directory_operation_getdents", "directory_read"),
        ("write_calls", "write_called"),
        ("read_calls", "read_called"),
    ];
    // of a tree whose file ends after the first line the peer tells zeros for the rest
    let name = sample.name.strip_prefix("node_xfs_")?;
    let name = name.strip_suffix("_total")?;
    let Some((_, word)) = WORDS.iter().find(|(theirs, _)| *theirs == name) else {
        return excluded("inner works of XFS that no diagnosis wants");
    };
    if sample.value == 0.0 && !name.starts_with("extent_") {
        return excluded("no such line in the file: the peer says zero, we say nothing");
    }
    one(
        "system.filesystem.linux.operations",
        &[
            ("system.device", sample.label("device")),
            ("linux.filesystem.operation", word),
        ],
    )
}

pub(crate) fn protocols(sample: &PeerSample) -> Option<Meaning> {
    const WORDS: [(&str, &str, &str); 22] = [
        ("Icmp_InErrors", "icmp", "receive_error"),
        ("Tcp_ActiveOpens", "tcp", "connection_opened"),
        ("Tcp_PassiveOpens", "tcp", "connection_accepted"),
        ("Tcp_InErrs", "tcp", "receive_error"),
        ("Tcp_InSegs", "tcp", "segment_received"),
        ("Tcp_OutSegs", "tcp", "segment_sent"),
        ("Tcp_OutRsts", "tcp", "reset_sent"),
        ("Tcp_RetransSegs", "tcp", "segment_retransmitted"),
        ("TcpExt_ListenDrops", "tcp", "listen_drop"),
        ("TcpExt_ListenOverflows", "tcp", "listen_overflow"),
        ("TcpExt_SyncookiesSent", "tcp", "syn_cookie_sent"),
        ("TcpExt_TCPSynRetrans", "tcp", "syn_retransmitted"),
        ("TcpExt_TCPTimeouts", "tcp", "timeout"),
        ("TcpExt_TCPRcvQDrop", "tcp", "receive_queue_drop"),
        ("TcpExt_TCPBacklogDrop", "tcp", "backlog_drop"),
        ("Udp_InDatagrams", "udp", "datagram_received"),
        ("Udp_OutDatagrams", "udp", "datagram_sent"),
        ("Udp_InErrors", "udp", "receive_error"),
        ("Udp_NoPorts", "udp", "no_port"),
        ("Udp_RcvbufErrors", "udp", "receive_buffer_full"),
        ("Udp_SndbufErrors", "udp", "send_buffer_full"),
        ("Udp_InCsumErrors", "udp", "checksum_error"),
    ];
    let name = sample.name.strip_prefix("node_netstat_")?;
    if name == "Tcp_CurrEstab" && sample.is_live {
        return excluded("an instant: the reading itself is a connection");
    }
    if name == "Tcp_CurrEstab" {
        return one("system.network.linux.connections", &[]);
    }
    let Some((_, protocol, event)) = WORDS.iter().find(|(theirs, _, _)| *theirs == name) else {
        return excluded("a column that no diagnosis wants");
    };
    one(
        "system.network.linux.protocol.events",
        &[
            ("network.protocol", protocol),
            ("linux.network.event", event),
        ],
    )
}

pub(crate) fn sockets(sample: &PeerSample) -> Option<Meaning> {
    const COUNT: &str = "system.network.linux.sockets";
    let state = |protocol, state| {
        let state = ("linux.network.socket.state", state);
        one(COUNT, &[("network.protocol", protocol), state])
    };
    if sample.is_live {
        return excluded("an instant: each reader has sockets of its own");
    }
    match sample.name.strip_prefix("node_sockstat_")? {
        "sockets_used" => state("all", "used"),
        "TCP_inuse" => state("tcp", "in_use"),
        "TCP_orphan" => state("tcp", "orphan"),
        "TCP_tw" => state("tcp", "time_wait"),
        "TCP_alloc" => state("tcp", "allocated"),
        "UDP_inuse" => state("udp", "in_use"),
        "TCP_mem" => memory("tcp", 1.0),
        "UDP_mem" => memory("udp", 1.0),
        "TCP_mem_bytes" | "UDP_mem_bytes" => {
            excluded("pages by the page size of the machine that runs the test")
        }
        _ => excluded("protocols that no diagnosis wants"),
    }
}

fn memory(protocol: &str, factor: f64) -> Option<Meaning> {
    scaled(
        "system.network.linux.socket.memory",
        &[("network.protocol", protocol)],
        factor,
    )
}

pub(crate) fn backlog(_: &PeerSample) -> Option<Meaning> {
    excluded("a value for each processor; ours is the sum, and packets are counted by network")
}
