//! `LogService`, `LogEntry` and `Event`: what a BMC wrote down.

use std::fmt::{self, Write};

use glasshouse_core::log::{LogEntry, LogSource};
use glasshouse_core::sample::Value;
use glasshouse_core::text::Untrusted;
use serde_json::Value as Json;

use super::{name_of, severity, status};
use crate::redfish::definitions as is;
use crate::redfish::document::{Lenient, is_whole, own_path};
use crate::redfish::harvest::{Harvest, Place};
use crate::redfish::kind::Kind;
use crate::redfish::path::{PageLink, ResourcePath};

/// The most arguments that are put into a message.
const MOST_ARGUMENTS: usize = 16;

pub(super) fn service(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let id = place.id();
    let name = name_of(document, place.path);
    status(document, &id, &name, place, "bmc", out);
    out.follow(document.link("Entries"), Kind::LogEntries, &id);
    if let Some(most) = document
        .number("MaxNumberOfRecords")
        .filter(|most| *most > 0.0)
    {
        let labels = [&*id, &*name, place.parent];
        out.sample(is::LOG_LIMIT, &labels, Value::F64(most));
    }
}

/// One page of a log.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Entries that came along, as the BMC ordered them.
    pub(crate) entries: Vec<LogEntry>,
    /// Entries of which only the place is known.
    pub(crate) links: Vec<ResourcePath>,
    /// Entries of the whole log, where the BMC tells.
    pub(crate) count: Option<f64>,
    /// Where the next page lies.
    pub(crate) next: Option<PageLink>,
}

/// Reads a page of `LogEntryCollection`.
pub(crate) fn page(document: &Json, bmc: &str, log: &ResourcePath) -> Page {
    let mut page = Page {
        count: document.number("Members@odata.count"),
        next: ["Members@odata.nextLink", "@odata.nextLink"]
            .iter()
            .find_map(|name| PageLink::parse(document.property(name)?.as_str()?))
            // a page of another resource is no page
            .filter(|next| next.path == *log),
        ..Page::default()
    };
    for (_, member) in document.objects("Members") {
        if is_whole(member) {
            page.entries.extend(entry(member, bmc, log));
        } else if let Some(path) = own_path(member) {
            page.links.push(path);
        }
    }
    page
}

/// An entry of a log; `None` where it says neither who nor what it is.
pub(crate) fn entry(document: &Json, bmc: &str, log: &ResourcePath) -> Option<LogEntry> {
    let id = document
        .text("Id")
        .map(|id| id.into_owned())
        .or_else(|| Some(own_path(document)?.last().to_owned()))?;
    let message = message(document)?;
    let code = document
        .text("MessageId")
        .or_else(|| document.text("EntryCode"))
        .or_else(|| document.text("EventType"))
        .unwrap_or_default();
    let word = document
        .text("Severity")
        .or_else(|| document.text("MessageSeverity"));
    Some(LogEntry {
        source: LogSource::Redfish,
        origin: Untrusted::new(&origin(bmc, log)),
        id: Untrusted::new(&id),
        at: document
            .time("Created")
            .or_else(|| document.time("EventTimestamp")),
        severity: severity(word.as_deref()),
        code: Untrusted::new(&code),
        component: Untrusted::new(&subject(document)),
        text: Untrusted::new(&message),
        raw: Vec::new(),
    })
}

/// An event of the stream. Where it says which entry of a log it is, it is that one, so that nobody keeps it twice.
pub(crate) fn event_entry(document: &Json, bmc: &str, stream: &ResourcePath) -> Option<LogEntry> {
    if let Some(path) = document.property("LogEntry").and_then(own_path)
        && let Some((log, id)) = path.as_str().rsplit_once('/')
        && let Some(log) = ResourcePath::parse(log)
    {
        let mut found = entry(document, bmc, &log).or_else(|| {
            let mut named = document.clone();
            named.as_object_mut()?.insert("Id".to_owned(), id.into());
            entry(&named, bmc, &log)
        })?;
        found.id = Untrusted::new(id);
        return Some(found);
    }
    let id = ["EventId", "MemberId"]
        .iter()
        .find_map(|name| document.text(name))
        .or_else(|| document.text("EventTimestamp"))?;
    let mut named = document.clone();
    named.as_object_mut()?.insert("Id".to_owned(), (*id).into());
    entry(&named, bmc, stream)
}

/// `bmc/rack7-3/Managers/1/Sel`: the service's own place, without the words that every log has in its path.
fn origin(bmc: &str, log: &ResourcePath) -> String {
    let words: Vec<&str> = log
        .segments()
        .filter(|word| !["LogServices", "Entries"].contains(word))
        .collect();
    format!("bmc/{bmc}/{}", words.join("/"))
}

/// What an entry is about: what it names as origin, else the sensor by type and number.
fn subject(document: &Json) -> String {
    let linked = document
        .at(&["Links", "OriginOfCondition"])
        .or_else(|| document.property("OriginOfCondition"))
        .and_then(own_path);
    if let Some(path) = linked {
        return path.below_root().to_owned();
    }
    match (document.text("SensorType"), document.text("SensorNumber")) {
        (Some(kind), Some(number)) => format!("{kind} {number}"),
        (Some(kind), None) => kind.into_owned(),
        (None, Some(number)) => format!("sensor {number}"),
        (None, None) => String::new(),
    }
}

/// The message, its arguments in place (`%1` … in DSP0266, 9.5.11).
fn message(document: &Json) -> Option<String> {
    let text = document
        .text("Message")
        .or_else(|| document.text("Description"))
        .or_else(|| document.text("MessageId"))?;
    let arguments = document.property("MessageArgs").and_then(Json::as_array);
    let Some(arguments) = arguments.filter(|_| text.contains('%')) else {
        return Some(text.into_owned());
    };
    Some(filled(&text, arguments))
}

/// The text with `%1` … replaced, in one pass and cut to what is kept: an argument is never looked at again, or a few
/// that name each other would grow without end.
fn filled(text: &str, arguments: &[Json]) -> String {
    let mut message = Cut::default();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        if message.write_str(before).is_err() {
            return message.0;
        }
        let (argument, taken) = argument_at(after, arguments);
        let written = match argument {
            Some(Json::String(text)) => message.write_str(text),
            Some(other) => write!(message, "{other}"),
            None => message.write_str("%"),
        };
        if written.is_err() {
            return message.0;
        }
        rest = after.get(taken..).unwrap_or_default();
    }
    // cut where it is too long
    message.write_str(rest).ok();
    message.0
}

/// The argument whose number stands there, and the length of the number. `%10` is the tenth, or the first and a zero
/// where there is no tenth.
fn argument_at<'a>(text: &str, arguments: &'a [Json]) -> (Option<&'a Json>, usize) {
    let found = [2, 1].into_iter().find_map(|length| {
        let digits = text
            .get(..length)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        let place = digits.parse::<usize>().ok()?.checked_sub(1)?;
        let argument = arguments.get(..MOST_ARGUMENTS.min(arguments.len()))?;
        Some((argument.get(place)?, length))
    });
    found.map_or((None, 0), |(argument, length)| (Some(argument), length))
}

/// A text of [`Untrusted::MOST_BYTES`] at most; an error where more was written, of which the start is kept.
#[derive(Debug, Default)]
struct Cut(String);

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = Untrusted::MOST_BYTES.saturating_sub(self.0.len());
        let kept = text
            .get(..text.floor_char_boundary(room))
            .unwrap_or_default();
        self.0.push_str(kept);
        if kept.len() < text.len() {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_put_in_once_and_never_read_again() {
        let message = |text: &str, arguments: Json| {
            message(&json!({"Message": text, "MessageArgs": arguments})).unwrap()
        };
        assert_eq!(message("%1 and %2", json!(["%2", "%1"])), "%2 and %1");
        assert_eq!(message("100 % of %1%", json!([7])), "100 % of 7%");
        assert_eq!(message("%10 %3 %0", json!(["a"])), "a0 %3 %0");
        let ten: Vec<Json> = (1..=10).map(Json::from).collect();
        assert_eq!(message("%10%1", json!(ten)), "101");
        // each argument names the one before it again and again: 16 levels of 100 were 100^16 bytes
        let bomb: Vec<String> = (0..16).map(|n| format!("%{n}").repeat(100)).collect();
        let long = message(&"%16".repeat(100), json!(bomb));
        assert!(long.len() <= Untrusted::MOST_BYTES, "{}", long.len());
        let wide = json!([vec!["x"; 100_000]]);
        assert!(message("%1 %1", wide).len() <= Untrusted::MOST_BYTES);
    }

    proptest! {
        #[test]
        fn no_message_grows(text in "[%0-9aé]{0,600}", arguments in proptest::collection::vec("[%0-9é]{0,600}", 0..20)) {
            let document = json!({"Message": text, "MessageArgs": arguments});
            let message = message(&document).unwrap_or_default();
            prop_assert!(message.len() <= Untrusted::MOST_BYTES.max(text.len()));
            if !text.contains('%') {
                prop_assert_eq!(message, text);
            }
        }
    }

    #[test]
    fn an_event_that_names_its_entry_is_that_entry() {
        let stream = ResourcePath::parse("/redfish/v1/SSE").unwrap();
        let event = json!({
            "EventId": "9", "EventTimestamp": "2024-06-11T00:13:00Z", "MessageId": "Power.1.0.Lost",
            "Message": "Supply %1 lost %2", "MessageArgs": ["A", 10], "Severity": "Critical",
            "LogEntry": {"@odata.id": "/redfish/v1/Managers/1/LogServices/Sel/Entries/77"},
        });
        let entry = event_entry(&event, "r1", &stream).unwrap();
        assert_eq!(entry.origin.raw(), "bmc/r1/Managers/1/Sel");
        assert_eq!(entry.id.raw(), "77");
        assert_eq!(entry.text.raw(), "Supply A lost 10");
        let alone = json!({"EventId": "9", "Message": "Something"});
        let entry = event_entry(&alone, "r1", &stream).unwrap();
        assert_eq!((entry.origin.raw(), entry.id.raw()), ("bmc/r1/SSE", "9"));
        assert_eq!(event_entry(&json!({"Message": "x"}), "r1", &stream), None);
        assert_eq!(event_entry(&json!([1]), "r1", &stream), None);
    }

    #[test]
    fn a_page_of_another_log_is_not_followed() {
        let log = ResourcePath::parse("/redfish/v1/Managers/1/LogServices/Sel/Entries").unwrap();
        let read = |next: &str| {
            let document = json!({"Members": [], "Members@odata.nextLink": next});
            page(&document, "r1", &log).next
        };
        assert!(read("/redfish/v1/Managers/1/LogServices/Sel/Entries?$skip=50").is_some());
        assert!(read("/redfish/v1/Systems/1?$skip=50").is_none());
        assert!(
            read("https://elsewhere/redfish/v1/Managers/1/LogServices/Sel/Entries?$skip=1")
                .is_none()
        );
    }
}
