//! `glasshouse events`: what is wrong and what was, straight from the node's files.

use std::collections::BTreeMap;
use std::io;

use glasshouse_core::finding::{Event, EventId, FindingReader};
use glasshouse_core::reader::ReadError;
use glasshouse_core::text::clean;
use glasshouse_core::time::{Clock as _, SystemClock, Timestamp, Window};
use glasshouse_store::findings::FindingFiles;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use super::store::read_failure;
use crate::cli::{Events, Global};
use crate::exit::{Exit, Failure};
use crate::output::{print, print_json, table};
use crate::places::state_dir;
use crate::times::show;

/// The most resolved events that are shown: more tell a person nothing.
const MOST_RESOLVED: usize = 1000;

/// How often `--follow` looks.
const LOOK_EVERY: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Shows events, the open ones first. Ends with 1 where one is open.
pub(crate) fn run(global: &Global, arguments: &Events) -> Result<Exit, Failure> {
    let files = FindingFiles::new(&state_dir(global)?.join("findings"));
    if arguments.follow {
        return follow(&files, arguments.json);
    }
    let open = files.open().map_err(read_failure)?;
    let mut events = open.events.clone();
    if arguments.all {
        let resolved = files
            .resolved(everything(), MOST_RESOLVED)
            .map_err(read_failure)?;
        if resolved.more {
            tracing::warn!(shown = resolved.events.len(), "There are older events.");
        }
        if resolved.damaged {
            tracing::warn!("Some of the history is damaged; this is made from the rest.");
        }
        // one that was read as open may have been resolved in between
        events.retain(|event| !resolved.events.iter().any(|over| over.id == event.id));
        events.extend(resolved.events);
    }
    if arguments.json {
        for event in &events {
            print_json(&as_json(event))?;
        }
    } else {
        print(&as_text(&events))?;
    }
    Ok(if open.events.is_empty() {
        Exit::Done
    } else {
        Exit::Findings
    })
}

/// Shows what is open and then each change, until the reader goes or the command is ended.
fn follow(files: &FindingFiles, json: bool) -> Result<Exit, Failure> {
    let mut known: BTreeMap<EventId, Event> = BTreeMap::new();
    loop {
        match files.open() {
            Ok(open) => {
                for event in changes(&mut known, &open.events, files) {
                    if json {
                        print_json(&as_json(&event))?;
                    } else {
                        print(&line(&event))?;
                    }
                }
            }
            // the node may just be starting
            Err(ReadError::Empty { .. }) => {}
            Err(error) => return Err(read_failure(error)),
        }
        if !wait_and_see_the_reader() {
            return Ok(Exit::Done);
        }
    }
}

/// What began, got worse or better, or is over since the last look.
fn changes(
    known: &mut BTreeMap<EventId, Event>,
    open: &[Event],
    reader: &dyn FindingReader,
) -> Vec<Event> {
    let is_open = |id: &EventId| open.iter().any(|event| event.id == *id);
    let gone: Vec<EventId> = known.keys().copied().filter(|id| !is_open(id)).collect();
    let mut told: Vec<Event> = gone
        .into_iter()
        .filter_map(|id| known.remove(&id))
        .map(|event| resolved(event, reader))
        .collect();
    for event in open {
        let before = known.insert(event.id, event.clone());
        let severity = before.map(|before| before.finding.severity);
        if severity != Some(event.finding.severity) {
            told.push(event.clone());
        }
    }
    told
}

/// The event as the history ends it; where that cannot be read, as of now.
fn resolved(event: Event, reader: &dyn FindingReader) -> Event {
    let window = Window {
        from: event.finding.last_seen,
        to: everything().to,
    };
    let history = reader.resolved(window, MOST_RESOLVED).unwrap_or_default();
    let over = history.events.into_iter().find(|over| over.id == event.id);
    over.unwrap_or_else(|| Event {
        resolved: Some(SystemClock.now()),
        ..event
    })
}

/// Waits until the next look; `false` where nobody reads the output any more.
fn wait_and_see_the_reader() -> bool {
    let output = io::stdout();
    let mut ends = [PollFd::new(&output, PollFlags::empty())];
    let ready = poll(&mut ends, Some(&LOOK_EVERY));
    // nothing was asked for, so what is told is that the other end has gone
    !matches!(ready, Ok(ends) if ends > 0)
}

const fn everything() -> Window {
    Window {
        from: Timestamp::from_nanos(0),
        to: Timestamp::from_nanos(i64::MAX),
    }
}

const fn state(event: &Event) -> &'static str {
    if event.resolved.is_some() {
        "resolved"
    } else {
        "open"
    }
}

/// One line of `--json`.
fn as_json(event: &Event) -> Value {
    let finding = &event.finding;
    let evidence = finding.evidence.iter().map(|evidence| {
        json!({
            "name": clean(&evidence.name),
            "value": evidence.value,
            "unit": clean(&evidence.unit),
        })
    });
    json!({
        "id": event.id.to_string(),
        "node": event.node.to_string(),
        "state": state(event),
        "severity": finding.severity.word(),
        "cause": clean(&finding.cause),
        "component": finding.component.clean(),
        "source": clean(&finding.source),
        "detail": finding.detail.clean(),
        "first_seen": show(finding.first_seen),
        "last_seen": show(finding.last_seen),
        "resolved": event.resolved.map(show),
        "evidence": evidence.collect::<Vec<_>>(),
        "next_step": clean(&finding.next_step),
    })
}

fn as_text(events: &[Event]) -> String {
    if events.is_empty() {
        return "nothing is open\n".to_owned();
    }
    let heading = [
        "state",
        "severity",
        "cause",
        "component",
        "since",
        "until",
        "detail",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(events.iter().map(row));
    let mut text = table(&rows);
    let open = events.iter().filter(|event| event.resolved.is_none());
    let steps: BTreeMap<&str, &str> = open
        .map(|event| (&*event.finding.cause, &*event.finding.next_step))
        .filter(|(_, step)| !step.is_empty())
        .collect();
    if !steps.is_empty() {
        text.push('\n');
    }
    for (cause, step) in steps {
        text.push_str(&format!("{}: {}\n", clean(cause), clean(step)));
    }
    text
}

fn row(event: &Event) -> Vec<String> {
    let finding = &event.finding;
    vec![
        state(event).to_owned(),
        finding.severity.word().to_owned(),
        clean(&finding.cause),
        finding.component.clean(),
        show(finding.first_seen),
        event.resolved.map_or_else(|| "-".to_owned(), show),
        finding.detail.clean(),
    ]
}

/// One line of `--follow`.
fn line(event: &Event) -> String {
    let finding = &event.finding;
    format!(
        "{} {} {} {} {}: {}\n",
        show(event.resolved.unwrap_or(finding.first_seen)),
        state(event),
        finding.severity.word(),
        clean(&finding.cause),
        finding.component.clean(),
        finding.detail.clean()
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use glasshouse_core::condition::Severity;
    use glasshouse_core::finding::{Finding, OpenEvents, ResolvedEvents};
    use glasshouse_core::identity::NodeId;
    use glasshouse_core::text::Untrusted;

    use super::*;

    #[derive(Debug)]
    struct History(Vec<Event>);

    impl FindingReader for History {
        fn open(&self) -> Result<Arc<OpenEvents>, ReadError> {
            unreachable!("only the history is asked")
        }

        fn resolved(&self, window: Window, _: usize) -> Result<ResolvedEvents, ReadError> {
            let events = self.0.iter();
            let inside =
                events.filter(|event| event.resolved.is_some_and(|at| window.contains(at)));
            Ok(ResolvedEvents {
                events: inside.cloned().collect(),
                ..ResolvedEvents::default()
            })
        }
    }

    fn event(number: u8, severity: Severity) -> Event {
        Event {
            id: EventId::from_bytes([number; 16]),
            node: NodeId::from_bytes([7; 16]),
            finding: Finding {
                cause: "bmc.unresponsive".to_owned(),
                severity,
                component: Untrusted::new("bmc\u{1b}[31m"),
                source: "ipmi".to_owned(),
                detail: Untrusted::new("silent\r\nfor 31 s\u{202e}"),
                first_seen: Timestamp::from_seconds(1_700_000_000),
                last_seen: Timestamp::from_seconds(1_700_000_060),
                evidence: Vec::new(),
                next_step: "Ask it.".to_owned(),
            },
            resolved: None,
        }
    }

    #[test]
    fn each_change_is_told_once() {
        let over = Event {
            resolved: Some(Timestamp::from_seconds(1_700_000_099)),
            ..event(1, Severity::Critical)
        };
        let history = History(vec![over.clone()]);
        let mut known = BTreeMap::new();
        let mut told = |open: &[&Event]| {
            let open: Vec<Event> = open.iter().copied().cloned().collect();
            changes(&mut known, &open, &history)
        };
        let list = |event: &Event| vec![event.clone()];
        let (one, two) = (event(1, Severity::Warning), event(2, Severity::Info));
        assert_eq!(told(&[&one]), list(&one));
        assert_eq!(told(&[&one]), []);
        assert_eq!(told(&[&one, &two]), list(&two));
        let worse = event(1, Severity::Critical);
        assert_eq!(told(&[&worse, &two]), list(&worse));
        assert_eq!(told(&[&two]), list(&over));
        // not in the history, for whatever reason
        let gone = told(&[]);
        assert!(gone.len() == 1 && gone[0].resolved.is_some(), "{gone:?}");
    }

    #[test]
    fn what_a_machine_wrote_is_shown_cleaned() {
        let event = event(1, Severity::Warning);
        for text in [
            as_text(std::slice::from_ref(&event)),
            line(&event),
            as_json(&event).to_string(),
        ] {
            assert!(
                text.contains("bmc[31m") && text.contains("silent  for 31 s"),
                "{text}"
            );
            assert!(!text.contains(['\u{1b}', '\u{202e}', '\r']), "{text:?}");
        }
        assert!(as_text(&[event]).contains("bmc.unresponsive: Ask it."));
        assert_eq!(as_text(&[]), "nothing is open\n");
    }
}
