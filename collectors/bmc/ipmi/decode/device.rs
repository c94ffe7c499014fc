//! The BMC itself: its id (section 20.1), self test (20.4), chassis (28.2), watchdog (27.7), repositories (33.9, 35.2).

use super::{Bytes, DecodeError};

/// What a BMC is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceId {
    /// Major and minor firmware revision; the minor one is binary-coded decimal.
    pub firmware: (u8, u8),
    /// Major and minor IPMI version.
    pub ipmi: (u8, u8),
    /// IANA number of the maker.
    pub manufacturer: u32,
    /// The maker's number of the product.
    pub product: u16,
    /// Whether it runs, rather than starts, updates its firmware or its SDRs.
    pub is_available: bool,
    /// Whether it has device SDRs of its own.
    pub has_device_sdrs: bool,
    /// Which devices it supports: bit 1 SDR repository, bit 2 SEL, bit 3 FRU inventory.
    pub supports: u8,
}

impl DeviceId {
    /// From the data of a reply to Get Device ID.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let data = Bytes::new("a reply to Get Device ID", data);
        let (major, minor) = (data.byte(2)?, data.byte(3)?);
        let ipmi = data.byte(4)?;
        Ok(Self {
            firmware: (major & 0x7f, minor),
            // the major version is in the low half
            ipmi: (ipmi & 0xf, ipmi >> 4),
            manufacturer: data.three(6)? & 0x000f_ffff,
            product: data.word(9)?,
            is_available: major & 0x80 == 0,
            has_device_sdrs: data.byte(1)? & 0x80 != 0,
            supports: data.byte(5)?,
        })
    }

    /// The firmware's version as makers write it, `9.08`.
    #[must_use]
    pub fn firmware_version(self) -> String {
        format!("{}.{:02x}", self.firmware.0, self.firmware.1)
    }

    /// Whether it has a repository of SDRs.
    #[must_use]
    pub const fn has_sdr_repository(self) -> bool {
        self.supports & 2 != 0
    }

    /// Whether it has a log.
    #[must_use]
    pub const fn has_sel(self) -> bool {
        self.supports & 4 != 0
    }

    /// Whether it has inventories of parts.
    #[must_use]
    pub const fn has_fru(self) -> bool {
        self.supports & 8 != 0
    }
}

/// How the SDRs of a BMC changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepositoryInfo {
    /// How many there are.
    pub records: u16,
    /// When one was last added, by the BMC's clock; for device SDRs, their count of changes.
    pub added: u32,
    /// When they were last erased, by the BMC's clock.
    pub erased: u32,
}

impl RepositoryInfo {
    /// From the data of a reply to Get SDR Repository Info.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let data = Bytes::new("a reply to Get SDR Repository Info", data);
        Ok(Self {
            records: data.word(1)?,
            added: data.double(5)?,
            erased: data.double(9)?,
        })
    }

    /// From the data of a reply to Get Device SDR Info; one whose sensors never change has no count.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn decode_device(data: &[u8]) -> Result<Self, DecodeError> {
        let data = Bytes::new("a reply to Get Device SDR Info", data);
        let is_dynamic = data.byte(1)? & 0x80 != 0;
        Ok(Self {
            records: u16::from(data.byte(0)?),
            added: if is_dynamic { data.double(2)? } else { 0 },
            erased: 0,
        })
    }
}

/// What a chassis says: `true` bits of two bytes, by word.
///
/// # Errors
/// [`DecodeError::Short`].
pub fn chassis_states(data: &[u8]) -> Result<[(&'static str, bool); 9], DecodeError> {
    let data = Bytes::new("a reply to Get Chassis Status", data);
    let (power, misc) = (data.byte(0)?, data.byte(2)?);
    let bit = |byte: u8, bit: u8| byte >> bit & 1 != 0;
    Ok([
        ("power_on", bit(power, 0)),
        ("power_overload", bit(power, 1)),
        ("power_interlock", bit(power, 2)),
        ("main_power_fault", bit(power, 3)),
        ("power_control_fault", bit(power, 4)),
        ("chassis_intrusion", bit(misc, 0)),
        ("front_panel_lockout", bit(misc, 1)),
        ("drive_fault", bit(misc, 2)),
        ("cooling_fault", bit(misc, 3)),
    ])
}

/// What the watchdog says, by word: whether it runs, and for what it ever expired.
///
/// # Errors
/// [`DecodeError::Short`].
pub fn watchdog_states(data: &[u8]) -> Result<[(&'static str, bool); 6], DecodeError> {
    let data = Bytes::new("a reply to Get Watchdog Timer", data);
    let (timer_use, expired) = (data.byte(0)?, data.byte(3)?);
    let bit = |byte: u8, bit: u8| byte >> bit & 1 != 0;
    Ok([
        ("running", bit(timer_use, 6)),
        ("expired_bios_frb2", bit(expired, 1)),
        ("expired_bios_post", bit(expired, 2)),
        ("expired_os_load", bit(expired, 3)),
        ("expired_os", bit(expired, 4)),
        ("expired_oem", bit(expired, 5)),
    ])
}

/// What the self test found, by word; `None` where the BMC has none.
///
/// # Errors
/// [`DecodeError::Short`].
pub fn self_test(data: &[u8]) -> Result<Option<String>, DecodeError> {
    let data = Bytes::new("a reply to Get Self Test Results", data);
    let detail = data.byte(1)?;
    Ok(match data.byte(0)? {
        0x55 => Some("passed".to_owned()),
        0x56 => None,
        0x57 => {
            let found: Vec<&str> = SELF_TEST
                .into_iter()
                .enumerate()
                .filter_map(|(bit, word)| (detail >> bit & 1 != 0).then_some(word))
                .collect();
            Some(found.join(", "))
        }
        0x58 => Some(format!("fatal hardware error {detail:#04x}")),
        other => Some(format!(
            "device-specific failure {other:#04x} {detail:#04x}"
        )),
    })
}

const SELF_TEST: [&str; 8] = [
    "firmware corrupted",
    "boot block corrupted",
    "FRU internal area corrupted",
    "SDR repository empty",
    "bus not responding",
    "FRU not accessible",
    "SDR repository not accessible",
    "SEL not accessible",
];

/// Seconds since 1970 by the BMC's clock, from the data of a reply to Get SEL Time.
///
/// # Errors
/// [`DecodeError::Short`].
pub fn sel_time(data: &[u8]) -> Result<u32, DecodeError> {
    Bytes::new("a reply to Get SEL Time", data).double(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_id_is_read_field_by_field() {
        let reply = [0, 3, 9, 8, 2, 0x9f, 0x91, 0x12, 0, 0x02, 0x0f, 0, 0, 0, 0];
        let id = DeviceId::decode(&reply).unwrap();
        assert_eq!(id.firmware_version(), "9.08");
        assert_eq!(
            (id.ipmi, id.manufacturer, id.product),
            ((2, 0), 4753, 0x0f02)
        );
        assert!(id.is_available && id.has_sdr_repository() && id.has_sel() && id.has_fru());
        assert!(!id.has_device_sdrs);
        assert_eq!(
            DeviceId::decode(&[0, 1, 0x81, 0x45, 0x51, 0, 1, 0, 0, 0, 0])
                .unwrap()
                .ipmi,
            (1, 5)
        );
        assert!(DeviceId::decode(&reply[..10]).is_err());
    }

    #[test]
    fn a_chassis_says_what_is_wrong_by_word() {
        let wrong = |data: &[u8]| -> Vec<&str> {
            let states = chassis_states(data).unwrap();
            states
                .into_iter()
                .filter(|(_, is)| *is)
                .map(|(word, _)| word)
                .collect()
        };
        assert_eq!(wrong(&[0x01, 0, 0x00]), ["power_on"]);
        assert_eq!(
            wrong(&[0x19, 0, 0x0c]),
            [
                "power_on",
                "main_power_fault",
                "power_control_fault",
                "drive_fault",
                "cooling_fault"
            ]
        );
        assert!(chassis_states(&[1]).is_err());
    }

    #[test]
    fn self_tests_are_told_in_words() {
        assert_eq!(self_test(&[0x55, 0]), Ok(Some("passed".to_owned())));
        assert_eq!(self_test(&[0x56, 0]), Ok(None));
        let found = self_test(&[0x57, 0x88]).unwrap().unwrap();
        assert_eq!(found, "SDR repository empty, SEL not accessible");
    }

    #[test]
    fn a_watchdog_says_why_it_expired() {
        let states = watchdog_states(&[0x44, 1, 0, 0x10, 0, 0, 0, 0]).unwrap();
        assert_eq!(states[0], ("running", true));
        assert_eq!(states[4], ("expired_os", true));
        assert!(states.iter().filter(|(_, is)| *is).count() == 2);
    }
}
