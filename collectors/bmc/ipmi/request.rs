//! Every request that can be sent to a BMC, and no other.
//!
//! [`Request`] is the only thing that a transport takes: there is no function for a raw command, so nothing here can
//! power a machine off, clear a log or set a limit. Each only asks. The two that *reserve* write nothing to hardware: a
//! reservation is a number that lets the BMC say that its records changed between two partial reads, and ends when
//! somebody else asks for one. Over the network, requests that open, level and close our own session come besides; see
//! [`SESSION`].

use super::decode::dcmi;
use super::decode::sdr::Owner;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// What are you? Mandatory, so it shows whether a BMC answers.
    GetDeviceId,
    /// What did your self test find?
    GetSelfTestResults,
    /// What does your watchdog do?
    GetWatchdogTimer,
    /// How is the chassis?
    GetChassisStatus,
    /// How many SDRs, and when did they change?
    GetSdrRepositoryInfo,
    /// A number under which SDRs may be read in parts.
    ReserveSdrRepository,
    /// A part of an SDR.
    GetSdr(RecordPart),
    /// As [`Self::GetSdrRepositoryInfo`], of a BMC that keeps records of its own sensors alone.
    GetDeviceSdrInfo,
    /// As [`Self::ReserveSdrRepository`].
    ReserveDeviceSdrRepository,
    /// As [`Self::GetSdr`].
    GetDeviceSdr(RecordPart),
    /// What does this sensor say?
    GetSensorReading(SensorAddress),
    /// What are its limits?
    GetSensorThresholds(SensorAddress),
    /// How is this reading of it scaled?
    GetSensorReadingFactors(SensorAddress, u8),
    /// How full is the log?
    GetSelInfo,
    /// A whole record of the log, by its id; 0000h is the first.
    GetSelEntry(u16),
    /// What time is it on your clock?
    GetSelTime,
    /// How large is the inventory of this part?
    GetFruInventoryAreaInfo(u8),
    /// Some of it: device, offset, count.
    ReadFruData(u8, u16, u8),
    /// What does the machine draw?
    GetPowerReading,
    /// What may it draw?
    GetPowerLimit,
}

/// A part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPart {
    /// Under which reservation; 0 for the start of a record.
    pub reservation: u16,
    /// Which record; 0000h is the first.
    pub record: u16,
    /// From which byte.
    pub offset: u8,
    /// How many bytes.
    pub count: u8,
}

/// A sensor, as requests name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SensorAddress {
    /// Who answers for it.
    pub owner: Owner,
    /// Its number there.
    pub number: u8,
}

/// What is known of a kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Network function.
    pub net_function: u8,
    /// Command in it.
    pub command: u8,
    /// Its name in the specification.
    pub name: &'static str,
}

const fn allowed(net_function: u8, command: u8, name: &'static str) -> Allowed {
    Allowed {
        net_function,
        command,
        name,
    }
}

impl Allowed {
    /// For the record of the tests.
    pub(crate) fn is_sent(&self) {
        glasshouse_sysfs::sending("ipmi", || {
            format!("{:02X}h {:02X}h", self.net_function, self.command)
        });
    }
}

const CHASSIS: u8 = 0x00;
const SENSOR: u8 = 0x04;
const APPLICATION: u8 = 0x06;
const STORAGE: u8 = 0x0a;
const GROUP_EXTENSION: u8 = 0x2c;

/// Address of the BMC itself.
pub const BMC_ADDRESS: u8 = 0x20;

/// Every request, in the order of the enumeration.
pub static ALLOWED: [Allowed; 20] = [
    allowed(APPLICATION, 0x01, "Get Device ID"),
    allowed(APPLICATION, 0x04, "Get Self Test Results"),
    allowed(APPLICATION, 0x25, "Get Watchdog Timer"),
    allowed(CHASSIS, 0x01, "Get Chassis Status"),
    allowed(STORAGE, 0x20, "Get SDR Repository Info"),
    allowed(STORAGE, 0x22, "Reserve SDR Repository"),
    allowed(STORAGE, 0x23, "Get SDR"),
    allowed(SENSOR, 0x20, "Get Device SDR Info"),
    allowed(SENSOR, 0x22, "Reserve Device SDR Repository"),
    allowed(SENSOR, 0x21, "Get Device SDR"),
    allowed(SENSOR, 0x2d, "Get Sensor Reading"),
    allowed(SENSOR, 0x27, "Get Sensor Thresholds"),
    allowed(SENSOR, 0x23, "Get Sensor Reading Factors"),
    allowed(STORAGE, 0x40, "Get SEL Info"),
    allowed(STORAGE, 0x43, "Get SEL Entry"),
    allowed(STORAGE, 0x48, "Get SEL Time"),
    allowed(STORAGE, 0x10, "Get FRU Inventory Area Info"),
    allowed(STORAGE, 0x11, "Read FRU Data"),
    allowed(GROUP_EXTENSION, 0x02, "DCMI Get Power Reading"),
    allowed(GROUP_EXTENSION, 0x03, "DCMI Get Power Limit"),
];

/// What is sent over the network besides, for our own session alone: its library opens it (RMCP+ Open Session, RAKP 1
/// and 3), levels it where the configuration asks for more than `user`, and closes it.
pub static SESSION: [Allowed; 2] = [
    allowed(APPLICATION, 0x3b, "Set Session Privilege Level"),
    allowed(APPLICATION, 0x3c, "Close Session"),
];

impl Request {
    /// What kind it is.
    #[must_use]
    pub const fn allowed(&self) -> &'static Allowed {
        let [
            device_id,
            self_test,
            watchdog,
            chassis,
            sdr_info,
            reserve_sdr,
            sdr,
            device_sdr_info,
            reserve_device_sdr,
            device_sdr,
            reading,
            thresholds,
            factors,
            sel_info,
            sel_entry,
            sel_time,
            fru_info,
            fru_data,
            power_reading,
            power_limit,
        ] = &ALLOWED;
        match self {
            Self::GetDeviceId => device_id,
            Self::GetSelfTestResults => self_test,
            Self::GetWatchdogTimer => watchdog,
            Self::GetChassisStatus => chassis,
            Self::GetSdrRepositoryInfo => sdr_info,
            Self::ReserveSdrRepository => reserve_sdr,
            Self::GetSdr(_) => sdr,
            Self::GetDeviceSdrInfo => device_sdr_info,
            Self::ReserveDeviceSdrRepository => reserve_device_sdr,
            Self::GetDeviceSdr(_) => device_sdr,
            Self::GetSensorReading(_) => reading,
            Self::GetSensorThresholds(_) => thresholds,
            Self::GetSensorReadingFactors(..) => factors,
            Self::GetSelInfo => sel_info,
            Self::GetSelEntry(_) => sel_entry,
            Self::GetSelTime => sel_time,
            Self::GetFruInventoryAreaInfo(_) => fru_info,
            Self::ReadFruData(..) => fru_data,
            Self::GetPowerReading => power_reading,
            Self::GetPowerLimit => power_limit,
        }
    }

    /// Who is asked: the BMC, but for sensors of others.
    #[must_use]
    pub const fn target(&self) -> Owner {
        match self {
            Self::GetSensorReading(sensor)
            | Self::GetSensorThresholds(sensor)
            | Self::GetSensorReadingFactors(sensor, _) => sensor.owner,
            _ => Owner {
                address: BMC_ADDRESS,
                channel: 0,
                lun: 0,
            },
        }
    }

    /// What follows the command.
    #[must_use]
    pub fn data(&self) -> Vec<u8> {
        match *self {
            Self::GetSdr(part) | Self::GetDeviceSdr(part) => {
                let [reservation_low, reservation_high] = part.reservation.to_le_bytes();
                let [record_low, record_high] = part.record.to_le_bytes();
                vec![
                    reservation_low,
                    reservation_high,
                    record_low,
                    record_high,
                    part.offset,
                    part.count,
                ]
            }
            Self::GetSensorReading(sensor) | Self::GetSensorThresholds(sensor) => {
                vec![sensor.number]
            }
            Self::GetSensorReadingFactors(sensor, reading) => vec![sensor.number, reading],
            Self::GetSelEntry(record) => {
                let [low, high] = record.to_le_bytes();
                // no reservation, from the first byte, all of it
                vec![0, 0, low, high, 0, 0xff]
            }
            Self::GetFruInventoryAreaInfo(device) => vec![device],
            Self::ReadFruData(device, offset, count) => {
                let [low, high] = offset.to_le_bytes();
                vec![device, low, high, count]
            }
            Self::GetPowerReading => vec![dcmi::GROUP, 1, 0, 0],
            Self::GetPowerLimit => vec![dcmi::GROUP, 0, 0],
            Self::GetDeviceSdrInfo => vec![1],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands of the specification that change something, by their pair, for whoever adds a line above.
    #[test]
    fn nothing_that_writes_is_allowed() {
        const WRITING: [(u8, &[u8]); 5] = [
            (CHASSIS, &[0x02, 0x04, 0x05, 0x06, 0x08, 0x0a, 0x0b]),
            (
                SENSOR,
                &[
                    0x00, 0x02, 0x10, 0x12, 0x16, 0x24, 0x26, 0x28, 0x2a, 0x2e, 0x30,
                ],
            ),
            (
                APPLICATION,
                &[
                    0x02, 0x03, 0x06, 0x22, 0x24, 0x2e, 0x34, 0x40, 0x43, 0x45, 0x47, 0x52,
                ],
            ),
            (
                STORAGE,
                &[
                    0x12, 0x24, 0x25, 0x26, 0x27, 0x29, 0x2a, 0x44, 0x45, 0x46, 0x47, 0x49,
                ],
            ),
            (GROUP_EXTENSION, &[0x04, 0x05]),
        ];
        for allowed in ALLOWED.iter().chain(&SESSION) {
            let writes = WRITING.iter().any(|(function, commands)| {
                *function == allowed.net_function && commands.contains(&allowed.command)
            });
            assert!(!writes, "{allowed:?}");
        }
    }
}
