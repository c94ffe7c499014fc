//! What network interfaces moved and lost, from `/proc/net/dev`: all of it in one read.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::{OptionDefault, OptionDefinition, Options};
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{
    Fields, KeptFile, Patterns, ReadBuffer, Spec, SysRoot, malformed, presence,
};

use crate::labels::{INTERFACE, NETWORK_DIRECTION};

pub(crate) static NETWORK: Spec = Spec {
    name: "network",
    summary: "Bytes, packets, errors and drops of each network interface.",
    metrics: &METRICS,
    facts: &[],
    options: &[EXCLUDE],
    interval_seconds: 1,
    needs: "",
    build: |root: SysRoot, options: &Options| {
        Box::new(Network {
            dev: KeptFile::table(&root, PATH),
            buffer: ReadBuffer::new(),
            exclude: Patterns::new(options.text_list(EXCLUDE.name)),
        })
    },
};

/// What containers and virtual machines bring along, one or more each, and take away again.
pub(crate) const EXCLUDE: OptionDefinition = OptionDefinition {
    name: "exclude",
    help: "Network interfaces to leave out: names, or the start of one and `*`.",
    default: OptionDefault::TextList(&[
        "azv*", "br-*", "cali*", "cni*", "docker*", "eni*", "gke*", "lxc*", "tap*", "veth*",
        "vnet*",
    ]),
};

const PATH: &str = "proc/net/dev";

const fn counter(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    is_not: &'static str,
) -> MetricDefinition {
    MetricDefinition {
        name,
        unit,
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help,
        is_not,
        labels: &[INTERFACE, NETWORK_DIRECTION],
        source: "/proc/net/dev",
        audience: Audience::Operator,
    }
}

static METRICS: [MetricDefinition; 4] = [
    counter(
        "system.network.io",
        "By",
        "Bytes that the interface received and transmitted.",
        "Not what was on the wire: preamble, gap and checksum are left out, and RDMA traffic as a rule too.",
    ),
    counter(
        "system.network.packet.count",
        "{packet}",
        "Packets that the interface received and transmitted.",
        "Not frames on the wire: with offloads one packet here may be many there.",
    ),
    counter(
        "system.network.errors",
        "{error}",
        "Packets that the interface could not receive or transmit.",
        "Not split by cause: see `system.network.linux.faults`.",
    ),
    counter(
        "system.network.packet.dropped",
        "{packet}",
        "Packets that were whole but were dropped.",
        "Not always a loss: packets of unknown protocols are dropped as well.",
    ),
];
static IO: &MetricDefinition = &METRICS[0];
static PACKETS: &MetricDefinition = &METRICS[1];
static ERRORS: &MetricDefinition = &METRICS[2];
static DROPPED: &MetricDefinition = &METRICS[3];

/// Lines of column titles before the first interface.
const TITLE_LINES: usize = 2;

/// Columns between the drops of the one direction and the bytes of the other: fifo, frame, compressed, multicast.
const COLUMNS_BETWEEN: usize = 4;

#[derive(Debug)]
struct Network {
    dev: KeptFile,
    buffer: ReadBuffer,
    exclude: Patterns,
}

impl Collector for Network {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        presence(self.read(out))
    }
}

impl Network {
    fn read(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let text = self.dev.read(&mut self.buffer)?;
        let mut lines = text.lines().enumerate();
        if !lines
            .by_ref()
            .take(TITLE_LINES)
            .all(|(_, title)| title.contains('|'))
        {
            return Err(malformed(PATH, Some(1), "two lines of titles", text));
        }
        let mut interfaces = 0;
        for (n, line) in lines {
            interfaces += 1;
            let Some((interface, numbers)) = line.rsplit_once(':') else {
                out.failure(malformed(PATH, Some(n + 1), "an interface and `:`", line));
                continue;
            };
            let interface = interface.trim();
            if interface.is_empty() || self.exclude.matches(interface) {
                continue;
            }
            let mut fields = Fields::new(PATH, n + 1, numbers);
            if let Err(error) = write_interface(interface, &mut fields, out) {
                out.failure(error);
            }
        }
        if interfaces == 0 {
            return Err(malformed(PATH, None, "a line for each interface", text));
        }
        Ok(())
    }
}

fn write_interface(
    interface: &str,
    fields: &mut Fields<'_>,
    out: &mut dyn SampleWriter,
) -> Result<(), CollectError> {
    let receive = columns(fields)?;
    for _ in 0..COLUMNS_BETWEEN {
        fields.number("a count")?;
    }
    let transmit = columns(fields)?;
    for (direction, columns) in [("receive", receive), ("transmit", transmit)] {
        for (metric, count) in [IO, PACKETS, ERRORS, DROPPED].into_iter().zip(columns) {
            out.sample(metric, &[interface, direction], Value::U64(count));
        }
    }
    Ok(())
}

/// Bytes, packets, errors, drops.
fn columns(fields: &mut Fields<'_>) -> Result<[u64; 4], CollectError> {
    let mut columns = [0; 4];
    for column in &mut columns {
        *column = fields.number("a count")?;
    }
    Ok(columns)
}
