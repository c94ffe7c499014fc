//! `glasshouse logs`: what kernel and management controllers wrote down, straight from the node's files.

use glasshouse_core::log::{HeardEntry, LogQuery, LogReader as _};
use glasshouse_core::reader::ReadError;
use glasshouse_core::time::{Clock as _, SystemClock, Window};
use glasshouse_store::logs::LogFiles;
use serde_json::{Value, json};

use super::store::read_failure;
use crate::cli::{Global, Logs};
use crate::exit::{Exit, Failure};
use crate::output::{print, print_json, table};
use crate::places::state_dir;
use crate::times::{parse, show};

/// What an operator's question may read: all that is kept by default.
const MOST_BYTES: u64 = 1 << 30;

/// Shows log entries, the newest last.
pub(crate) fn run(global: &Global, arguments: &Logs) -> Result<Exit, Failure> {
    let now = SystemClock.now();
    let folder = state_dir(global)?.join("logs");
    if !folder.exists() {
        let path = folder.display().to_string();
        return Err(read_failure(ReadError::Empty { path }));
    }
    let query = LogQuery {
        sources: arguments.source.clone(),
        least: arguments.severity,
        window: Window {
            from: parse(&arguments.from, now).map_err(Failure::usage)?,
            to: parse(&arguments.to, now).map_err(Failure::usage)?,
        },
        most: arguments.most,
        bytes: MOST_BYTES,
    };
    let answer = LogFiles::new(&folder)
        .entries(&query)
        .map_err(read_failure)?;
    if answer.more {
        let shown = answer.entries.len();
        tracing::warn!(
            shown,
            "There are older entries; raise `--most`, or ask for less."
        );
    }
    if answer.damaged {
        tracing::warn!("Some of the files are damaged; this is made from the rest.");
    }
    let entries = answer.entries.iter().rev();
    if arguments.json {
        for entry in entries {
            print_json(&as_json(entry))?;
        }
    } else {
        let heading = [
            "happened",
            "heard",
            "source",
            "origin",
            "severity",
            "code",
            "component",
            "text",
        ];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        rows.extend(entries.map(row));
        print(&table(&rows))?;
    }
    Ok(Exit::Done)
}

/// One line of `--json`.
fn as_json(heard: &HeardEntry) -> Value {
    let entry = &heard.entry;
    let raw = entry.raw.iter().map(|byte| format!("{byte:02x}"));
    json!({
        "at": entry.at.map(show),
        "heard": show(heard.heard),
        "source": entry.source.word(),
        "origin": entry.origin.clean(),
        "id": entry.id.clean(),
        "severity": entry.severity.word(),
        "code": entry.code.clean(),
        "component": entry.component.clean(),
        "text": entry.text.clean(),
        "raw": raw.collect::<String>(),
    })
}

fn row(heard: &HeardEntry) -> Vec<String> {
    let entry = &heard.entry;
    vec![
        entry.at.map_or_else(|| "-".to_owned(), show),
        show(heard.heard),
        entry.source.word().to_owned(),
        entry.origin.clean(),
        entry.severity.word().to_owned(),
        entry.code.clean(),
        entry.component.clean(),
        entry.text.clean(),
    ]
}

#[cfg(test)]
mod tests {
    use glasshouse_core::condition::Severity;
    use glasshouse_core::log::{LogEntry, LogSource};
    use glasshouse_core::text::Untrusted;
    use glasshouse_core::time::Timestamp;

    use super::*;

    #[test]
    fn what_a_machine_wrote_is_shown_cleaned() {
        let hostile = Untrusted::new("x\u{1b}[2J\u{202e}\ny");
        let heard = HeardEntry {
            heard: Timestamp::from_seconds(1_700_000_000),
            entry: LogEntry {
                source: LogSource::Sel,
                origin: hostile.clone(),
                id: hostile.clone(),
                at: None,
                severity: Severity::Info,
                code: hostile.clone(),
                component: hostile.clone(),
                text: hostile,
                raw: vec![0, 0xff],
            },
        };
        let json = as_json(&heard);
        assert_eq!(json["raw"], "00ff");
        assert!(json["at"].is_null() && json["text"] == "x[2J y");
        let shown = row(&heard).join(" ") + &json.to_string();
        assert!(
            !shown.contains(char::is_control) && !shown.contains('\u{202e}'),
            "{shown:?}"
        );
    }
}
