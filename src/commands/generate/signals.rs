//! Which signals of the named faults are collected, by what, and which are not, and why.
//!
//! One table: `docs/signals.md` and the end of `glasshouse collectors list` are made from it, and a test holds it to the
//! registry.

mod gpu;
mod heat_and_power;
mod platform;
mod system;

use super::GENERATED;

/// A named fault, and what it is seen by.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Its number in the catalogue.
    pub(crate) number: &'static str,
    /// Its name.
    pub(crate) name: &'static str,
    /// Each signal, and what gives it.
    pub(crate) signals: &'static [Signal],
}

/// One signal of a fault.
#[derive(Debug)]
pub(crate) struct Signal {
    /// What it says.
    pub(crate) says: &'static str,
    /// What gives it; any one is enough.
    pub(crate) by: &'static [By],
}

/// What gives a signal.
#[derive(Debug)]
pub(crate) enum By {
    /// A metric of a collector.
    Metric(&'static str),
    /// A fact of a collector.
    Fact(&'static str),
    /// A log entry: its source and code; `*` stands for any further part.
    Log(&'static str),
    /// A condition: its cause code.
    Condition(&'static str),
    /// Nothing, and why.
    NotAvailable(&'static str),
}

use By::{Condition, Fact, Log, Metric, NotAvailable};

const fn signal(says: &'static str, by: &'static [By]) -> Signal {
    Signal { says, by }
}

const fn fault(number: &'static str, name: &'static str, signals: &'static [Signal]) -> Fault {
    Fault {
        number,
        name,
        signals,
    }
}

/// Every fault of the catalogue.
pub(crate) fn faults() -> impl Iterator<Item = &'static Fault> {
    [
        heat_and_power::FAULTS,
        platform::FAULTS,
        gpu::FAULTS,
        system::FAULTS,
    ]
    .into_iter()
    .flatten()
}

/// Every signal that is not available, with the reason.
pub(crate) fn not_available()
-> impl Iterator<Item = (&'static Fault, &'static Signal, &'static str)> {
    faults().flat_map(|fault| {
        fault.signals.iter().flat_map(move |signal| {
            signal.by.iter().filter_map(move |by| match by {
                NotAvailable(why) => Some((fault, signal, *why)),
                _ => None,
            })
        })
    })
}

/// `docs/signals.md`.
pub(super) fn document() -> String {
    let mut text = format!("{GENERATED}\n# Signals of the named faults\n\n");
    text.push_str("What each fault is seen by, and which signal is not collected, and why.\n");
    for fault in faults() {
        text.push_str(&format!("\n## {}. {}\n\n", fault.number, fault.name));
        for signal in fault.signals {
            let by: Vec<String> = signal.by.iter().map(By::shown).collect();
            text.push_str(&format!("* {}: {}\n", signal.says, by.join(", ")));
        }
    }
    text
}

impl By {
    fn shown(&self) -> String {
        match self {
            Metric(name) => format!("`{name}`"),
            Fact(key) => format!("fact `{key}`"),
            Log(code) => format!("log `{code}`"),
            Condition(cause) => format!("condition `{cause}`"),
            NotAvailable(why) => format!("*not available:* {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use glasshouse_core::condition::CAUSES;
    use glasshouse_core::log::LogSource;

    use super::*;
    use crate::registry;

    #[test]
    fn everything_that_is_named_exists() {
        let collectors = registry::collectors();
        let own = glasshouse_probe::OWN_METRICS
            .iter()
            .chain(glasshouse_node::OWN_METRICS)
            .chain(&glasshouse_node::STORE_METRICS)
            .chain(glasshouse_node::REMOTE_METRICS);
        let metrics: BTreeSet<&str> = collectors
            .iter()
            .flat_map(|spec| spec.metrics())
            .chain(own)
            .map(|metric| metric.name)
            .collect();
        let facts: BTreeSet<&str> = collectors
            .iter()
            .flat_map(|spec| spec.facts())
            .map(|fact| fact.key)
            .collect();
        let mut unknown = Vec::new();
        for fault in faults() {
            for by in fault.signals.iter().flat_map(|signal| signal.by) {
                match by {
                    Metric(name) if !metrics.contains(name) => unknown.push(*name),
                    Fact(key) if !facts.contains(key) => unknown.push(*key),
                    Log(code) if !is_code(code) => unknown.push(*code),
                    Condition(cause) if !CAUSES.contains(cause) => unknown.push(*cause),
                    _ => {}
                }
            }
        }
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    /// `sel 08h/*`, `kernel xid.*`.
    fn is_code(code: &str) -> bool {
        let Some((source, code)) = code.split_once(' ') else {
            return false;
        };
        let source = LogSource::parse(source);
        match source {
            Some(_) if code == "*" => true,
            Some(LogSource::Kernel) => {
                let class = code.strip_suffix(".*").unwrap_or(code);
                glasshouse_performance::kernel_message_classes().any(|known| known == class)
            }
            // a type of sensor, as the specification numbers them (table 42-3)
            Some(LogSource::Sel) => code
                .strip_suffix("h/*")
                .filter(|number| number.len() == 2)
                .and_then(|number| u8::from_str_radix(number, 16).ok())
                .is_some_and(|number| (0x01..=0x2C).contains(&number)),
            Some(LogSource::Gpu) => code == "xid.*",
            Some(LogSource::Redfish) | None => false,
        }
    }

    #[test]
    fn a_slip_in_a_code_is_seen() {
        for good in ["kernel hung_task", "kernel xid.*", "sel 0Ch/*", "redfish *"] {
            assert!(is_code(good), "{good}");
        }
        for slip in [
            "kernel hung_tasks",
            "sel 30h/*",
            "sel 8h/*",
            "sel 0C/*",
            "gpu xid",
            "kernal *",
            "redfish",
        ] {
            assert!(!is_code(slip), "{slip}");
        }
    }

    /// What is stated serves a fault, or nobody knows why it is.
    #[test]
    fn every_cause_is_a_signal_of_a_fault() {
        let named: BTreeSet<&str> = faults()
            .flat_map(|fault| fault.signals)
            .flat_map(|signal| signal.by)
            .filter_map(|by| match by {
                Condition(cause) => Some(*cause),
                _ => None,
            })
            .collect();
        assert_eq!(named, CAUSES.iter().copied().collect());
    }

    #[test]
    fn every_fault_of_the_catalogue_is_here_once() {
        let numbers: BTreeSet<&str> = faults().map(|fault| fault.number).collect();
        let catalogue = (1..=25)
            .map(|n| n.to_string())
            .chain((1..=6).map(|n| format!("M{n}")));
        assert_eq!(numbers.len(), faults().count());
        for number in catalogue {
            assert!(numbers.contains(number.as_str()), "{number}");
        }
        assert!(not_available().count() > 0);
    }
}
