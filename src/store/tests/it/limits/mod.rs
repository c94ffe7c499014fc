//! What may be at most: bytes in the folder, series, heads that wait; and what a question may read.

mod bytes;
mod heads;
mod reading;
mod series;

use glasshouse_core::metric::MetricKind;
use glasshouse_core::sample::{Quality, Value};
use glasshouse_store::{Batch, SeriesRef, Store, StoreError};

use crate::common::{S, START, info, moment};

/// One gauge of collector `x` for each device, and another number in each series at each time.
fn append(store: &mut Store, second: i64, devices: &[String]) -> Result<(), StoreError> {
    let mut samples: Vec<(SeriesRef, Option<Value>, Quality)> = Vec::new();
    for (number, device) in (1..).zip(devices) {
        let info = info("m", "x", device, MetricKind::Gauge);
        let series = store.define(1, number, &info)?;
        samples.push((
            series,
            Some(Value::F64(noise(second, number))),
            Quality::Good,
        ));
    }
    store.append(&Batch {
        collector: "x",
        at: moment(START + second * S, second * S),
        samples: &samples,
    })
}

/// A number that hardly packs.
fn noise(second: i64, number: u32) -> f64 {
    let mut bits = second.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(number);
    for shift in [13, 7, 17] {
        bits ^= bits << shift;
        bits = bits.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits ^= bits >> 29;
    }
    bits as f64
}

fn devices(names: impl IntoIterator<Item = i64>) -> Vec<String> {
    names.into_iter().map(|n| format!("device{n}")).collect()
}
