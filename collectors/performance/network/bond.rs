//! Bonds of network interfaces and their members, from `/sys/class/net/*/bonding`.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, MetricKind};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Spec, SysRoot};

use crate::labels::INTERFACE;
use crate::parts::{counter, names, noted, state, write_number, write_state};

pub(crate) static BOND: Spec = Spec {
    name: "bond",
    summary: "Bonds of network interfaces: members that are up, failures of each.",
    metrics: &METRICS,
    facts: &FACTS,
    options: &[],
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, _: &Options| Box::new(Bond { root }),
};

const DIRECTORY: &str = "sys/class/net";

const MEMBER: LabelDefinition = LabelDefinition {
    key: "linux.network.bond.member",
    help: "The kernel's name of the interface that is a member.",
};
const OF_MEMBER: &[LabelDefinition] = &[INTERFACE, MEMBER];

static METRICS: [MetricDefinition; 5] = [
    MetricDefinition {
        kind: MetricKind::UpDownCounter,
        ..counter(
            "system.network.linux.bond.members",
            "{interface}",
            "Interfaces that are members of the bond.",
            "Not members that are up: see `system.network.linux.bond.members.up`.",
            &[INTERFACE],
            "/sys/class/net/*/bonding/slaves",
        )
    },
    MetricDefinition {
        kind: MetricKind::UpDownCounter,
        ..counter(
            "system.network.linux.bond.members.up",
            "{interface}",
            "Members of the bond whose link is up.",
            "Not members that carry traffic: backups are up too.",
            &[INTERFACE],
            "/sys/class/net/*/bonding_slave/mii_status",
        )
    },
    state(
        "system.network.linux.bond.member.link",
        &["up", "going down", "down", "going back", "unknown"],
        "What the bond holds of the member's link.",
        "Not the carrier itself: the bond may wait before it believes it.",
        OF_MEMBER,
        "/sys/class/net/*/bonding_slave/mii_status",
    ),
    state(
        "system.network.linux.bond.member.state",
        &["active", "backup", "unknown"],
        "Whether the member may carry traffic now.",
        "Not trouble when it is `backup`: some modes keep members in reserve.",
        OF_MEMBER,
        "/sys/class/net/*/bonding_slave/state",
    ),
    counter(
        "system.network.linux.bond.member.failures",
        "{failure}",
        "Times that the bond saw the member's link fail since it became a member.",
        "Not packets lost.",
        OF_MEMBER,
        "/sys/class/net/*/bonding_slave/link_failure_count",
    ),
];
static MEMBERS: &MetricDefinition = &METRICS[0];
static MEMBERS_UP: &MetricDefinition = &METRICS[1];
static LINK: &MetricDefinition = &METRICS[2];
static STATE: &MetricDefinition = &METRICS[3];
static FAILURES: &MetricDefinition = &METRICS[4];

static FACTS: [FactDefinition; 1] = [FactDefinition {
    key: "network.bond.mode",
    help: "How the bond uses its members, e.g. `802.3ad`, `active-backup`.",
    source: "/sys/class/net/*/bonding/mode",
}];
static MODE: &FactDefinition = &FACTS[0];

#[derive(Debug)]
struct Bond {
    root: SysRoot,
}

impl Collector for Bond {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut present = false;
        for name in names(&self.root, DIRECTORY)? {
            let bond = format!("{DIRECTORY}/{name}/bonding");
            if !self.root.exists(&bond) {
                continue;
            }
            present = true;
            let mode = self.root.read_optional_trimmed(&format!("{bond}/mode"));
            // `802.3ad 4`
            if let Some(mode) = noted(mode, out)
                && let Some(word) = mode.split_ascii_whitespace().next()
            {
                out.fact(MODE, &format!("network/{name}"), word);
            }
            // an empty file is a bond without members
            let members = self.root.read_trimmed(&format!("{bond}/slaves"));
            if let Some(members) = noted(members.map(Some), out) {
                self.write_members(&name, &members, out);
            }
        }
        if !present {
            let looked_for = format!("no bond in `/{DIRECTORY}`");
            return Ok(Presence::Absent(looked_for));
        }
        Ok(Presence::Present)
    }
}

impl Bond {
    fn write_members(&self, bond: &str, members: &str, out: &mut dyn SampleWriter) {
        let (mut all, mut up) = (0, 0);
        for member in members.split_ascii_whitespace() {
            all += 1;
            // a name with a path in it is no interface
            if member.contains('/') {
                continue;
            }
            let directory = format!("{DIRECTORY}/{member}/bonding_slave");
            let labels = [bond, member];
            for (metric, file) in [(LINK, "mii_status"), (STATE, "state")] {
                let word = self
                    .root
                    .read_optional_trimmed(&format!("{directory}/{file}"));
                if let Some(word) = noted(word, out) {
                    up += u64::from(file == "mii_status" && word == "up");
                    write_state(metric, &labels, &word, out);
                }
            }
            let failures = format!("{directory}/link_failure_count");
            write_number(&self.root, &failures, FAILURES, &labels, out);
        }
        out.sample(MEMBERS, &[bond], Value::U64(all));
        out.sample(MEMBERS_UP, &[bond], Value::U64(up));
    }
}
