//! What the protocols of the machine met: retransmissions, resets, full queues, drops. From `/proc/net`.
//!
//! All of it is of the network name space of the probe, which is the machine's: those of containers count for themselves.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, MetricKind};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, KeptFile, ReadBuffer, Spec, SysRoot, malformed, optional};

use crate::parts::counter;

pub(crate) static NETWORK_PROTOCOL: Spec = Spec {
    name: "network_protocol",
    summary: "Retransmissions, resets, full queues and drops of TCP, UDP and IP, and sockets in use.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(NetworkProtocol {
            tables: TABLES.map(|path| KeptFile::table(&root, path)),
            sockets: KeptFile::table(&root, SOCKETS),
            backlog: KeptFile::table(&root, BACKLOG),
            buffer: ReadBuffer::new(),
        })
    },
};

/// Two lines a protocol: names and numbers.
const TABLES: [&str; 2] = ["proc/net/snmp", "proc/net/netstat"];
const SOCKETS: &str = "proc/net/sockstat";
const BACKLOG: &str = "proc/net/softnet_stat";

const PROTOCOL: LabelDefinition = LabelDefinition {
    key: "network.protocol",
    help: "One of `ip`, `tcp`, `udp`, `icmp`; `all` where it is of no protocol.",
};
const STATE: LabelDefinition = LabelDefinition {
    key: "linux.network.socket.state",
    help: "One of `used`, `in_use`, `orphan`, `time_wait`, `allocated`.",
};

static METRICS: [MetricDefinition; 5] = [
    counter(
        "system.network.linux.protocol.events",
        "{event}",
        "What the protocols met since boot: traffic, losses, full queues.",
        "Not all trouble: segments and datagrams are there to compare with.",
        &[
            PROTOCOL,
            LabelDefinition {
                key: "linux.network.event",
                help: "What happened, e.g. `segment_retransmitted`, `listen_overflow`, `receive_buffer_full`.",
            },
        ],
        "/proc/net/{snmp,netstat}",
    ),
    MetricDefinition {
        kind: MetricKind::UpDownCounter,
        ..counter(
            "system.network.linux.sockets",
            "{socket}",
            "Sockets by protocol and state.",
            "Not connections: a socket that listens counts as well.",
            &[PROTOCOL, STATE],
            "/proc/net/sockstat",
        )
    },
    MetricDefinition {
        kind: MetricKind::UpDownCounter,
        ..counter(
            "system.network.linux.socket.memory",
            "{page}",
            "Memory pages that the buffers of sockets take, by protocol.",
            "Not bytes: a page has 4 KiB on most machines, 64 KiB on some Arm servers.",
            &[PROTOCOL],
            "/proc/net/sockstat",
        )
    },
    MetricDefinition {
        kind: MetricKind::UpDownCounter,
        ..counter(
            "system.network.linux.connections",
            "{connection}",
            "TCP connections that are established or closing.",
            "Not connections that wait: those in TIME_WAIT are sockets of that state.",
            &[],
            "/proc/net/snmp",
        )
    },
    counter(
        "system.network.linux.backlog",
        "{event}",
        "Packets that no processor had room for, and rounds that ended with packets left, all processors together.",
        "Not drops alone: `squeezed` means that more budget would have been used, nothing is lost.",
        &[LabelDefinition {
            key: "linux.network.backlog",
            help: "One of `dropped`, `squeezed`.",
        }],
        "/proc/net/softnet_stat",
    ),
];
static EVENTS: &MetricDefinition = &METRICS[0];
static SOCKET_COUNT: &MetricDefinition = &METRICS[1];
static SOCKET_MEMORY: &MetricDefinition = &METRICS[2];
static CONNECTIONS: &MetricDefinition = &METRICS[3];
static BACKLOG_EVENTS: &MetricDefinition = &METRICS[4];

/// Line, column, our protocol, our event.
const COLUMNS: [(&str, &str, &str, &str); 40] = [
    ("Ip", "InReceives", "ip", "packet_received"),
    ("Ip", "InHdrErrors", "ip", "header_error"),
    ("Ip", "InAddrErrors", "ip", "address_error"),
    ("Ip", "InDiscards", "ip", "received_discarded"),
    ("Ip", "OutDiscards", "ip", "sent_discarded"),
    ("Ip", "OutNoRoutes", "ip", "no_route"),
    ("Ip", "ReasmFails", "ip", "reassembly_failed"),
    ("Ip", "FragFails", "ip", "fragmentation_failed"),
    ("Icmp", "InErrors", "icmp", "receive_error"),
    ("Icmp", "InDestUnreachs", "icmp", "unreachable_received"),
    ("Tcp", "ActiveOpens", "tcp", "connection_opened"),
    ("Tcp", "PassiveOpens", "tcp", "connection_accepted"),
    ("Tcp", "AttemptFails", "tcp", "connection_failed"),
    ("Tcp", "EstabResets", "tcp", "connection_reset"),
    ("Tcp", "InSegs", "tcp", "segment_received"),
    ("Tcp", "OutSegs", "tcp", "segment_sent"),
    ("Tcp", "RetransSegs", "tcp", "segment_retransmitted"),
    ("Tcp", "InErrs", "tcp", "receive_error"),
    ("Tcp", "OutRsts", "tcp", "reset_sent"),
    ("Tcp", "InCsumErrors", "tcp", "checksum_error"),
    ("Udp", "InDatagrams", "udp", "datagram_received"),
    ("Udp", "OutDatagrams", "udp", "datagram_sent"),
    ("Udp", "NoPorts", "udp", "no_port"),
    ("Udp", "InErrors", "udp", "receive_error"),
    ("Udp", "RcvbufErrors", "udp", "receive_buffer_full"),
    ("Udp", "SndbufErrors", "udp", "send_buffer_full"),
    ("Udp", "InCsumErrors", "udp", "checksum_error"),
    ("TcpExt", "SyncookiesSent", "tcp", "syn_cookie_sent"),
    ("TcpExt", "ListenOverflows", "tcp", "listen_overflow"),
    ("TcpExt", "ListenDrops", "tcp", "listen_drop"),
    ("TcpExt", "TCPLostRetransmit", "tcp", "retransmission_lost"),
    ("TcpExt", "TCPSynRetrans", "tcp", "syn_retransmitted"),
    ("TcpExt", "TCPTimeouts", "tcp", "timeout"),
    ("TcpExt", "TCPAbortOnMemory", "tcp", "aborted_for_memory"),
    (
        "TcpExt",
        "TCPAbortOnTimeout",
        "tcp",
        "aborted_after_timeout",
    ),
    ("TcpExt", "TCPBacklogDrop", "tcp", "backlog_drop"),
    ("TcpExt", "TCPRcvQDrop", "tcp", "receive_queue_drop"),
    ("TcpExt", "PruneCalled", "tcp", "receive_queue_pruned"),
    ("TcpExt", "TCPMemoryPressures", "tcp", "memory_pressure"),
    ("TcpExt", "TCPSpuriousRTOs", "tcp", "spurious_timeout"),
];

/// Words of the socket table and our states.
const SOCKET_STATES: [(&str, &str); 5] = [
    ("used", "used"),
    ("inuse", "in_use"),
    ("orphan", "orphan"),
    ("tw", "time_wait"),
    ("alloc", "allocated"),
];

#[derive(Debug)]
struct NetworkProtocol {
    tables: [KeptFile; 2],
    sockets: KeptFile,
    backlog: KeptFile,
    buffer: ReadBuffer,
}

impl Collector for NetworkProtocol {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut present = false;
        for table in &mut self.tables {
            present |= read_with(table, &mut self.buffer, write_table, out);
        }
        present |= read_with(&mut self.sockets, &mut self.buffer, write_sockets, out);
        present |= read_with(&mut self.backlog, &mut self.buffer, write_backlog, out);
        if !present {
            return Ok(Presence::Absent(format!("no `/{}`", TABLES.join("`, `/"))));
        }
        Ok(Presence::Present)
    }
}

/// Reads a file and writes what it says; says whether it exists.
fn read_with(
    file: &mut KeptFile,
    buffer: &mut ReadBuffer,
    write: fn(&str, &str, &mut dyn SampleWriter) -> Result<(), CollectError>,
    out: &mut dyn SampleWriter,
) -> bool {
    let path = file.path().to_owned();
    let outcome = match optional(file.read(buffer)) {
        Ok(None) => return false,
        Ok(Some(text)) => write(&path, text, out),
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        out.failure(error);
    }
    true
}

/// Pairs of lines: `Tcp: RtoAlgorithm RtoMin …` and `Tcp: 1 200 …`.
fn write_table(path: &str, text: &str, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
    let mut lines = text.lines().enumerate();
    while let Some((n, titles)) = lines.next() {
        let (_, numbers) = lines
            .next()
            .ok_or_else(|| malformed(path, Some(n + 1), "names and a line of numbers", titles))?;
        let mut titles = Fields::new(path, n + 1, titles);
        let mut numbers = Fields::new(path, n + 2, numbers);
        let protocol = titles.word("a protocol")?;
        if numbers.word("a protocol")? != protocol {
            return Err(numbers.malformed("numbers of the line before", protocol));
        }
        let line = protocol.trim_end_matches(':');
        while let Ok(title) = titles.word("a name") {
            write_column(line, title, numbers.word("a number")?, &numbers, out);
        }
    }
    Ok(())
}

/// Numbers that are negative (`MaxConn`) are among those that nobody wants.
fn write_column(
    line: &str,
    title: &str,
    number: &str,
    place: &Fields<'_>,
    out: &mut dyn SampleWriter,
) {
    let is_connections = (line, title) == ("Tcp", "CurrEstab");
    let known = COLUMNS
        .iter()
        .find(|(known, column, _, _)| (*known, *column) == (line, title));
    if !is_connections && known.is_none() {
        return;
    }
    match (number.parse(), known) {
        (Ok(count), Some((_, _, protocol, event))) => {
            out.sample(EVENTS, &[protocol, event], Value::U64(count));
        }
        (Ok(count), None) => out.sample(CONNECTIONS, &[], Value::U64(count)),
        (Err(_), _) => out.failure(place.malformed("a count", number)),
    }
}

/// `TCP: inuse 35 orphan 0 tw 4 alloc 59 mem 22`; the line `sockets:` is of all.
fn write_sockets(path: &str, text: &str, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
    for (n, line) in text.lines().enumerate() {
        let mut fields = Fields::new(path, n + 1, line);
        let protocol = match fields.word("a protocol")? {
            "sockets:" => "all",
            "TCP:" => "tcp",
            "UDP:" => "udp",
            _ => continue,
        };
        while let Ok(word) = fields.word("a state") {
            let count = fields.number("a count")?;
            let state = SOCKET_STATES.iter().find(|(known, _)| *known == word);
            if let Some((_, state)) = state {
                out.sample(SOCKET_COUNT, &[protocol, state], Value::U64(count));
            } else if word == "mem" {
                out.sample(SOCKET_MEMORY, &[protocol], Value::U64(count));
            }
        }
    }
    Ok(())
}

/// A line a processor, hexadecimal: packets, drops, rounds that ended early, more.
fn write_backlog(path: &str, text: &str, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
    let mut sums = [0_u64; 2];
    for (n, line) in text.lines().enumerate() {
        let mut fields = Fields::new(path, n + 1, line);
        fields.word("packets")?;
        for sum in &mut sums {
            let word = fields.word("a count")?;
            let count = u32::from_str_radix(word, 16)
                .map_err(|_| fields.malformed("a hexadecimal count", word))?;
            *sum = sum.saturating_add(u64::from(count));
        }
    }
    for (kind, sum) in ["dropped", "squeezed"].into_iter().zip(sums) {
        out.sample(BACKLOG_EVENTS, &[kind], Value::U64(sum));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use glasshouse_sysfs::compliance::Recording;

    use super::*;

    #[test]
    fn columns_are_found_by_name_and_not_by_place() {
        let mut told = Recording::empty();
        let text = "Tcp: MaxConn RetransSegs CurrEstab New\nTcp: -1 7 3 x\n";
        write_table("x", text, &mut told).unwrap();
        let labels = ["tcp", "segment_retransmitted"];
        assert_eq!(
            told.value("system.network.linux.protocol.events", &labels),
            Some(7.0)
        );
        assert_eq!(
            told.value("system.network.linux.connections", &[]),
            Some(3.0)
        );
        for bad in ["Tcp: A B", "Tcp: A\nUdp: 1", "Tcp: A B\nTcp: 1"] {
            assert!(write_table("x", bad, &mut told).is_err(), "{bad}");
        }
    }

    #[test]
    fn drops_of_all_processors_are_added() {
        let mut told = Recording::empty();
        let text = "00358fe3 00006283 0000000a 0\n00953d1a 00000446 000000b1\n";
        write_backlog("x", text, &mut told).unwrap();
        let value = |kind| told.value("system.network.linux.backlog", &[kind]);
        assert_eq!(value("dropped"), Some(f64::from(0x6283 + 0x446)));
        assert_eq!(value("squeezed"), Some(f64::from(0x0a + 0xb1)));
    }
}
