//! Health of the memory: errors that were corrected or not, rows replaced, pages retired; and the window to it.

use super::convert::{bytes, first, state, whole};
use super::health::{
    BAR1_LIMIT, BAR1_USAGE, ECC_ERRORS, REMAP_BANKS, REMAP_FAILURE, REMAP_PENDING, REMAPPED_ROWS,
    RETIRED_PAGES, RETIREMENT_PENDING,
};
use super::question::{self, Question, RETIREMENTS};
use super::reading::Reading;

/// Spare rows that banks have left, in the order of the histogram.
const SPARES: [&str; 5] = ["maximum", "high", "partial", "low", "none"];

pub(super) fn read(reading: &mut Reading<'_>) {
    errors(reading);
    rows(reading);
    pages(reading);
    let bar = reading.ask(&Question::Bar1);
    let part = |place: usize| {
        let bar = bar.as_ref().map_err(Clone::clone)?;
        bytes(bar.get(place).copied().unwrap_or(u64::MAX))
    };
    let (total, used) = (part(0), part(2));
    reading.put_member(BAR1_LIMIT, &[], total);
    reading.put_member(BAR1_USAGE, &[], used);
}

fn errors(reading: &mut Reading<'_>) {
    for (error, error_name) in &question::ECC_ERRORS {
        for (span, span_name) in &question::ECC_SPANS {
            let all = reading.ask(&Question::EccTotal(*error, *span));
            let all = all.and_then(|all| whole(first(&all)));
            reading.put(ECC_ERRORS, &[error_name, span_name, "all"], all);
            for (place, place_name) in &question::ECC_PLACES {
                let question = Question::EccAt(*error, *span, *place);
                let here = reading.ask(&question);
                let here = here.and_then(|here| whole(first(&here)));
                reading.put_member(ECC_ERRORS, &[error_name, span_name, place_name], here);
            }
        }
    }
}

/// From Ampere on.
fn rows(reading: &mut Reading<'_>) {
    let rows = reading.ask(&Question::RemappedRows);
    let part = |place: usize| {
        let rows = rows.as_ref().map_err(Clone::clone)?;
        Ok(rows.get(place).copied().unwrap_or(u64::MAX))
    };
    let corrected = part(0).and_then(whole);
    let uncorrected = part(1).and_then(whole);
    let pending = part(2).and_then(|flag| state(flag, 2));
    let failure = part(3).and_then(|flag| state(flag, 2));
    reading.put(REMAPPED_ROWS, &["corrected"], corrected);
    reading.put(REMAPPED_ROWS, &["uncorrected"], uncorrected);
    reading.put(REMAP_PENDING, &[], pending);
    reading.put(REMAP_FAILURE, &[], failure);
    let banks = reading.ask(&Question::RowHistogram);
    for (place, spares) in SPARES.iter().enumerate() {
        let told = banks.as_ref().map_err(Clone::clone);
        let told = told.and_then(|banks| whole(banks.get(place).copied().unwrap_or(u64::MAX)));
        reading.put(REMAP_BANKS, &[spares], told);
    }
}

/// Before Ampere.
fn pages(reading: &mut Reading<'_>) {
    for (cause, name) in &RETIREMENTS {
        let pages = reading.ask(&Question::RetiredPages(*cause));
        let pages = pages.and_then(|pages| whole(first(&pages)));
        reading.put_member(RETIRED_PAGES, &[name], pages);
    }
    let pending = reading.ask(&Question::RetirementPending);
    let pending = pending.and_then(|pending| state(first(&pending), 2));
    reading.put_member(RETIREMENT_PENDING, &[], pending);
}
