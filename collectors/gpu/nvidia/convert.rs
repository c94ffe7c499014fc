//! From what the library says to values: units, and what cannot be.
//!
//! The library marks what it does not know with all bits set (`NVML_VALUE_NOT_AVAILABLE`), and sometimes forgets to
//! refuse. Nothing beyond what hardware can be passes: it is malformed, and the series absent.

use glasshouse_core::sample::Value;
use glasshouse_sysfs::ratio;

use super::question::{Answer, Number};
use super::refusal::Refusal;

/// What became of one question.
pub(crate) type Told = Result<Value, Refusal>;

const MILLI: u32 = 1000;
const NANO: u32 = 1_000_000_000;
const PERCENT: u32 = 100;
const HERTZ_A_MEGAHERTZ: u32 = 1_000_000;

/// Bytes in a KB of PCIe throughput, and in an MB of link speed.
const KILO: u64 = 1000;
const MEGA: u64 = 1_000_000;

/// Bytes in a KiB of what passed NVLink.
const KIBI: u64 = 1024;

/// 100 kW: a whole rack.
const MOST_MILLIWATTS: u64 = 100_000_000;

/// 100 GHz.
const MOST_MEGAHERTZ: u64 = 100_000;

/// Colder and hotter no silicon works; margins lie between too.
const DEGREES: std::ops::RangeInclusive<i64> = -100..=300;

/// 1 EiB: the address space of no GPU is larger.
const MOST_BYTES: u64 = 1 << 60;

/// The first number of an answer.
pub(crate) const fn first(answer: &Answer) -> u64 {
    let [first, ..] = *answer;
    first
}

/// The second number of an answer.
pub(crate) const fn second(answer: &Answer) -> u64 {
    let [_, second, ..] = *answer;
    second
}

/// A whole number as it is.
pub(crate) fn whole(number: u64) -> Told {
    Ok(Value::U64(known(number)?))
}

/// A share, from percent.
pub(crate) fn share(percent: u64) -> Told {
    let percent = below(known(percent)?, u64::from(PERCENT), "%")?;
    Ok(Value::F64(ratio(percent, PERCENT)))
}

/// A fan's duty, from percent of its noise limit: it may pass that.
pub(crate) fn duty(percent: u64) -> Told {
    /// Twice the limit: no fan is driven harder.
    const MOST_PERCENT: u64 = 200;
    let percent = below(known(percent)?, MOST_PERCENT, "%")?;
    Ok(Value::F64(ratio(percent, PERCENT)))
}

/// Watts, from milliwatts.
pub(crate) fn watts(milliwatts: u64) -> Told {
    let milliwatts = below(known(milliwatts)?, MOST_MILLIWATTS, "mW")?;
    Ok(Value::F64(ratio(milliwatts, MILLI)))
}

/// Joules, from millijoules.
pub(crate) fn joules(millijoules: u64) -> Told {
    Ok(Value::F64(ratio(known_of_64(millijoules)?, MILLI)))
}

/// Seconds, from nanoseconds.
pub(crate) fn seconds(nanoseconds: u64) -> Told {
    Ok(Value::F64(ratio(known_of_64(nanoseconds)?, NANO)))
}

/// Hertz, from megahertz.
pub(crate) fn hertz(megahertz: u64) -> Told {
    let megahertz = below(known(megahertz)?, MOST_MEGAHERTZ, "MHz")?;
    Ok(Value::F64(
        ratio(megahertz, 1) * f64::from(HERTZ_A_MEGAHERTZ),
    ))
}

/// Degrees, which may be negative.
pub(crate) fn degrees(degrees: i64) -> Told {
    if !DEGREES.contains(&degrees) {
        return Err(Refusal::Malformed(format!("{degrees} °C")));
    }
    i32::try_from(degrees)
        .map(|degrees| Value::F64(f64::from(degrees)))
        .map_err(|_| Refusal::Malformed(format!("{degrees} °C")))
}

/// Degrees, from the bits of a signed answer.
pub(crate) fn signed_degrees(bits: u64) -> Told {
    degrees(bits.cast_signed())
}

/// Degrees of a field: older drivers call the signed value an unsigned one of 32 bits.
pub(crate) fn field_degrees(number: Number) -> Told {
    match number {
        Number::Signed(signed) => degrees(signed),
        Number::Whole(bits) => match u32::try_from(bits) {
            Ok(bits) => degrees(i64::from(bits.cast_signed())),
            Err(_) => signed_degrees(bits),
        },
        Number::Real(_) => Err(Refusal::Malformed(format!("{number:?} as degrees"))),
    }
}

/// Bytes.
pub(crate) fn bytes(bytes: u64) -> Told {
    let bytes = below(known_of_64(bytes)?, MOST_BYTES, "bytes")?;
    Ok(Value::U64(bytes))
}

/// Bytes a second, from KB/s.
pub(crate) fn rate_of_kilobytes(kilobytes: u64) -> Told {
    let bytes = below(known(kilobytes)?.saturating_mul(KILO), MOST_BYTES, "bytes")?;
    Ok(Value::F64(ratio(bytes, 1)))
}

/// Bytes a second, from a field in MB/s.
pub(crate) fn rate_of_megabytes(number: Number) -> Told {
    let bytes = below(
        field_count(number)?.saturating_mul(MEGA),
        MOST_BYTES,
        "bytes",
    )?;
    Ok(Value::F64(ratio(bytes, 1)))
}

/// Bytes, from a field in KiB.
pub(crate) fn field_kibibytes(number: Number) -> Told {
    let kibibytes = field_count(number)?;
    kibibytes
        .checked_mul(KIBI)
        .map(Value::U64)
        .ok_or_else(|| Refusal::Malformed(format!("{kibibytes} KiB")))
}

/// Watts, from a field in milliwatts.
pub(crate) fn field_watts(number: Number) -> Told {
    watts(field_count(number)?)
}

/// A count, from a field of any type.
pub(crate) fn field_whole(number: Number) -> Told {
    Ok(Value::U64(field_count(number)?))
}

/// A field that counts something.
pub(crate) fn field_count(number: Number) -> Result<u64, Refusal> {
    match number {
        Number::Whole(whole) => known(whole),
        Number::Signed(signed) => {
            u64::try_from(signed).map_err(|_| Refusal::Malformed(format!("a count of {signed}")))
        }
        Number::Real(real) => Err(Refusal::Malformed(format!("a count of {real}"))),
    }
}

/// A state by its number, of so many.
pub(crate) fn state(number: u64, states: u16) -> Told {
    u16::try_from(number)
        .ok()
        .filter(|index| *index < states)
        .map(Value::State)
        .ok_or_else(|| Refusal::Malformed(format!("state {number} of {states}")))
}

/// What is used of what there is.
pub(crate) fn fill_level(used: u64, total: u64) -> Told {
    if total == 0 {
        return Err(Refusal::NotSupported);
    }
    if used > total || total > MOST_BYTES {
        return Err(Refusal::Malformed(format!("{used} of {total} bytes")));
    }
    Ok(Value::F64(ratio(used, 1) / ratio(total, 1)))
}

/// All bits of 32 or 64 mean that the library does not know.
fn known(number: u64) -> Result<u64, Refusal> {
    if number == u64::from(u32::MAX) {
        return Err(Refusal::NotSupported);
    }
    known_of_64(number)
}

const fn known_of_64(number: u64) -> Result<u64, Refusal> {
    if number == u64::MAX {
        return Err(Refusal::NotSupported);
    }
    Ok(number)
}

fn below(number: u64, most: u64, unit: &str) -> Result<u64, Refusal> {
    if number > most {
        return Err(Refusal::Malformed(format!("{number} {unit}")));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_converted() {
        assert_eq!(share(37), Ok(Value::F64(0.37)));
        assert_eq!(watts(118_250), Ok(Value::F64(118.25)));
        assert_eq!(joules(123_456_789), Ok(Value::F64(123_456.789)));
        assert_eq!(seconds(1_500_000_000), Ok(Value::F64(1.5)));
        assert_eq!(hertz(1980), Ok(Value::F64(1.98e9)));
        assert_eq!(
            signed_degrees((-3_i64).cast_unsigned()),
            Ok(Value::F64(-3.0))
        );
        assert_eq!(
            rate_of_megabytes(Number::Whole(26_562)),
            Ok(Value::F64(2.6562e10))
        );
        assert_eq!(field_kibibytes(Number::Whole(3)), Ok(Value::U64(3072)));
        assert_eq!(fill_level(1, 4), Ok(Value::F64(0.25)));
    }

    /// Hopper says -2 for the margin at which it slows down; drivers differ in the type that they give it.
    #[test]
    fn a_negative_limit_is_one_in_every_type() {
        let two_below = Ok(Value::F64(-2.0));
        assert_eq!(field_degrees(Number::Signed(-2)), two_below);
        assert_eq!(field_degrees(Number::Whole(0xffff_fffe)), two_below);
        assert_eq!(field_degrees(Number::Whole(u64::MAX - 1)), two_below);
        assert_eq!(field_degrees(Number::Whole(10)), Ok(Value::F64(10.0)));
    }

    #[test]
    fn what_is_not_available_is_not_supported() {
        for number in [u64::from(u32::MAX), u64::MAX] {
            for told in [share(number), watts(number), hertz(number), whole(number)] {
                assert_eq!(told, Err(Refusal::NotSupported), "{number}");
            }
        }
        for told in [joules(u64::MAX), bytes(u64::MAX), seconds(u64::MAX)] {
            assert_eq!(told, Err(Refusal::NotSupported));
        }
        assert_eq!(fill_level(0, 0), Err(Refusal::NotSupported));
    }

    #[test]
    fn what_cannot_be_is_malformed() {
        for told in [
            share(101),
            watts(MOST_MILLIWATTS + 1),
            hertz(MOST_MEGAHERTZ + 1),
            degrees(301),
            degrees(i64::MIN),
            fill_level(5, 4),
            state(5, 5),
            field_whole(Number::Signed(-1)),
            field_whole(Number::Real(f64::NAN)),
            field_degrees(Number::Real(1.0)),
        ] {
            assert!(matches!(told, Err(Refusal::Malformed(_))), "{told:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_no_value_is_out_of_its_range(number in any::<u64>(), other in any::<u64>(), real in any::<f64>()) {
            for told in [
                share(number), watts(number), joules(number), seconds(number), hertz(number),
                signed_degrees(number), bytes(number), rate_of_kilobytes(number), whole(number),
                fill_level(number, other), state(number, 4),
            ].into_iter().chain([Number::Whole(number), Number::Signed(number.cast_signed()), Number::Real(real)].into_iter().flat_map(|number| {
                [field_degrees(number), field_whole(number), field_watts(number), field_kibibytes(number), rate_of_megabytes(number)]
            })) {
                let is_sound = told.is_err() || told.is_ok_and(|value| value.is_finite() && value.as_f64() >= -100.0);
                prop_assert!(is_sound);
            }
            if let Ok(share) = share(number) {
                prop_assert!((0.0..=1.0).contains(&share.as_f64()));
            }
            if let Ok(share) = fill_level(number, other) {
                prop_assert!((0.0..=1.0).contains(&share.as_f64()));
            }
        }
    }
}
