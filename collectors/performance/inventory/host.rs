//! The host, its board and firmware, its distribution and kernel.

use glasshouse_sysfs::{Fields, architecture, malformed, optional, scaled};

use super::Teller;
use super::identifiers::without_identifiers;

const BYTES_PER_KIBIBYTE: u64 = 1024;

const MEMINFO: &str = "proc/meminfo";

/// Since Linux 6.1; before, only the live machine can be asked.
const ARCHITECTURE: &str = "proc/sys/kernel/arch";

/// Parts of keys on the kernel's command line whose values nobody should read.
const SECRET_WORDS: [&str; 8] = [
    "credential",
    "initiator",
    "machine_id",
    "passwd",
    "password",
    "secret",
    "serial",
    "token",
];

/// Component, fact, file.
const FILES: [(&str, &str, &str); 22] = [
    ("host", "hw.family", "sys/class/dmi/id/product_family"),
    ("host", "hw.version", "sys/class/dmi/id/product_version"),
    ("host", "hw.sku", "sys/class/dmi/id/product_sku"),
    ("board", "hw.version", "sys/class/dmi/id/board_version"),
    ("chassis", "hw.vendor", "sys/class/dmi/id/chassis_vendor"),
    (
        "chassis",
        "hw.chassis.type",
        "sys/class/dmi/id/chassis_type",
    ),
    (
        "bios",
        "hw.firmware_release",
        "sys/class/dmi/id/bios_release",
    ),
    ("host", "host.name", "proc/sys/kernel/hostname"),
    ("kernel", "os.kernel.release", "proc/sys/kernel/osrelease"),
    ("kernel", "os.kernel.version", "proc/sys/kernel/version"),
    ("kernel", "os.kernel.taint", "proc/sys/kernel/tainted"),
    (
        "kernel",
        "os.kernel.boot_id",
        "proc/sys/kernel/random/boot_id",
    ),
    ("host", "hw.vendor", "sys/class/dmi/id/sys_vendor"),
    ("host", "hw.model", "sys/class/dmi/id/product_name"),
    ("board", "hw.vendor", "sys/class/dmi/id/board_vendor"),
    ("board", "hw.model", "sys/class/dmi/id/board_name"),
    (
        "board",
        "hw.firmware_version",
        "sys/class/dmi/id/ec_firmware_release",
    ),
    ("bios", "hw.vendor", "sys/class/dmi/id/bios_vendor"),
    ("bios", "hw.bios_version", "sys/class/dmi/id/bios_version"),
    ("bios", "hw.firmware_date", "sys/class/dmi/id/bios_date"),
    ("cpu", "host.cpu.smt", "sys/devices/system/cpu/smt/control"),
    (
        "cpu",
        "host.cpu.frequency.driver",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver",
    ),
];

pub(super) fn tell(teller: &mut Teller<'_>) {
    for (component, key, path) in FILES {
        teller.tell_file(component, key, path);
    }
    teller.tell_choice(
        "kernel",
        "os.kernel.transparent_hugepage",
        "sys/kernel/mm/transparent_hugepage/enabled",
    );
    tell_architecture(teller);
    tell_command_line(teller);
    tell_distribution(teller);
    tell_memory(teller);
}

fn tell_architecture(teller: &mut Teller<'_>) {
    let told = teller.root.read_optional_trimmed(ARCHITECTURE);
    let told = teller.noted(told).flatten();
    if let Some(name) = told.or_else(|| architecture(teller.root)) {
        teller.tell("host", "host.arch", &name);
    }
}

fn tell_command_line(teller: &mut Teller<'_>) {
    let line = teller.root.read_optional_trimmed("proc/cmdline");
    if let Some(line) = teller.noted(line).flatten() {
        teller.tell("kernel", "os.kernel.command_line", &without_secrets(&line));
    }
}

/// Blanks the values of arguments whose key sounds secret.
fn without_secrets(line: &str) -> String {
    let arguments = line.split_ascii_whitespace().map(|argument| {
        let key = argument.split_once('=').map(|(key, _)| key);
        let secret = key.filter(|key| {
            let key = key.to_ascii_lowercase();
            SECRET_WORDS.iter().any(|word| key.contains(word))
        });
        match secret {
            Some(key) => format!("{key}=(blanked)"),
            None => without_identifiers(argument),
        }
    });
    arguments.collect::<Vec<_>>().join(" ")
}

fn tell_distribution(teller: &mut Teller<'_>) {
    let text = optional(teller.root.read_text("etc/os-release"));
    let Some(text) = teller.noted(text).flatten() else {
        return;
    };
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let key = match name {
            "NAME" => "os.name",
            "VERSION_ID" => "os.version",
            "PRETTY_NAME" => "os.description",
            _ => continue,
        };
        teller.tell("host", key, value.trim_matches(['"', '\'']));
    }
}

fn tell_memory(teller: &mut Teller<'_>) {
    let text = optional(teller.root.read_text(MEMINFO));
    let Some(text) = teller.noted(text).flatten() else {
        return;
    };
    let mut lines = text.lines().enumerate();
    let Some((n, line)) = lines.find(|(_, line)| line.starts_with("MemTotal:")) else {
        let error = malformed(MEMINFO, None, "a line `MemTotal`", &text);
        teller.noted::<()>(Err(error));
        return;
    };
    let mut fields = Fields::new(MEMINFO, n + 1, line);
    let bytes = fields.word("a key").and_then(|_| {
        let kibibytes = fields.number("KiB")?;
        scaled(kibibytes, BYTES_PER_KIBIBYTE)
            .ok_or_else(|| fields.malformed("KiB", &kibibytes.to_string()))
    });
    if let Some(bytes) = teller.noted(bytes) {
        teller.tell("host", "host.memory.size", &bytes.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_on_the_command_line_is_blanked() {
        let line = "root=/dev/vda1 rd.iscsi.password=hunter2 quiet API_TOKEN=a=b nosmt";
        assert_eq!(
            without_secrets(line),
            "root=/dev/vda1 rd.iscsi.password=(blanked) quiet API_TOKEN=(blanked) nosmt"
        );
    }
}
