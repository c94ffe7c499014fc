//! NVLink and the fabric that it is part of.

use super::convert::{field_count, field_kibibytes, first, rate_of_megabytes, state, whole};
use super::health::{
    FABRIC_HEALTH, FABRIC_STATE, FABRIC_STATUS, FABRIC_SUMMARY, LINK_ERRORS, LINK_IO, LINK_SPEED,
    LINK_STATE,
};
use super::question::{Field, LINK_ERROR_KINDS, MOST_LINKS, Number, Question};
use super::reading::Reading;
use super::refusal::Refusal;

/// `NVML_FI_DEV_NVLINK_GET_SPEED`, scope: the link; MB/s.
const SPEED: u32 = 164;

/// `NVML_FI_DEV_NVLINK_ERROR_DL_*`, scope: the link; from Hopper on.
const ERRORS: [(u32, &str); 3] = [(161, "replay"), (162, "recovery"), (163, "crc")];

/// `NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_{RX,TX}`, scope: all links; KiB.
const BYTES: [(u32, &str); 2] = [(139, "receive"), (138, "transmit")];

/// The scope that means all links.
const ALL_LINKS: u32 = u32::MAX;

/// Fields of one link: speed, and each kind of errors.
const FIELDS_OF_LINK: usize = 1 + ERRORS.len();

/// Aspects of fabric health: where their bits begin, how many there are, and which number is good. In all of them 0
/// means that it is not supported, and every other number is bad (`NVML_GPU_FABRIC_HEALTH_MASK_*`).
const ASPECTS: [(&str, u32, u64, u64); 5] = [
    ("bandwidth", 0, 0x3, 2),
    ("route_recovery", 2, 0x3, 2),
    ("route", 4, 0x3, 2),
    ("access_timeout_recovery", 6, 0x3, 2),
    ("configuration", 8, 0xf, 1),
];

pub(super) fn read(reading: &mut Reading<'_>) {
    links(reading);
    fabric(reading);
}

/// All fields of one link.
pub(crate) fn fields_of(link: u32) -> impl Iterator<Item = Field> {
    std::iter::once(SPEED)
        .chain(ERRORS.iter().map(|(id, _)| *id))
        .map(move |id| Field { id, scope: link })
}

/// The fields over all links.
pub(crate) fn fields_of_all() -> impl Iterator<Item = Field> {
    BYTES.iter().map(|(id, _)| Field {
        id: *id,
        scope: ALL_LINKS,
    })
}

fn links(reading: &mut Reading<'_>) {
    let mut there = Vec::new();
    for link in 0..MOST_LINKS {
        let told = reading.ask(&Question::LinkState(link));
        let told = told.and_then(|told| state(first(&told), 2));
        if told.is_ok() {
            there.push(link);
        }
        reading.put_member(LINK_STATE, &[&link.to_string()], told);
    }
    if there.is_empty() {
        return;
    }
    let fields: Vec<Field> = fields_of_all()
        .chain(there.iter().flat_map(|link| fields_of(*link)))
        .collect();
    let told = reading.fields(&fields);
    let (all, each) = told.split_at(BYTES.len().min(told.len()));
    for ((_, direction), bytes) in BYTES.iter().zip(all) {
        let bytes = bytes.clone().and_then(field_kibibytes);
        reading.put_member(LINK_IO, &[direction], bytes);
    }
    for (link, told) in there.iter().zip(each.chunks(FIELDS_OF_LINK)) {
        link_fields(reading, *link, told);
    }
}

fn link_fields(reading: &mut Reading<'_>, link: u32, told: &[Result<Number, Refusal>]) {
    let name = link.to_string();
    let mut told = told.iter().cloned();
    let mut next = || told.next().unwrap_or(Err(Refusal::NoData));
    let speed = next().and_then(rate_of_megabytes);
    let errors = ERRORS.map(|(_, kind)| (kind, next().and_then(field_count)));
    reading.put_member(LINK_SPEED, &[&name], speed);
    // before Hopper there are no such fields
    if errors
        .iter()
        .any(|(_, count)| !count.as_ref().is_err_and(Refusal::lasts))
    {
        for (kind, count) in errors {
            reading.put_member(LINK_ERRORS, &[&name, kind], count.and_then(whole));
        }
        return;
    }
    for (kind, kind_name) in &LINK_ERROR_KINDS {
        let count = reading.ask(&Question::LinkErrors(link, *kind));
        let count = count.and_then(|count| whole(first(&count)));
        reading.put_member(LINK_ERRORS, &[&name, kind_name], count);
    }
}

fn fabric(reading: &mut Reading<'_>) {
    let told = reading.ask(&Question::FabricV3);
    let has_summary = told.is_ok();
    let told = match told {
        Err(refusal) if refusal.lasts() => reading.ask(&Question::FabricV2),
        told => told,
    };
    let part = |place: usize| {
        let told = told.as_ref().map_err(Clone::clone)?;
        Ok(told.get(place).copied().unwrap_or(u64::MAX))
    };
    let status = part(0).and_then(whole);
    let progress = part(1).and_then(|progress| state(progress, 4));
    let health = part(2);
    let summary = part(3).and_then(|summary| state(summary, 4));
    reading.put_member(FABRIC_STATE, &[], progress);
    reading.put_member(FABRIC_STATUS, &[], status);
    for (aspect, shift, mask, good) in ASPECTS {
        let told = health.clone().and_then(|bits| {
            let told = (bits >> shift) & mask;
            let known = match told {
                0 => 0,
                told if told == good => 1,
                _ => 2,
            };
            state(known, 3)
        });
        reading.put_member(FABRIC_HEALTH, &[aspect], told);
    }
    if has_summary {
        reading.put_member(FABRIC_SUMMARY, &[], summary);
    }
}
