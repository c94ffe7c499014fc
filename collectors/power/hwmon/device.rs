//! Chips behind which the firmware of a device answers, apart from those of the machine.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::options::Options;
use glasshouse_sysfs::{Spec, SysRoot};

use super::alarms::HwmonAlarm;
use super::chip::Whose;
use super::{DIRECTORY, EXCLUDE, Hwmon, METRICS};

pub(crate) static HWMON_DEVICE: Spec = Spec {
    name: "hwmon_device",
    summary: "Readings and alarms of chips that ask the firmware of drives, cards, GPUs and power meters.",
    // but for the wall power, which is the machine's
    metrics: METRICS.split_at(1).1,
    facts: &[],
    options: &[EXCLUDE],
    // each reading is a command to a device that has other work
    interval_seconds: 15,
    needs: "",
    build: |root: SysRoot, options: &Options| {
        Box::new(HwmonDevice {
            alarms: HwmonAlarm::new(root.clone(), options, Whose::Device),
            readings: Hwmon::new(root, options, Whose::Device),
        })
    },
};

#[derive(Debug)]
struct HwmonDevice {
    readings: Hwmon,
    alarms: HwmonAlarm,
}

impl Collector for HwmonDevice {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let readings = self.readings.collect(out)?;
        let alarms = self.alarms.collect(out)?;
        if readings != Presence::Present && alarms != Presence::Present {
            let looked_for = format!("no sensor of a device in `/{DIRECTORY}`");
            return Ok(Presence::Absent(looked_for));
        }
        Ok(Presence::Present)
    }
}
