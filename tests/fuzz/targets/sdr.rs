//! Sensor data records, and the numbers that come of them.

#![no_main]

use glasshouse_bmc::ipmi::decode::factors::Linearization;
use glasshouse_bmc::ipmi::decode::sdr;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(sdr::Record::Sensors(sensors)) = sdr::decode(bytes) else {
        return;
    };
    for sensor in sensors {
        assert!(!sensor.entity.name().is_empty());
        let Some(analog) = sensor.analog else {
            continue;
        };
        assert!(!analog.unit.ucum().is_empty());
        if let Linearization::Known(curve) = analog.linearization {
            for raw in 0..=u8::MAX {
                let value = analog.factors.value(analog.format, curve, raw);
                assert!(value.is_none_or(f64::is_finite));
                let tolerance = analog.factors.tolerance_at(analog.format, curve, raw);
                assert!(tolerance.is_none_or(|tolerance| tolerance >= 0.0));
            }
        }
    }
});
