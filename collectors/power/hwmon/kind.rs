//! The kinds of sensors of the kernel's hwmon interface (`Documentation/hwmon/sysfs-interface.rst`), as data.

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
    /// Files with limits, and the word for each.
    pub(super) limits: &'static [(&'static str, &'static str)],
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

const LOW_CRITICAL: &str = "low.critical";
const LOW_DEGRADED: &str = "low.degraded";
const HIGH_DEGRADED: &str = "high.degraded";
const HIGH_CRITICAL: &str = "high.critical";
const HIGH_EMERGENCY: &str = "high.emergency";
const RATED: &str = "rated";
const RATED_LOW: &str = "rated.low";

/// Limits that several kinds have.
const LIMITS: &[(&str, &str)] = &[
    ("lcrit", LOW_CRITICAL),
    ("min", LOW_DEGRADED),
    ("max", HIGH_DEGRADED),
    ("crit", HIGH_CRITICAL),
    ("emergency", HIGH_EMERGENCY),
    ("rated_min", RATED_LOW),
    ("rated_max", RATED),
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
            ("lcrit", LOW_CRITICAL),
            ("min", LOW_DEGRADED),
            ("max", HIGH_DEGRADED),
            ("crit", HIGH_CRITICAL),
            ("cap", "cap"),
            ("cap_min", "cap.min"),
            ("cap_max", "cap.max"),
            ("rated_min", RATED_LOW),
            ("rated_max", RATED),
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
        limits: &[("min", LOW_DEGRADED), ("max", HIGH_DEGRADED)],
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

/// Files with alarms, and the word for the limit that was passed.
pub(super) const ALARMS: [(&str, &str); 9] = [
    ("alarm", "any"),
    ("lcrit_alarm", LOW_CRITICAL),
    ("min_alarm", LOW_DEGRADED),
    ("max_alarm", HIGH_DEGRADED),
    ("crit_alarm", HIGH_CRITICAL),
    ("emergency_alarm", HIGH_EMERGENCY),
    ("cap_alarm", "cap"),
    ("rated_min_alarm", RATED_LOW),
    ("rated_max_alarm", RATED),
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
