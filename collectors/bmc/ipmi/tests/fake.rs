//! A BMC in memory, with the habits of real ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use glasshouse_sim::ipmi::{ANALOG, DISCRETE};

use super::Hand;
use crate::ipmi::request::Request;
use crate::ipmi::transport::{IpmiTransport, Reply, TransportError};

/// What a BMC is like.
#[derive(Debug)]
pub(super) struct State {
    pub(super) clock: Hand,
    /// How long each answer takes.
    pub(super) takes: Duration,
    /// Whether it answers at all.
    pub(super) hangs: bool,
    /// Requests after which it hangs; counted down.
    pub(super) hangs_after: Option<u32>,
    /// Records, as they are asked one after the other; ids are their numbers.
    pub(super) records: Vec<Vec<u8>>,
    /// When they last changed.
    pub(super) added: u32,
    /// Bytes of a record that it can return at once.
    pub(super) most_bytes: u8,
    /// Cancels reservations: one in so many partial reads.
    pub(super) cancels: Option<u32>,
    /// Records of device SDRs rather than of a repository.
    pub(super) is_device: bool,
    pub(super) readings: BTreeMap<u8, Vec<u8>>,
    pub(super) log: Vec<[u8; 16]>,
    pub(super) log_erased: u32,
    /// Data of Get Power Reading; `None` where DCMI is not known.
    pub(super) power: Option<Vec<u8>>,
    pub(super) inventory: Vec<u8>,
    /// Answers instead, by command.
    pub(super) refuses: BTreeMap<(u8, u8), u8>,
    /// Everything that was ever asked.
    pub(super) asked: BTreeSet<(u8, u8)>,
    pub(super) requests: u64,
    pub(super) finished: u32,
    reservation: u16,
    partial_reads: u32,
}

/// The way to it.
#[derive(Clone, Debug)]
pub(super) struct Fake(Arc<Mutex<State>>);

impl Fake {
    /// The BMC of the plan.
    pub(super) fn new(clock: Hand) -> Self {
        let records = ANALOG.iter().map(glasshouse_sim::ipmi::Analog::record);
        let records = records.chain(DISCRETE.iter().map(glasshouse_sim::ipmi::Discrete::record));
        let analog = ANALOG
            .iter()
            .map(|sensor| (sensor.number, vec![sensor.raw, 0xc0, 0]));
        let discrete = DISCRETE.iter().map(|sensor| {
            let states = sensor.holds.map_or(0, |state| 1_u8 << state);
            (sensor.number, vec![0, 0xc0, states, 0x80])
        });
        Self(Arc::new(Mutex::new(State {
            clock,
            takes: Duration::from_millis(2),
            hangs: false,
            hangs_after: None,
            records: records.collect(),
            added: 1000,
            most_bytes: 0xff,
            cancels: None,
            is_device: false,
            readings: analog.chain(discrete).collect(),
            log: Vec::new(),
            log_erased: 500,
            power: Some(power(412)),
            inventory: glasshouse_sim::ipmi::inventory(),
            refuses: BTreeMap::new(),
            asked: BTreeSet::new(),
            requests: 0,
            finished: 0,
            reservation: 1,
            partial_reads: 0,
        })))
    }

    pub(super) fn now(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

/// Data of Get Power Reading.
pub(super) fn power(watts: u16) -> Vec<u8> {
    let [low, high] = watts.to_le_bytes();
    let mut data = vec![
        0xdc, low, high, 100, 0, 0xf4, 1, 200, 0, 0, 0, 0, 0, 0x60, 0xea, 0, 0,
    ];
    data.push(0x40);
    data
}

impl IpmiTransport for Fake {
    fn exchange(&mut self, request: &Request, deadline: Duration) -> Result<Reply, TransportError> {
        let mut state = self.now();
        let allowed = request.allowed();
        allowed.is_sent();
        state.asked.insert((allowed.net_function, allowed.command));
        state.requests += 1;
        if let Some(left) = state.hangs_after {
            state.hangs_after = left.checked_sub(1);
            state.hangs |= left == 0;
        }
        if state.hangs {
            state.clock.move_by(deadline);
            return Err(TransportError::Timeout {
                request: allowed.name,
                after: deadline,
            });
        }
        state.clock.move_by(state.takes);
        let refused = state
            .refuses
            .get(&(allowed.net_function, allowed.command))
            .copied();
        let answer = refused.map_or_else(|| state.answer(request), Err);
        Ok(match answer {
            Ok(data) => Reply {
                completion: 0,
                data,
            },
            Err(completion) => Reply {
                completion,
                data: Vec::new(),
            },
        })
    }

    fn finish(&mut self) {
        self.now().finished += 1;
    }

    fn place(&self) -> PathBuf {
        "/dev/fake".into()
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Result<Vec<u8>, u8> {
        match *request {
            Request::GetDeviceId => {
                let (sdrs, supports) = if self.is_device {
                    (0x80, 0x0d)
                } else {
                    (0, 0x0f)
                };
                Ok(vec![0, sdrs, 9, 8, 2, supports, 0x91, 0x12, 0, 2, 0x0f])
            }
            Request::GetSelfTestResults => Ok(vec![0x55, 0]),
            Request::GetWatchdogTimer => Ok(vec![0x44, 1, 0, 0, 0, 0, 0, 0]),
            Request::GetChassisStatus => Ok(vec![0x01, 0, 0]),
            Request::GetSdrRepositoryInfo if !self.is_device => Ok(self.repository_info()),
            Request::GetDeviceSdrInfo if self.is_device => {
                let count = u8::try_from(self.records.len()).unwrap();
                Ok([vec![count, 0x81], self.added.to_le_bytes().to_vec()].concat())
            }
            Request::ReserveSdrRepository | Request::ReserveDeviceSdrRepository => {
                self.reservation += 1;
                Ok(self.reservation.to_le_bytes().to_vec())
            }
            Request::GetSdr(part) | Request::GetDeviceSdr(part) => self.record(part),
            Request::GetSensorReading(sensor) => {
                self.readings.get(&sensor.number).cloned().ok_or(0xcb)
            }
            Request::GetSensorThresholds(sensor) => {
                let plan = ANALOG.iter().find(|plan| plan.number == sensor.number);
                let limits = plan.ok_or(0xcb_u8)?.limits;
                let mask =
                    (0..6).fold(0, |mask, bit| mask | u8::from(limits[bit].is_some()) << bit);
                let raw = limits.iter().map(|limit| limit.unwrap_or(0));
                Ok(std::iter::once(mask).chain(raw).collect())
            }
            // M grows with the reading, as a non-linear sensor's does
            Request::GetSensorReadingFactors(_, raw) => Ok(vec![raw, raw, 0, 0, 0, 0, 0]),
            Request::GetSelInfo => {
                let entries = u16::try_from(self.log.len()).unwrap();
                let mut data = vec![0x51];
                data.extend(entries.to_le_bytes());
                data.extend((1600 - 16 * entries).to_le_bytes());
                data.extend([0; 4]);
                data.extend(self.log_erased.to_le_bytes());
                data.push(2);
                Ok(data)
            }
            Request::GetSelEntry(id) => self.entry(id),
            Request::GetSelTime => Ok(u32::try_from(super::START + 90)
                .unwrap()
                .to_le_bytes()
                .to_vec()),
            Request::GetFruInventoryAreaInfo(0) => {
                let size = u16::try_from(self.inventory.len()).unwrap();
                Ok([size.to_le_bytes().to_vec(), vec![0]].concat())
            }
            Request::ReadFruData(0, offset, count) => {
                let from = usize::from(offset);
                let to = (from + usize::from(count)).min(self.inventory.len());
                let bytes = self.inventory.get(from..to).ok_or(0xc9_u8)?;
                Ok([vec![u8::try_from(bytes.len()).unwrap()], bytes.to_vec()].concat())
            }
            Request::GetPowerReading => self.power.clone().ok_or(0xc1),
            Request::GetPowerLimit => {
                Ok(vec![0xdc, 0, 0, 0x11, 0x20, 0x03, 0, 0, 0, 0, 0, 0, 1, 0])
            }
            _ => Err(0xc1),
        }
    }

    fn repository_info(&self) -> Vec<u8> {
        let mut data = vec![0x51];
        data.extend(u16::try_from(self.records.len()).unwrap().to_le_bytes());
        data.extend([0xff, 0xff]);
        data.extend(self.added.to_le_bytes());
        data.extend([0, 0, 0, 0, 2]);
        data
    }

    fn record(&mut self, part: crate::ipmi::request::RecordPart) -> Result<Vec<u8>, u8> {
        if part.count > self.most_bytes {
            return Err(0xca);
        }
        if part.offset > 0 {
            self.partial_reads += 1;
            if self
                .cancels
                .is_some_and(|each| self.partial_reads.is_multiple_of(each))
            {
                self.reservation += 1;
            }
            if part.reservation != self.reservation {
                return Err(0xc5);
            }
        }
        // ids from 1 on, so that the first is not the 0000h by which it is asked
        let id = part.record.max(1);
        let record = self.records.get(usize::from(id) - 1).ok_or(0xcb_u8)?;
        let next = if usize::from(id) == self.records.len() {
            0xffff
        } else {
            id + 1
        };
        let from = usize::from(part.offset);
        let to = (from + usize::from(part.count)).min(record.len());
        let bytes = record.get(from..to).ok_or(0xc9_u8)?;
        Ok([&next.to_le_bytes(), bytes].concat())
    }

    fn entry(&self, id: u16) -> Result<Vec<u8>, u8> {
        let number = |record: &[u8; 16]| u16::from_le_bytes([record[0], record[1]]);
        let at = match id {
            0 => 0,
            id => self
                .log
                .iter()
                .position(|record| number(record) == id)
                .ok_or(0xcb_u8)?,
        };
        let record = self.log.get(at).ok_or(0xcb_u8)?;
        let next = self.log.get(at + 1).map_or(0xffff, number);
        Ok([&next.to_le_bytes(), &record[..]].concat())
    }
}
