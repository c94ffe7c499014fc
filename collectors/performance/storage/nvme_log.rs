//! The SMART / Health Information log of NVMe controllers, decoded.
//!
//! Layout: NVM Express Base Specification, SMART / Health Information (Log Page Identifier 02h). Little-endian.

/// Bytes of the log.
pub(super) const LOG_BYTES: usize = 512;

/// Temperature sensors of a controller, beside the composite.
const SENSORS: usize = 8;

/// What a controller says of its health. Counters are as wide as the log has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HealthLog {
    /// Bit by bit: spare, temperature, reliability, read-only, backup, persistent memory.
    pub(super) critical_warning: u8,
    /// Kelvin, the composite first; `None` where there is no such sensor.
    pub(super) temperatures: [Option<u16>; SENSORS + 1],
    /// Percent.
    pub(super) available_spare: u8,
    /// Percent.
    pub(super) spare_threshold: u8,
    /// Percent of the rated life; 255 is 255 or more.
    pub(super) percentage_used: u8,
    /// Thousands of 512 bytes.
    pub(super) data_units: [u128; 2],
    pub(super) commands: [u128; 2],
    pub(super) busy_minutes: u128,
    pub(super) power_cycles: u128,
    pub(super) power_on_hours: u128,
    pub(super) unsafe_shutdowns: u128,
    pub(super) media_errors: u128,
    pub(super) error_log_entries: u128,
    pub(super) warning_minutes: u32,
    pub(super) critical_minutes: u32,
    /// Light and heavy throttling: how often, and seconds in all.
    pub(super) thermal_transitions: [u32; 2],
    pub(super) thermal_seconds: [u32; 2],
}

impl HealthLog {
    /// Decodes a log; `None` where it has another length, or is blank, which no controller says.
    pub(super) fn parse(log: &[u8]) -> Option<Self> {
        let log: &[u8; LOG_BYTES] = log.try_into().ok()?;
        if log.iter().all(|byte| *byte == 0) || log.iter().all(|byte| *byte == 0xFF) {
            return None;
        }
        let byte = |at: usize| log.get(at).copied();
        let mut temperatures = [kelvin(log, 1)?; SENSORS + 1];
        for (n, sensor) in temperatures.iter_mut().skip(1).enumerate() {
            *sensor = kelvin(log, 200 + 2 * n)?;
        }
        Some(Self {
            critical_warning: byte(0)?,
            temperatures,
            available_spare: byte(3)?,
            spare_threshold: byte(4)?,
            percentage_used: byte(5)?,
            data_units: [wide(log, 32)?, wide(log, 48)?],
            commands: [wide(log, 64)?, wide(log, 80)?],
            busy_minutes: wide(log, 96)?,
            power_cycles: wide(log, 112)?,
            power_on_hours: wide(log, 128)?,
            unsafe_shutdowns: wide(log, 144)?,
            media_errors: wide(log, 160)?,
            error_log_entries: wide(log, 176)?,
            warning_minutes: long(log, 192)?,
            critical_minutes: long(log, 196)?,
            thermal_transitions: [long(log, 216)?, long(log, 220)?],
            thermal_seconds: [long(log, 224)?, long(log, 228)?],
        })
    }
}

fn bytes<const N: usize>(log: &[u8], at: usize) -> Option<[u8; N]> {
    log.get(at..)?.first_chunk().copied()
}

fn kelvin(log: &[u8], at: usize) -> Option<Option<u16>> {
    let kelvin = u16::from_le_bytes(bytes(log, at)?);
    Some((kelvin != 0).then_some(kelvin))
}

fn wide(log: &[u8], at: usize) -> Option<u128> {
    bytes(log, at).map(u128::from_le_bytes)
}

fn long(log: &[u8], at: usize) -> Option<u32> {
    bytes(log, at).map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A drive that is half worn: written field by field.
    fn worn() -> [u8; LOG_BYTES] {
        let mut log = [0; LOG_BYTES];
        let mut put = |at: usize, bytes: &[u8]| log[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &[0b0000_0101]);
        put(1, &310_u16.to_le_bytes());
        put(3, &[8, 10, 52]);
        put(32, &1_000_000_u128.to_le_bytes());
        put(48, &2_000_000_u128.to_le_bytes());
        put(128, &26_280_u128.to_le_bytes());
        put(160, &3_u128.to_le_bytes());
        put(192, &7_u32.to_le_bytes());
        put(200, &311_u16.to_le_bytes());
        put(214, &320_u16.to_le_bytes());
        put(216, &5_u32.to_le_bytes());
        put(228, &90_u32.to_le_bytes());
        log
    }

    #[test]
    fn each_field_stands_where_the_specification_says() {
        let log = HealthLog::parse(&worn()).unwrap();
        assert_eq!(log.critical_warning, 5);
        assert_eq!(log.temperatures[0], Some(310));
        assert_eq!(log.temperatures[1], Some(311));
        assert_eq!(log.temperatures[2], None);
        assert_eq!(log.temperatures[8], Some(320));
        assert_eq!(
            (
                log.available_spare,
                log.spare_threshold,
                log.percentage_used
            ),
            (8, 10, 52)
        );
        assert_eq!(log.data_units, [1_000_000, 2_000_000]);
        assert_eq!((log.power_on_hours, log.media_errors), (26_280, 3));
        assert_eq!((log.warning_minutes, log.critical_minutes), (7, 0));
        assert_eq!(log.thermal_transitions, [5, 0]);
        assert_eq!(log.thermal_seconds, [0, 90]);
    }

    #[test]
    fn what_no_controller_says_is_no_log() {
        assert_eq!(HealthLog::parse(&[0; LOG_BYTES]), None);
        assert_eq!(HealthLog::parse(&[0xFF; LOG_BYTES]), None);
        assert_eq!(HealthLog::parse(&worn()[..511]), None);
        assert_eq!(HealthLog::parse(&[]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_do_not(log in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(HealthLog::parse(&log).is_none() || log.len() == LOG_BYTES);
        }

        #[test]
        fn any_full_log_decodes(log in proptest::collection::vec(1_u8..255, LOG_BYTES)) {
            prop_assert!(HealthLog::parse(&log).is_some());
        }
    }
}
