//! Tests over BMCs that are fakes in memory, `ipmi_sim` over the network, and a device in a guest.

mod crossing;
mod fake;
mod guest;
mod linearizations;
mod never_panics;
mod peer;
mod records;
mod runs;
mod several;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use glasshouse_core::time::{BootTime, Clock, Moment, Timestamp};

/// A clock that stands still until it is moved.
#[derive(Clone, Debug, Default)]
struct Hand(Arc<AtomicU64>);

/// Wall time when a hand shows zero: some day of 2026.
const START: i64 = 1_780_000_000;

impl Hand {
    fn move_by(&self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap();
        self.0.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn moment(&self) -> Moment {
        let nanos = self.0.load(Ordering::Relaxed);
        Moment {
            wall: Timestamp::from_seconds(START).after(Duration::from_nanos(nanos)),
            boot: BootTime::from_nanos(nanos),
        }
    }
}

/// Whether a test without its programs is a failure: as for all peers, in CI and where they are required.
fn peers_are_required() -> bool {
    match std::env::var("GLASSHOUSE_PEERS").as_deref() {
        Ok("required") => true,
        Ok("optional") => false,
        _ => std::env::var("CI").is_ok_and(|value| value == "true"),
    }
}

/// A simulated BMC; `None` where its programs are not installed and need not be.
fn simulated() -> Option<glasshouse_sim::ipmi::Bmc> {
    let missing = glasshouse_sim::ipmi::missing();
    if missing.is_empty() {
        return Some(glasshouse_sim::ipmi::Bmc::start().unwrap());
    }
    assert!(
        !peers_are_required(),
        "{missing:?} are not installed (run `cargo xtask test`)"
    );
    eprintln!("skipped: {missing:?} are not installed (`cargo xtask test` installs them)");
    None
}
