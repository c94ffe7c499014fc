//! One BMC and one run over it: what is asked, in which order, and what is left out once it does not answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::collector::{Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::sample::Value;
use glasshouse_core::time::{BootTime, Clock};

use super::asking::{AskError, Asking, Tally, part};
use super::decode::device::{self, DeviceId};
use super::decode::sdr::Sensor;
use super::decode::sel::is_time;
use super::health::{Health, Pace, Work};
use super::metrics as is;
use super::parts::Parts;
use super::place::Place;
use super::power::WallPower;
use super::repository::Repository;
use super::request::Request;
use super::sel_log::Log;
use super::sensor::Watched;
use super::transport::{IpmiTransport, TransportError};

/// Runs between two looks at limits and self test: an hour at the default interval.
const RUNS_BETWEEN_LOOKS: u64 = 120;

/// The value of the label `hw.bmc.protocol`.
const PROTOCOL: &str = "ipmi";

/// A BMC.
#[derive(Debug)]
pub(crate) struct Bmc {
    place: Place,
    transport: Box<dyn IpmiTransport>,
    clock: Arc<dyn Clock>,
    deadline: Duration,
    /// Whether another collector sums up the power supplies of this machine.
    others_sum: bool,
    known: Known,
    tally: Tally,
    health: Health,
    pace: Pace,
}

/// What is known of a BMC from earlier runs.
#[derive(Debug, Default)]
struct Known {
    repository: Repository,
    sensors: Vec<Sensor>,
    watched: Vec<Watched>,
    /// Sensors of `watched` that this run has written.
    written: usize,
    parts: Parts,
    log: Log,
    power: WallPower,
    self_test: Option<String>,
    /// Runs that read everything, since the records were read.
    runs: u64,
    /// Whether this run read what is read once.
    has_looked_up: bool,
}

impl Bmc {
    pub(crate) fn new(
        place: Place,
        transport: Box<dyn IpmiTransport>,
        clock: Arc<dyn Clock>,
        deadline: Duration,
    ) -> Self {
        Self {
            place,
            transport,
            clock,
            deadline,
            others_sum: false,
            known: Known::default(),
            tally: Tally::default(),
            health: Health::default(),
            pace: Pace::default(),
        }
    }

    /// Says whether another collector writes the sum of the power supplies.
    pub(crate) const fn leave_sum_to_others(&mut self, others_sum: bool) {
        self.others_sum = others_sum;
    }

    /// Says whether it speaks for the machine that the probe runs on.
    pub(crate) const fn speak_for_this_machine(&mut self, is_own: bool) {
        self.place.is_own = is_own;
    }

    /// One run.
    pub(crate) fn run(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let begun = self.clock.moment().boot;
        let work = self.pace.begin(begun);
        self.tally.slowest = Duration::ZERO;
        self.tally.has_answered = false;
        let mut asking = Asking {
            transport: &mut *self.transport,
            clock: &*self.clock,
            deadline: self.deadline,
            tally: &mut self.tally,
        };
        let outcome = self
            .known
            .run(work, &self.place, self.others_sum, &mut asking, out);
        let outcome = outcome.map_err(|error| (error.at(&asking), error));
        self.transport.finish();
        let now = self.clock.moment().boot;
        match outcome {
            Ok(()) => {
                if self.health.is_silent() {
                    // what was away may have been exchanged
                    self.known.power.forget();
                }
                self.health.answered(now);
                if work == Work::Everything && !self.known.has_looked_up {
                    self.pace.took(now.since(begun));
                }
                self.write_state(now, out);
                Ok(Presence::Present)
            }
            Err((_, AskError::Lost(TransportError::Missing))) => Ok(Presence::Absent(format!(
                "no BMC behind `{}`",
                self.transport.place().display()
            ))),
            Err((error, cause)) => {
                self.known.not_answered(error.reason, &self.place, out);
                if !matches!(&cause, AskError::Lost(lost) if !lost.is_silence()) {
                    self.health.fell_silent(begun, now, self.tally.has_answered);
                }
                self.write_state(now, out);
                Err(error)
            }
        }
    }

    fn write_state(&self, now: BootTime, out: &mut dyn SampleWriter) {
        let id = &*self.place.id;
        if self.tally.has_answered {
            let slowest = self.tally.slowest.as_secs_f64();
            out.sample(is::RESPONSE, &[id], Value::F64(slowest));
        }
        for (outcome, count) in [
            ("answered", self.tally.answered),
            ("refused", self.tally.refused),
            ("silent", self.tally.silent),
        ] {
            out.sample(is::REQUESTS, &[id, PROTOCOL, outcome], Value::U64(count));
        }
        if let Some(period) = self.pace.period() {
            out.sample(
                is::PERIOD,
                &[id, PROTOCOL],
                Value::F64(period.as_secs_f64()),
            );
        }
        if let Some(condition) = self.health.condition(&self.place, now) {
            out.condition(condition);
        }
    }
}

impl Known {
    fn run(
        &mut self,
        work: Work,
        place: &Place,
        others_sum: bool,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<(), AskError> {
        self.written = match work {
            Work::Everything => 0,
            // nothing was to be written
            Work::Sign => self.watched.len(),
        };
        self.has_looked_up = false;
        // mandatory, so it is the sign of life
        let device = DeviceId::decode(&asking.ask(&Request::GetDeviceId, out)?)?;
        if work == Work::Everything {
            self.run_everything(device, place, others_sum, asking, out)?;
        }
        // facts that a run does not state are over
        self.write_facts(device, place, out);
        self.parts.write(place, out);
        Ok(())
    }

    fn run_everything(
        &mut self,
        device: DeviceId,
        place: &Place,
        others_sum: bool,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<(), AskError> {
        let looked_up = self.look_up(device, place, asking, out);
        part(looked_up, asking, out)?;
        self.read_sensors(asking, out)?;
        self.power.read(place, others_sum, asking, out)?;
        self.read_chassis(place, asking, out)?;
        if device.has_sel() {
            let read = self.log.read(place, &self.sensors, asking, out);
            part(read, asking, out)?;
            read_clock(place, asking, out)?;
        }
        if device.has_fru() {
            let read = self.parts.read_next(asking, out);
            part(read, asking, out)?;
        }
        self.runs += 1;
        Ok(())
    }

    /// Records where they changed, and what is read seldom.
    fn look_up(
        &mut self,
        device: DeviceId,
        place: &Place,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<(), AskError> {
        if let Some(inventory) = self.repository.changed(device, asking, out)? {
            let watched = inventory
                .sensors
                .iter()
                .filter_map(|sensor| Watched::new(sensor, place));
            // repositories with a record twice exist
            let mut ids = BTreeSet::new();
            self.watched = watched
                .filter(|watched| ids.insert(watched.id().to_owned()))
                .collect();
            self.sensors = inventory.sensors;
            self.parts.look_up(&inventory.parts);
            self.runs = 0;
            if let Some((count, first)) = inventory.broken {
                let mut error = AskError::Malformed(first).at(asking);
                error.detail = format!("{count} records make no sense, the first: {first}");
                out.failure(error);
            }
        }
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.has_looked_up = true;
            let limits = self
                .watched
                .iter_mut()
                .try_for_each(|watched| watched.look_up_limits(asking, out));
            if limits.is_err() {
                // all of it again when the BMC is back
                self.repository.forget();
            }
            limits?;
            let asked = asking.ask(&Request::GetSelfTestResults, out);
            let found = asked.and_then(|data| Ok(device::self_test(&data)?));
            self.self_test = part(found, asking, out)?.flatten();
        }
        Ok(())
    }

    fn read_sensors(
        &mut self,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<(), AskError> {
        self.power.begin();
        for watched in &self.watched {
            let outcome = watched.read(asking, out)?;
            self.written += 1;
            self.power.take(watched, outcome);
        }
        Ok(())
    }

    fn read_chassis(
        &self,
        place: &Place,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<(), AskError> {
        let asked = asking.ask(&Request::GetChassisStatus, out);
        let states = asked.and_then(|data| Ok(device::chassis_states(&data)?));
        if let Some(states) = part(states, asking, out)? {
            write_states(place, "chassis", "Chassis", "enclosure", &states, out);
        }
        let asked = asking.ask(&Request::GetWatchdogTimer, out);
        let states = asked.and_then(|data| Ok(device::watchdog_states(&data)?));
        if let Some(states) = part(states, asking, out)? {
            write_states(place, "watchdog", "Watchdog", "other", &states, out);
        }
        Ok(())
    }

    fn write_facts(&self, device: DeviceId, place: &Place, out: &mut dyn SampleWriter) {
        let component = &*place.component;
        out.fact(is::FIRMWARE_VERSION, component, &device.firmware_version());
        let (major, minor) = device.ipmi;
        out.fact(is::IPMI_VERSION, component, &format!("{major}.{minor}"));
        let manufacturer = device.manufacturer.to_string();
        out.fact(is::MANUFACTURER_ID, component, &manufacturer);
        out.fact(is::PRODUCT_ID, component, &device.product.to_string());
        if let Some(found) = &self.self_test {
            out.fact(is::SELF_TEST, component, found);
        }
    }

    /// The rest of a run that was lost: what was not read has no value, and says why.
    fn not_answered(&self, reason: FailureReason, place: &Place, out: &mut dyn SampleWriter) {
        for watched in self.watched.iter().skip(self.written) {
            watched.absent(reason, out);
        }
        if self.written < self.watched.len() {
            self.power.absent(reason, place, out);
        }
    }
}

fn write_states(
    place: &Place,
    id: &str,
    name: &str,
    kind: &str,
    states: &[(&'static str, bool)],
    out: &mut dyn SampleWriter,
) {
    let id = place.id(id);
    for (word, holds) in states {
        let labels = [&*id, name, &*place.component, kind, word];
        out.sample(is::SENSOR_STATE, &labels, Value::U64(u64::from(*holds)));
    }
}

/// How far the BMC's clock is ahead, which tells whole seconds: the middle of the second is the best guess.
fn read_clock(
    place: &Place,
    asking: &mut Asking<'_>,
    out: &mut dyn SampleWriter,
) -> Result<(), AskError> {
    let before = asking.clock.moment().wall;
    let asked = asking.ask(&Request::GetSelTime, out);
    let after = asking.clock.moment().wall;
    let seconds = asked.and_then(|data| Ok(device::sel_time(&data)?));
    let Some(seconds) = part(seconds, asking, out)?.filter(|seconds| is_time(*seconds)) else {
        return Ok(());
    };
    // half of the way there and back
    let asked_at = before.after(after.since(before) / 2);
    let host = Duration::from_nanos(u64::try_from(asked_at.nanos()).unwrap_or(0)).as_secs_f64();
    let offset = f64::from(seconds) + 0.5 - host;
    out.sample(is::CLOCK_OFFSET, &[&place.id], Value::F64(offset));
    Ok(())
}
