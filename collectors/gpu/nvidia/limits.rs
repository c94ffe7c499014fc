//! Limits: of power, heat and clocks, and for how long they held the clocks down.

use glasshouse_core::hardware::{LimitType, PowerCap};
use nvml_wrapper::enum_wrappers::device::TemperatureThreshold;

use super::convert::{degrees, field_degrees, first, hertz, second, seconds, watts};
use super::health::{
    CLOCK_LIMIT, FAN_DUTY, MARGIN_LIMIT, POWER_LIMIT, TEMPERATURE_LIMIT, VIOLATION,
};
use super::question::{CLOCKS, Field, MOST_FANS, POLICIES, Question};
use super::reading::Reading;
use super::refusal::Refusal;

/// A temperature at which something happens.
#[derive(Debug)]
pub(crate) struct Threshold {
    pub(crate) threshold: TemperatureThreshold,
    /// Which limit, as for other chips.
    limit: LimitType,
    of_memory: bool,
}

const fn threshold(threshold: TemperatureThreshold, limit: LimitType) -> Threshold {
    Threshold {
        threshold,
        limit,
        of_memory: false,
    }
}

pub(crate) static THRESHOLDS: [Threshold; 4] = [
    threshold(TemperatureThreshold::GpuMax, LimitType::HighDegraded),
    threshold(TemperatureThreshold::Slowdown, LimitType::HighCritical),
    threshold(TemperatureThreshold::Shutdown, LimitType::HighEmergency),
    Threshold {
        threshold: TemperatureThreshold::MemoryMax,
        limit: LimitType::HighDegraded,
        of_memory: true,
    },
];

/// Margins at which something happens (`NVML_FI_DEV_TEMPERATURE_*_TLIMIT`); GPUs from Hopper on have these instead.
/// The last says whether it is of the memory.
pub(crate) static MARGINS: [(u32, LimitType, bool); 4] = [
    (193, LimitType::HighEmergency, false),
    (194, LimitType::HighCritical, false),
    (195, LimitType::HighDegraded, true),
    (196, LimitType::HighDegraded, false),
];

/// Limits of power.
static POWER_LIMITS: [(Question, LimitType); 3] = [
    (Question::EnforcedPowerLimit, LimitType::CapEnforced),
    (Question::PowerLimit, LimitType::Cap(PowerCap::Only)),
    (Question::DefaultPowerLimit, LimitType::CapDefault),
];

pub(super) fn read(reading: &mut Reading<'_>) {
    power(reading);
    heat(reading);
    for (clock, name) in &CLOCKS {
        let limit = reading.ask(&Question::MaxClock(*clock));
        let limit = limit.and_then(|limit| hertz(first(&limit)));
        reading.put_member(CLOCK_LIMIT, &[name], limit);
    }
    for (policy, name) in &POLICIES {
        let time = reading.ask(&Question::Violation(*policy));
        let time = time.and_then(|time| seconds(second(&time)));
        reading.put_member(VIOLATION, &[name], time);
    }
    fans(reading);
}

fn power(reading: &mut Reading<'_>) {
    let names = reading.names();
    let labels = |limit: LimitType| {
        [
            &*names.power_sensor,
            "GPU power",
            &*names.address,
            limit.word(),
        ]
    };
    for (question, limit) in &POWER_LIMITS {
        let told = reading.ask(question);
        let told = told.and_then(|told| watts(first(&told)));
        reading.write(POWER_LIMIT, &labels(*limit), told);
    }
    let range = reading.ask(&Question::PowerLimitRange);
    let least = range.as_ref().map_err(Clone::clone);
    let least = least.and_then(|range| watts(first(range)));
    reading.write(
        POWER_LIMIT,
        &labels(LimitType::CapMin(PowerCap::Only)),
        least,
    );
    let most = range.and_then(|range| watts(second(&range)));
    reading.write(
        POWER_LIMIT,
        &labels(LimitType::CapMax(PowerCap::Only)),
        most,
    );
}

fn heat(reading: &mut Reading<'_>) {
    let names = reading.names();
    let sensor = |of_memory| match of_memory {
        true => (&*names.memory_sensor, "GPU memory"),
        false => (&*names.chip_sensor, "GPU"),
    };
    for known in &THRESHOLDS {
        let told = reading.ask(&Question::Threshold(known.threshold));
        let told = told.and_then(|told| {
            let told = i64::try_from(first(&told));
            degrees(told.map_err(|_| Refusal::NotSupported)?)
        });
        let (id, name) = sensor(known.of_memory);
        let labels = [id, name, &*names.address, known.limit.word()];
        reading.write_member(TEMPERATURE_LIMIT, &labels, told);
    }
    let fields = MARGINS.map(|(id, ..)| Field { id, scope: 0 });
    let margins = reading.fields(&fields);
    for ((_, limit, of_memory), margin) in MARGINS.iter().zip(margins) {
        let (id, name) = sensor(*of_memory);
        let labels = [id, name, &*names.address, limit.word()];
        reading.write_member(MARGIN_LIMIT, &labels, margin.and_then(field_degrees));
    }
}

/// Passive boards have none, and say so or say nothing.
fn fans(reading: &mut Reading<'_>) {
    let Ok(fans) = reading.ask(&Question::Fans) else {
        return;
    };
    let names = reading.names();
    for fan in 0..u32::try_from(first(&fans)).unwrap_or(0).min(MOST_FANS) {
        let duty = reading.ask(&Question::FanSpeed(fan));
        let id = format!("{}/fan{fan}", names.address);
        let name = format!("GPU fan {fan}");
        let duty = duty.and_then(|duty| super::convert::duty(first(&duty)));
        reading.write_member(FAN_DUTY, &[&id, &name, &names.address], duty);
    }
}
