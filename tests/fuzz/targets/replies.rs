//! Replies about sensors, power and the BMC itself.

#![no_main]

use glasshouse_bmc::ipmi::decode::{dcmi, device, reading, text};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
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
        assert!(text::identifier(*first, rest).chars().count() <= 62);
    }
});
