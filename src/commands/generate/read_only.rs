//! `docs/read-only.md`: every request that can be sent to anything, from the lists by which they are sent.
//!
//! `cargo xtask test` compares the document with what the whole suite sent: a row that is changed here is changed in
//! `src/xtask/src/sent.rs` too, where rows are read.

use glasshouse_bmc::REDFISH_REQUESTS;
use glasshouse_bmc::ipmi::request::{ALLOWED as IPMI_REQUESTS, Allowed, SESSION};
use glasshouse_sysfs::{ALLOWED as DEVICE_REQUESTS, Register};

use super::GENERATED;

const BEGINNING: &str = "\
# What can be sent to hardware

What can be sent stands here, and nothing else can: each request is a value of an enumeration, and no function takes a command, a
verb, a path or a symbol's name from outside. `cargo xtask test` writes down what the whole suite sends, at the doors and in the stand-ins
for devices, and fails where something is not in this document.

## What is more than a read, and why it changes nothing

| what | what it leaves behind |
| --- | --- |
| IPMI: Reserve SDR Repository, Reserve Device SDR Repository | A number in the BMC's memory that ends with the next reservation of anybody; whoever held one begins the reading anew, as the specification has it. |
| IPMI over the network: RMCP+ Open Session, RAKP 1, RAKP 3, Set Session Privilege Level, Close Session | One session of our own, levelled to what `privilege` in the config says, and closed at the end of a run. A BMC counts it among its few sessions, and may write a login to its own audit log. |
| Redfish: POST to and DELETE of a session | One session of our own in each BMC; the path that is deleted is the one that the BMC gave for it. As above. |
| NVMe Get Log Page | Nothing: the bit Retain Asynchronous Event is set, without which a reading would clear an event that somebody else waits for. |
| memory of network modules | Nothing: the bytes that a reading clears (latched flags) are read around. |
| `/dev/kmsg` | Nothing: each reader has a position of its own; nothing is cleared and nothing is written. |
| registers of processors | Nothing: the file is opened for reading. Each reading interrupts its processor for some microseconds. |
| NVML: event set | Memory of our own in the driver, given back at the end. An event is told to each set; none is taken from others. |

Every request wakes what answers it: a BMC, a drive or a GPU that sleeps may draw more for a moment.
";

/// Files that are opened, each for reading alone; what stands before `**` or `*` is exact.
const FILES: &[(&str, &str)] = &[
    ("/proc/**", "the kernel's tables"),
    (
        "/sys/**",
        "the kernel's devices and drivers; no file that acts when it is read",
    ),
    ("/etc/os-release", "name and version of the system"),
    (
        "/run/udev/data/**",
        "what udev found out of a drive, so that nobody asks it again",
    ),
    (
        "/dev/kmsg",
        "the kernel's messages; opened by the probe before it gives up its rights",
    ),
    (
        "/dev/cpu/*/msr",
        "the registers below; worker `privileged` alone",
    ),
    (
        "/dev/nvme*",
        "the requests below; worker `privileged` alone",
    ),
    ("/dev/sd*", "the requests below; worker `privileged` alone"),
    (
        "/dev/ipmi*",
        "the requests of IPMI, which the driver takes by `IPMICTL_SEND_COMMAND` from whoever may open it; worker `ipmi` alone",
    ),
    ("/dev/ipmi/*", "the same, as older systems name it"),
    ("/dev/ipmidev/*", "the same, as older systems name it"),
    (
        "/dev/nvidia*",
        "whether they are there; the driver's own library opens them as it needs, worker `gpu` alone",
    ),
];

/// System calls that ask the kernel beside files.
const CALLS: &[(&str, &str)] = &[
    (
        "`adjtimex` with no mode bit set",
        "state, offset and errors of the clock",
    ),
    ("`statvfs`", "room in local file systems"),
    ("`uname`, `clock_gettime`, `sysconf`", "what runs, and when"),
];

/// Everything that can be sent, by what it is sent to.
pub(super) fn document() -> String {
    let mut text = format!("{GENERATED}\n{BEGINNING}");
    text.push_str("\n## Files, opened for reading\n\n| file | for |\n| --- | --- |\n");
    for (file, purpose) in FILES {
        text.push_str(&format!("| `{file}` | {purpose} |\n"));
    }
    text.push_str(
        "\nBeside them the files that the config names: passwords and certificates of BMCs.\n",
    );
    text.push_str("\n## System calls that ask\n\n| call | for |\n| --- | --- |\n");
    for (call, purpose) in CALLS {
        text.push_str(&format!("| {call} | {purpose} |\n"));
    }
    ipmi(&mut text);
    redfish(&mut text);
    nvml(&mut text);
    devices(&mut text);
    text.push_str(
        "\n## Network\n\nOnly the worker `bmc` opens connections, and only to the addresses in `[collectors.redfish.bmcs]` and \
         `[collectors.ipmi_lan.bmcs]`: Redfish over TLS (TCP, 443 where the address names no port; without TLS on loopback alone), IPMI over RMCP+ (UDP, \
         623 where it names none). No redirection is followed. No proxy of the environment is used. Where the \
         address of a Redfish service is a name, the system's resolver is asked for it.\n",
    );
    text
}

fn ipmi(text: &mut String) {
    text.push_str("\n## IPMI, to the BMC of the machine and to BMCs in the network\n\n");
    text.push_str("| network function | command | name |\n| --- | --- | --- |\n");
    IPMI_REQUESTS.iter().for_each(|one| command(text, one));
    text.push_str("\nOver the network besides, for our own session alone:\n\n");
    text.push_str("| network function | command | name |\n| --- | --- | --- |\n");
    SESSION.iter().for_each(|one| command(text, one));
    text.push_str(
        "\nBefore a session there are no commands but its opening: RMCP+ Open Session Request, RAKP message 1, RAKP message 3.\n",
    );
}

fn command(text: &mut String, one: &Allowed) {
    text.push_str(&format!(
        "| {:02X}h | {:02X}h | {} |\n",
        one.net_function, one.command, one.name
    ));
}

fn redfish(text: &mut String) {
    text.push_str("\n## Redfish, to BMCs in the network\n\n");
    text.push_str("`**` stands for anything below, `{}` for one part of a path.\n\n");
    text.push_str("| method | path | for |\n| --- | --- | --- |\n");
    for one in &REDFISH_REQUESTS {
        text.push_str(&format!(
            "| {} | `{}` | {} |\n",
            one.method, one.path, one.purpose
        ));
    }
}

fn nvml(text: &mut String) {
    text.push_str("\n## NVML, to the driver of NVIDIA GPUs\n\n");
    text.push_str(
        "Getters, the event set that they need, and the library's own start and end.\n\n",
    );
    for symbol in glasshouse_gpu::allowed() {
        text.push_str(&format!("* `{symbol}`\n"));
    }
}

fn devices(text: &mut String) {
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
    text.push_str(
        "\n## Registers of processors\n\n| register | number | right |\n| --- | --- | --- |\n",
    );
    for register in Register::ALL {
        text.push_str(&format!(
            "| `{}` | {:X}h | CAP_SYS_RAWIO |\n",
            register.word(),
            register.address()
        ));
    }
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
            "| `IA32_APERF` | E8h |",
            "adjtimex",
            "/dev/kmsg",
            "Set Session Privilege Level",
        ] {
            assert!(text.contains(wanted), "{wanted}");
        }
    }
}
