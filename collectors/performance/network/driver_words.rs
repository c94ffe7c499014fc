//! What drivers of network cards call the same things: a selection, as data.
//!
//! Names are those of `ethtool -S` of mlx5, bnxt, ice, i40e, ixgbe, igb, e1000e, tg3, qede, cxgb4, ena, as their sources
//! have them. The first name that a driver has for a word is the one that is told.

/// A name of a driver, and our word for it.
pub(super) const WORDS: [(&str, &str); 87] = [
    ("rx_crc_errors_phy", "receive_crc"),
    ("rx_crc_errors.nic", "receive_crc"),
    ("port.rx_crc_errors", "receive_crc"),
    ("rx_fcs_err_frames", "receive_crc"),
    ("rx_fcs_errors", "receive_crc"),
    ("rx_crc_errors", "receive_crc"),
    ("rx_symbol_err_phy", "receive_symbol"),
    ("rx_pcs_symbol_err_phy", "receive_coding"),
    ("rx_pcs_symbol_err", "receive_coding"),
    ("illegal_bytes.nic", "receive_symbol"),
    ("port.illegal_bytes", "receive_symbol"),
    ("rx_align_err_frames", "receive_alignment"),
    ("rx_align_errors", "receive_alignment"),
    ("rx_corrected_bits_phy", "receive_corrected_bits"),
    ("rx_corrected_bits", "receive_corrected_bits"),
    ("rx_fec_corrected_blocks", "fec_corrected"),
    ("fec_corrected_blocks.nic", "fec_corrected"),
    ("rx_fec_uncorrectable_blocks", "fec_uncorrectable"),
    ("fec_uncorrectable_blocks.nic", "fec_uncorrectable"),
    ("rx_discards_phy", "receive_discard"),
    ("rx_total_discard_pkts", "receive_discard"),
    ("rx_dropped.nic", "receive_discard"),
    ("port.rx_discards", "receive_discard"),
    ("port.rx_dropped", "receive_discard"),
    ("rx_discards", "receive_discard"),
    ("no_buff_discards", "receive_discard"),
    ("rx_missed_errors", "receive_discard"),
    ("tx_discards_phy", "transmit_discard"),
    ("tx_total_ring_discards", "transmit_discard"),
    ("tx_dropped_link_down.nic", "transmit_discard"),
    ("port.tx_dropped_link_down", "transmit_discard"),
    ("tx_errors_phy", "transmit_error"),
    ("rx_out_of_buffer", "receive_out_of_buffer"),
    ("rx_total_oom_discards", "receive_out_of_buffer"),
    ("rx_no_buffer_count", "receive_out_of_buffer"),
    ("rx_no_dma_resources", "receive_out_of_buffer"),
    ("hw_rx_no_dma_resources", "receive_out_of_buffer"),
    ("rxbds_empty", "receive_out_of_buffer"),
    ("rx_total_ring_discards", "receive_ring_discard"),
    ("rx_buff_alloc_err", "receive_allocation"),
    ("alloc_rx_buff_failed", "receive_allocation"),
    ("rx_alloc_fail", "receive_allocation"),
    ("rx_steer_missed_packets", "receive_unmatched"),
    ("rx_pause_ctrl_phy", "receive_pause"),
    ("rx_pause_frames", "receive_pause"),
    ("link_xoff_rx.nic", "receive_pause"),
    ("port.link_xoff_rx", "receive_pause"),
    ("rx_flow_control_xoff", "receive_pause"),
    ("rx_xoff_pause_rcvd", "receive_pause"),
    ("tx_pause_ctrl_phy", "transmit_pause"),
    ("tx_pause_frames", "transmit_pause"),
    ("link_xoff_tx.nic", "transmit_pause"),
    ("port.link_xoff_tx", "transmit_pause"),
    ("tx_flow_control_xoff", "transmit_pause"),
    ("tx_xoff_sent", "transmit_pause"),
    ("rx_pfc_frames", "receive_priority_pause"),
    ("tx_pfc_frames", "transmit_priority_pause"),
    ("tx_pause_storm_warning_events", "pause_storm_warning"),
    ("tx_pause_storm_error_events", "pause_storm"),
    ("link_down_events_phy", "link_down"),
    ("link_down_events", "link_down"),
    ("link_change_count", "link_change"),
    ("mac_local_faults.nic", "local_fault"),
    ("port.mac_local_faults", "local_fault"),
    ("mac_local_errors", "local_fault"),
    ("mac_remote_faults.nic", "remote_fault"),
    ("port.mac_remote_faults", "remote_fault"),
    ("mac_remote_errors", "remote_fault"),
    ("tx_timeout.nic", "transmit_timeout"),
    ("tx_timeout_count", "transmit_timeout"),
    ("port.tx_timeout", "transmit_timeout"),
    ("tx_timeout", "transmit_timeout"),
    ("outbound_pci_stalled_wr", "pci_stalled_write"),
    ("outbound_pci_stalled_rd", "pci_stalled_read"),
    ("rx_pci_signal_integrity", "pci_receive_integrity"),
    ("tx_pci_signal_integrity", "pci_transmit_integrity"),
    ("module_unplug", "module_unplugged"),
    ("module_bus_stuck", "module_bus_stuck"),
    ("module_high_temp", "module_hot"),
    ("module_bad_shorted", "module_shorted"),
    ("wd_expired", "driver_watchdog"),
    ("bw_in_allowance_exceeded", "receive_allowance_exceeded"),
    ("bw_out_allowance_exceeded", "transmit_allowance_exceeded"),
    ("pps_allowance_exceeded", "packet_allowance_exceeded"),
    (
        "conntrack_allowance_exceeded",
        "connection_allowance_exceeded",
    ),
    (
        "linklocal_allowance_exceeded",
        "link_local_allowance_exceeded",
    ),
    ("rx_oversize_pkts_phy", "receive_oversize"),
];

/// What stands before and behind the number of a priority, and our word, which gets `_priority_<n>`.
pub(super) const PRIORITIES: [(&str, &str, &str); 14] = [
    ("rx_prio", "_pause", "receive_pause"),
    ("tx_prio", "_pause", "transmit_pause"),
    ("rx_prio", "_pause_duration", "receive_pause_duration"),
    ("tx_prio", "_pause_duration", "transmit_pause_duration"),
    ("rx_prio", "_discards", "receive_discard"),
    ("rx_prio", "_cong_discard", "receive_congestion_discard"),
    ("rx_pfc_ena_frames_pri", "", "receive_pause"),
    ("tx_pfc_ena_frames_pri", "", "transmit_pause"),
    ("rx_priority_", "_xoff.nic", "receive_pause"),
    ("tx_priority_", "_xoff.nic", "transmit_pause"),
    ("port.rx_priority_", "_xoff", "receive_pause"),
    ("port.tx_priority_", "_xoff", "transmit_pause"),
    ("rx_pb_", "_pxoff", "receive_pause"),
    ("tx_pb_", "_pxoff", "transmit_pause"),
];

/// Our word for a name of a driver, and how early it stands in the list; `None` where it is none of ours.
pub(super) fn word(name: &str) -> Option<(usize, String)> {
    if let Some(place) = WORDS.iter().position(|(known, _)| *known == name) {
        return WORDS
            .get(place)
            .map(|(_, word)| (place, (*word).to_owned()));
    }
    let (place, number, word) = PRIORITIES.iter().enumerate().find_map(|(n, one)| {
        let (before, behind, word) = one;
        let number = name.strip_prefix(before)?.strip_suffix(behind)?;
        // priorities of Ethernet are one digit
        matches!(number.as_bytes(), [b'0'..=b'7']).then_some((n, number, word))
    })?;
    Some((WORDS.len() + place, format!("{word}_priority_{number}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_name_stands_once_and_has_a_word() {
        let names: BTreeSet<_> = WORDS.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), WORDS.len());
        // the kernel cuts names at 31 letters
        assert!(names.iter().all(|name| name.len() < 32));
    }

    #[test]
    fn priorities_are_told_by_their_number() {
        for (name, expected) in [
            ("rx_prio3_pause", Some("receive_pause_priority_3")),
            ("rx_prio0_discards", Some("receive_discard_priority_0")),
            ("tx_priority_7_xoff.nic", Some("transmit_pause_priority_7")),
            ("rx_crc_errors_phy", Some("receive_crc")),
            ("rx_prio8_pause", None),
            ("rx_prio_pause", None),
            ("rx0_packets", None),
        ] {
            let word = word(name).map(|(_, word)| word);
            assert_eq!(word.as_deref(), expected, "{name}");
        }
    }
}
