//! The speed of network links, from `/sys/class/net/*/speed`.
//!
//! Apart from the state of links: the file asks the driver under the lock of all network configuration, and a card whose
//! firmware hangs may hold that for minutes. Whether a link is up and how often it fell must be told just then.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::metric::{Audience, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Patterns, Spec, SysRoot, malformed, optional, scaled};

use super::interface::EXCLUDE;
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
        Box::new(NetworkSpeed {
            root,
            exclude: Patterns::new(options.text_list(EXCLUDE.name)),
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
    root: SysRoot,
    exclude: Patterns,
}

impl Collector for NetworkSpeed {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let names = optional(self.root.list(DIRECTORY))?.unwrap_or_default();
        let mut present = false;
        for name in names.iter().filter(|name| !self.exclude.matches(name)) {
            // `bonding_masters` is a file among the interfaces
            if !self.root.exists(&format!("{DIRECTORY}/{name}/operstate")) {
                continue;
            }
            present = true;
            out.calling("speed of a link");
            if let Err(error) = write_speed(&self.root, name, out) {
                out.failure(error);
            }
        }
        if !present {
            let looked_for = format!("no interface in `/{DIRECTORY}`");
            return Ok(Presence::Absent(looked_for));
        }
        Ok(Presence::Present)
    }
}

/// -1, or a refusal, where the link is down or the interface has no speed.
fn write_speed(root: &SysRoot, name: &str, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
    let path = format!("{DIRECTORY}/{name}/speed");
    let is_hardware = root.exists(&format!("{DIRECTORY}/{name}/device"));
    let word = match optional(root.read_trimmed(&path)) {
        // in a captured tree, a refusal is an empty file
        Ok(Some(word)) if word.is_empty() => "-1".to_owned(),
        Ok(Some(word)) => word,
        Ok(None) => return Ok(()),
        Err(error) if error.reason == FailureReason::Io => "-1".to_owned(),
        Err(error) => return Err(error),
    };
    let speed = match word.parse::<i64>() {
        Ok(megabits) => u64::try_from(megabits).ok(),
        Err(_) => return Err(malformed(&path, None, "Mbit/s", &word)),
    };
    let id = hardware_id(root, name, out);
    let labels = [name, &*id];
    match speed.and_then(|megabits| scaled(megabits, BYTES_PER_MEGABIT)) {
        Some(speed @ 1..) => out.sample(SPEED, &labels, Value::U64(speed)),
        _ if is_hardware => out.absent(SPEED, &labels, FailureReason::Unsupported),
        _ => {}
    }
    Ok(())
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
