//! `docs/read-only.md`: every request that can be sent to anything, from the lists by which they are sent.

use glasshouse_bmc::REDFISH_REQUESTS;
use glasshouse_bmc::ipmi::request::{ALLOWED as IPMI_REQUESTS, Allowed, SESSION};
use glasshouse_sysfs::ALLOWED as DEVICE_REQUESTS;

use super::GENERATED;

/// Everything that can be sent, by what it is sent to.
pub(super) fn document() -> String {
    let mut text = format!("{GENERATED}\n# What can be sent to hardware\n\n");
    text.push_str(
        "Files of `/proc` and `/sys` are opened for reading alone. Beyond them, these requests can be sent and no others: \
         each is a value of an enumeration, and no function takes a command, a verb, a path or a symbol from outside. \
         Tests record what is sent and compare it with these lists.\n",
    );
    text.push_str("\n## IPMI, to the BMC of the machine and to BMCs in the network\n\n");
    text.push_str("| network function | command | name |\n| --- | --- | --- |\n");
    IPMI_REQUESTS.iter().for_each(|one| ipmi(&mut text, one));
    text.push_str("\nOver the network besides, for our own session alone:\n\n");
    text.push_str("| network function | command | name |\n| --- | --- | --- |\n");
    SESSION.iter().for_each(|one| ipmi(&mut text, one));
    text.push_str("\n## Redfish, to BMCs in the network\n\n");
    text.push_str("`**` stands for anything below, `{}` for one part of a path.\n\n");
    text.push_str("| method | path | for |\n| --- | --- | --- |\n");
    for one in &REDFISH_REQUESTS {
        text.push_str(&format!(
            "| {} | `{}` | {} |\n",
            one.method, one.path, one.purpose
        ));
    }
    text.push_str("\n## NVML, to the driver of NVIDIA GPUs\n\n");
    text.push_str(
        "Getters, the event set that they need, and the library's own start and end.\n\n",
    );
    for symbol in glasshouse_gpu::allowed() {
        text.push_str(&format!("* `{symbol}`\n"));
    }
    text.push_str("\n## Device requests (ioctl)\n\n");
    text.push_str("| ioctl | command | to | right |\n| --- | --- | --- | --- |\n");
    for one in DEVICE_REQUESTS {
        let right = match one.capability {
            "" => "none",
            right => right,
        };
        text.push_str(&format!(
            "| `{}` | {} | {} | {right} |\n",
            one.ioctl, one.command, one.devices
        ));
    }
    text
}

fn ipmi(text: &mut String, one: &Allowed) {
    text.push_str(&format!(
        "| {:02X}h | {:02X}h | {} |\n",
        one.net_function, one.command, one.name
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_is_in_the_document() {
        let text = document();
        for wanted in [
            "Get Device ID",
            "/redfish/v1/Chassis/**",
            "nvmlInit_v2",
            "ETHTOOL_GLINKSETTINGS",
        ] {
            assert!(text.contains(wanted), "{wanted}");
        }
    }
}
