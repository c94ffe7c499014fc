//! Collector `ipmi`: the BMC of this machine, through `/dev/ipmi0`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::options::Options;
use glasshouse_core::time::SystemClock;
use glasshouse_core::worker::Worker;
use glasshouse_sysfs::{Spec, SysRoot, WorkerSpec, kernel_sums_supplies};

use super::bmc::Bmc;
use super::in_band::InBand;
use super::metrics::{FACTS, METRICS};
use super::place::Place;

pub(crate) static IPMI: WorkerSpec = WorkerSpec {
    spec: Spec {
        name: "ipmi",
        summary: "Sensors, power, event log, chassis and inventory of this machine's BMC, by IPMI.",
        metrics: &METRICS,
        facts: &FACTS,
        options: &[],
        // a round takes seconds of a slow bus, and most BMCs look at their sensors no more often
        interval_seconds: 30,
        needs: "`/dev/ipmi0`: the modules ipmi_devintf and ipmi_si, and the right to open it (a udev rule that gives its group to the probe)",
        build: |root: SysRoot, _: &Options| Box::new(Own { root, bmc: None }),
    },
    worker: Worker::Ipmi,
    look: |root: &SysRoot, _: &Options| match look(root) {
        Ok(_) => Presence::Present,
        Err(absent) => Presence::Absent(absent),
    },
};

/// Names that the device has had.
const DEVICES: [&str; 3] = ["dev/ipmi0", "dev/ipmi/0", "dev/ipmidev/0"];

/// Where firmware says that there is a BMC: SMBIOS record 38, and the ACPI device of one.
const SIGNS: [&str; 2] = [
    "sys/firmware/dmi/entries/38-0",
    "sys/bus/acpi/devices/IPI0001:00",
];

/// Longer than the kernel lets a BMC take for one answer before it starts again (5 s).
const DEADLINE: Duration = Duration::from_millis(5500);

fn look(root: &SysRoot) -> Result<&'static str, String> {
    if !root.is_live() {
        return Err("a captured tree has no BMC that could be asked".to_owned());
    }
    if let Some(device) = DEVICES.into_iter().find(|device| root.exists(device)) {
        return Ok(device);
    }
    let [device, ..] = DEVICES;
    Err(if SIGNS.into_iter().any(|sign| root.exists(sign)) {
        format!(
            "firmware says that there is a BMC, but not `/{device}`: load the kernel modules ipmi_devintf and ipmi_si"
        )
    } else {
        format!("no `/{device}`, and firmware knows of no BMC")
    })
}

/// Whether this collector is there, so that no other speaks for this machine's BMC.
pub(super) fn is_there(root: &SysRoot) -> bool {
    look(root).is_ok()
}

#[derive(Debug)]
struct Own {
    root: SysRoot,
    bmc: Option<(PathBuf, Bmc)>,
}

impl Collector for Own {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let device = match look(&self.root) {
            Ok(device) => Path::new("/").join(device),
            Err(absent) => {
                self.bmc = None;
                return Ok(Presence::Absent(absent));
            }
        };
        if self.bmc.as_ref().is_none_or(|(known, _)| *known != device) {
            let transport = Box::new(InBand::new(device.clone()));
            let bmc = Bmc::new(Place::own(), transport, Arc::new(SystemClock), DEADLINE);
            self.bmc = Some((device, bmc));
        }
        match &mut self.bmc {
            Some((_, bmc)) => {
                // one series has one writer, and drivers come and go
                bmc.leave_sum_to_others(kernel_sums_supplies(&self.root)?);
                bmc.run(out)
            }
            None => Ok(Presence::Absent("no device".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_captured_tree_is_never_asked_through_this_machines_device() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("dev")).unwrap();
        std::fs::write(tree.path().join("dev/ipmi0"), "").unwrap();
        let absent = look(&SysRoot::new(tree.path())).unwrap_err();
        assert!(absent.contains("captured"), "{absent}");
    }
}
