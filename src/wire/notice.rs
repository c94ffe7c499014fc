//! Notices: conditions and log entries, on their way into a payload and out of it.

use glasshouse_core::condition::{Condition, Severity};
use glasshouse_core::log::{LogEntry, LogSource, MOST_RAW_BYTES};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Timestamp;

use crate::bounds::{at_most, name, out_of_bounds, pick, position, text};
use crate::error::WireError;
use crate::proto;

/// The most conditions of one collector: every part of a large machine can be wrong at once, and all of them with the
/// longest texts still fit a frame.
pub const MOST_CONDITIONS: usize = 128;
/// The most entries of one message; more come in further messages. With the longest texts they still fit a frame.
pub const MOST_LOG_ENTRIES: usize = 64;

pub(crate) fn conditions_out(collector: &str, conditions: &[Condition]) -> proto::Conditions {
    proto::Conditions {
        collector: collector.to_owned(),
        conditions: conditions.iter().map(condition_out).collect(),
    }
}

pub(crate) fn conditions_in(
    message: proto::Conditions,
) -> Result<(String, Vec<Condition>), WireError> {
    let collector = name(message.collector, "conditions.collector")?;
    let conditions = message.conditions;
    at_most(conditions.len(), MOST_CONDITIONS, "conditions.conditions")?;
    let list: Result<_, _> = conditions.into_iter().map(condition_in).collect();
    Ok((collector, list?))
}

pub(crate) fn log_out(collector: &str, entries: &[LogEntry]) -> proto::Log {
    proto::Log {
        collector: collector.to_owned(),
        entries: entries.iter().map(entry_out).collect(),
    }
}

pub(crate) fn log_in(message: proto::Log) -> Result<(String, Vec<LogEntry>), WireError> {
    let collector = name(message.collector, "log.collector")?;
    at_most(message.entries.len(), MOST_LOG_ENTRIES, "log.entries")?;
    let list: Result<_, _> = message.entries.into_iter().map(entry_in).collect();
    Ok((collector, list?))
}

fn condition_out(condition: &Condition) -> proto::Condition {
    proto::Condition {
        cause: condition.cause.clone(),
        severity: position(Severity::ALL, &condition.severity),
        component: condition.component.raw().to_owned(),
        detail: condition.detail.raw().to_owned(),
    }
}

fn condition_in(condition: proto::Condition) -> Result<Condition, WireError> {
    Ok(Condition {
        cause: name(condition.cause, "condition.cause")?,
        severity: pick(Severity::ALL, condition.severity, "condition.severity")?,
        component: text(&condition.component, "condition.component")?,
        detail: text(&condition.detail, "condition.detail")?,
    })
}

fn entry_out(entry: &LogEntry) -> proto::LogEntry {
    let own = |text: &Untrusted| text.raw().to_owned();
    proto::LogEntry {
        source: position(LogSource::ALL, &entry.source),
        origin: own(&entry.origin),
        id: own(&entry.id),
        at_nanos: entry.at.map(Timestamp::nanos),
        severity: position(Severity::ALL, &entry.severity),
        code: own(&entry.code),
        component: own(&entry.component),
        text: own(&entry.text),
        raw: entry.raw.iter().take(MOST_RAW_BYTES).copied().collect(),
    }
}

fn entry_in(entry: proto::LogEntry) -> Result<LogEntry, WireError> {
    at_most(entry.raw.len(), MOST_RAW_BYTES, "entry.raw")?;
    // the store's arithmetic never meets a time before 1970
    if entry.at_nanos.is_some_and(i64::is_negative) {
        return Err(out_of_bounds("entry.at"));
    }
    Ok(LogEntry {
        source: pick(LogSource::ALL, entry.source, "entry.source")?,
        origin: text(&entry.origin, "entry.origin")?,
        id: text(&entry.id, "entry.id")?,
        at: entry.at_nanos.map(Timestamp::from_nanos),
        severity: pick(Severity::ALL, entry.severity, "entry.severity")?,
        code: text(&entry.code, "entry.code")?,
        component: text(&entry.component, "entry.component")?,
        text: text(&entry.text, "entry.text")?,
        raw: entry.raw,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::MOST_PAYLOAD;
    use crate::message::Message;

    fn condition() -> proto::Condition {
        proto::Condition {
            cause: "bmc.unresponsive".to_owned(),
            severity: 2,
            component: "bmc".to_owned(),
            detail: "has not answered for 90 s".to_owned(),
        }
    }

    fn entry() -> proto::LogEntry {
        proto::LogEntry {
            source: 0,
            origin: "bmc".to_owned(),
            id: "17".to_owned(),
            at_nanos: Some(1),
            severity: 1,
            code: "08h/03".to_owned(),
            component: "PSU 1".to_owned(),
            text: "power supply input lost".to_owned(),
            raw: vec![0; 16],
        }
    }

    fn field(result: Result<impl std::fmt::Debug, WireError>) -> &'static str {
        match result {
            Err(WireError::OutOfBounds { field }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_condition_out_of_bounds_is_refused() {
        let change = |change: fn(&mut proto::Condition)| {
            let mut condition = condition();
            change(&mut condition);
            field(condition_in(condition))
        };
        assert!(condition_in(condition()).is_ok());
        assert_eq!(change(|one| one.cause.clear()), "condition.cause");
        assert_eq!(change(|one| one.cause = "a b".into()), "condition.cause");
        assert_eq!(change(|one| one.severity = 3), "condition.severity");
        assert_eq!(
            change(|one| one.component = "x".repeat(513)),
            "condition.component"
        );
        assert_eq!(
            change(|one| one.detail = "x".repeat(513)),
            "condition.detail"
        );
        let many = proto::Conditions {
            collector: "fake".to_owned(),
            conditions: vec![condition(); MOST_CONDITIONS + 1],
        };
        assert_eq!(field(conditions_in(many)), "conditions.conditions");
    }

    #[test]
    fn an_entry_out_of_bounds_is_refused() {
        let change = |change: fn(&mut proto::LogEntry)| {
            let mut entry = entry();
            change(&mut entry);
            field(entry_in(entry))
        };
        assert!(entry_in(entry()).is_ok());
        assert_eq!(change(|one| one.source = 4), "entry.source");
        assert_eq!(change(|one| one.at_nanos = Some(-1)), "entry.at");
        assert_eq!(change(|one| one.severity = 3), "entry.severity");
        assert_eq!(change(|one| one.raw = vec![0; 65]), "entry.raw");
        assert_eq!(change(|one| one.text = "x".repeat(513)), "entry.text");
        let many = proto::Log {
            collector: "fake".to_owned(),
            entries: vec![entry(); MOST_LOG_ENTRIES + 1],
        };
        assert_eq!(field(log_in(many)), "log.entries");
    }

    #[test]
    fn the_longest_notices_fit_a_frame() {
        let long = Untrusted::new(&"x".repeat(Untrusted::MOST_BYTES));
        let condition = Condition {
            cause: "x".repeat(128),
            severity: Severity::Critical,
            component: long.clone(),
            detail: long.clone(),
        };
        let entry = LogEntry {
            source: LogSource::Sel,
            origin: long.clone(),
            id: long.clone(),
            at: Some(Timestamp::from_nanos(i64::MAX)),
            severity: Severity::Critical,
            code: long.clone(),
            component: long.clone(),
            text: long,
            raw: vec![255; MOST_RAW_BYTES],
        };
        let collector = "x".repeat(128);
        for message in [
            Message::Conditions {
                collector: collector.clone(),
                conditions: vec![condition; MOST_CONDITIONS],
            },
            Message::Log {
                collector,
                entries: vec![entry; MOST_LOG_ENTRIES],
            },
        ] {
            let payload = message.encode();
            assert!(payload.len() <= MOST_PAYLOAD, "{}", payload.len());
            assert_eq!(Message::decode(&payload).unwrap(), message);
        }
    }
}
