//! Network interfaces that are hardware: driver, speed, MTU.

use glasshouse_core::failure::FailureReason;
use glasshouse_sysfs::optional;

use super::Teller;

const DIRECTORY: &str = "sys/class/net";

pub(super) fn tell(teller: &mut Teller<'_>) {
    let names = optional(teller.root.list(DIRECTORY));
    let names = teller.noted(names).flatten().unwrap_or_default();
    for name in &names {
        let interface = format!("{DIRECTORY}/{name}");
        if !teller.root.exists(&format!("{interface}/device")) {
            continue;
        }
        let component = format!("network/{name}");
        if let Some(driver) = teller.root.link_name(&format!("{interface}/device/driver")) {
            teller.tell(&component, "hw.driver", &driver);
        }
        teller.tell_file(
            &component,
            "network.interface.mtu",
            &format!("{interface}/mtu"),
        );
        tell_while_up(
            teller,
            &component,
            "network.interface.speed",
            &format!("{interface}/speed"),
        );
        tell_while_up(
            teller,
            &component,
            "network.interface.duplex",
            &format!("{interface}/duplex"),
        );
    }
}

/// The kernel refuses these, or says -1 or `unknown`, while the link is down: no fact, and no failure.
fn tell_while_up(teller: &mut Teller<'_>, component: &str, key: &str, path: &str) {
    let word = match teller.root.read_optional_trimmed(path) {
        Err(error) if error.reason == FailureReason::Io => return,
        outcome => teller.noted(outcome).flatten().unwrap_or_default(),
    };
    if word != "-1" && word != "unknown" {
        teller.tell(component, key, &word);
    }
}
