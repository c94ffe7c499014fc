//! Firmware of host bus adapters, and what batteries are.

use glasshouse_core::failure::FailureReason;
use glasshouse_sysfs::{optional, stable_device};

use super::Teller;

const ADAPTERS: &str = "sys/class/scsi_host";
const SUPPLIES: &str = "sys/class/power_supply";

/// Adapters and supplies of one machine.
const MOST_PARTS: usize = 256;

/// Each driver has files of its own; the first that says something is told.
const FILES: [(&str, &[&str]); 3] = [
    (
        "hw.firmware_version",
        &["version_fw", "fwrev", "fw_version", "firmware_revision"],
    ),
    (
        "hw.model",
        &["board_name", "modelname", "model_name", "version_product"],
    ),
    ("hw.driver", &["proc_name"]),
];

pub(super) fn tell(teller: &mut Teller<'_>) {
    let adapters = optional(teller.root.list(ADAPTERS));
    let adapters = teller.noted(adapters).flatten().unwrap_or_default();
    for name in adapters.iter().take(MOST_PARTS) {
        tell_adapter(teller, name);
    }
    let supplies = optional(teller.root.list(SUPPLIES));
    let supplies = teller.noted(supplies).flatten().unwrap_or_default();
    for name in supplies.iter().take(MOST_PARTS) {
        let supply = format!("{SUPPLIES}/{name}");
        let scope = teller
            .root
            .read_optional_trimmed(&format!("{supply}/scope"));
        if teller.noted(scope).flatten().as_deref() == Some("Device") {
            continue;
        }
        let component = format!("battery/{name}");
        for (key, file) in [
            ("hw.vendor", "manufacturer"),
            ("hw.model", "model_name"),
            ("hw.battery.chemistry", "technology"),
        ] {
            teller.tell_file(&component, key, &format!("{supply}/{file}"));
        }
    }
}

/// Only an adapter that says its firmware: each SATA port is an adapter of its own to the kernel, and has none.
fn tell_adapter(teller: &mut Teller<'_>, name: &str) {
    let adapter = format!("{ADAPTERS}/{name}");
    let place = teller.root.link_target(&adapter).unwrap_or_default();
    let device = place
        .split("/host")
        .next()
        .and_then(|device| stable_device(teller.root, device, teller.out));
    let component = format!("adapter/{}", device.as_deref().unwrap_or(name));
    let mut is_adapter = false;
    for (key, files) in FILES {
        if key == "hw.driver" && !is_adapter {
            continue;
        }
        for file in files {
            let text = teller
                .root
                .read_optional_trimmed(&format!("{adapter}/{file}"));
            let text = match text {
                // drivers refuse what their card does not have
                Err(error)
                    if matches!(error.reason, FailureReason::Io | FailureReason::Unsupported) =>
                {
                    None
                }
                text => teller.noted(text).flatten(),
            };
            if let Some(text) = text {
                teller.tell(&component, key, &text);
                is_adapter = true;
                break;
            }
        }
    }
}
