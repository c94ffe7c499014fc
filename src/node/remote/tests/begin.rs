//! The thread, where it cannot begin.

use std::fs;
use std::time::Duration;

use glasshouse_core::identity::NodeId;
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{Clock, SystemClock};

use super::super::Remote;
use super::world::remote;
use crate::state::State;

#[test]
fn a_folder_that_cannot_be_used_makes_an_event_and_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::prepare(dir.path()).unwrap();
    // where the folder of the position should be is a file
    fs::write(state.dir.join("remote-write"), "").unwrap();
    let settings = remote("http://127.0.0.1:1/");
    let host = Untrusted::new("test-host");
    let sender = Remote::start(&settings, &state, NodeId::from_bytes([7; 16]), &host).unwrap();
    let stated = sender.stated(SystemClock.moment());
    assert_eq!(stated.len(), 1);
    assert_eq!(stated[0].cause, "remote_write.stopped");
    assert!(stated[0].detail.clean().contains("remote-write"));
    sender.stop();
    fs::remove_file(state.dir.join("remote-write")).unwrap();
    let sender = Remote::start(&settings, &state, NodeId::from_bytes([7; 16]), &host).unwrap();
    assert!(sender.stated(SystemClock.moment()).is_empty());
    sender.stop();
}

#[test]
fn it_begins_once_the_folder_can_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::prepare(dir.path()).unwrap();
    let folder = state.dir.join("remote-write");
    fs::write(&folder, "").unwrap();
    let settings = remote("http://127.0.0.1:1/");
    let host = Untrusted::new("test-host");
    let begun = super::super::Beginning::new(&settings, &state, NodeId::from_bytes([7; 16]), &host);
    assert!(begun.begin().is_none() && !begun.totals.idle().is_empty());
    fs::remove_file(&folder).unwrap();
    assert!(begun.begin().is_some() && begun.totals.idle().is_empty());
    assert!(begun.totals.lag(SystemClock.now()) < Duration::from_secs(60));
}
