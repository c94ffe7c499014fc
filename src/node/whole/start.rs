//! What a node needs to start, and what it says where that is missing.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use glasshouse_core::reader::CollectorState;

use super::fake::{House, node_settings, start_node};
use crate::{NodeError, NodeSettings};

fn error_of(settings: NodeSettings) -> NodeError {
    crate::run(settings, Arc::new(AtomicBool::new(true))).unwrap_err()
}

#[test]
fn what_is_missing_is_named() {
    let house = House::new();
    let good = node_settings(house.dir.path());
    let no_state = NodeSettings {
        state_dir: house.dir.path().join("nowhere"),
        ..good.clone()
    };
    let error = error_of(no_state);
    assert!(matches!(&error, NodeError::State { path, .. } if path.ends_with("nowhere/store")));
    let no_fifo = NodeSettings {
        frames: house.dir.path().join("nowhere"),
        ..good.clone()
    };
    assert!(matches!(error_of(no_fifo), NodeError::Frames { .. }));
    let file = house.dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let no_fifo = NodeSettings {
        frames: file,
        ..good
    };
    let error = error_of(no_fifo);
    assert!(matches!(error, NodeError::NoFifo { .. }));
    // a supervisor starts it again and again; none of that may fill the store
    let left = std::fs::read_dir(house.dir.path().join("state/store")).unwrap();
    assert_eq!(left.count(), 0);
    assert!(
        error.to_string().contains("is no FIFO (remove it"),
        "{error}"
    );
}

#[test]
fn a_state_folder_that_cannot_be_written_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may write everywhere");
        return;
    }
    let house = House::new();
    let state = house.dir.path().join("state");
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o500)).unwrap();
    let error = error_of(node_settings(house.dir.path()));
    assert!(matches!(error, NodeError::State { .. }), "{error}");
}

#[test]
fn a_file_in_a_folders_place_is_an_error() {
    let house = House::new();
    std::fs::write(house.dir.path().join("state/store"), b"").unwrap();
    let error = error_of(node_settings(house.dir.path()));
    assert!(matches!(&error, NodeError::State { path, .. } if path.ends_with("store")));
}

#[test]
fn the_inventory_stands_before_any_probe_has_come() {
    let house = House::new();
    let node = start_node(&house);
    let inventory = house.inventory_with(|_| true);
    assert_eq!(inventory.node, crate::node_id(super::fake::MACHINE_ID));
    assert_eq!(inventory.host_name.raw(), "test-host");
    assert_eq!((inventory.link.run, inventory.link.frames), (0, 0));
    assert!(inventory.facts.is_empty());
    let [own] = &*inventory.collectors else {
        panic!("{:?}", inventory.collectors);
    };
    assert_eq!(
        (&*own.name, own.state),
        (crate::OWN_COLLECTOR, CollectorState::Good)
    );
    node.stop();
}
