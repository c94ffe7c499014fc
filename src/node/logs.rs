//! What the log is told about the store.

use glasshouse_store::{Maintenance, Recovery};
use tracing::{info, warn};

pub(crate) fn log_recovery(recovery: &Recovery) {
    for (file, bytes) in &recovery.cut {
        info!(file, bytes, "The torn end of a head was cut.");
    }
    log_lost(&recovery.lost);
    log_set_aside(&recovery.set_aside);
    if recovery.forgotten > 0 {
        warn!(
            definitions = recovery.forgotten,
            "Definitions beyond the most that the store holds were forgotten; the probe repeats those that it still uses."
        );
    }
}

pub(crate) fn log_maintenance(done: &Maintenance) {
    log_lost(&done.lost);
    log_set_aside(&done.set_aside);
    log_expired(&done.expired);
}

/// Files that retention removed.
pub(crate) fn log_expired(expired: &[String]) {
    if let (Some(first), Some(last)) = (expired.first(), expired.last()) {
        let files = expired.len();
        info!(
            files,
            first, last, "Files were removed, as the retention wants it."
        );
    }
}

fn log_lost(lost: &[(String, u64)]) {
    for (file, blocks) in lost {
        warn!(file, blocks, "Blocks of the store are damaged and lost.");
    }
}

fn log_set_aside(files: &[String]) {
    for file in files {
        warn!(
            file,
            "A file of the store makes no sense and was set aside."
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Keeps the lines of the log.
    #[derive(Clone, Debug, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            self.0 += &format!(" {field}={value:?}");
        }
    }

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn what_a_start_forgot_is_told() {
        let recovery = Recovery {
            forgotten: 7,
            ..Recovery::default()
        };
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.clone(), || log_recovery(&recovery));
        let lines = lines.0.lock().unwrap();
        assert!(
            lines.len() == 1 && lines[0].contains("definitions=7"),
            "{lines:?}"
        );
    }

    #[test]
    fn what_is_lost_warns_and_what_is_old_is_mentioned() {
        let done = Maintenance {
            lost: vec![("damaged-blocks".to_owned(), 2)],
            set_aside: vec!["no-sense".to_owned()],
            expired: vec!["old-1".to_owned(), "old-2".to_owned(), "old-3".to_owned()],
            ..Maintenance::default()
        };
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.clone(), || log_maintenance(&done));
        let lines = lines.0.lock().unwrap();
        let said = |level: &str, what: &[&str]| {
            lines
                .iter()
                .any(|line| line.starts_with(level) && what.iter().all(|part| line.contains(part)))
        };
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(said("WARN", &["damaged-blocks"]), "{lines:?}");
        assert!(said("WARN", &["no-sense"]), "{lines:?}");
        assert!(said("INFO", &["files=3", "old-1", "old-3"]), "{lines:?}");
    }
}
