//! The system event log, read on from the last record that is known.

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::condition::Severity;
use glasshouse_core::log::{LogEntry, LogSource};
use glasshouse_core::sample::Value;
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Timestamp;

use super::asking::{AskError, Asking};
use super::decode::factors::Linearization;
use super::decode::sdr::{Sensor, THRESHOLD};
use super::decode::sel::{self, Body, Event, Extra, Info, NO_RECORD, RECORD_BYTES, Record};
use super::decode::states::{code, kind_name, state};
use super::metrics as is;
use super::place::Place;
use super::request::Request;

/// Records read in one run: a full log of thousands is caught up over several.
const MOST_RECORDS: usize = 128;

/// The first record, whatever its number.
const FIRST: u16 = 0x0000;

/// How far the log is read.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// When the log was cleared before what is known was written.
    erased: Option<u32>,
    /// The last record that was said, to know it again.
    last: Option<(u16, [u8; RECORD_BYTES])>,
}

impl Log {
    /// Says how full the log is, and what is new in it.
    pub(crate) fn read(
        &mut self,
        place: &Place,
        sensors: &[Sensor],
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<(), AskError> {
        let info = Info::decode(&asking.ask(&Request::GetSelInfo, out)?)?;
        write_info(info, place, out);
        if self.erased != Some(info.erased) {
            self.last = None;
            self.erased = Some(info.erased);
        }
        if info.entries == 0 {
            self.last = None;
            return Ok(());
        }
        let mut next = self.resume(asking, out)?;
        for _ in 0..MOST_RECORDS {
            let Some(id) = next else { break };
            let Some((after, raw)) = entry(id, asking, out)? else {
                break;
            };
            let record = sel::decode(&raw)?;
            let is_known = self.last.is_some_and(|(_, last)| last == raw);
            if is_known {
                // a ring of records, or a BMC that gives the last one for ever
                break;
            }
            out.log(log_entry(&record, &raw, place, sensors));
            self.last = Some((record.id, raw));
            next = (after != NO_RECORD && after != id).then_some(after);
        }
        Ok(())
    }

    /// The record after the last one that is known; the first, where that one is gone or another stands there now.
    fn resume(
        &mut self,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<Option<u16>, AskError> {
        let Some((id, known)) = self.last else {
            return Ok(Some(FIRST));
        };
        match entry(id, asking, out)? {
            Some((after, raw)) if raw == known => {
                Ok((after != NO_RECORD && after != id).then_some(after))
            }
            _ => {
                self.last = None;
                Ok(Some(FIRST))
            }
        }
    }
}

/// A record and the number of the next one; `None` where there is no such record.
fn entry(
    id: u16,
    asking: &mut Asking<'_>,
    out: &mut dyn SampleWriter,
) -> Result<Option<(u16, [u8; RECORD_BYTES])>, AskError> {
    match asking.ask(&Request::GetSelEntry(id), out) {
        Ok(data) => Ok(Some(sel::entry(&data)?)),
        Err(AskError::Refused {
            completion: 0xcb | 0xc9 | 0xcc,
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_info(info: Info, place: &Place, out: &mut dyn SampleWriter) {
    const NAME: &str = "System event log";
    let id = place.id("sel");
    let labels = [&*id, NAME, &*place.component];
    out.sample(
        is::LOG_ENTRIES,
        &labels,
        Value::F64(f64::from(info.entries)),
    );
    if let Some(free) = info.free_bytes {
        let limit = f64::from(info.entries) + f64::from(free / 16);
        out.sample(is::LOG_LIMIT, &labels, Value::F64(limit));
    }
    let overflow = Value::U64(u64::from(info.has_overflowed));
    let labels = [&*id, NAME, &*place.component, "other", "overflow"];
    out.sample(is::SENSOR_STATE, &labels, overflow);
}

fn log_entry(
    record: &Record,
    raw: &[u8; RECORD_BYTES],
    place: &Place,
    sensors: &[Sensor],
) -> LogEntry {
    let said = match &record.body {
        Body::Event(event) => event_said(event, sensors),
        Body::OemTimed {
            kind, manufacturer, ..
        } => Said::oem(*kind, &format!("a record of manufacturer {manufacturer}")),
        Body::OemTimeless { kind, .. } => Said::oem(*kind, "a record of the maker's own"),
        Body::Unknown(kind) => Said::oem(*kind, "a record of a reserved type"),
    };
    LogEntry {
        source: LogSource::Sel,
        origin: Untrusted::new(&place.log),
        id: Untrusted::new(&format!("{:04x}", record.id)),
        at: record
            .seconds
            .map(|seconds| Timestamp::from_seconds(i64::from(seconds))),
        severity: said.severity,
        code: Untrusted::new(&said.code),
        component: Untrusted::new(&said.component),
        text: Untrusted::new(&said.text),
        raw: raw.to_vec(),
    }
}

struct Said {
    severity: Severity,
    code: String,
    component: String,
    text: String,
}

impl Said {
    fn oem(kind: u8, what: &str) -> Self {
        Self {
            severity: Severity::Info,
            code: format!("record.{kind:02X}h"),
            component: String::new(),
            text: format!("{what} (type {kind:02X}h)"),
        }
    }
}

fn event_said(event: &Event, sensors: &[Sensor]) -> Said {
    let sensor = sensors.iter().find(|sensor| {
        sensor.number == event.number
            && sensor.owner.address == event.generator
            && sensor.owner.lun == event.generator_place & 3
    });
    let kind = kind_name(event.kind);
    let component = match sensor {
        Some(sensor) if !sensor.name.is_empty() => sensor.name.clone(),
        _ => format!("{kind} sensor {:02X}h", event.number),
    };
    let meaning = state(event.kind, event.event_type, event.offset);
    let word = meaning.map_or_else(
        || format!("state {:02X}h", event.offset),
        |state| state.word.replace('_', " "),
    );
    let severity = match meaning {
        _ if event.is_deassertion => Severity::Info,
        Some(state) => state.severity,
        None => Severity::Info,
    };
    let direction = if event.is_deassertion {
        "deasserted"
    } else {
        "asserted"
    };
    let details = details(event, sensor);
    Said {
        severity,
        code: code(event.kind, event.event_type, event.offset),
        text: format!("{component} ({kind}): {word} {direction}{details}"),
        component,
    }
}

/// The reading and the limit of an event, in units where the sensor is known; other bytes as they are.
fn details(event: &Event, sensor: Option<&Sensor>) -> String {
    let value = |raw: u8| {
        let analog = sensor?.analog?;
        let Linearization::Known(curve) = analog.linearization else {
            return None;
        };
        let value = analog.factors.value(analog.format, curve, raw)?;
        Some(format!("{} {}", rounded(value), analog.unit.ucum()))
    };
    let reading = |raw: u8| value(raw).unwrap_or_else(|| format!("{raw:#04x} (raw)"));
    let mut text = String::new();
    for (extra, name) in event.data.iter().zip(["reading", "limit"]) {
        let part = match extra {
            Extra::None => continue,
            Extra::Reading(raw) if event.event_type == THRESHOLD => {
                format!("{name} {}", reading(*raw))
            }
            Extra::Reading(byte) | Extra::Specific(byte) => format!("data {byte:#04x}"),
            Extra::Previous(byte) => format!("previous state {:#03x}", byte & 0xf),
            Extra::Oem(byte) => format!("OEM data {byte:#04x}"),
        };
        text.push_str(", ");
        text.push_str(&part);
    }
    text
}

/// Three decimals at most: a raw count is coarser.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
