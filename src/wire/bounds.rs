//! The bounds that every field of a message is held to.

use std::time::Duration;

use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{BootTime, Interval, Moment, Timestamp};

use crate::error::WireError;

/// Longest name of a metric, collector or fact, key of a label, word of a state.
pub(crate) const MOST_NAME: usize = 128;

pub(crate) const fn out_of_bounds(field: &'static str) -> WireError {
    WireError::OutOfBounds { field }
}

pub(crate) fn at_most(length: usize, most: usize, field: &'static str) -> Result<(), WireError> {
    if length > most {
        return Err(out_of_bounds(field));
    }
    Ok(())
}

/// A name that a collector's author chose: never empty, printable ASCII without spaces.
pub(crate) fn name(text: String, field: &'static str) -> Result<String, WireError> {
    checked_name(&text, field)?;
    Ok(text)
}

/// The same for a name that lies elsewhere.
pub(crate) fn checked_name<'a>(text: &'a str, field: &'static str) -> Result<&'a str, WireError> {
    let fits = !text.is_empty() && text.len() <= MOST_NAME;
    if !fits || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(out_of_bounds(field));
    }
    Ok(text)
}

/// A text that a machine chose: anything, but no longer than is kept.
pub(crate) fn text(text: &str, field: &'static str) -> Result<Untrusted, WireError> {
    at_most(text.len(), Untrusted::MOST_BYTES, field)?;
    Ok(Untrusted::new(text))
}

pub(crate) fn series_number(number: u32, field: &'static str) -> Result<u32, WireError> {
    if number == 0 {
        return Err(out_of_bounds(field));
    }
    Ok(number)
}

/// A time after 1970; the store's arithmetic never meets one before.
pub(crate) fn moment(wall: i64, boot: u64, field: &'static str) -> Result<Moment, WireError> {
    if wall < 0 {
        return Err(out_of_bounds(field));
    }
    Ok(Moment {
        wall: Timestamp::from_nanos(wall),
        boot: BootTime::from_nanos(boot),
    })
}

pub(crate) fn interval(nanos: u64, field: &'static str) -> Result<Duration, WireError> {
    let interval = Duration::from_nanos(nanos);
    if interval.is_zero() || interval > Interval::LONGEST {
        return Err(out_of_bounds(field));
    }
    Ok(interval)
}

pub(crate) fn next<T>(
    values: &mut impl Iterator<Item = T>,
    field: &'static str,
) -> Result<T, WireError> {
    values.next().ok_or(out_of_bounds(field))
}

pub(crate) fn pick<T: Copy>(all: &[T], index: u32, field: &'static str) -> Result<T, WireError> {
    let index = usize::try_from(index).map_err(|_| out_of_bounds(field))?;
    all.get(index).copied().ok_or(out_of_bounds(field))
}

pub(crate) fn position<T: PartialEq>(all: &[T], item: &T) -> u32 {
    let index = all.iter().position(|known| known == item);
    index
        .and_then(|index| u32::try_from(index).ok())
        .unwrap_or(u32::MAX)
}

pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
