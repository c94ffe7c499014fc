//! Alarms of hardware monitoring chips: which limits were passed, and whether somebody opened the case.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::hardware::LimitType;
use glasshouse_core::options::{OptionDefault, OptionDefinition, Options};
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, Patterns, ReadBuffer, Spec, SysRoot, optional};

use super::chip::{self, Chip, Whose};
use super::kind::{ALARMS, parts};
use super::sensor::label;
use super::{ALARM, ALARM_INDEX, DIRECTORY, METRICS, MOST_SENSORS};

pub(crate) static HWMON_ALARM: Spec = Spec {
    name: "hwmon_alarm",
    summary: "Alarms of monitoring chips: limits that were passed, and opened cases.",
    metrics: METRICS.split_at(ALARM_INDEX).1,
    facts: &[],
    options: &[OptionDefinition {
        name: "exclude_chips",
        help: "Chips to leave out, by the driver's name: names, or the start of one and `*`. Those of processors interrupt each core.",
        default: OptionDefault::TextList(&["coretemp"]),
    }],
    // each alarm is a bus transfer, and the readings themselves are told every five seconds
    interval_seconds: 15,
    needs: "",
    build: |root: SysRoot, options: &Options| {
        Box::new(HwmonAlarm::new(root, options, Whose::Machine))
    },
};

/// Runs between two looks for chips: five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 20;

/// The alarms of chips.
#[derive(Debug)]
pub(super) struct HwmonAlarm {
    root: SysRoot,
    whose: Whose,
    exclude: Patterns,
    alarms: Vec<Alarm>,
    runs: u32,
    buffer: ReadBuffer,
}

#[derive(Debug)]
struct Alarm {
    id: String,
    name: String,
    chip: String,
    /// Which limit it is of.
    limit: LimitType,
    file: KeptFile,
}

impl HwmonAlarm {
    pub(super) fn new(root: SysRoot, options: &Options, whose: Whose) -> Self {
        Self {
            root,
            whose,
            exclude: Patterns::new(options.text_list("exclude_chips")),
            alarms: Vec::new(),
            runs: 0,
            buffer: ReadBuffer::new(),
        }
    }
}

impl Collector for HwmonAlarm {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.alarms.clear();
            for chip in chip::find(&self.root, self.whose, &self.exclude, out)? {
                find(&self.root, &chip, &mut self.alarms, out);
            }
        }
        self.runs = self.runs.wrapping_add(1);
        if self.alarms.is_empty() {
            self.runs = 0;
            return Ok(Presence::Absent(format!("no alarm in `/{DIRECTORY}`")));
        }
        for alarm in &mut self.alarms {
            alarm.write(&mut self.buffer, out);
        }
        Ok(Presence::Present)
    }
}

impl Alarm {
    fn write(&mut self, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        let labels = [&*self.id, &*self.name, &*self.chip, self.limit.word()];
        match optional(self.file.read_u64(buffer)) {
            Ok(Some(raised)) => {
                let state = Value::State(u16::from(raised != 0));
                out.sample(ALARM, &labels, state);
            }
            Ok(None) => {}
            Err(error) => {
                out.absent(ALARM, &labels, error.reason);
                super::sensor::told(error, out);
            }
        }
    }
}

fn find(root: &SysRoot, chip: &Chip, alarms: &mut Vec<Alarm>, out: &mut dyn SampleWriter) {
    for file in &chip.files {
        let Some((channel, _, what)) = parts(file) else {
            continue;
        };
        let Some((_, limit)) = ALARMS.iter().find(|(known, _)| *known == what) else {
            continue;
        };
        if alarms.len() >= MOST_SENSORS {
            return;
        }
        alarms.push(Alarm {
            id: format!("{}/{channel}", chip.name),
            name: label(root, chip, channel, out).0,
            chip: chip.name.clone(),
            limit: *limit,
            file: KeptFile::attribute(root, &chip.path(file)),
        });
    }
}
