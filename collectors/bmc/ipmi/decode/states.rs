//! What the states of a sensor mean, as data: generic event/reading types (table 42-2) and the sensors' own (42-3).

use glasshouse_core::condition::Severity;

use self::Severity::{Critical, Info, Warning};

/// The event/reading type of states that are the sensor's own.
pub const SENSOR_SPECIFIC: u8 = 0x6f;

/// One state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// What it is called, words joined by `_`.
    pub word: &'static str,
    /// How much it matters that it holds.
    pub severity: Severity,
}

type States = &'static [(&'static str, Severity)];

/// What the state `offset` of a sensor means; `None` where it is the maker's or reserved.
#[must_use]
pub fn state(kind: u8, event_type: u8, offset: u8) -> Option<State> {
    let (table, number) = match event_type {
        SENSOR_SPECIFIC => (SPECIFIC, kind),
        _ => (GENERIC, event_type),
    };
    let (_, states) = table.iter().find(|(known, _)| *known == number)?;
    let (word, severity) = states.get(usize::from(offset)).copied()?;
    (!word.is_empty()).then_some(State { word, severity })
}

/// The code of a state in log entries, as the fault catalogue writes it: `08h/03` (kind of sensor, offset) for the
/// sensor's own states, `08h:0Bh/01` (kind, event type, offset) for all others.
#[must_use]
pub fn code(kind: u8, event_type: u8, offset: u8) -> String {
    match event_type {
        SENSOR_SPECIFIC => format!("{kind:02X}h/{offset:02X}"),
        _ => format!("{kind:02X}h:{event_type:02X}h/{offset:02X}"),
    }
}

/// What a sensor watches, in words; a kind of a maker by its number.
#[must_use]
pub fn kind_name(kind: u8) -> String {
    match KINDS.get(usize::from(kind)) {
        Some(name) => (*name).to_owned(),
        None => format!("type {kind:02X}h"),
    }
}

const KINDS: [&str; 0x2d] = [
    "reserved",
    "temperature",
    "voltage",
    "current",
    "fan",
    "physical security",
    "platform security",
    "processor",
    "power supply",
    "power unit",
    "cooling device",
    "other sensor",
    "memory",
    "drive slot",
    "POST memory resize",
    "system firmware",
    "event logging",
    "watchdog 1",
    "system event",
    "critical interrupt",
    "button",
    "module or board",
    "microcontroller",
    "add-in card",
    "chassis",
    "chip set",
    "other FRU",
    "cable",
    "terminator",
    "system boot",
    "boot error",
    "OS boot",
    "OS stop",
    "slot",
    "ACPI power state",
    "watchdog 2",
    "platform alert",
    "entity presence",
    "monitor ASIC",
    "LAN",
    "management subsystem health",
    "battery",
    "session audit",
    "version change",
    "FRU state",
];

static GENERIC: &[(u8, States)] = &[
    (
        0x01,
        &[
            ("lower_non_critical_going_low", Warning),
            ("lower_non_critical_going_high", Info),
            ("lower_critical_going_low", Critical),
            ("lower_critical_going_high", Info),
            ("lower_non_recoverable_going_low", Critical),
            ("lower_non_recoverable_going_high", Info),
            ("upper_non_critical_going_low", Info),
            ("upper_non_critical_going_high", Warning),
            ("upper_critical_going_low", Info),
            ("upper_critical_going_high", Critical),
            ("upper_non_recoverable_going_low", Info),
            ("upper_non_recoverable_going_high", Critical),
        ],
    ),
    (0x02, &[("idle", Info), ("active", Info), ("busy", Info)]),
    (
        0x03,
        &[("state_deasserted", Info), ("state_asserted", Info)],
    ),
    (
        0x04,
        &[
            ("no_predictive_failure", Info),
            ("predictive_failure", Warning),
        ],
    ),
    (
        0x05,
        &[("limit_not_exceeded", Info), ("limit_exceeded", Warning)],
    ),
    (
        0x06,
        &[("performance_met", Info), ("performance_lags", Warning)],
    ),
    (
        0x07,
        &[
            ("ok", Info),
            ("non_critical_from_ok", Warning),
            ("critical_from_less_severe", Critical),
            ("non_recoverable_from_less_severe", Critical),
            ("non_critical_from_more_severe", Warning),
            ("critical_from_non_recoverable", Critical),
            ("non_recoverable", Critical),
            ("monitor", Info),
            ("informational", Info),
        ],
    ),
    (0x08, &[("absent", Info), ("present", Info)]),
    (0x09, &[("disabled", Info), ("enabled", Info)]),
    (
        0x0a,
        &[
            ("running", Info),
            ("in_test", Info),
            ("power_off", Info),
            ("on_line", Info),
            ("off_line", Info),
            ("off_duty", Info),
            ("degraded", Warning),
            ("power_save", Info),
            ("install_error", Warning),
        ],
    ),
    (
        0x0b,
        &[
            ("fully_redundant", Info),
            ("redundancy_lost", Warning),
            ("redundancy_degraded", Warning),
            ("non_redundant_sufficient_from_redundant", Warning),
            ("non_redundant_sufficient_from_insufficient", Warning),
            ("non_redundant_insufficient", Critical),
            ("redundancy_degraded_from_full", Warning),
            ("redundancy_degraded_from_non_redundant", Warning),
        ],
    ),
    (
        0x0c,
        &[
            ("d0_power_state", Info),
            ("d1_power_state", Info),
            ("d2_power_state", Info),
            ("d3_power_state", Info),
        ],
    ),
];

static SPECIFIC: &[(u8, States)] = &[
    (
        0x05,
        &[
            ("chassis_intrusion", Warning),
            ("drive_bay_intrusion", Warning),
            ("io_card_area_intrusion", Warning),
            ("processor_area_intrusion", Warning),
            ("lan_leash_lost", Warning),
            ("unauthorized_dock", Warning),
            ("fan_area_intrusion", Warning),
        ],
    ),
    (
        0x06,
        &[
            ("secure_mode_violation", Warning),
            ("user_password_violation", Warning),
            ("setup_password_violation", Warning),
            ("network_boot_password_violation", Warning),
            ("other_password_violation", Warning),
            ("out_of_band_password_violation", Warning),
        ],
    ),
    (
        0x07,
        &[
            ("ierr", Critical),
            ("thermal_trip", Critical),
            ("frb1_bist_failure", Critical),
            ("frb2_hang_in_post", Critical),
            ("frb3_startup_failure", Critical),
            ("configuration_error", Critical),
            ("uncorrectable_cpu_complex_error", Critical),
            ("presence_detected", Info),
            ("disabled", Warning),
            ("terminator_presence_detected", Info),
            ("throttled", Warning),
            ("machine_check_exception", Critical),
            ("correctable_machine_check_error", Warning),
        ],
    ),
    (
        0x08,
        &[
            ("presence_detected", Info),
            ("failure_detected", Critical),
            ("predictive_failure", Warning),
            ("input_lost", Critical),
            ("input_lost_or_out_of_range", Critical),
            ("input_out_of_range", Warning),
            ("configuration_error", Warning),
            ("inactive", Info),
        ],
    ),
    (
        0x09,
        &[
            ("power_off", Info),
            ("power_cycle", Info),
            ("power_down_240v", Warning),
            ("interlock_power_down", Warning),
            ("ac_lost", Critical),
            ("soft_power_control_failure", Critical),
            ("failure_detected", Critical),
            ("predictive_failure", Warning),
        ],
    ),
    (
        0x0c,
        &[
            ("correctable_ecc", Warning),
            ("uncorrectable_ecc", Critical),
            ("parity", Critical),
            ("scrub_failed", Warning),
            ("disabled", Warning),
            ("correctable_ecc_limit_reached", Critical),
            ("presence_detected", Info),
            ("configuration_error", Warning),
            ("spare", Info),
            ("throttled", Warning),
            ("over_temperature", Critical),
        ],
    ),
    (
        0x0d,
        &[
            ("presence_detected", Info),
            ("fault", Critical),
            ("predictive_failure", Warning),
            ("hot_spare", Info),
            ("consistency_check", Info),
            ("in_critical_array", Critical),
            ("in_failed_array", Critical),
            ("rebuild", Warning),
            ("rebuild_aborted", Warning),
        ],
    ),
    (
        0x0f,
        &[
            ("firmware_error", Critical),
            ("firmware_hang", Critical),
            ("firmware_progress", Info),
        ],
    ),
    (
        0x10,
        &[
            ("correctable_memory_logging_disabled", Warning),
            ("event_type_logging_disabled", Warning),
            ("log_cleared", Info),
            ("all_logging_disabled", Warning),
            ("log_full", Critical),
            ("log_almost_full", Warning),
            ("correctable_machine_check_logging_disabled", Warning),
        ],
    ),
    (
        0x11,
        &[
            ("bios_watchdog_reset", Critical),
            ("os_watchdog_reset", Critical),
            ("os_watchdog_shut_down", Critical),
            ("os_watchdog_power_down", Critical),
            ("os_watchdog_power_cycle", Critical),
            ("os_watchdog_nmi", Critical),
            ("os_watchdog_expired", Warning),
            ("os_watchdog_pre_timeout", Warning),
        ],
    ),
    (
        0x12,
        &[
            ("reconfigured", Info),
            ("oem_boot_event", Info),
            ("undetermined_hardware_failure", Critical),
            ("auxiliary_log_entry", Info),
            ("filter_action", Info),
            ("clock_synchronization", Info),
        ],
    ),
    (
        0x13,
        &[
            ("front_panel_nmi", Warning),
            ("bus_timeout", Critical),
            ("io_check_nmi", Critical),
            ("software_nmi", Warning),
            ("pci_perr", Critical),
            ("pci_serr", Critical),
            ("eisa_fail_safe_timeout", Critical),
            ("bus_correctable_error", Warning),
            ("bus_uncorrectable_error", Critical),
            ("fatal_nmi", Critical),
            ("bus_fatal_error", Critical),
            ("bus_degraded", Warning),
        ],
    ),
    (
        0x14,
        &[
            ("power_button", Info),
            ("sleep_button", Info),
            ("reset_button", Info),
            ("latch_open", Info),
            ("service_request", Warning),
        ],
    ),
    (
        0x19,
        &[
            ("soft_power_control_failure", Critical),
            ("thermal_trip", Critical),
        ],
    ),
    (
        0x1b,
        &[("connected", Info), ("configuration_error", Warning)],
    ),
    (
        0x1d,
        &[
            ("power_up", Info),
            ("hard_reset", Info),
            ("warm_reset", Info),
            ("pxe_boot_requested", Info),
            ("boot_to_diagnostic", Info),
            ("os_hard_reset", Info),
            ("os_warm_reset", Info),
            ("system_restart", Info),
        ],
    ),
    (
        0x1e,
        &[
            ("no_bootable_media", Critical),
            ("non_bootable_media", Warning),
            ("pxe_server_not_found", Warning),
            ("invalid_boot_sector", Critical),
            ("boot_selection_timeout", Warning),
        ],
    ),
    (
        0x1f,
        &[
            ("boot_a_completed", Info),
            ("boot_c_completed", Info),
            ("boot_pxe_completed", Info),
            ("boot_diagnostic_completed", Info),
            ("boot_cd_completed", Info),
            ("boot_rom_completed", Info),
            ("boot_completed", Info),
            ("installation_started", Info),
            ("installation_completed", Info),
            ("installation_aborted", Warning),
            ("installation_failed", Warning),
        ],
    ),
    (
        0x20,
        &[
            ("stop_during_load", Critical),
            ("stop_at_run_time", Critical),
            ("graceful_stop", Info),
            ("graceful_shutdown", Info),
            ("filter_soft_shutdown", Info),
            ("agent_not_responding", Warning),
        ],
    ),
    (
        0x21,
        &[
            ("fault", Critical),
            ("identify", Info),
            ("device_installed", Info),
            ("ready_for_installation", Info),
            ("ready_for_removal", Info),
            ("power_off", Info),
            ("removal_requested", Info),
            ("interlock", Info),
            ("disabled", Warning),
            ("spare_device", Info),
        ],
    ),
    (
        0x22,
        &[
            ("s0_working", Info),
            ("s1_sleeping", Info),
            ("s2_sleeping", Info),
            ("s3_sleeping", Info),
            ("s4_suspended_to_disk", Info),
            ("s5_soft_off", Info),
            ("s4_s5_soft_off", Info),
            ("g3_mechanical_off", Info),
            ("sleeping", Info),
            ("g1_sleeping", Info),
            ("s5_by_override", Warning),
            ("legacy_on", Info),
            ("legacy_off", Info),
            ("", Info),
            ("unknown", Info),
        ],
    ),
    (
        0x23,
        &[
            ("timer_expired", Warning),
            ("hard_reset", Critical),
            ("power_down", Critical),
            ("power_cycle", Critical),
            ("", Info),
            ("", Info),
            ("", Info),
            ("", Info),
            ("timer_interrupt", Warning),
        ],
    ),
    (
        0x24,
        &[
            ("alert_page", Info),
            ("alert_lan", Info),
            ("trap_generated", Info),
            ("trap_oem", Info),
        ],
    ),
    (
        0x25,
        &[("present", Info), ("absent", Info), ("disabled", Info)],
    ),
    (0x27, &[("heartbeat_lost", Warning), ("heartbeat", Info)]),
    (
        0x28,
        &[
            ("sensor_access_degraded", Warning),
            ("controller_access_degraded", Warning),
            ("controller_off_line", Critical),
            ("controller_unavailable", Critical),
            ("sensor_failure", Warning),
            ("fru_failure", Warning),
        ],
    ),
    (
        0x29,
        &[
            ("battery_low", Warning),
            ("battery_failed", Critical),
            ("presence_detected", Info),
        ],
    ),
    (
        0x2a,
        &[
            ("session_activated", Info),
            ("session_deactivated", Info),
            ("invalid_user_or_password", Warning),
            ("user_disabled", Warning),
        ],
    ),
    (
        0x2b,
        &[
            ("hardware_change", Info),
            ("firmware_change", Info),
            ("hardware_incompatible", Warning),
            ("firmware_incompatible", Warning),
            ("hardware_unsupported", Warning),
            ("firmware_unsupported", Warning),
            ("hardware_change_successful", Info),
            ("firmware_change_successful", Info),
        ],
    ),
    (
        0x2c,
        &[
            ("not_installed", Info),
            ("inactive", Info),
            ("activation_requested", Info),
            ("activation_in_progress", Info),
            ("active", Info),
            ("deactivation_requested", Info),
            ("deactivation_in_progress", Info),
            ("communication_lost", Warning),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fault_catalogue_names_is_in_the_tables() {
        let specific = |kind, offset| state(kind, SENSOR_SPECIFIC, offset).unwrap().word;
        assert_eq!(specific(0x07, 0x0a), "throttled");
        assert_eq!(specific(0x07, 0x01), "thermal_trip");
        assert_eq!(specific(0x07, 0x0b), "machine_check_exception");
        assert_eq!(specific(0x08, 0x03), "input_lost");
        assert_eq!(specific(0x09, 0x04), "ac_lost");
        assert_eq!(specific(0x0c, 0x05), "correctable_ecc_limit_reached");
        assert_eq!(specific(0x0d, 0x02), "predictive_failure");
        assert_eq!(specific(0x10, 0x04), "log_full");
        assert_eq!(specific(0x13, 0x0a), "bus_fatal_error");
        assert_eq!(specific(0x23, 0x03), "power_cycle");
        assert_eq!(specific(0x28, 0x05), "fru_failure");
        assert_eq!(
            state(0x08, 0x0b, 5).unwrap(),
            State {
                word: "non_redundant_insufficient",
                severity: Critical
            }
        );
        assert_eq!(
            state(0x04, 0x01, 0x02).unwrap().word,
            "lower_critical_going_low"
        );
        assert_eq!(state(0x04, 0x01, 0x0b).unwrap().severity, Critical);
    }

    #[test]
    fn what_nobody_defined_stays_a_number() {
        assert_eq!(state(0xc0, SENSOR_SPECIFIC, 0), None);
        assert_eq!(state(0x08, 0x70, 0), None);
        assert_eq!(state(0x08, SENSOR_SPECIFIC, 14), None);
        assert_eq!(state(0x23, SENSOR_SPECIFIC, 5), None);
        assert_eq!(code(0x08, SENSOR_SPECIFIC, 3), "08h/03");
        assert_eq!(code(0x09, 0x0b, 1), "09h:0Bh/01");
        assert_eq!(kind_name(0x28), "management subsystem health");
        assert_eq!(kind_name(0x2c), "FRU state");
        assert_eq!(kind_name(0xc0), "type C0h");
    }
}
