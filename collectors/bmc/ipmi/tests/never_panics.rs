//! No bytes make a decoder panic: whatever is random, and what is nearly right. `PROPTEST_CASES` says how often.

use proptest::prelude::*;

use crate::ipmi::decode::{dcmi, device, fru, reading, sdr, sel, text};

/// Everything that decodes, over the same bytes.
fn decode_all(bytes: &[u8]) {
    if let Ok(sdr::Record::Sensors(sensors)) = sdr::decode(bytes) {
        for sensor in sensors {
            assert!(!sensor.entity.name().is_empty());
            let Some(analog) = sensor.analog else {
                continue;
            };
            assert!(!analog.unit.ucum().is_empty());
            if let crate::ipmi::decode::factors::Linearization::Known(curve) = analog.linearization
            {
                for raw in [0, 1, 0x7f, 0x80, 0xff] {
                    let value = analog.factors.value(analog.format, curve, raw);
                    assert!(value.is_none_or(f64::is_finite));
                    let tolerance = analog.factors.tolerance_at(analog.format, curve, raw);
                    assert!(tolerance.is_none_or(|tolerance| tolerance >= 0.0));
                }
            }
            assert!(analog.factors.accuracy_percent() >= 0.0);
        }
    }
    sdr::length(bytes).ok();
    sel::entry(bytes).ok();
    if let Ok(record) = sel::decode(bytes)
        && let sel::Body::Event(event) = record.body
    {
        let _word = crate::ipmi::decode::states::state(event.kind, event.event_type, event.offset);
    }
    sel::Info::decode(bytes).map(sel::Info::free_share).ok();
    fru::decode(bytes).ok();
    dcmi::PowerReading::decode(bytes).ok();
    dcmi::PowerLimit::decode(bytes).ok();
    device::DeviceId::decode(bytes)
        .map(device::DeviceId::firmware_version)
        .ok();
    device::RepositoryInfo::decode(bytes).ok();
    device::RepositoryInfo::decode_device(bytes).ok();
    device::chassis_states(bytes).ok();
    device::watchdog_states(bytes).ok();
    device::self_test(bytes).ok();
    device::sel_time(bytes).ok();
    reading::Reading::decode(bytes).ok();
    reading::Thresholds::decode(bytes)
        .map(|limits| limits.iter().count())
        .ok();
    reading::reading_factors(bytes).ok();
    if let [first, rest @ ..] = bytes {
        let name = text::identifier(*first, rest);
        assert!(name.chars().count() <= 62, "{name:?}");
    }
}

/// A record of the plan, or an inventory, with some bytes changed and cut somewhere.
fn nearly_right() -> impl Strategy<Value = Vec<u8>> {
    let analog = glasshouse_sim::ipmi::ANALOG
        .iter()
        .map(glasshouse_sim::ipmi::Analog::record);
    let discrete = glasshouse_sim::ipmi::DISCRETE
        .iter()
        .map(glasshouse_sim::ipmi::Discrete::record);
    let mut bytes: Vec<Vec<u8>> = analog.chain(discrete).collect();
    bytes.push(glasshouse_sim::ipmi::inventory());
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (
        prop::sample::select(bytes),
        changes,
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(|(mut bytes, changes, cut, is_cut)| {
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if is_cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        })
}

/// Sums set right again, so that what is behind them is reached.
fn with_sums(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() >= 8 {
        bytes[0] = 1;
        bytes[7] = bytes[..7]
            .iter()
            .fold(0, |sum, byte| sum.wrapping_sub(*byte));
        for at in 2..5 {
            let from = usize::from(bytes[at]) * 8;
            let Some(length) = bytes.get(from + 1).map(|length| usize::from(*length) * 8) else {
                continue;
            };
            if from >= 8 && length > 0 && from + length <= bytes.len() {
                let sum = bytes[from..from + length - 1]
                    .iter()
                    .fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
                bytes[from + length - 1] = sum;
            }
        }
    }
    bytes
}

proptest! {
    #[test]
    fn random_bytes_make_nothing_panic(bytes in prop::collection::vec(any::<u8>(), 0..96)) {
        decode_all(&bytes);
    }

    #[test]
    fn records_of_every_type_make_nothing_panic(
        kind in prop::sample::select(vec![0x01_u8, 0x02, 0x03, 0x11, 0x12, 0xc0]),
        body in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let length = u8::try_from(body.len()).unwrap();
        decode_all(&[vec![1, 0, 0x51, kind, length], body].concat());
    }

    #[test]
    fn what_is_nearly_right_makes_nothing_panic(bytes in nearly_right()) {
        decode_all(&bytes);
        decode_all(&with_sums(bytes));
    }

    #[test]
    fn inventories_with_right_sums_make_nothing_panic(bytes in prop::collection::vec(any::<u8>(), 8..200)) {
        let mut bytes = bytes;
        for at in &mut bytes[2..6] {
            *at %= 26;
        }
        decode_all(&with_sums(bytes));
    }
}
