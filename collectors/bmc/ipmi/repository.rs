//! The SDRs of a BMC, read whole once and again only when the BMC says that they changed.

use glasshouse_core::collector::SampleWriter;

use super::asking::{AskError, Asking};
use super::decode::DecodeError;
use super::decode::device::{DeviceId, RepositoryInfo};
use super::decode::sdr::{self, FruLocator, HEADER_BYTES, Record, Sensor};
use super::request::{RecordPart, Request};

/// The most records that are read: the largest servers have some hundreds, and a chain that leads in a ring ends here.
const MOST_RECORDS: usize = 4096;

/// The most sensors that are kept, shared records counted out: a metric cannot have more series than a collector.
const MOST_SENSORS: usize = 4096;

/// Bytes asked at once, to begin with; halved where a BMC says that it cannot.
const MOST_CHUNK: u8 = 32;

/// A BMC that cannot give as much does not follow the specification.
const LEAST_CHUNK: u8 = 4;

/// Times that a cancelled reservation is renewed in one reading: somebody else reads at the same time.
const MOST_RESERVATIONS: u32 = 16;

/// The last record has this as its next.
const NO_RECORD: u16 = 0xffff;

/// What a BMC says that it has.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) sensors: Vec<Sensor>,
    pub(crate) parts: Vec<FruLocator>,
    /// Records that could not be understood, with the first reason.
    pub(crate) broken: Option<(usize, DecodeError)>,
}

/// Which records a BMC keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Repository,
    Device,
}

/// The records of a BMC, as they were when it last said that they changed.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    version: Option<RepositoryInfo>,
    chunk: u8,
}

impl Repository {
    /// All records where they changed since the last call; `None` where they did not.
    pub(crate) fn changed(
        &mut self,
        device: DeviceId,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<Option<Inventory>, AskError> {
        let kind = if device.has_sdr_repository() || !device.has_device_sdrs {
            Kind::Repository
        } else {
            Kind::Device
        };
        let version = kind.info(asking, out)?;
        if self.version == Some(version) {
            return Ok(None);
        }
        if self.chunk == 0 {
            self.chunk = MOST_CHUNK;
        }
        let mut reading = Reading {
            kind,
            reservation: 0,
            reservations: 0,
            chunk: self.chunk,
        };
        let inventory = reading.all(asking, out)?;
        self.chunk = reading.chunk;
        self.version = Some(version);
        Ok(Some(inventory))
    }

    /// The next call reads them again.
    pub(crate) const fn forget(&mut self) {
        self.version = None;
    }
}

impl Kind {
    fn info(
        self,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<RepositoryInfo, AskError> {
        Ok(match self {
            Self::Repository => {
                RepositoryInfo::decode(&asking.ask(&Request::GetSdrRepositoryInfo, out)?)?
            }
            Self::Device => {
                RepositoryInfo::decode_device(&asking.ask(&Request::GetDeviceSdrInfo, out)?)?
            }
        })
    }

    const fn reserve(self) -> Request {
        match self {
            Self::Repository => Request::ReserveSdrRepository,
            Self::Device => Request::ReserveDeviceSdrRepository,
        }
    }

    const fn get(self, part: RecordPart) -> Request {
        match self {
            Self::Repository => Request::GetSdr(part),
            Self::Device => Request::GetDeviceSdr(part),
        }
    }
}

struct Reading {
    kind: Kind,
    reservation: u16,
    reservations: u32,
    chunk: u8,
}

impl Reading {
    fn all(
        &mut self,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<Inventory, AskError> {
        self.reserve(asking, out)?;
        let mut inventory = Inventory::default();
        let mut id = 0;
        for _ in 0..MOST_RECORDS {
            let (next, record) = self.record(id, asking, out)?;
            inventory.take(&record);
            if next == NO_RECORD || next == id || inventory.sensors.len() >= MOST_SENSORS {
                break;
            }
            id = next;
        }
        Ok(inventory)
    }

    fn reserve(
        &mut self,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<(), AskError> {
        self.reservation = match asking.ask(&self.kind.reserve(), out) {
            Ok(data) => word(&data)?,
            // reservations are optional where partial reads are not needed
            Err(AskError::Refused { .. }) => 0,
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// A whole record and the id of the next one; begun again under a new reservation where the old one was cancelled.
    fn record(
        &mut self,
        id: u16,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<(u16, Vec<u8>), AskError> {
        loop {
            match self.try_record(id, asking, out) {
                Err(AskError::Refused {
                    completion: 0xc5, ..
                }) if self.reservations < MOST_RESERVATIONS => {
                    self.reservations += 1;
                    self.reserve(asking, out)?;
                }
                outcome => return outcome,
            }
        }
    }

    fn try_record(
        &mut self,
        id: u16,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<(u16, Vec<u8>), AskError> {
        let header = u8::try_from(HEADER_BYTES).unwrap_or(u8::MAX);
        let (next, mut record) = self.part(id, 0, header, asking, out)?;
        let length = sdr::length(&record)?;
        while record.len() < length {
            // more than 255 bytes cannot be asked for by offset; no record of the specification comes near
            let Ok(offset) = u8::try_from(record.len()) else {
                break;
            };
            let wanted = u8::try_from(length - record.len()).unwrap_or(u8::MAX);
            match self.part(id, offset, wanted.min(self.chunk), asking, out) {
                Ok((_, bytes)) if bytes.is_empty() => break,
                Ok((_, bytes)) => record.extend(bytes),
                // cannot return that many bytes; some BMCs say so with another code
                Err(AskError::Refused {
                    completion: 0xca | 0xc7 | 0xc8 | 0xc6 | 0xff,
                    ..
                }) if self.chunk > LEAST_CHUNK => self.chunk /= 2,
                Err(error) => return Err(error),
            }
        }
        record.truncate(length);
        Ok((next, record))
    }

    fn part(
        &self,
        record: u16,
        offset: u8,
        count: u8,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<(u16, Vec<u8>), AskError> {
        let request = self.kind.get(RecordPart {
            reservation: self.reservation,
            record,
            offset,
            count,
        });
        let data = asking.ask(&request, out)?;
        let bytes = data.get(2..).unwrap_or_default().to_vec();
        Ok((word(&data)?, bytes))
    }
}

fn word(data: &[u8]) -> Result<u16, DecodeError> {
    super::decode::Bytes::new("a reply about SDRs", data).word(0)
}

impl Inventory {
    fn take(&mut self, record: &[u8]) {
        match sdr::decode(record) {
            Ok(Record::Sensors(sensors)) => self.sensors.extend(sensors),
            Ok(Record::Fru(part)) => self.parts.push(part),
            Ok(Record::Controller(_) | Record::Other(_)) => {}
            Err(error) => {
                let (count, first) = self.broken.unwrap_or((0, error));
                self.broken = Some((count + 1, first));
            }
        }
    }
}
