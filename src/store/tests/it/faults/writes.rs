//! Every operation on the disk fails once, in each of the ways in which disks fail.

use super::life::{Life, STEPS};
use super::{folder, some};
use glasshouse_store::faults::{self, EIO, ENOSPC, Fault, Operation, Plan};

/// What may fail on a disk that is full.
const GROWS: &[Operation] = &[Operation::Create, Operation::Write];

/// Everything; a broken disk does not even read.
fn all() -> Vec<Operation> {
    let reads = [Operation::Open, Operation::List, Operation::Read];
    [Operation::CHANGES, &reads].concat()
}

fn plan(fault: Fault, operations: &[Operation], skip: u64, fail: u64) -> Plan {
    Plan {
        fault,
        operations: operations.to_vec(),
        name: String::new(),
        skip,
        fail,
    }
}

/// How many operations of these kinds a whole life has.
fn count(operations: &[Operation]) -> u64 {
    let dir = folder();
    faults::set(plan(Fault::Error(EIO), operations, u64::MAX, 0));
    let mut life = Life::new(dir.path());
    (0..STEPS).for_each(|n| life.step(n));
    let (met, failed) = faults::clear();
    assert_eq!((life.errors.as_slice(), failed), (&[][..], 0));
    life.rest(STEPS);
    life.is_whole(STEPS - 1, None);
    life.is_settled(STEPS);
    assert!(met > 300, "{met}");
    met
}

/// A life in which some operations fail; afterwards everything is as if only the refused batches had never come.
fn fails(fault: Fault, operations: &[Operation], skip: u64, fail: u64) {
    let code = match fault {
        Fault::Error(code) | Fault::Short(_, code) => code,
    };
    let dir = folder();
    let mut life = Life::new(dir.path());
    faults::set(plan(fault, operations, skip, fail));
    (0..STEPS).for_each(|n| life.step(n));
    let (_, failed) = faults::clear();
    println!("{fault:?} at {skip}, {failed} failed: {:?}", life.errors);
    life.errors_say(&[code]);
    assert!(life.refused.len() as u64 <= failed, "{:?}", life.refused);
    life.rest(STEPS);
    life.is_whole(STEPS - 1, None);
    for recovery in &life.recoveries {
        assert!(recovery.lost.is_empty(), "{recovery:?}");
    }
    life.is_settled(STEPS);
}

/// The process dies at an operation; the next one goes on.
fn dies(fault: Fault, skip: u64) {
    let dir = folder();
    let mut life = Life::new(dir.path());
    faults::set(plan(fault, &all(), skip, u64::MAX));
    let mut last = 0;
    while life.errors.is_empty() && last < STEPS {
        life.step(last);
        last += 1;
    }
    life.kill();
    faults::clear();
    println!("{fault:?} at {skip}, step {last}: {:?}", life.errors);
    // It was not told that the batch was refused.
    let unknown = life.refused.pop_last();
    life.open();
    life.is_whole(last - 1, unknown);
    for recovery in &life.recoveries {
        assert!(recovery.lost.is_empty(), "{recovery:?}");
        assert!(recovery.cut.len() <= 1, "{recovery:?}");
    }
    (last..STEPS).for_each(|n| life.step(n));
    life.rest(STEPS);
    life.is_whole(STEPS - 1, unknown);
    life.is_settled(STEPS);
}

#[test]
fn every_operation_that_a_broken_disk_fails_once() {
    for n in some(count(&all()), 40) {
        fails(Fault::Error(EIO), &all(), n, 1);
    }
}

#[test]
fn every_write_that_a_full_disk_refuses_or_cuts_short() {
    for n in some(count(GROWS), 20) {
        fails(Fault::Error(ENOSPC), GROWS, n, 1);
    }
    for (place, n) in some(count(GROWS), 30).into_iter().enumerate() {
        let most = [1, 7, 16, 40, 100, 1 << 20][place % 6];
        fails(Fault::Short(most, ENOSPC), GROWS, n, 1);
    }
}

#[test]
fn a_disk_that_stays_full_or_broken_for_a_while() {
    for n in some(count(GROWS), 12) {
        fails(Fault::Short(5, ENOSPC), GROWS, n, 25);
    }
    for n in some(count(Operation::CHANGES), 12) {
        fails(Fault::Error(EIO), Operation::CHANGES, n, 25);
    }
}

#[test]
fn a_process_that_dies_at_any_operation() {
    for (place, n) in some(count(&all()), 40).into_iter().enumerate() {
        let most = [0, 3, 20, 60, 1 << 20][place % 5];
        dies(Fault::Short(most, EIO), n);
    }
}

#[test]
fn a_sync_that_fails_is_said_and_done_again() {
    for n in some(count(&[Operation::Sync]), 15) {
        fails(Fault::Error(EIO), &[Operation::Sync], n, 1);
    }
}
