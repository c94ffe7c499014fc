//! What comes over the link, and what becomes of what should not.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use glasshouse_core::reader::{CollectorState, SampleReader, Selector};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{Clock, SystemClock};
use glasshouse_wire::{Batch, FrameWriter, Message};

use super::fake::{House, start_node, start_probe, wait_until};

#[test]
fn what_collectors_read_is_stored_and_reported() {
    let house = House::new();
    let since = SystemClock.now().before(Duration::from_secs(1));
    let node = start_node(&house);
    let probe = start_probe(&house);
    wait_until(|| {
        let counts = house.counts(since);
        (counts.len() == 2 && counts.iter().all(|(.., highest)| *highest > 50)).then_some(())
    });
    let inventory = house.inventory_with(|inventory| inventory.collectors.len() == 4);
    let names: Vec<&str> = inventory
        .collectors
        .iter()
        .map(|status| &*status.name)
        .collect();
    assert_eq!(
        names,
        ["first", "glasshouse", crate::OWN_COLLECTOR, "second"]
    );
    assert!(
        inventory
            .collectors
            .iter()
            .all(|status| status.state == CollectorState::Good)
    );
    let inventory = house.inventory_with(|inventory| inventory.facts.len() == 1);
    assert_eq!(inventory.facts[0].value.raw(), "counts");
    assert!(inventory.link.frames > 0 && inventory.link.run != 0);
    probe.stop();
    node.stop();
    for (collector, process, samples, highest) in house.counts(since) {
        assert_eq!(samples, highest, "{collector} {process} has a gap");
        assert_eq!(
            highest,
            house.journal(&collector, &process),
            "the last ones were sent too"
        );
    }
    let link = house.inventory().unwrap().link;
    assert_eq!((link.lost, link.resyncs, link.dropped), (0, 0, 0));
}

#[test]
fn a_node_that_comes_back_goes_on_without_asking() {
    let house = House::new();
    let since = SystemClock.now().before(Duration::from_secs(1));
    let probe = start_probe(&house);
    let mut above = 0;
    for _ in 0..3 {
        let node = start_node(&house);
        above += 20;
        wait_until(|| {
            let counts = house.counts(since);
            (counts.len() == 2 && counts.iter().all(|(.., highest)| *highest > above)).then_some(())
        });
        node.stop();
        // the facts of before stand in the inventory until they come again
        assert_eq!(house.inventory().unwrap().facts.len(), 1);
    }
    probe.stop();
    let node = start_node(&house);
    wait_until(|| {
        let counts = house.counts(since);
        let all = counts
            .iter()
            .all(|(collector, process, _, highest)| *highest == house.journal(collector, process));
        (counts.len() == 2 && all).then_some(())
    });
    node.stop();
    for (collector, process, samples, highest) in house.counts(since) {
        assert_eq!(samples, highest, "{collector} {process} has a gap");
    }
}

#[test]
fn garbage_is_skipped_and_counted_and_costs_no_frame() {
    let mut house = House::new();
    let since = SystemClock.now().before(Duration::from_secs(1));
    let node = start_node(&house);
    // a torn frame, noise, and the beginning of a frame that never goes on
    let mut frame = Vec::new();
    FrameWriter::new(7).frame(&[1; 3000], &mut frame).unwrap();
    house.fifo.write_all(&frame[..1000]).unwrap();
    house.inventory_with(|inventory| inventory.link.resyncs == 1);
    house.fifo.write_all(&[0xf5, 1, 2, 3, 0xf5]).unwrap();
    let probe = start_probe(&house);
    wait_until(|| {
        let counts = house.counts(since);
        (counts.len() == 2 && counts.iter().all(|(.., highest)| *highest > 20)).then_some(())
    });
    probe.stop();
    node.stop();
    for (collector, process, samples, highest) in house.counts(since) {
        assert_eq!(samples, highest, "{collector} {process} has a gap");
    }
    assert!(house.inventory().unwrap().link.resyncs >= 1);
}

#[test]
fn hostile_messages_and_unknown_series_cost_nothing_but_themselves() {
    let mut house = House::new();
    let since = SystemClock.now().before(Duration::from_secs(1));
    let node = start_node(&house);
    let mut writer = FrameWriter::new(7);
    let mut frame = Vec::new();
    let unknown = Message::Batch(Batch {
        collector: "nobody".to_owned(),
        at: SystemClock.moment(),
        samples: vec![(u32::MAX, Some(Value::U64(1)), Quality::Good)],
    });
    for payload in [unknown.encode(), vec![0xff; 100], vec![0x72, 0]] {
        writer.frame(&payload, &mut frame).unwrap();
        house.fifo.write_all(&frame).unwrap();
    }
    let inventory = house.inventory_with(|inventory| inventory.link.frames == 3);
    assert_eq!((inventory.link.resyncs, inventory.link.lost), (0, 0));
    // a sequence that jumps says what was lost
    for _ in 0..5 {
        writer.frame(&[0x72, 0], &mut frame).unwrap();
    }
    house.fifo.write_all(&frame).unwrap();
    house.inventory_with(|inventory| inventory.link.lost == 4);
    // and people see it: three messages of these make no sense, one more came behind the gap
    house.inventory_with(|inventory| {
        let mut collectors = inventory.collectors.iter();
        collectors.any(|own| {
            let detail = own.detail.raw();
            let lost = ["4 frames", "1 samples of unknown", "3 messages"];
            own.name == crate::OWN_COLLECTOR
                && own.failures > 0
                && lost.iter().all(|part| detail.contains(part))
        })
    });
    let latest = |metric: &str| {
        let latest = house
            .reader()
            .latest(&Selector::metric(metric), SystemClock.now());
        latest.ok()?.entries.first()?.sample.value
    };
    wait_until(|| {
        let values = ["samples_unknown", "messages_unknown", "frames_lost"]
            .map(|name| latest(&format!("glasshouse.node.{name}")));
        (values == [1, 3, 4].map(|count| Some(Value::U64(count)))).then_some(())
    });
    let probe = start_probe(&house);
    wait_until(|| (house.counts(since).len() == 2).then_some(()));
    probe.stop();
    node.stop();
}

/// A small file system of its own, for root.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: std::path::PathBuf) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(&at);
        let mounted = mount.stderr(Stdio::null()).status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status()
            .unwrap();
    }
}

#[test]
fn a_full_disk_costs_what_comes_meanwhile_and_not_the_node() {
    let house = House::new();
    let state = house.dir.path().join("state");
    let Some(_disk) = SmallDisk::mount(state.clone()) else {
        println!("skipped: only root may mount a small disk");
        return;
    };
    let since = SystemClock.now().before(Duration::from_secs(1));
    let node = start_node(&house);
    let probe = start_probe(&house);
    let highest = || -> u64 {
        let counts = house.counts(since);
        counts
            .iter()
            .map(|(.., highest)| *highest)
            .min()
            .unwrap_or(0)
    };
    wait_until(|| (highest() > 10).then_some(()));
    let filler = state.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    drop(file);
    let process = std::process::id().to_string();
    // what is in the last page of a head still fits
    let full_at = house.journal("first", &process);
    wait_until(|| (house.journal("first", &process) > full_at + 200).then_some(()));
    std::fs::remove_file(&filler).unwrap();
    let free_at = house.journal("first", &process);
    wait_until(|| (highest() > free_at).then_some(()));
    probe.stop();
    node.stop();
    for (collector, _, samples, highest) in house.counts(since) {
        assert!(samples < highest, "{collector}: the disk was not full");
    }
    house.inventory_with(|inventory| inventory.link.frames > 0);
}
