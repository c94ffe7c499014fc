//! The GPU's PCIe link: what passed, and what went wrong. How wide and fast it is the collector `pcie` tells of every
//! device.

use super::convert::{field_whole, first, rate_of_kilobytes, whole};
use super::health::{IO, IO_RATE, PCIE_ERRORS, PCIE_REPLAY};
use super::question::{DIRECTIONS, Field, Question};
use super::reading::Reading;
use super::refusal::Refusal;

/// `NVML_FI_DEV_PCIE_COUNT_*`: what counts errors.
pub(crate) static ERRORS: [(u32, &str); 11] = [
    (173, "correctable"),
    (174, "naks_received"),
    (175, "receiver"),
    (176, "bad_tlp"),
    (177, "naks_sent"),
    (178, "bad_dllp"),
    (179, "nonfatal"),
    (180, "fatal"),
    (181, "unsupported_request"),
    (182, "lcrc"),
    (183, "lane"),
];

/// `NVML_FI_DEV_PCIE_COUNT_{TX,RX}_BYTES`.
pub(crate) static BYTES: [(u32, &str); 2] = [(198, "receive"), (197, "transmit")];

pub(super) fn read(reading: &mut Reading<'_>) {
    let replay = reading.ask(&Question::PcieReplay);
    let replay = replay.and_then(|replay| whole(first(&replay)));
    reading.put(PCIE_REPLAY, &[], replay);
    counts(reading);
}

fn counts(reading: &mut Reading<'_>) {
    let field = |(id, _): &(u32, &str)| Field { id: *id, scope: 0 };
    let fields: Vec<Field> = BYTES
        .iter()
        .map(field)
        .chain(ERRORS.iter().map(field))
        .collect();
    let mut told = reading.fields(&fields).into_iter();
    for ((_, name), (direction, _)) in BYTES.iter().zip(&DIRECTIONS) {
        let bytes = told
            .next()
            .unwrap_or(Err(Refusal::NoData))
            .and_then(field_whole);
        let is_counted = bytes.is_ok();
        reading.put_member(IO, &[name], bytes);
        // a GPU that does not count tells a rate, but has to watch the link for it
        if !is_counted {
            let rate = reading.ask(&Question::PcieThroughput(*direction));
            let rate = rate.and_then(|rate| rate_of_kilobytes(first(&rate)));
            reading.put_member(IO_RATE, &[name], rate);
        }
    }
    for ((_, name), errors) in ERRORS.iter().zip(told) {
        reading.put_member(PCIE_ERRORS, &[name], errors.and_then(field_whole));
    }
}
