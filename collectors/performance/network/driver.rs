//! What drivers of network cards say: the fastest mode of the hardware, error correction, and why packets were lost.
//!
//! Asked by ioctl (ethtool) and not by netlink: it is three structures without a library for the protocol, the same
//! file asks drives, and the socket that carries it can reach no network.

use std::collections::BTreeMap;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::hardware::facts;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, MetricKind};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{DeviceRequest, Patterns, Spec, SysRoot, malformed, scaled};

use super::driver_words::word;
use super::ethtool::{LinkSettings, NAME_BYTES, active_fec, firmware, names, numbers};
use super::interface::EXCLUDE;
use super::link::{DIRECTORY, ID, hardware_id};
use crate::labels::INTERFACE;
use crate::parts::{counter, state, write_state};

pub(crate) static NETWORK_DRIVER: Spec = Spec {
    name: "network_driver",
    summary: "What drivers of network cards count, and what their links could do.",
    metrics: &METRICS,
    facts: &FACTS,
    options: &[EXCLUDE],
    // a driver may ask its firmware
    interval_seconds: 30,
    needs: "",
    build: |root: SysRoot, options: &Options| {
        Box::new(NetworkDriver {
            root,
            exclude: Patterns::new(options.text_list(EXCLUDE.name)),
            known: BTreeMap::new(),
            runs: 0,
        })
    },
};

/// Runs between two looks at the names of what drivers count: five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 10;

/// The most words of one interface: all words of the list and eight priorities of each kind are fewer.
const MOST_WORDS: usize = 192;

/// The file says Mbit/s.
const BYTES_PER_MEGABIT: u64 = 1_000_000 / 8;

static METRICS: [MetricDefinition; 4] = [
    counter(
        "hw.network.driver.events",
        "{event}",
        "What the driver or the card counted, by our word for it.",
        "Not all errors: pause frames and corrected bits are usual in numbers. Not comparable between makers to the last one.",
        &[
            INTERFACE,
            LabelDefinition {
                key: "hw.network.event",
                help: "What happened, e.g. `receive_crc`, `receive_out_of_buffer`, `receive_pause_priority_3`.",
            },
        ],
        "ioctl ETHTOOL_GSTATS",
    ),
    MetricDefinition {
        kind: MetricKind::UpDownCounter,
        ..counter(
            "hw.network.bandwidth.supported",
            "By/s",
            "The fastest speed that the hardware can have, with what is plugged in.",
            "Not the speed of the link: see `hw.network.bandwidth.limit`.",
            &[INTERFACE, ID],
            "ioctl ETHTOOL_GLINKSETTINGS",
        )
    },
    state(
        "hw.network.duplex",
        &["half", "full", "unknown"],
        "Whether both directions go at once.",
        "Not known while the link is down.",
        &[INTERFACE, ID],
        "ioctl ETHTOOL_GLINKSETTINGS",
    ),
    state(
        "hw.network.fec",
        &["off", "base_r", "rs", "llrs", "unknown"],
        "Which error correction the link uses.",
        "Not whether it has work to do: see `hw.network.driver.events`.",
        &[INTERFACE, ID],
        "ioctl ETHTOOL_GFECPARAM",
    ),
];
static EVENTS: &MetricDefinition = &METRICS[0];
static SUPPORTED: &MetricDefinition = &METRICS[1];
static DUPLEX: &MetricDefinition = &METRICS[2];
static FEC: &MetricDefinition = &METRICS[3];

static FACTS: [FactDefinition; 3] = [
    facts::firmware_version("ioctl ETHTOOL_GDRVINFO"),
    FactDefinition {
        key: "network.interface.port",
        help: "What is plugged in: `fibre`, `direct attach copper`, `twisted pair`, `none`, `other`.",
        source: "ioctl ETHTOOL_GLINKSETTINGS",
    },
    FactDefinition {
        key: "network.interface.autonegotiation",
        help: "Whether the link negotiates its speed: `on` or `off`.",
        source: "ioctl ETHTOOL_GLINKSETTINGS",
    },
];
static FIRMWARE: &FactDefinition = &FACTS[0];
static PORT: &FactDefinition = &FACTS[1];
static NEGOTIATION: &FactDefinition = &FACTS[2];

#[derive(Debug)]
struct NetworkDriver {
    root: SysRoot,
    exclude: Patterns,
    /// What the driver of each interface counts that we have a word for.
    known: BTreeMap<String, Counted>,
    runs: u32,
}

/// Which of a driver's numbers are told.
#[derive(Debug, Default)]
struct Counted {
    /// How many numbers the driver has in all.
    all: usize,
    /// Places among them, and our words.
    told: Vec<(usize, String)>,
}

impl Counted {
    fn of(answer: &[u8]) -> Self {
        let mut all = 0;
        let mut best: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for (place, name) in names(answer).enumerate() {
            all = place + 1;
            if let Some((rank, word)) = word(&name) {
                let known = best.entry(word).or_insert((rank, place));
                *known = (*known).min((rank, place));
            }
        }
        let told = best.into_iter().map(|(word, (_, place))| (place, word));
        let told = told.take(MOST_WORDS).collect();
        Self { all, told }
    }
}

impl Collector for NetworkDriver {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.known.clear();
        }
        self.runs = self.runs.wrapping_add(1);
        let mut present = false;
        for name in crate::parts::names(&self.root, DIRECTORY)? {
            let is_hardware = self.root.exists(&format!("{DIRECTORY}/{name}/device"));
            if is_hardware && !self.exclude.matches(&name) {
                present |= self.write_interface(&name, out);
            }
        }
        if !present {
            self.runs = 0;
            let looked_for = format!("no driver that answers in `/{DIRECTORY}`");
            return Ok(Presence::Absent(looked_for));
        }
        Ok(Presence::Present)
    }
}

impl NetworkDriver {
    /// Says whether the driver answered anything, be it with an error.
    fn write_interface(&mut self, name: &str, out: &mut dyn SampleWriter) -> bool {
        out.calling("ioctl SIOCETHTOOL");
        let id = hardware_id(&self.root, name, out);
        let mut asked = Asked {
            root: &self.root,
            name,
            answered: false,
        };
        let driver = asked.ask(DeviceRequest::EthtoolDriver, DRIVER_BYTES, 1, out);
        if let Some(version) = driver.and_then(|answer| firmware(&answer)) {
            out.fact(FIRMWARE, &format!("network/{name}"), &version);
        }
        let request = DeviceRequest::EthtoolLinkSettings;
        if let Some(answer) = asked.ask(request, 1, 1, out) {
            match LinkSettings::parse(&answer) {
                Some(link) => write_link(name, &id, link, out),
                None => out.failure(asked.broken(request, &answer)),
            }
        }
        let fec = asked.ask(DeviceRequest::EthtoolFec, FEC_BYTES, 1, out);
        if let Some(fec) = fec.and_then(|answer| active_fec(&answer)) {
            write_state(FEC, &[name, &id], fec, out);
        }
        if !self.known.contains_key(name) {
            let request = DeviceRequest::EthtoolStatisticNames;
            if let Some(answer) = asked.ask(request, 1, NAME_BYTES, out) {
                self.known.insert(name.to_owned(), Counted::of(&answer));
            }
        }
        let Some(counted) = self.known.get(name).filter(|counted| counted.all > 0) else {
            return asked.answered;
        };
        let request = DeviceRequest::EthtoolStatistics;
        if let Some(answer) = asked.ask(request, 1, 1, out)
            && !write_events(name, counted, &answer, out)
        {
            out.failure(asked.broken(request, &answer));
            // the driver counts other things than before: the names are asked for again
            self.known.remove(name);
        }
        asked.answered
    }
}

/// Bytes of `struct ethtool_drvinfo` and of `struct ethtool_fecparam`.
const DRIVER_BYTES: usize = 196;
const FEC_BYTES: usize = 16;

/// One interface, and whether it has said anything.
struct Asked<'r> {
    root: &'r SysRoot,
    name: &'r str,
    answered: bool,
}

impl Asked<'_> {
    /// An answer of at least so many bytes, whole in units of so many. `None` where there is none, which is told if it
    /// is an error.
    fn ask(
        &mut self,
        request: DeviceRequest,
        least: usize,
        unit: usize,
        out: &mut dyn SampleWriter,
    ) -> Option<Vec<u8>> {
        match self.root.ask(request, self.name) {
            Ok(answer) if answer.len() >= least && answer.len().is_multiple_of(unit) => {
                self.answered = true;
                Some(answer)
            }
            Ok(answer) => {
                self.answered = true;
                out.failure(self.broken(request, &answer));
                None
            }
            // a driver that does not know the request, or a captured tree without the answer
            Err(error)
                if matches!(
                    error.reason,
                    FailureReason::Missing | FailureReason::Unsupported
                ) =>
            {
                None
            }
            Err(error) => {
                self.answered = true;
                out.failure(error);
                None
            }
        }
    }

    fn broken(&self, request: DeviceRequest, answer: &[u8]) -> CollectError {
        let place = if self.root.is_live() {
            format!("{DIRECTORY}/{}", self.name)
        } else {
            format!("answers/{}/{}", self.name, request.word())
        };
        let expected = format!("an answer to `{}`", request.word());
        malformed(&place, None, &expected, &format!("{} bytes", answer.len()))
    }
}

fn write_link(name: &str, id: &str, link: LinkSettings, out: &mut dyn SampleWriter) {
    let component = format!("network/{name}");
    write_state(DUPLEX, &[name, id], link.duplex, out);
    out.fact(PORT, &component, link.port);
    let negotiation = if link.negotiates { "on" } else { "off" };
    out.fact(NEGOTIATION, &component, negotiation);
    let fastest = link.fastest.map(u64::from);
    if let Some(speed) = fastest.and_then(|megabits| scaled(megabits, BYTES_PER_MEGABIT)) {
        out.sample(SUPPORTED, &[name, id], Value::U64(speed));
    }
}

/// Says whether the numbers are as many as the names.
fn write_events(name: &str, counted: &Counted, answer: &[u8], out: &mut dyn SampleWriter) -> bool {
    let numbers: Vec<u64> = numbers(answer).collect();
    if numbers.len() != counted.all {
        return false;
    }
    for (place, word) in &counted.told {
        if let Some(number) = numbers.get(*place) {
            out.sample(EVENTS, &[name, word], Value::U64(*number));
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use glasshouse_sysfs::compliance::Recording;

    use super::*;

    fn names_of(names: &[&str]) -> Vec<u8> {
        let mut answer = Vec::new();
        for name in names {
            let mut bytes = [0; 32];
            bytes[..name.len()].copy_from_slice(name.as_bytes());
            answer.extend(bytes);
        }
        answer
    }

    #[test]
    fn one_name_of_a_word_is_told_and_the_rest_left_out() {
        let counted = Counted::of(&names_of(&[
            "rx0_packets",
            "rx_crc_errors",
            "rx_crc_errors_phy",
        ]));
        let numbers: Vec<u8> = [1_u64, 2, 3].iter().flat_map(|n| n.to_ne_bytes()).collect();
        let mut told = Recording::empty();
        assert!(write_events("eth0", &counted, &numbers, &mut told));
        let labels = ["eth0", "receive_crc"];
        assert_eq!(told.value("hw.network.driver.events", &labels), Some(3.0));
        assert_eq!(told.samples.len(), 1);
        // numbers that do not belong to the names are not told
        assert!(!write_events("eth0", &counted, &numbers[..16], &mut told));
        assert_eq!(told.samples.len(), 1);
    }
}
