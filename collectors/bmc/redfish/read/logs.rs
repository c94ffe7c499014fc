//! `LogService`, `LogEntry` and `Event`: what a BMC wrote down.

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
            .find_map(|name| PageLink::parse(&document.text(name)?))
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
    let mut message = text.into_owned();
    // backwards, or `%1` would be found in `%10`
    for (place, argument) in arguments.iter().take(MOST_ARGUMENTS).enumerate().rev() {
        let argument = argument
            .as_str()
            .map_or_else(|| argument.to_string(), str::to_owned);
        let argument: String = argument.chars().take(Untrusted::MOST_BYTES).collect();
        message = message.replace(&format!("%{}", place + 1), &argument);
    }
    Some(message.chars().take(Untrusted::MOST_BYTES).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
