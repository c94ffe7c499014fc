//! Conditions and log entries over a real link, with kills and restarts.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use glasshouse_core::condition::{Condition, Severity};
use glasshouse_core::finding::{Event, FindingReader};
use glasshouse_core::log::{LogEntry, LogQuery, LogReader, LogSource};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{Clock, Moment, SystemClock, Timestamp, Window};
use glasshouse_store::findings::FindingFiles;
use glasshouse_store::logs::LogFiles;
use glasshouse_wire::{FrameWriter, Heartbeat, Message};

use super::fake::{House, start_node, wait_until};

struct Fake<'a> {
    house: &'a House,
    frames: FrameWriter,
}

impl Fake<'_> {
    fn say(&mut self, message: &Message) {
        let mut frame = Vec::new();
        self.frames.frame(&message.encode(), &mut frame).unwrap();
        (&self.house.fifo).write_all(&frame).unwrap();
    }

    fn conditions(&mut self, components: &[&str]) {
        let conditions = components.iter().map(|component| Condition {
            cause: "gpu.lost".to_owned(),
            severity: Severity::Critical,
            component: Untrusted::new(component),
            detail: Untrusted::new("\u{1b}[2J\u{202e}"),
        });
        self.say(&Message::Conditions {
            collector: "gpu".to_owned(),
            conditions: conditions.collect(),
        });
    }

    fn log(&mut self, ids: std::ops::Range<u32>) {
        let entries = ids.map(|id| LogEntry {
            source: LogSource::Sel,
            origin: Untrusted::new("bmc"),
            id: Untrusted::new(&id.to_string()),
            at: Some(Timestamp::from_seconds(i64::from(id))),
            severity: Severity::Warning,
            code: Untrusted::new("08h/03"),
            component: Untrusted::new("PSU 1"),
            text: Untrusted::new("power supply input lost"),
            raw: id.to_le_bytes().to_vec(),
        });
        self.say(&Message::Log {
            collector: "ipmi".to_owned(),
            entries: entries.collect(),
        });
    }

    fn live(&mut self) {
        self.say(&Message::Heartbeat(Heartbeat {
            at: Moment::default(),
            ..Heartbeat::default()
        }));
    }
}

fn findings(house: &House) -> FindingFiles {
    FindingFiles::new(&house.dir.path().join("state/findings"))
}

fn open(house: &House) -> Vec<Event> {
    let open = findings(house).open();
    open.map(|open| open.events.clone()).unwrap_or_default()
}

fn of(house: &House, cause: &str) -> Vec<Event> {
    let mut events = open(house);
    events.retain(|event| event.finding.cause == cause);
    events
}

fn logged(house: &House) -> Vec<String> {
    let files = LogFiles::new(&house.dir.path().join("state/logs"));
    let query = LogQuery {
        sources: Vec::new(),
        least: Severity::Info,
        window: Window {
            from: Timestamp::default(),
            to: SystemClock.now().after(Duration::from_secs(60)),
        },
        most: 100_000,
        bytes: u64::MAX,
    };
    let answer = files.entries(&query).unwrap();
    assert!(!answer.damaged && !answer.more);
    let ids = answer.entries.iter().rev();
    ids.map(|heard| heard.entry.id.raw().to_owned()).collect()
}

fn expected(ids: std::ops::Range<u32>) -> Vec<String> {
    ids.map(|id| id.to_string()).collect()
}

#[test]
fn events_and_entries_outlive_the_node_once_each() {
    let house = House::new();
    let mut probe = Fake {
        house: &house,
        frames: FrameWriter::new(7),
    };
    let node = start_node(&house);
    probe.conditions(&["gpu/0", "gpu/1"]);
    probe.log(1..40);
    let first = wait_until(|| Some(of(&house, "gpu.lost")).filter(|open| open.len() == 2));
    wait_until(|| (logged(&house).len() == 39).then_some(()));
    node.stop();
    assert_eq!(of(&house, "gpu.lost"), first);
    // both came back, and the collector says all entries again
    let mut probe = Fake {
        house: &house,
        frames: FrameWriter::new(8),
    };
    let node = start_node(&house);
    probe.conditions(&[]);
    probe.log(1..50);
    probe.conditions(&["gpu/0"]);
    wait_until(|| (logged(&house).len() == 49).then_some(()));
    wait_until(|| {
        probe.live();
        probe.conditions(&["gpu/0"]);
        Some(of(&house, "gpu.lost")).filter(|open| open.len() == 1)
    });
    node.stop();
    let left = of(&house, "gpu.lost");
    let was = first.iter().find(|event| event.id == left[0].id);
    assert_eq!(was.unwrap().finding.first_seen, left[0].finding.first_seen);
    assert_eq!(logged(&house), expected(1..50));
    let window = Window {
        from: Timestamp::default(),
        to: SystemClock.now().after(Duration::from_secs(60)),
    };
    let over = findings(&house).resolved(window, 100).unwrap();
    assert_eq!(
        over.events
            .iter()
            .filter(|event| event.finding.cause == "gpu.lost")
            .count(),
        1
    );
}

#[test]
fn a_silent_probe_is_an_event_until_it_speaks() {
    let house = House::new();
    let node = start_node(&house);
    wait_until(|| of(&house, "probe.silent").pop());
    let mut probe = Fake {
        house: &house,
        frames: FrameWriter::new(7),
    };
    wait_until(|| {
        probe.live();
        of(&house, "probe.silent").is_empty().then_some(())
    });
    let silent = wait_until(|| of(&house, "probe.silent").pop());
    assert_eq!(silent.finding.evidence[0].unit, "s");
    node.stop();
    // the next node does not begin another one
    let node = start_node(&house);
    wait_until(|| {
        of(&house, "probe.silent")
            .pop()
            .filter(|event| event.finding.last_seen > silent.finding.last_seen)
    });
    assert_eq!(of(&house, "probe.silent")[0].id, silent.id);
    node.stop();
}

/// A node in a process of its own, killed again and again while events come and go and entries are repeated.
#[test]
fn kills_lose_no_open_event_and_double_no_entry() {
    const MARK: &str = "GLASSHOUSE_TEST_NOTICES";
    let name = "whole::notices::kills_lose_no_open_event_and_double_no_entry";
    if let Ok(dir) = std::env::var(MARK) {
        let settings = super::fake::node_settings(std::path::Path::new(&dir));
        crate::run(settings, std::sync::Arc::default()).unwrap();
        return;
    }
    let house = House::new();
    let mut ids = std::collections::BTreeSet::new();
    for round in 0..8_u32 {
        let mut node = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact"])
            .env(MARK, house.dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut probe = Fake {
            house: &house,
            frames: FrameWriter::new(u64::from(round) + 1),
        };
        let last = 10 * (round + 1);
        wait_until(|| {
            probe.conditions(&["gpu/0"]);
            probe.log(1..last.min(60));
            std::thread::sleep(Duration::from_millis(u64::from(round) * 7));
            let open = of(&house, "gpu.lost");
            open.first().map(|event| ids.insert(event.id))
        });
        wait_until(|| {
            probe.log(1..last.min(60));
            (logged(&house).len() >= usize::try_from(last.min(60) - 1).unwrap()).then_some(())
        });
        node.kill().unwrap();
        node.wait().unwrap();
        assert_eq!(of(&house, "gpu.lost").len(), 1);
    }
    assert_eq!(ids.len(), 1, "one event all the time");
    assert_eq!(logged(&house), expected(1..60));
}
