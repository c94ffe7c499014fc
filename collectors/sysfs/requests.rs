//! The requests to devices that read and change nothing, as data. [`crate::SysRoot::ask`] sends them.

/// A request to a device that reads and changes nothing. There is no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceRequest {
    /// SMART / Health Information of an NVMe controller (`nvme0`): 512 bytes.
    NvmeSmartLog,
    /// The SMART attributes of an ATA disk (`sda`): 512 bytes.
    AtaSmartData,
    /// Below which values its SMART attributes count as failed: 512 bytes.
    AtaSmartThresholds,
    /// Driver and firmware of a network interface: `struct ethtool_drvinfo`.
    EthtoolDriver,
    /// Speed, port and possible modes of a network interface: `struct ethtool_link_settings` and its masks.
    EthtoolLinkSettings,
    /// Names of what the driver of a network interface counts: 32 bytes each.
    EthtoolStatisticNames,
    /// What the driver of a network interface counted: 8 bytes each, in the order of the names.
    EthtoolStatistics,
    /// Which error correction a link uses: `struct ethtool_fecparam`.
    EthtoolFec,
    /// Which kind of memory the plugged-in module has: `struct ethtool_modinfo`.
    EthtoolModuleInfo,
    /// The memory of the plugged-in module, with its diagnostics. Flags that a reading would clear are left out: they
    /// are 0 here.
    EthtoolModuleMemory,
}

/// What one request is on the wire, for people who judge what can be sent.
#[derive(Debug)]
pub struct AllowedRequest {
    /// The request.
    pub request: DeviceRequest,
    /// The ioctl that carries it.
    pub ioctl: &'static str,
    /// The command inside it, as its specification names it.
    pub command: &'static str,
    /// What it is sent to.
    pub devices: &'static str,
    /// The right that the kernel wants for it; empty where none.
    pub capability: &'static str,
}

/// Every request that can be sent.
pub static ALLOWED: &[AllowedRequest] = &[
    allowed(
        DeviceRequest::NvmeSmartLog,
        NVME,
        "Get Log Page of SMART / Health Information (02h/02h), asynchronous event retained",
    ),
    allowed(
        DeviceRequest::AtaSmartData,
        ATA,
        "ATA PASS-THROUGH (16), PIO data-in: SMART READ DATA (B0h/D0h)",
    ),
    allowed(
        DeviceRequest::AtaSmartThresholds,
        ATA,
        "ATA PASS-THROUGH (16), PIO data-in: SMART READ THRESHOLDS (B0h/D1h)",
    ),
    allowed(
        DeviceRequest::EthtoolDriver,
        ETHTOOL,
        "ETHTOOL_GDRVINFO (03h)",
    ),
    allowed(
        DeviceRequest::EthtoolLinkSettings,
        ETHTOOL,
        "ETHTOOL_GLINKSETTINGS (4Ch)",
    ),
    allowed(
        DeviceRequest::EthtoolStatisticNames,
        ETHTOOL,
        "ETHTOOL_GSSET_INFO (37h), ETHTOOL_GSTRINGS (1Bh) of ETH_SS_STATS",
    ),
    allowed(
        DeviceRequest::EthtoolStatistics,
        ETHTOOL,
        "ETHTOOL_GSSET_INFO (37h) of ETH_SS_STATS, ETHTOOL_GSTATS (1Dh)",
    ),
    allowed(
        DeviceRequest::EthtoolFec,
        ETHTOOL,
        "ETHTOOL_GFECPARAM (50h)",
    ),
    allowed(
        DeviceRequest::EthtoolModuleInfo,
        MODULE,
        "ETHTOOL_GMODULEINFO (42h)",
    ),
    allowed(
        DeviceRequest::EthtoolModuleMemory,
        MODULE,
        "ETHTOOL_GMODULEINFO (42h), ETHTOOL_GMODULEEEPROM (43h) but for latched flags",
    ),
];

/// An ioctl, its devices, and the right that it wants.
type Carrier = [&'static str; 3];
const NVME: Carrier = ["NVME_IOCTL_ADMIN_CMD", "/dev/nvme*", "CAP_SYS_ADMIN"];
const ATA: Carrier = ["SG_IO", "/dev/sd*", "CAP_SYS_RAWIO"];
const ETHTOOL: Carrier = ["SIOCETHTOOL", "network interfaces", ""];
const MODULE: Carrier = ["SIOCETHTOOL", "network interfaces", "CAP_NET_ADMIN"];

const fn allowed(
    request: DeviceRequest,
    [ioctl, devices, capability]: Carrier,
    command: &'static str,
) -> AllowedRequest {
    AllowedRequest {
        request,
        ioctl,
        command,
        devices,
        capability,
    }
}

impl DeviceRequest {
    /// Its name, as that of the file with its answer in a captured tree.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NvmeSmartLog => "smart_log",
            Self::AtaSmartData => "smart_data",
            Self::AtaSmartThresholds => "smart_thresholds",
            Self::EthtoolDriver => "driver",
            Self::EthtoolLinkSettings => "link_settings",
            Self::EthtoolStatisticNames => "statistic_names",
            Self::EthtoolStatistics => "statistics",
            Self::EthtoolFec => "fec",
            Self::EthtoolModuleInfo => "module_info",
            Self::EthtoolModuleMemory => "module_memory",
        }
    }

    /// Whether a name can be that of a device which takes it.
    pub(crate) fn takes(self, device: &str) -> bool {
        let numbered = |stem: &str, is_digit: fn(&u8) -> bool| {
            device
                .strip_prefix(stem)
                .is_some_and(|number| !number.is_empty() && number.as_bytes().iter().all(is_digit))
        };
        match self {
            Self::NvmeSmartLog => numbered("nvme", u8::is_ascii_digit),
            Self::AtaSmartData | Self::AtaSmartThresholds => numbered("sd", u8::is_ascii_lowercase),
            _ => {
                (1..NAME_BYTES).contains(&device.len())
                    && ![".", ".."].contains(&device)
                    && !device.bytes().any(|byte| byte == b'/' || byte <= b' ')
            }
        }
    }
}

/// `IFNAMSIZ`, with the zero at the end.
pub(crate) const NAME_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_request_is_told_once_and_has_a_name() {
        let requests: BTreeSet<_> = ALLOWED.iter().map(|one| one.request).collect();
        let words: BTreeSet<_> = ALLOWED.iter().map(|one| one.request.word()).collect();
        assert_eq!(
            (requests.len(), words.len()),
            (ALLOWED.len(), ALLOWED.len())
        );
        // the last variant has the highest number: one that is missing above would show here
        let last = DeviceRequest::EthtoolModuleMemory as usize;
        assert_eq!(ALLOWED.len(), last + 1);
    }
}
