//! The kinds of sensors of the kernel's hwmon interface (`Documentation/hwmon/sysfs-interface.rst`), as data.

use glasshouse_core::hardware::{LimitType, PowerCap};
use glasshouse_core::metric::MetricDefinition;

use super::METRICS;

/// A kind of sensor: how its files are called, and what a unit of them is.
#[derive(Debug)]
pub(super) struct Kind {
    /// `temp` in `temp1_input`.
    pub(super) stem: &'static str,
    /// Files with readings; the empty one is `pwm1` itself. Each file and each metric is used once, first come first
    /// served.
    pub(super) readings: &'static [Reading],
    /// Units of the files in one of the metric.
    pub(super) divisor: f64,
    /// Files with limits, and which each is.
    pub(super) limits: &'static [(&'static str, LimitType)],
    /// Where limits go.
    pub(super) limit: Option<&'static MetricDefinition>,
}

/// A file with a reading, and where it goes.
#[derive(Debug)]
pub(super) struct Reading {
    /// `input` in `temp1_input`.
    pub(super) file: &'static str,
    pub(super) metric: &'static MetricDefinition,
    /// Whether its metric serves all kinds of parts, so that the kind of part is a label.
    pub(super) typed: bool,
}

const fn reading(file: &'static str, metric: &'static MetricDefinition) -> Reading {
    Reading {
        file,
        metric,
        typed: false,
    }
}

const fn typed(file: &'static str, metric: &'static MetricDefinition) -> Reading {
    Reading {
        typed: true,
        ..reading(file, metric)
    }
}

const MILLI: f64 = 1000.0;
const MICRO: f64 = 1_000_000.0;
/// Humidity comes in thousandths of a percent.
const MILLI_PERCENT: f64 = 100_000.0;
/// Duty comes in 255ths.
const DUTY: f64 = 255.0;

/// Limits that several kinds have.
const LIMITS: &[(&str, LimitType)] = &[
    ("lcrit", LimitType::LowCritical),
    ("min", LimitType::LowDegraded),
    ("max", LimitType::HighDegraded),
    ("crit", LimitType::HighCritical),
    ("emergency", LimitType::HighEmergency),
    ("rated_min", LimitType::RatedMin),
    ("rated_max", LimitType::RatedMax),
];

pub(super) static KINDS: [Kind; 8] = [
    Kind {
        stem: "temp",
        readings: &[reading("input", &METRICS[1])],
        divisor: MILLI,
        limits: LIMITS,
        limit: Some(&METRICS[2]),
    },
    Kind {
        stem: "in",
        readings: &[
            reading("input", &METRICS[3]),
            reading("average", &METRICS[3]),
        ],
        divisor: MILLI,
        limits: LIMITS,
        limit: Some(&METRICS[4]),
    },
    Kind {
        stem: "curr",
        readings: &[
            reading("input", &METRICS[5]),
            reading("average", &METRICS[5]),
        ],
        divisor: MILLI,
        limits: LIMITS,
        limit: Some(&METRICS[6]),
    },
    Kind {
        stem: "power",
        readings: &[
            typed("average", &METRICS[7]),
            typed("input", &METRICS[7]),
            // beside an average
            typed("input", &METRICS[8]),
        ],
        divisor: MICRO,
        limits: &[
            ("lcrit", LimitType::LowCritical),
            ("min", LimitType::LowDegraded),
            ("max", LimitType::HighDegraded),
            ("crit", LimitType::HighCritical),
            ("cap", LimitType::Cap(PowerCap::Only)),
            ("cap_min", LimitType::CapMin(PowerCap::Only)),
            ("cap_max", LimitType::CapMax(PowerCap::Only)),
            ("rated_min", LimitType::RatedMin),
            ("rated_max", LimitType::RatedMax),
        ],
        limit: Some(&METRICS[9]),
    },
    Kind {
        stem: "fan",
        readings: &[
            reading("input", &METRICS[10]),
            reading("target", &METRICS[12]),
        ],
        divisor: 1.0,
        limits: &[
            ("min", LimitType::LowDegraded),
            ("max", LimitType::HighDegraded),
        ],
        limit: Some(&METRICS[11]),
    },
    Kind {
        stem: "pwm",
        readings: &[reading("", &METRICS[13])],
        divisor: DUTY,
        limits: &[],
        limit: None,
    },
    Kind {
        stem: "energy",
        readings: &[typed("input", &METRICS[14])],
        divisor: MICRO,
        limits: &[],
        limit: None,
    },
    Kind {
        stem: "humidity",
        readings: &[reading("input", &METRICS[15])],
        divisor: MILLI_PERCENT,
        limits: LIMITS,
        limit: Some(&METRICS[16]),
    },
];

/// Files with alarms, and the limit that was passed.
pub(super) const ALARMS: [(&str, LimitType); 9] = [
    ("alarm", LimitType::Any),
    ("lcrit_alarm", LimitType::LowCritical),
    ("min_alarm", LimitType::LowDegraded),
    ("max_alarm", LimitType::HighDegraded),
    ("crit_alarm", LimitType::HighCritical),
    ("emergency_alarm", LimitType::HighEmergency),
    ("cap_alarm", LimitType::Cap(PowerCap::Only)),
    ("rated_min_alarm", LimitType::RatedMin),
    ("rated_max_alarm", LimitType::RatedMax),
];

/// The channel (`temp1`), its stem and what the file says of it: `temp1_input` is `temp1`, `temp`, `input`; `pwm1` says
/// nothing further.
pub(super) fn parts(file: &str) -> Option<(&str, &str, &str)> {
    let (channel, what) = file.split_once('_').unwrap_or((file, ""));
    let stem = channel.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem.len() < channel.len() && !stem.is_empty()).then_some((channel, stem, what))
}

/// The kind of a stem.
pub(super) fn kind_of(stem: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.stem == stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_of_which_channel_it_is() {
        assert_eq!(
            parts("temp12_crit_alarm"),
            Some(("temp12", "temp", "crit_alarm"))
        );
        assert_eq!(parts("pwm3"), Some(("pwm3", "pwm", "")));
        for other in ["name", "update_interval", "12_input", "", "temp_input"] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
