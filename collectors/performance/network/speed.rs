//! The speed of network links, from `/sys/class/net/*/speed`.
//!
//! Apart from the state of links: the file asks the driver under the lock of all network configuration, and a card whose
//! firmware hangs may hold that for minutes. Whether a link is up and how often it fell must be told just then.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::metric::{Audience, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{
    KeptFile, Patterns, ReadBuffer, Spec, SysRoot, malformed, optional, scaled,
};

use super::interface::EXCLUDE;
use super::known::Known;
use super::link::{DIRECTORY, ID, hardware_id};
use crate::labels::INTERFACE;

pub(crate) static NETWORK_SPEED: Spec = Spec {
    name: "network_speed",
    summary: "How fast each link came up.",
    metrics: &METRICS,
    facts: &[],
    options: &[EXCLUDE],
    // while somebody else has the lock, the kernel has the reader try again and again
    interval_seconds: 30,
    needs: "",
    build: |root: SysRoot, options: &Options| {
        let exclude = Patterns::new(options.text_list(EXCLUDE.name));
        Box::new(NetworkSpeed {
            known: Known::new(root, exclude),
            buffer: ReadBuffer::new(),
        })
    },
};

/// The file says Mbit/s.
const BYTES_PER_MEGABIT: u64 = 1_000_000 / 8;

static METRICS: [MetricDefinition; 1] = [MetricDefinition {
    name: "hw.network.bandwidth.limit",
    unit: "By/s",
    kind: MetricKind::UpDownCounter,
    value: ValueType::U64,
    help: "The speed that the link came up with.",
    is_not: "Not the speed that the hardware could have, nor what flows.",
    labels: &[INTERFACE, ID],
    source: "/sys/class/net/*/speed",
    audience: Audience::Operator,
}];
static SPEED: &MetricDefinition = &METRICS[0];

#[derive(Debug)]
struct NetworkSpeed {
    known: Known<Interface>,
    buffer: ReadBuffer,
}

impl Collector for NetworkSpeed {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let interfaces = self.known.look(out, Interface::new)?;
        if interfaces.is_empty() {
            let looked_for = format!("no interface in `/{DIRECTORY}`");
            return Ok(Presence::Absent(looked_for));
        }
        for (name, interface) in interfaces {
            out.calling("speed of a link");
            if let Err(error) = interface.write(name, &mut self.buffer, out) {
                out.failure(error);
            }
        }
        Ok(Presence::Present)
    }
}

/// The file of one interface.
#[derive(Debug)]
struct Interface {
    id: String,
    is_hardware: bool,
    speed: KeptFile,
}

impl Interface {
    fn new(root: &SysRoot, name: &str, out: &mut dyn SampleWriter) -> Self {
        Self {
            id: hardware_id(root, name, out),
            is_hardware: root.exists(&format!("{DIRECTORY}/{name}/device")),
            speed: KeptFile::attribute(root, &format!("{DIRECTORY}/{name}/speed")),
        }
    }

    /// -1, or a refusal, where the link is down or the interface has no speed.
    fn write(
        &mut self,
        name: &str,
        buffer: &mut ReadBuffer,
        out: &mut dyn SampleWriter,
    ) -> Result<(), CollectError> {
        let word = match optional(self.speed.read(buffer)) {
            Ok(Some(text)) => match text.trim() {
                // in a captured tree, a refusal is an empty file
                "" => "-1",
                word => word,
            },
            Ok(None) => return Ok(()),
            Err(error) if error.reason == FailureReason::Io => "-1",
            Err(error) => return Err(error),
        };
        let speed = match word.parse::<i64>() {
            Ok(megabits) => u64::try_from(megabits).ok(),
            Err(_) => return Err(malformed(self.speed.path(), None, "Mbit/s", word)),
        };
        let labels = [name, &*self.id];
        match speed.and_then(|megabits| scaled(megabits, BYTES_PER_MEGABIT)) {
            Some(speed @ 1..) => out.sample(SPEED, &labels, Value::U64(speed)),
            _ if self.is_hardware => out.absent(SPEED, &labels, FailureReason::Unsupported),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use glasshouse_sysfs::compliance::record;

    use super::super::link::NETWORK_LINK;
    use super::*;

    /// The state of links must not wait for the lock behind the speed.
    #[test]
    fn what_is_wrong_with_the_speed_is_none_of_the_state_s_business() {
        let tree = tempfile::tempdir().unwrap();
        let place = tree.path().join(DIRECTORY).join("eth0");
        std::fs::create_dir_all(place.join("device")).unwrap();
        std::fs::write(place.join("operstate"), "up\n").unwrap();
        std::fs::write(place.join("speed"), "100000\n").unwrap();
        let limit = |recording: &glasshouse_sysfs::compliance::Recording| {
            recording.value("hw.network.bandwidth.limit", &["eth0", "eth0"])
        };
        assert_eq!(limit(&record(&NETWORK_SPEED, tree.path())), Some(12.5e9));
        std::fs::write(place.join("speed"), "fast\n").unwrap();
        assert_eq!(record(&NETWORK_SPEED, tree.path()).failures.len(), 1);
        let state = record(&NETWORK_LINK, tree.path());
        assert!(state.failures.is_empty(), "{:?}", state.failures);
        assert_eq!(state.value("hw.network.up", &["eth0", "eth0"]), Some(1.0));
    }
}
