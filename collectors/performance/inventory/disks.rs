//! Disks: model, firmware, size.

use glasshouse_sysfs::{malformed, optional, scaled};

use super::Teller;

const DIRECTORY: &str = "sys/block";

/// The kernel counts sizes in these, whatever the device's own sectors are.
const BYTES_PER_SECTOR: u64 = 512;

/// NVMe and SCSI keep the same under different names; the first that exists is told.
const FILES: [(&str, &[&str]); 3] = [
    ("hw.vendor", &["device/vendor"]),
    ("hw.model", &["device/model", "device/name"]),
    (
        "hw.firmware_version",
        &["device/firmware_rev", "device/rev", "device/fwrev"],
    ),
];

pub(super) fn tell(teller: &mut Teller<'_>) {
    let names = optional(teller.root.list(DIRECTORY));
    let names = teller.noted(names).flatten().unwrap_or_default();
    for name in &names {
        let disk = format!("{DIRECTORY}/{name}");
        // only hardware has a device: loop, ram, dm and md have none
        if !teller.root.exists(&format!("{disk}/device")) {
            continue;
        }
        let component = format!("disk/{name}");
        for (key, files) in FILES {
            let mut paths = files.iter().map(|file| format!("{disk}/{file}"));
            if let Some(path) = paths.find(|path| teller.root.exists(path)) {
                teller.tell_file(&component, key, &path);
            }
        }
        tell_size(teller, &component, &format!("{disk}/size"));
        let queue = format!("{disk}/queue");
        teller.tell_file(
            &component,
            "disk.rotational",
            &format!("{queue}/rotational"),
        );
        teller.tell_choice(&component, "disk.scheduler", &format!("{queue}/scheduler"));
    }
}

fn tell_size(teller: &mut Teller<'_>, component: &str, path: &str) {
    let sectors = teller.root.read_optional_u64(path);
    let Some(Some(sectors @ 1..)) = teller.noted(sectors) else {
        return;
    };
    let bytes = scaled(sectors, BYTES_PER_SECTOR)
        .ok_or_else(|| malformed(path, None, "sectors", &sectors.to_string()));
    if let Some(bytes) = teller.noted(bytes) {
        teller.tell(component, "hw.size", &bytes.to_string());
    }
}
